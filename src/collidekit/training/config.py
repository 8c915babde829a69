"""Everything that decides what a training learns, validated."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, field_validator

from collidekit.analysis.features import wrong
from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan
from collidekit.attacks.settings import ADVERSARIAL, AdversarialSettings
from collidekit.dataset.parts import SplitSettings
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.models.registry import KIND as NETWORK
from collidekit.models.registry import build_network
from collidekit.models.settings import NetworkSettings
from collidekit.models.tagger import outputs_of
from collidekit.objectives import check_objective, head_of
from collidekit.objectives.settings import ObjectiveSettings
from collidekit.settings import LARGEST, AtLeastOne, Count, Share, setting
from collidekit.training.augmentations import canonical
from collidekit.training.fine_tuning_settings import FineTuningSettings
from collidekit.training.optimizers import OptimizerSettings
from collidekit.training.precision import PrecisionSettings, computes_in_bfloat16
from collidekit.training.schedules import ScheduleSettings
from collidekit.trust import check_code, own_code


class TrainingConfig(
    FineTuningSettings, SplitSettings, AdversarialSettings, ObjectiveSettings, PrecisionSettings, ScheduleSettings,
    OptimizerSettings, NetworkSettings,
):  # fmt: skip
    """The settings of a training, under flat names. All of them are in the hash of its folder."""

    epochs: AtLeastOne = setting(20, "passes over the training rows")
    min_steps: Count = setting(0, "more epochs where the rows are so few that they make fewer steps")
    batch_size: AtLeastOne = setting(1024, "rows in a step")
    loss_weighting: bool = setting(False, "bring classes to the reference's kinematics in the loss, not by sampling")
    n_train_files: Annotated[int, Field(ge=-1, le=LARGEST)] = setting(-1, "shards to use; -1 is all")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = setting(123456, "decides order, first weights and all that is random")
    early_stopping: Count = setting(0, "stop after so many epochs without a better one; 0 never")
    overtraining_stop: Count = setting(
        0, "stop, after 20 epochs, where the slope of so many last validation losses is not negative; 0 never"
    )
    ema_decay: Share = setting(0.0, "decay of the running mean of the weights, which is validated and kept; 0 for none")
    augmentation: Annotated[str, BeforeValidator(canonical)] = setting(
        "none", "random changes of training rows, such as rotation or drop=0.1,rotation"
    )
    extend_training: Count = setting(0, "train so many epochs more than an earlier training did")

    @field_validator("n_train_files")
    @classmethod
    def _some_files(cls, value: int) -> int:
        if value == 0:
            raise wrong("0 shards are none; write -1 for all")
        return value

    @property
    def identity(self) -> dict[str, Any]:
        """All settings that have an effect, for JSON: those of attacks only where there is one."""
        unused = {*(ADVERSARIAL if self.attack == "nominal" else ()), *(() if self.min_steps else ("min_steps",))}
        unused |= {"train_val_split"} if self.folds else {"folds", "fold"}
        return {name: value for name, value in super().identity.items() if name not in unused}


def training_config(plan: Plan, given: Mapping[str, Any]) -> TrainingConfig:
    """The settings: one that is given and not None, else what the analysis file recommends for the network, else the default.

    In fine-tuning, the network and those of its options that are not given are the checkpoint's.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    place, recommended = _recommended(plan.analysis, chosen.get("model_name") or _of_checkpoint(chosen))
    if recommended.get("mixed_precision") and "mixed_precision" not in chosen and not computes_in_bfloat16():
        recommended = {**recommended, "mixed_precision": False}  # it would be several times slower
    if "epochs" in chosen:  # who names a number of epochs means it
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


def _recommended(analysis: Analysis, network: str | None) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Where the analysis file recommends settings for a network, and which.

    A network without a recipe gets those of ``training`` but for the network's options, which are another network's.
    """
    usual = analysis.training.get("model_name", TrainingConfig.model_fields["model_name"].default)
    if network in (None, usual):
        return ("training",), analysis.training
    if network in analysis.recipes:
        return ("recipes", network), analysis.recipes[network]
    return ("training",), {name: value for name, value in analysis.training.items() if name != "model_options"}


def _of_checkpoint(chosen: Mapping[str, Any]) -> str | None:
    """The network of the checkpoint to begin from."""
    from collidekit.training.fine_tuning import Start

    return Start.of(chosen["from_checkpoint"]).config.model_name if chosen.get("from_checkpoint") else None


def _of_its_checkpoint(config: TrainingConfig, chosen: Mapping[str, Any]) -> TrainingConfig:
    from collidekit.training.fine_tuning import Start

    start = Start.of(config.from_checkpoint)
    theirs = start.config
    if "model_name" not in chosen:
        check_code(start.path, "network", NETWORK.own(theirs.model_name), start.code.get("network"))
    name = chosen.get("model_name", theirs.model_name)
    options = theirs.model_options if name == theirs.model_name else {}
    return config.model_copy(
        update={"model_name": name, "model_options": {**options, **chosen.get("model_options", {})}}
    )


def check_recommended(plan: Plan) -> None:
    """An error where the analysis file recommends a setting, a network or an option of it that there is not."""
    for given in ({}, *({"model_name": network} for network in plan.analysis.recipes)):
        check_network(plan.analysis, training_config(plan, given))


def check_network(analysis: Analysis, config: TrainingConfig) -> None:
    """An error where there is no such network, or where the checkpoint to begin from does not fit: before any other work."""
    outputs = outputs_of(analysis, head_of(config.objective, analysis))
    network = build_network(config.model_name, analysis.inputs, outputs, config.model_options)
    check_objective(config.objective, analysis)
    if config.from_checkpoint:
        from collidekit.training.fine_tuning import check_start

        check_start(config, analysis, network)
