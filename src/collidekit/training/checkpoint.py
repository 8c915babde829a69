"""Checkpoints: weights, settings, and the state to continue a training. They are loaded weights-only, never unpickled."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os.path import isdir, isfile  # the functions of pathlib raise an error for a name that is too long
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from pydantic import ValidationError

from collidekit.analysis.same_inputs import check_same_inputs
from collidekit.analysis.schema import FORMATS, Analysis
from collidekit.analysis.scope import Plan
from collidekit.attacks.settings import ATTACK_NAMES
from collidekit.dataset.learned import LearnedFrom
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.files import replacing
from collidekit.models.registry import KIND as NETWORK
from collidekit.models.registry import build_network
from collidekit.models.tagger import Tagger, outputs_of
from collidekit.models.temperature import Temperature
from collidekit.objectives import head_of
from collidekit.objectives.registry import KIND as OBJECTIVE
from collidekit.sealed import write_sealed
from collidekit.shipped import shipped_models
from collidekit.shown import html_table
from collidekit.training.config import TrainingConfig
from collidekit.training.model_folder import DESCRIPTION, WEIGHTS, load_model, read_description
from collidekit.training.seal import content_checksum
from collidekit.trust import check_code, check_packages, code_of

FORMAT = 1
_KEYS = {"analysis", "config", "epoch", "tagger", "state"}
_KNOWN = {*_KEYS, "collidekit", "code", "learned_from", "temperature"}


@dataclass
class Checkpoint:
    """A saved tagger, and the state of its training (empty in a file for prediction only)."""

    tagger: Tagger
    analysis: Analysis
    config: TrainingConfig
    epoch: int
    state: dict[str, Any]
    temperature: Temperature | None = None
    """None if no temperature was fitted."""
    path: Path = Path("checkpoint")
    code: dict[str, Any] = field(default_factory=dict)
    """Output of ``code_of`` for network, objective, processor, reader and attack that are not built in."""
    learned_from: tuple[LearnedFrom, ...] = ()
    """Training rows of this training, and of the trainings whose weights it started with; empty if they are not known."""

    def __repr__(self) -> str:
        size = sum(parameter.numel() for parameter in self.tagger.parameters())
        return f"Checkpoint({str(self.path)!r}: {self.config.model_name}, {size:,} parameters, epoch {self.epoch})"

    def _repr_html_(self) -> str:
        usual = TrainingConfig()
        rows = [("analysis", repr(self.analysis))]
        rows += [("classes", ", ".join(self.analysis.classes))] if self.analysis.classes else []
        rows += [(f"values of {name}", ", ".join(target.values)) for name, target in self.analysis.row_targets.items()]
        if self.temperature:
            rows.append(("temperature", f"{self.temperature.value:.4g} ± {self.temperature.error:.2g}"))
        rows += [(name, str(value)) for name, value in self.config if value != getattr(usual, name)]
        return html_table(repr(self), rows, note="settings that are not named have their defaults")

    def plan(self) -> Plan:
        """Return its analysis, to read files; raise an error if this would run code that is not known to be the user's."""
        names = code_names(self.analysis, self.config)
        for what in ("processor", "reader"):
            check_code(self.path, what, names[what], self.code.get(what))
        return Plan(self.analysis)


def code_names(analysis: Analysis, config: TrainingConfig) -> dict[str, str | None]:
    """Return the names of parts that can be user code or code of an installed package; None for built-in parts."""
    return {
        "network": NETWORK.own(config.model_name),
        "objective": OBJECTIVE.own(config.objective),
        "processor": analysis.processor,
        "reader": None if analysis.source.format in FORMATS else analysis.source.format,
        "attack": None if config.attack in ATTACK_NAMES else config.attack,
    }


