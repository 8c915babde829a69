"""How much taggers break: AUC and rejection against the magnitude of attacks, by their own and by others' gradients."""

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
"""Of the signal, at which rejections are compared."""
WORTH = 0.002
"""Where an attack costs the first kind less AUC than this, a share of the loss means nothing."""
WITHOUT_GRADIENT = ("noise", "shift")
NONE, OWN = "none", "own"

Done = Callable[[int], None]


@dataclass(frozen=True)
class AttackedTagger:
    """A tagger, with the name of its kind (such as ``nominal``) and its seed."""

    kind: str
    seed: int
    tagger: Tagger


@dataclass(frozen=True)
class Point:
    """One tagger on rows that were attacked in one way."""

    attack: str
    magnitude: float
    gradient: str
    """``own``, the kind of the tagger whose gradient was used, or ``none`` for attacks without one."""
    kind: str
    seed: int
    discriminator: str
    auc: float
    auc_error: float
    rejection: float
    """1/eB at half of the signal."""
    rejection_error: float | None
    rejection_limit: bool = False
    """Whether the rejection is a lower limit at 95 % confidence, since no background survives."""

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class AttackPlan:
    """The attacks by name, without their magnitudes, and the magnitudes."""

    attacks: Mapping[str, AttackSettings]
    magnitudes: Sequence[float]

    def __post_init__(self) -> None:
        for magnitude in self.magnitudes:
            if not 0 <= magnitude < np.inf:
                raise CollidekitError(
                    f"--magnitudes: {magnitude:g} is no magnitude, which is a finite number of at least 0"
                )

    def settings(self) -> Iterator[tuple[str, float, AttackSettings]]:
        for name, settings in self.attacks.items():
            for magnitude in sorted({float(value) for value in self.magnitudes} - {0.0}):
                yield name, magnitude, settings.model_copy(update={"attack_magnitude": magnitude})


def measure_robustness(
    tested: Sequence[AttackedTagger], analysis: Analysis, batches: Sequence[Batch], plan: AttackPlan, summary: Percentiles | None,
    done: Done = lambda rows: None,
) -> list[Point]:  # fmt: skip
    """All taggers on all attacks. ``done`` is told the rows of each pass; there are ``passes`` of them.

    A tagger is attacked by its own gradient; besides, one of the first kind by those of the others, and each of these by
    that of the first kind, from the tagger with the same place in its kind. Magnitude 0 stands once, as ``nominal``.
    """
    points = []
    for entry in tested:
        points += _points(entry, analysis, predict(entry.tagger, analysis, _told(batches, done)), "nominal", 0.0, NONE)
    for name, magnitude, settings in plan.settings():
        for source in _sources(tested, name):
            attack = build_attack(settings, analysis, source.tagger.scaling, summary)
            assert attack is not None
            attacked = list(_told((attack(source.tagger, batch) for batch in batches), done))
            for entry in tested if name in WITHOUT_GRADIENT else _targets(tested, source):
                gradient = NONE if name in WITHOUT_GRADIENT else OWN if entry is source else source.kind
                found = predict(entry.tagger, analysis, attacked)
                points += _points(entry, analysis, found, name, magnitude, gradient)
    return points


def passes(tested: Sequence[AttackedTagger], plan: AttackPlan) -> int:
    """How often all rows are attacked or predicted as they are."""
    return len(tested) + sum(len(_sources(tested, name)) for name, _, _ in plan.settings())


def _told(batches: Any, done: Done) -> Iterator[Batch]:
    for batch in batches:
        yield batch
        done(len(batch))


def _sources(tested: Sequence[AttackedTagger], attack: str) -> Sequence[AttackedTagger]:
    """Whose gradients are used; what moves all rows without one moves them alike for all."""
    return tested[:1] if attack in WITHOUT_GRADIENT else tested


def _targets(tested: Sequence[AttackedTagger], source: AttackedTagger) -> list[AttackedTagger]:
    """The source itself; of the other kinds, or where it is of another kind of the first one, the tagger at its place."""
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
    """What an attack on one feature alone costs: the loss of AUC, and its share of the loss of the whole attack."""

    feature: str
    """Its label, or its name."""
    input: str
    loss: float
    error: float = 0.0
    """Statistical error of the loss, paired on the same rows (DeLong et al., Biometrics 44, 1988, 837)."""


def carried(
    tagger: Tagger, analysis: Analysis, batches: Sequence[Batch], settings: AttackSettings, done: Done = lambda rows: None
) -> dict[str, list[Carried]]:  # fmt: skip
    """For each discriminator the loss of AUC of each feature, the largest first, where only it is attacked."""
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
            found = predict(tagger, analysis, _told((attack(tagger, batch) for batch in batches), done))
            for score, before in clean.items():
                after = _auc(found, score)
                error = float(np.sqrt(((before[1] - after[1]) ** 2).sum()))
                losses[score].append(Carried(analysis.feature_label(feature), name, before[0] - after[0], error))
    return {score: sorted(entries, key=lambda entry: -entry.loss) for score, entries in losses.items()}


def _auc(predictions: Predictions, name: str) -> tuple[float, Floats]:
    """AUC, and how much each row moves it (N,)."""
    return auc_with_influence(*predictions.task(name))


@dataclass(frozen=True)
class Line:
    """The mean over the seeds of a kind, with their spread and the statistical error of one."""

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
    """Whether the rejection of some seed is a lower limit."""

    @property
    def shown_error(self) -> float:
        """Of the AUC: the statistical error and the spread over seeds, in quadrature."""
        return float(np.hypot(self.auc_error, self.auc_spread or 0.0))


def over_seeds(points: Sequence[Point]) -> list[Line]:
    """One line for each attack, magnitude, gradient, kind and discriminator, in the order of the points."""
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
    """For each attacked line of another kind than ``base``: what an attack costs ``base``, and the recovered fraction.

    Both by the gradients that hit each: the share is (AUC - AUC of base, attacked) / (AUC of base - AUC of base, attacked).
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
