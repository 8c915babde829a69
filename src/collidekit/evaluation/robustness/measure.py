"""AUC and rejection of taggers against the magnitude of attacks, with their own gradients and those of others."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from collidekit.analysis.schema import Analysis
from collidekit.attacks.build import build_attack, find_attack
from collidekit.attacks.factors import Percentiles
from collidekit.attacks.features import FeatureSpace
from collidekit.attacks.settings import AttackSettings
from collidekit.dataset.batch import Batch
from collidekit.errors import CollidekitError
from collidekit.evaluation.classification.roc_result import measure_discriminator
from collidekit.evaluation.importance.permutation import auc_with_influence
from collidekit.evaluation.rows import Floats
from collidekit.inference.predict import predict
from collidekit.inference.predictions import Predictions
from collidekit.models.tagger import Tagger

REPLICATES = 50
EFFICIENCY = 0.5
"""Signal efficiency at which rejections are compared."""
WORTH = 0.002
"""Minimum loss of AUC of the first kind for a fraction of the loss."""
WITHOUT_GRADIENT = ("noise", "shift")
NONE, OWN = "none", "own"

Done = Callable[[int], None]


@dataclass(frozen=True)
class AttackedTagger:
    """A tagger, with the name of its kind (such as ``nominal``) and its random seed."""

    kind: str
    seed: int
    tagger: Tagger


@dataclass(frozen=True)
class Point:
    """Results of one tagger on rows with one attack."""

    attack: str
    magnitude: float
    gradient: str
    """``own``, the kind of the tagger whose gradient was used, or ``none`` for attacks without a gradient."""
    kind: str
    seed: int
    discriminator: str
    auc: float
    auc_error: float
    rejection: float
    """1/eB at a signal efficiency of one half."""
    rejection_error: float | None
    rejection_limit: bool = False
    """True if the rejection is a lower limit at 95 % confidence, because no background survives."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class AttackPlan:
    """Attacks by name, without magnitudes, and the magnitudes."""

    attacks: Mapping[str, AttackSettings]
    magnitudes: Sequence[float]

    def __post_init__(self) -> None:
        for magnitude in self.magnitudes:
            if not 0 <= magnitude < np.inf:
                raise CollidekitError(
                    f"--magnitudes: {magnitude:g} is not a magnitude; use a finite number of at least 0"
                )

    def settings(self) -> Iterator[tuple[str, float, AttackSettings]]:
        for name, settings in self.attacks.items():
            for magnitude in sorted({float(value) for value in self.magnitudes} - {0.0}):
                yield name, magnitude, settings.model_copy(update={"attack_magnitude": magnitude})


def measure_robustness(
    tested: Sequence[AttackedTagger], analysis: Analysis, batches: Sequence[Batch], plan: AttackPlan, summary: Percentiles | None,
    done: Done = lambda rows: None,
) -> list[Point]:  # fmt: skip
    """Measure all taggers under all attacks. ``done`` is called with the rows of each pass; there are ``passes`` passes.

    A tagger is attacked with its own gradient. A tagger of the first kind is also attacked with the gradients of the other kinds, and each of those with
    that of the first kind, from the tagger at the same position in its kind. Magnitude 0 occurs once, as ``nominal``.
    """
    points = []
    for entry in tested:
        points += _points(
            entry, analysis, predict(entry.tagger, analysis, _count_rows(batches, done)), "nominal", 0.0, NONE
        )
    for name, magnitude, settings in plan.settings():
        for source in _sources(tested, name):
            attack = build_attack(settings, analysis, source.tagger.scaling, summary)
            assert attack is not None
            attacked = list(_count_rows((attack(source.tagger, batch) for batch in batches), done))
            for entry in tested if name in WITHOUT_GRADIENT else _targets(tested, source):
                gradient = NONE if name in WITHOUT_GRADIENT else OWN if entry is source else source.kind
                found = predict(entry.tagger, analysis, attacked)
                points += _points(entry, analysis, found, name, magnitude, gradient)
    return points


def passes(tested: Sequence[AttackedTagger], plan: AttackPlan) -> int:
    """Return how often all rows are attacked or predicted unchanged."""
    return len(tested) + sum(len(_sources(tested, name)) for name, _, _ in plan.settings())


def _count_rows(batches: Any, done: Done) -> Iterator[Batch]:
    for batch in batches:
        yield batch
        done(len(batch))


def _sources(tested: Sequence[AttackedTagger], attack: str) -> Sequence[AttackedTagger]:
    """Return the taggers whose gradients are used; attacks without a gradient move the rows of all taggers alike."""
    return tested[:1] if attack in WITHOUT_GRADIENT else tested


def _targets(tested: Sequence[AttackedTagger], source: AttackedTagger) -> list[AttackedTagger]:
    """Return the source itself, and the taggers at its position in the other kinds (for the first kind) or in the first kind."""
    place = [entry for entry in tested if entry.kind == source.kind].index(source)
    first, found = tested[0].kind, [source]
    for kind in dict.fromkeys(entry.kind for entry in tested):
        others = [entry for entry in tested if entry.kind == kind]
        if kind != source.kind and first in (kind, source.kind):
            found.append(others[place % len(others)])
    return found