def save_checkpoint(
    path: Path, tagger: dict[str, Any], analysis: Analysis, config: TrainingConfig, epoch: int, state: dict[str, Any],
    code: dict[str, Any] | None = None, learned_from: Sequence[LearnedFrom] = (),
) -> None:  # fmt: skip
    """Write a checkpoint; it gets its name only when it is complete.

    ``code`` is the output of ``code_of`` at the start of the training; None: compute it now.
    """
    content = {
        "collidekit": FORMAT,
        "analysis": analysis.model_dump_json(),
        "config": config.model_dump_json(),
        "epoch": epoch,
        "tagger": tagger,
        "state": state,
        "code": code_of(code_names(analysis, config)) if code is None else code,
        "learned_from": [entry.as_dict() for entry in learned_from],
    }
    _write(path, content)


def store_temperature(path: Path, temperature: Temperature) -> None:
    """Write the temperature into a checkpoint, or into the description of a published model."""
    if path.suffix == ".safetensors":
        description = path.with_name(DESCRIPTION)
        write_sealed(description, {**read_description(description), "temperature": temperature.as_dict()})
    else:
        _write(path, {**load_content(path), "temperature": temperature.as_dict()})


def _write(path: Path, content: dict[str, Any]) -> None:
    with replacing(path) as temporary:
        try:
            torch.save({**content, "checksum": content_checksum(content)}, temporary)
        except RuntimeError as error:  # raised by torch if the disk is full
            raise OSError(None, f"is the disk full? {str(error).splitlines()[0]}") from error


def find_checkpoint(name: str | Path) -> Path:
    """Return the file of a checkpoint, given its path, the folder of a training or published model, or a bundled model."""
    path = Path(name)
    if isfile(path):
        return path
    if isdir(path):
        for file in (path / "best_model.pt", path / WEIGHTS):
            if file.is_file():
                return file
        raise CollidekitError(
            f"{path}: is a folder without best_model.pt and without {WEIGHTS}; give a checkpoint, the folder of a "
            "TrainingTask, or the folder of a published model"
        )
    known = shipped_models()
    if str(name) in known:
        return known[str(name)] / WEIGHTS
    if path.suffix or path.is_absolute():
        raise CollidekitError(f"{path}: there is no such checkpoint")
    ship = f"bundled models are {', '.join(known)}" if known else "this version has no bundled models"
    raise CollidekitError(
        f"there is no model {str(name)!r}{did_you_mean(str(name), list(known))}; {ship}, or give a file"
    )


def kept_epoch(folder: Path, epochs: Sequence[Mapping[str, str]]) -> Mapping[str, str]:
    """Return the row of ``history.csv`` of the epoch whose weights are in ``best_model.pt``.

    The file stores its epoch, which may not have the lowest validation loss: relegation keeps the last epoch. Without the
    file, the epoch with the lowest validation loss is returned.
    """
    path = folder / "best_model.pt"
    if isfile(path):
        kept = load_content(path)["epoch"]
        if found := [row for row in epochs if int(float(row["epoch"])) == kept]:
            return found[-1]
    return min(epochs, key=lambda row: float(row["val_loss"]))


def load_content(path: Path) -> dict[str, Any]:
    """Return the raw content of a checkpoint, or of the weights of a published model."""
    if not isfile(path):
        raise CollidekitError(f"{path}: there is no such checkpoint")
    if path.suffix == ".safetensors":
        return load_model(path)
    try:
        with warnings.catch_warnings(action="ignore"):  # torch warns about pickles that it then refuses
            content = torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError:
        raise CollidekitError(
            f"{path}: not a readable checkpoint (it is damaged, or contains objects that could run code, which are never loaded)"
        ) from None
    except Exception as error:  # noqa: BLE001  # zip and torch raise many types of errors
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:120]}"
        raise CollidekitError(
            f"{path}: not a readable checkpoint ({said}); it is truncated or damaged: copy it again"
        ) from None
    if not isinstance(content, dict) or content.get("collidekit") != FORMAT or not content.keys() >= _KEYS:
        raise CollidekitError(
            f"{path}: not a checkpoint of this version of collidekit; use it with the version that wrote it, or train again with this one"
        )
    checksum = content.pop("checksum", None)
    # a file without a checksum is from an early version, or the name of the checksum is damaged
    is_whole = content.keys() <= _KNOWN if checksum is None else checksum == content_checksum(content)
    if not is_whole:
        raise CollidekitError(
            f"{path}: is damaged: its content does not have the stored checksum; copy it again, or continue "
            "from an earlier checkpoint"
        )
    return content


