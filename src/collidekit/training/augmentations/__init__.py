"""Augmentations: random changes of training rows that keep their class, each with a strength."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from collidekit.analysis.features import wrong
from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch
from collidekit.dataset.statistics import Statistics
from collidekit.errors import did_you_mean
from collidekit.training.augmentations.boost import Boost
from collidekit.training.augmentations.drop import Drop, Threshold
from collidekit.training.augmentations.noise import Noise
from collidekit.training.augmentations.rotation import Rotation
from collidekit.training.augmentations.smearing import AngularSmearing, Smearing

Augmentation = Callable[[Batch], Batch]


@dataclass(frozen=True)
class Kind:
    """An augmentation, with its default strength and its largest allowed strength."""

    make: Callable[[Analysis, Statistics, float], Augmentation]
    strength: float | None
    """None if the augmentation has no strength."""
    most: float = float("inf")


AUGMENTATIONS: dict[str, Kind] = {
    "drop": Kind(Drop, 0.1, 1.0),
    "threshold": Kind(Threshold, 1.0),
    "smearing": Kind(Smearing, 0.05, 1.0),
    "angles": Kind(AngularSmearing, 0.01, 1.0),
    "boost": Kind(Boost, 0.5, 10.0),
    "rotation": Kind(Rotation, None),
    "noise": Kind(Noise, 0.05),
}
"""Augmentations in the order in which they act: a lost constituent needs no other change."""


def canonical(value: Any) -> Any:
    """Return augmentations as one text, in the order in which they act, with their strengths: ``drop=0.1,rotation``.

    ``value`` is such a text, or a list in which ``{drop: 0.1}`` is the same as ``drop=0.1``.
    """
    if isinstance(value, str):
        parts: list[Any] = value.split(",")
    elif isinstance(value, dict):
        parts = [value]
    elif isinstance(value, list | tuple):
        parts = list(value)
    else:
        return value
    pairs = [pair for part in parts for pair in (part.items() if isinstance(part, dict) else [_split(part)])]
    if [name for name, _ in pairs] == ["none"] or not pairs:
        return "none"
    chosen: dict[str, float | None] = {}
    for name, strength in pairs:
        if name in chosen:
            raise wrong(f"{name} stands twice")
        chosen[name] = _strength(str(name), strength)
    texts = {name: name if strength is None else f"{name}={strength:g}" for name, strength in chosen.items()}
    return ",".join(texts[name] for name in AUGMENTATIONS if name in texts)


def build_augmentation(text: str, analysis: Analysis, statistics: Statistics) -> Augmentation | None:
    """Return a function that applies the augmentations of a text one after another; None without augmentations."""
    text = canonical(text)
    if text == "none":
        return None
    made = []
    for part in text.split(","):
        name, strength = _split(part)
        made.append(AUGMENTATIONS[name].make(analysis, statistics, float(strength or 0)))

    def augment(batch: Batch) -> Batch:
        for change in made:
            batch = change(batch)
        return batch

    return augment


def _split(part: Any) -> tuple[str, str | None]:
    name, equals, strength = (piece.strip() for piece in str(part).partition("="))
    return name, strength if equals else None


def _strength(name: str, given: Any) -> float | None:
    known = list(AUGMENTATIONS)
    if name not in AUGMENTATIONS:
        raise wrong(f"there is no augmentation {name!r}{did_you_mean(name, known)}; known are none, {', '.join(known)}")
    kind = AUGMENTATIONS[name]
    if kind.strength is None:
        if given is not None:
            raise wrong(f"{name} takes no strength")
        return None
    try:
        strength = kind.strength if given is None else float(given)
    except (TypeError, ValueError):
        raise wrong(f"{name}: {given!r} is not a number") from None
    if not 0 < strength <= kind.most:
        most = "" if kind.most == float("inf") else f" and at most {kind.most:g}"
        raise wrong(f"{name}: the strength must be above 0{most}")
    return strength
