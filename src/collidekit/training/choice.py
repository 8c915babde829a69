"""Settings of a training: given settings override those of the analysis file or checkpoint, which override the defaults."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from collidekit.analysis.estimates import require_packages
from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.models.registry import KIND as NETWORK
from collidekit.models.registry import build_network
from collidekit.models.tagger import outputs_of
from collidekit.objectives import check_objective, head_of
from collidekit.training.config import TrainingConfig
from collidekit.training.fine_tuning import PretrainedWeights, check_start
from collidekit.training.precision import computes_in_bfloat16
from collidekit.trust import check_code, own_code


def training_config(plan: Plan, given: Mapping[str, Any]) -> TrainingConfig:
    """Return the settings: given ones (not None), else those of the analysis file for the network, else the defaults.

    In fine-tuning, network and options that are not given are those of the checkpoint.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    place, recommended = _recommended(plan.analysis, _text(chosen, "model_name") or _of_checkpoint(chosen))
    if recommended.get("mixed_precision") and "mixed_precision" not in chosen and not computes_in_bfloat16():
        recommended = {**recommended, "mixed_precision": False}  # would be several times slower
    if "epochs" in chosen:  # a given number of epochs is not increased
        recommended = {name: value for name, value in recommended.items() if name != "min_steps"}
    try:
        config = TrainingConfig.model_validate({**recommended, **chosen})
    except ValidationError as error:
        first = error.errors()[0]
        name, known = str(first["loc"][0]), list(TrainingConfig.model_fields)
        where = f"{plan.lines.at((*place, name))}: {'.'.join(place)}.{name}"
        if name not in known:
            close = did_you_mean(name, known)
            raise CollidekitError(f"{where}: unknown key{close}; allowed are {', '.join(known)}") from None
        shown = f"--{name.replace('_', '-')}" if name in chosen else where
        raise CollidekitError(f"{shown}: {first['msg']}, got {first['input']!r}") from None
    if config.from_checkpoint:
        config = _of_its_checkpoint(config, chosen)
    own_code(config.model_name, config.objective, config.attack)
    return config


def _text(chosen: Mapping[str, Any], name: str) -> str | None:
    """Return a setting if it is text; other types are refused in the validation of all settings."""
    value = chosen.get(name)
    return value if isinstance(value, str) else None


def _recommended(analysis: Analysis, network: str | None) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the place and the content of the settings for a network in the analysis file.

    A network without a recipe gets the settings of ``training``, except the network options, which belong to another network.
    """
    usual = analysis.training.get("model_name", TrainingConfig.model_fields["model_name"].default)
    if network in (None, usual):
        return ("training",), analysis.training
    if network in analysis.recipes:
        return ("recipes", network), analysis.recipes[network]
    return ("training",), {name: value for name, value in analysis.training.items() if name != "model_options"}


def _of_checkpoint(chosen: Mapping[str, Any]) -> str | None:
    """Return the network of the checkpoint to start from."""
    path = _text(chosen, "from_checkpoint")
    return PretrainedWeights.of(path).config.model_name if path else None


def _of_its_checkpoint(config: TrainingConfig, chosen: Mapping[str, Any]) -> TrainingConfig:
    start = PretrainedWeights.of(config.from_checkpoint)
    theirs = start.config
    if "model_name" not in chosen:
        check_code(start.path, "network", NETWORK.own(theirs.model_name), start.code.get("network"))
    name = chosen.get("model_name", theirs.model_name)
    options = theirs.model_options if name == theirs.model_name else {}
    return config.model_copy(
        update={"model_name": name, "model_options": {**options, **chosen.get("model_options", {})}}
    )


def check_recommended(plan: Plan) -> None:
    """Raise an error if the analysis file names a setting, a network or a network option that does not exist."""
    for given in ({}, *({"model_name": network} for network in plan.analysis.recipes)):
        check_network(plan.analysis, training_config(plan, given))


def check_network(analysis: Analysis, config: TrainingConfig) -> None:
    """Raise an error if the network does not exist, or if the checkpoint to start from does not fit."""
    require_packages(analysis.estimates)
    outputs = outputs_of(analysis, head_of(config.objective, analysis))
    network = build_network(config.model_name, analysis.inputs, outputs, config.model_options)
    check_objective(config.objective, analysis)
    if config.from_checkpoint:
        check_start(config, analysis, network)