def read_settings(path: Path, content: dict[str, Any]) -> tuple[Analysis, TrainingConfig]:
    """Return the analysis and the settings of the training in the content of a checkpoint."""
    check_packages(path, content.get("code") or {})
    try:
        analysis = Analysis.model_validate_json(content["analysis"])
        config = TrainingConfig.model_validate_json(content["config"])
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise CollidekitError(
            f"{path}: has settings of another version of collidekit ({place}: {first['msg']}); use it with the version that wrote it, or "
            "train again with this one"
        ) from None
    return analysis, config


def load_checkpoint(name: str | Path) -> Checkpoint:
    """Return the tagger of a checkpoint or model in evaluation mode; ``find_checkpoint`` describes the possible names."""
    path = find_checkpoint(name)
    content = load_content(path)
    analysis, config = read_settings(path, content)
    code = content.get("code") or {}
    names = code_names(analysis, config)
    for what in ("network", "objective"):
        check_code(path, what, names[what], code.get(what))
    head = head_of(config.objective, analysis)
    network = build_network(config.model_name, analysis.inputs, outputs_of(analysis, head), config.model_options)
    tagger = Tagger(analysis, network, head, _members(content["tagger"], analysis))
    try:
        tagger.load_state_dict(content["tagger"])
    except RuntimeError as error:
        raise CollidekitError(
            f"{path}: its weights do not fit network {config.model_name!r} ({str(error).splitlines()[-1].strip()})"
        ) from None
    temperature = Temperature.read(content.get("temperature"), path)
    learned = read_learned(path, content)
    return Checkpoint(
        tagger.eval(), analysis, config, content["epoch"], content["state"], temperature, path, code, learned
    )


def _members(weights: Mapping[str, Any], analysis: Analysis) -> list[str]:
    """Return the targets of constituents with weights; earlier versions had them for fewer networks."""
    return [
        name
        for name in analysis.member_targets
        if any(key.startswith(f"target_heads.heads.{name}.") for key in weights)
    ]


def read_learned(path: Path, content: Mapping[str, Any]) -> tuple[LearnedFrom, ...]:
    """Return the training rows that a checkpoint lists; empty for a checkpoint of an early version."""
    try:
        return tuple(LearnedFrom.read(entry) for entry in content.get("learned_from") or ())
    except (CollidekitError, KeyError, TypeError, ValueError) as error:
        raise CollidekitError(f"{path}: its list of training rows cannot be read ({error}); copy it again") from None


def check_same_training(path: Path, content: dict[str, Any], analysis: Analysis, config: TrainingConfig) -> None:
    """Raise an error if a checkpoint has other settings than the training; only ``extend_training`` may differ.

    The path of the checkpoint of ``from_checkpoint`` may differ, too: its content is compared by the checksum.
    """
    trained, settings = read_settings(path, content)
    check_same_inputs(path, trained, analysis)
    for name in TrainingConfig.model_fields:
        mine, theirs = getattr(config, name), getattr(settings, name)
        if name not in ("extend_training", "from_checkpoint") and mine != theirs:
            raise CollidekitError(
                f"{path}: was trained with {name} {theirs!r}, not {mine!r}; this training cannot continue from it"
            )
    for what in ("network", "objective", "attack"):
        if stored := (content.get("code") or {}).get(what):
            check_code(path, what, code_names(analysis, config)[what], stored)
