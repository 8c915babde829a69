"""Checkpoints: weights, the resolved configuration and all that is needed to go on. Loaded weights-only, never unpickled."""

from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from pydantic import ValidationError

from collidekit.analysis.schema import Analysis, Collection, Group
from collidekit.errors import CollidekitError
from collidekit.files import replacing
from collidekit.models.registry import build_network
from collidekit.models.tagger import Tagger
from collidekit.training.config import TrainingConfig

FORMAT = 1
_KEYS = {"analysis", "config", "epoch", "tagger", "state"}


@dataclass
class Checkpoint:
    """A tagger as it was saved, and the state of its training (empty in a file that is only for prediction)."""

    tagger: Tagger
    analysis: Analysis
    config: TrainingConfig
    epoch: int
    state: dict[str, Any]


def save_checkpoint(
    path: Path, tagger: dict[str, Any], analysis: Analysis, config: TrainingConfig, epoch: int, state: dict[str, Any]
) -> None:
    """Write a checkpoint; it appears under its name only when it is complete."""
    content = {
        "collidekit": FORMAT,
        "analysis": analysis.model_dump_json(),
        "config": config.model_dump_json(),
        "epoch": epoch,
        "tagger": tagger,
        "state": state,
    }
    with replacing(path) as temporary:
        try:
            torch.save(content, temporary)
        except RuntimeError as error:  # what torch makes of a full disk
            raise OSError(None, f"is the disk full? {str(error).splitlines()[0]}") from error


def load_content(path: Path) -> dict[str, Any]:
    """The raw content of a checkpoint file, or one clear error."""
    if not path.is_file():
        raise CollidekitError(f"{path}: there is no such checkpoint")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError:
        raise CollidekitError(
            f"{path}: not a readable checkpoint (it is damaged, or holds objects that could run code, which are never loaded)"
        ) from None
    except Exception as error:  # noqa: BLE001  # of many kinds, from zip and torch
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
        raise CollidekitError(
            f"{path}: not a readable checkpoint ({said}); it seems truncated: copy it again"
        ) from None
    if not isinstance(content, dict) or content.get("collidekit") != FORMAT or not content.keys() >= _KEYS:
        raise CollidekitError(f"{path}: not a checkpoint of this version of collidekit")
    return content


def _settings(path: Path, content: dict[str, Any]) -> tuple[Analysis, TrainingConfig]:
    try:
        analysis = Analysis.model_validate_json(content["analysis"])
        config = TrainingConfig.model_validate_json(content["config"])
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise CollidekitError(
            f"{path}: holds settings of another version of collidekit ({place}: {first['msg']})"
        ) from None
    return analysis, config


def load_checkpoint(path: Path) -> Checkpoint:
    """The tagger of a checkpoint, in evaluation mode."""
    content = load_content(path)
    analysis, config = _settings(path, content)
    network = build_network(config.model_name, analysis.inputs, len(analysis.classes), config.model_options)
    tagger = Tagger(analysis, network)
    try:
        tagger.load_state_dict(content["tagger"])
    except RuntimeError as error:
        raise CollidekitError(
            f"{path}: its weights do not fit network {config.model_name!r} ({str(error).splitlines()[-1].strip()})"
        ) from None
    return Checkpoint(tagger.eval(), analysis, config, content["epoch"], content["state"])


def check_same_training(path: Path, content: dict[str, Any], analysis: Analysis, config: TrainingConfig) -> None:
    """Going on with other settings would be another training; only ``extend_training`` may differ."""
    trained, settings = _settings(path, content)
    check_same_inputs(path, trained, analysis)
    for name in TrainingConfig.model_fields:
        mine, theirs = getattr(config, name), getattr(settings, name)
        if name != "extend_training" and mine != theirs:
            raise CollidekitError(f"{path}: was trained with {name} {theirs!r}, not {mine!r}; one cannot go on from it")


def check_same_inputs(path: Path, trained: Analysis, given: Analysis) -> None:
    """Inputs and classes must be those of the training; the error says which feature differs."""
    for name, entry in trained.inputs.items():
        if name not in given.inputs:
            raise CollidekitError(
                f"{path}: was trained with input {name!r}, which analysis {given.name!r} does not have"
            )
        theirs = given.inputs[name]
        if _shape(entry) != _shape(theirs):
            raise CollidekitError(
                f"{path}: is of another analysis: input {name!r} is {_shape(entry)}, and {_shape(theirs)} in analysis "
                f"{given.name!r}"
            )
        for position, feature in enumerate(entry.features):
            other = theirs.features[position] if position < len(theirs.features) else None
            if other is None or other.name != feature.name:
                found = f"has {other.name!r} there" if other else "ends before it"
                raise CollidekitError(
                    f"{path}: is of another analysis: feature {position + 1} of input {name!r} is {feature.name!r}, and "
                    f"analysis {given.name!r} {found}"
                )
            for part in ("unit", "default", "bounds", "kind"):
                if getattr(other, part) != getattr(feature, part):
                    raise CollidekitError(
                        f"{path}: is of another analysis: feature {feature.name!r} of input {name!r} has {part} "
                        f"{getattr(feature, part)!r}, and {getattr(other, part)!r} in analysis {given.name!r}"
                    )
        if len(theirs.features) > len(entry.features):
            extra = theirs.features[len(entry.features)].name
            raise CollidekitError(f"{path}: is of another analysis: it has no feature {extra!r} in input {name!r}")
    if list(trained.classes) != list(given.classes):
        raise CollidekitError(
            f"{path}: is of another analysis: its classes are {', '.join(trained.classes)}, not {', '.join(given.classes)}"
        )


def _shape(entry: Collection | Group) -> str:
    if isinstance(entry, Group):
        return "a flat group"
    parts = [name for name in ("momenta", "coordinates") if getattr(entry, name)]
    return "a collection with " + (" and ".join(parts) or "neither momenta nor coordinates")