def _points(
    entry: AttackedTagger, analysis: Analysis, predictions: Predictions, attack: str, magnitude: float, gradient: str
) -> list[Point]:
    points = []
    for name in analysis.discriminators:
        roc = measure_discriminator(predictions, name, targets=(EFFICIENCY,), replicates=REPLICATES)
        rejection = roc.rejections[0]
        points.append(
            Point(
                attack, magnitude, gradient, entry.kind, entry.seed, name, roc.auc, roc.auc_error, rejection.value,
                rejection.error, rejection.limit,
            )
        )  # fmt: skip
    return points


@dataclass(frozen=True)
class Carried:
    """Effect of an attack on one feature alone: the loss of AUC, and its fraction of the loss of the whole attack."""

    feature: str
    """Label or name of the feature."""
    input: str
    loss: float
    error: float = 0.0
    """Statistical error of the loss, paired on the same rows (DeLong et al., Biometrics 44, 1988, 837)."""


def carried(
    tagger: Tagger, analysis: Analysis, batches: Sequence[Batch], settings: AttackSettings, done: Done = lambda rows: None
) -> dict[str, list[Carried]]:  # fmt: skip
    """Return the loss of AUC if only one feature is attacked, for each discriminator, the largest first."""
    clean = {name: _auc(predict(tagger, analysis, batches), name) for name in analysis.discriminators}
    losses: dict[str, list[Carried]] = {name: [] for name in clean}
    for name, entry in analysis.inputs.items():
        for position, feature in enumerate(entry.features):
            factors = {key: torch.zeros(len(other.features)) for key, other in analysis.inputs.items()}
            factors[name][position] = 1.0
            try:
                space = FeatureSpace(analysis, tagger.scaling, settings, factors)
            except CollidekitError:  # a feature that no attack moves
                continue
            attack = find_attack(settings.attack)(settings, space)
            found = predict(tagger, analysis, _count_rows((attack(tagger, batch) for batch in batches), done))
            for score, before in clean.items():
                after = _auc(found, score)
                error = float(np.sqrt(((before[1] - after[1]) ** 2).sum()))
                losses[score].append(Carried(analysis.feature_label(feature), name, before[0] - after[0], error))
    return {score: sorted(entries, key=lambda entry: -entry.loss) for score, entries in losses.items()}


def _auc(predictions: Predictions, name: str) -> tuple[float, Floats]:
    """Return the AUC and the influence (N,) of each row on it."""
    return auc_with_influence(*predictions.task(name))


@dataclass(frozen=True)
class Line:
    """Mean over the seeds of a kind, with their spread and the statistical error of one."""

    attack: str
    magnitude: float
    gradient: str
    kind: str
    discriminator: str
    seeds: int
    auc: float
    auc_spread: float | None
    auc_error: float
    rejection: float
    rejection_spread: float | None
    rejection_error: float | None
    rejection_limit: bool = False
    """True if the rejection of some seed is a lower limit."""

    @property
    def shown_error(self) -> float:
        """Return the error of the AUC: the statistical error and the spread over seeds, in quadrature."""
        return float(np.hypot(self.auc_error, self.auc_spread or 0.0))


def over_seeds(points: Sequence[Point]) -> list[Line]:
    """Return one line for each attack, magnitude, gradient, kind and discriminator, in the order of the points."""
    groups: dict[tuple[str, float, str, str, str], list[Point]] = {}
    for point in points:
        key = (point.attack, point.magnitude, point.gradient, point.kind, point.discriminator)
        groups.setdefault(key, []).append(point)
    lines = []
    for key, group in groups.items():
        aucs, rejections = np.array([p.auc for p in group]), np.array([p.rejection for p in group])
        several = len(group) > 1
        errors = [p.rejection_error for p in group if p.rejection_error is not None]
        lines.append(
            Line(
                *key, len(group), float(aucs.mean()), float(aucs.std(ddof=1)) if several else None,
                float(np.mean([p.auc_error for p in group])), float(rejections.mean()),
                float(rejections.std(ddof=1)) if several else None, float(np.mean(errors)) if errors else None,
                any(p.rejection_limit for p in group),
            )
        )  # fmt: skip
    return lines


def recovered(lines: Sequence[Line], discriminator: str, base: str) -> list[tuple[Line, float, float]]:
    """Return, for each attacked line of another kind than ``base``, the loss of ``base`` and the fraction of it that is recovered.

    Both are attacked with their own gradients. The fraction is (AUC - AUC of base, attacked) / (AUC of base - AUC of base, attacked).
    """
    mine = {(line.attack, line.magnitude, line.gradient): line for line in lines
            if line.kind == base and line.discriminator == discriminator}  # fmt: skip
    clean = mine[("nominal", 0.0, NONE)].auc
    found = []
    for line in lines:
        if line.kind == base or line.discriminator != discriminator or line.attack == "nominal":
            continue
        hit = mine.get((line.attack, line.magnitude, line.gradient if line.gradient in (NONE, OWN) else OWN))
        if hit is not None and clean - hit.auc > WORTH:
            found.append((line, clean - hit.auc, (line.auc - hit.auc) / (clean - hit.auc)))
    return found
