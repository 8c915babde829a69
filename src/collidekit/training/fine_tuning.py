"""Fine-tuning: start with the weights of a checkpoint and a new head, freeze parts, change learning rates of parts."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from collidekit.analysis.same_inputs import check_same_features
from collidekit.analysis.schema import Analysis
from collidekit.dataset.learned import LearnedFrom
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.models.network import Network
from collidekit.models.tagger import Tagger
from collidekit.objectives import head_of
from collidekit.training.checkpoint import (
    find_checkpoint,
    load_content,
    read_learned,
    read_settings,
)
from collidekit.training.config import TrainingConfig


@dataclass(frozen=True)
class PretrainedWeights:
    """The checkpoint that a training starts from."""

    path: Path
    analysis: Analysis
    config: TrainingConfig
    tagger: dict[str, Tensor]
    checksum: str
    """Checksum of weights and scaling; it does not depend on the path and other content of the file."""
    code: Mapping[str, Any]
    """File, hash and source of the user code of the training."""
    learned_from: tuple[LearnedFrom, ...] = ()

    @classmethod
    def of(cls, name: str) -> "PretrainedWeights":
        """Load a file, the folder of a training, or a bundled model by its name."""
        path = find_checkpoint(name).absolute()
        state = path.stat()
        return _read(path, state.st_mtime_ns, state.st_size)

    def give_weights(self, tagger: Tagger, analysis: Analysis, keep_head: bool) -> None:
        """Copy weights and scaling into a new tagger; with ``keep_head``, the weights of the head, too."""
        self._check_inputs(analysis, keep_head)
        state = tagger.state_dict()
        without_targets = not any(name.startswith("target_heads.") for name in self.tagger)
        wanted = {
            name: value
            for name, value in state.items()
            if not in_head(tagger, name) or (keep_head and not (without_targets and name.startswith("target_heads.")))
        }
        if not keep_head and not any(in_head(tagger, name) for name in state):
            raise CollidekitError(
                f"{type(tagger.network).__name__}: has no part {' or '.join(map(repr, tagger.network.head))} to initialise; "
                "name its last layer in the attribute 'head' of its class, or keep the head with --keep-head"
            )
        self._check_weights(wanted, state)
        tagger.load_state_dict({**state, **{name: self.tagger[name] for name in wanted}})

    def give_scaling(self, tagger: Tagger) -> None:
        """Copy shifts and widths of the features, with which the weights were trained."""
        prefix = "scaling."
        tagger.scaling.load_state_dict(
            {name.removeprefix(prefix): value for name, value in self.tagger.items() if name.startswith(prefix)}
        )

    def _check_inputs(self, analysis: Analysis, keep_head: bool) -> None:
        check_same_features(self.path, self.analysis, analysis)
        for name in analysis.inputs:
            if name not in self.analysis.inputs:
                raise CollidekitError(f"{self.path}: was trained without input {name!r} of analysis {analysis.name!r}")
        if keep_head and list(self.analysis.classes) != list(analysis.classes):
            theirs, ours = (", ".join(found.classes) or "none" for found in (self.analysis, analysis))
            raise CollidekitError(
                f"{self.path}: its head is for the classes {theirs}, not {ours}; leave --keep-head out to begin with a fresh head"
            )
        theirs, ours = (_assignments_of(found) for found in (self.analysis, analysis))
        if keep_head and theirs != ours and "none" not in (theirs, ours):
            raise CollidekitError(
                f"{self.path}: its head is for the assignments {theirs}, not {ours}; leave --keep-head out to begin with a fresh head"
            )
        theirs, ours = (_values_of(found) for found in (self.analysis, analysis))
        if keep_head and theirs != ours:
            raise CollidekitError(
                f"{self.path}: its head is for the values {theirs}, not {ours}; leave --keep-head out to begin with a fresh head"
            )

    def _check_weights(self, wanted: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
        """Raise an error unless the checkpoint has exactly the wanted weights, each with its shape."""
        problem = next((f"the checkpoint has no {name}" for name in wanted if name not in self.tagger), "")
        for name, value in wanted.items():
            if not problem and self.tagger[name].shape != value.shape:
                problem = f"{name} is {_shape(self.tagger[name])} in the checkpoint and {_shape(value)} here"
        left = [name for name in self.tagger if name.startswith("network.") and name not in state]
        if not problem and left:
            problem = f"the checkpoint also has {left[0]}"
        if problem:
            raise CollidekitError(
                f"{self.path}: its weights do not fit the selected network ({problem}); they belong to network "
                f"{self.config.model_name!r} with options {self.config.model_options}: leave --model-name and "
                "--model-options out to use these"
            )


def _values_of(analysis: Analysis) -> str:
    """Return the values of targets of rows, with scale, unit and estimate, as a text: a head is kept only if it is equal."""
    targets = analysis.regressions.items()
    found = [
        f"{name} ({', '.join([*t.values, t.scale, *filter(None, [t.unit]), *map(str, t.form)])})" for name, t in targets
    ]
    return ", ".join(found) or "none"


def _assignments_of(analysis: Analysis) -> str:
    """Return slots, symmetries and partners of assignments as a text: a head is kept only if it is equal."""
    found = []
    for name, target in analysis.assignments.items():
        slots = [f"{p}.{s} of {target.collection_of(p, s)}" for p, slots in target.parents.items() for s in slots]
        symmetries = [" = ".join(group) for group in sorted(map(sorted, target.symmetries))]
        partners = [f"{parent} with {partner}" for parent, partner in sorted(target.partners.items())]
        found.append(f"{name} ({', '.join([*slots, *symmetries, *partners])})")
    return ", ".join(found) or "none"


def in_head(tagger: Tagger, name: str) -> bool:
    """Return whether a parameter or buffer belongs to the head of the network, or to the heads of the targets."""
    return name.startswith(("target_heads.", "regressions.")) or any(
        f"{name}.".startswith(f"network.{part}.") for part in tagger.network.head
    )


def freeze(tagger: Tagger, patterns: Sequence[str], keep_head: bool = False) -> list[nn.Module]:
    """Freeze the parameters whose names match, except those of a new head.

    Return the parts that are frozen completely. They must stay in evaluation mode, which keeps the running statistics of
    batch normalisations. A part without parameters is frozen if its buffers match.
    """
    names = [name for name, _ in tagger.named_parameters()]
    free = [name for name in names if keep_head or not in_head(tagger, name)]
    for pattern in patterns:
        if not _matching(pattern, free):
            if _matching(pattern, names):
                raise CollidekitError(
                    f"--freeze: {pattern!r} matches only the head, which is new and must be trained; pass --keep-head, too"
                )
            raise _no_match("--freeze", pattern, names)
    frozen = {name for pattern in patterns for name in _matching(pattern, free)}
    if len(frozen) == len(names):
        raise CollidekitError(f"--freeze: all {len(names)} parameters are frozen, so there is nothing to train")
    for name, parameter in tagger.named_parameters():
        if name in frozen:
            parameter.requires_grad_(False)
    fixed = []
    for name, module in tagger.named_modules():
        parameters = list(module.parameters())
        buffers = [f"{name}.{own}" for own, _ in module.named_buffers()]
        if parameters:
            whole = not any(parameter.requires_grad for parameter in parameters)
        else:
            whole = bool(buffers) and all(_matches_any(patterns, buffer) for buffer in buffers)
        if whole:
            fixed.append(module)
    return fixed


def rate_factors(tagger: Tagger, factors: Mapping[str, float]) -> dict[nn.Parameter, float]:
    """Return the factor of the learning rate of each parameter: the product of the factors of all matching patterns."""
    names = [name for name, _ in tagger.named_parameters()]
    for pattern in factors:
        if not _matching(pattern, names):
            raise _no_match("--learning-rate-factors", pattern, names)
    found: dict[nn.Parameter, float] = {}
    for name, parameter in tagger.named_parameters():
        found[parameter] = 1.0
        for pattern, factor in factors.items():
            if fnmatchcase(name, pattern):
                found[parameter] *= factor
    return found


def check_start(config: TrainingConfig, analysis: Analysis, network: Network) -> None:
    """Raise an error if the training cannot start from the checkpoint of its settings."""
    tagger = Tagger(analysis, network, head_of(config.objective, analysis))
    PretrainedWeights.of(config.from_checkpoint).give_weights(tagger, analysis, config.keep_head)
    freeze(tagger, config.freeze, config.keep_head)
    rate_factors(tagger, config.learning_rate_factors)


@lru_cache(maxsize=4)
def _read(path: Path, modified: int, size: int) -> PretrainedWeights:
    """Load a checkpoint; the result is cached until the file changes, because every task of a run needs it."""
    content = load_content(path)
    return PretrainedWeights(
        path, *read_settings(path, content), content["tagger"], _checksum(content["tagger"]), content.get("code") or {},
        read_learned(path, content),
    )  # fmt: skip


def _checksum(tagger: Mapping[str, Tensor]) -> str:
    total = hashlib.sha256()
    for name in sorted(tagger):
        value = tagger[name].detach().cpu().contiguous()
        total.update(f"{name} {value.dtype} {_shape(value)} ".encode())
        total.update(value.reshape(-1).view(dtype=torch.uint8).numpy().tobytes())
    return total.hexdigest()


def _matching(pattern: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if fnmatchcase(name, pattern)]


def _matches_any(patterns: Iterable[str], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _no_match(option: str, pattern: str, names: Sequence[str]) -> CollidekitError:
    """Return the error for a pattern without match; it lists the parts of the network, not all parameters."""
    parts = {".".join(name.split(".")[:depth]) for name in names for depth in (2, 3, 4) if name.count(".") >= depth}
    close = did_you_mean(pattern, [*(f"{part}.*" for part in sorted(parts)), *names])
    top = dict.fromkeys(".".join(name.split(".")[:2]) for name in names)
    whole = ", ".join(part if part in names else f"{part}.*" for part in top)
    return CollidekitError(f"{option}: {pattern!r} matches no parameter{close}; the parts of the network are {whole}")


def _shape(value: Tensor) -> str:
    return "x".join(map(str, value.shape)) or "one number"
