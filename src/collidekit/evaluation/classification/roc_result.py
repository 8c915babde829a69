"""A ROC curve with everything that is quoted from it: AUC and rejections with errors, the band, the files."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from collidekit.errors import CollidekitError, did_you_mean
from collidekit.evaluation.classification.bootstrap import GRID, RocBootstrap, bootstrap
from collidekit.evaluation.classification.rejection import Rejection
from collidekit.evaluation.classification.roc import RocCurve, curve_of
from collidekit.evaluation.numbers import with_error
from collidekit.evaluation.rows import binary_rows
from collidekit.files import write_text
from collidekit.inference.predictions import Predictions
from collidekit.sealed import write_sealed
from collidekit.shown import counted, html_table

TARGETS = (0.3, 0.5, 0.7)
"""Signal efficiencies at which rejections are quoted."""

FLAVOUR = (0.7, 0.77, 0.85)
"""The signal efficiencies of b-tagging."""

FEWEST_SIGNAL = 5
"""Signal rows below which a threshold at a signal efficiency is a matter of chance, and no error can be stated."""

FEW = 20
"""Rows of a class below which the bootstrap alone is not trusted."""


@dataclass(frozen=True, eq=False)
class RocResult:
    """What ``measure_roc`` finds for one discriminator or tagger."""

    name: str
    curve: RocCurve
    replicates: RocBootstrap
    rejections: tuple[Rejection, ...]
    signal: str
    background: str
    signal_rows: int
    background_rows: int

    @property
    def auc(self) -> float:
        return self.curve.auc

    @property
    def auc_error(self) -> float:
        """Error of the AUC by bootstrap; with few rows of a class at least the one of Hanley and McNeil.

        The bootstrap cannot see how a single row fluctuates. See Radiology 143 (1982) 29, eq. 2.
        """
        spread = self.replicates.auc_error
        few = min(self.signal_rows, self.background_rows)
        return max(spread, hanley_mcneil(self.auc, self.signal_rows, self.background_rows)) if few < FEW else spread

    def __repr__(self) -> str:
        auc = with_error(self.auc, self.auc_error)
        return f"RocResult({self.name!r}: {self.signal} against {self.background}, AUC {auc})"

    def _repr_html_(self) -> str:
        rows = [(entry.signal_efficiency, str(entry), entry.threshold, entry.surviving) for entry in self.rejections]
        note = f"{counted(self.signal_rows, 'row')} of {self.signal}, {self.background_rows:,} of {self.background}"
        header = ("signal efficiency", "background rejection 1/eB", "threshold", "surviving background rows")
        return html_table(repr(self), rows, header, note)

    def as_dict(self) -> dict[str, Any]:
        """The numbers and the band of the curve, as they stand in the JSON file."""
        low, high = self.replicates.band
        points = self.curve.points(GRID)
        return {
            "name": self.name,
            "signal": self.signal,
            "background": self.background,
            "rows": {"signal": self.signal_rows, "background": self.background_rows},
            "auc": self.auc,
            "auc_error": self.auc_error,
            "rejections": [rejection.as_dict() for rejection in self.rejections],
            "bootstrap": {"replicates": len(self.replicates.auc), "seed": self.replicates.seed},
            "curve": {
                "signal_efficiency": GRID,
                "background_efficiency": self.curve.background_efficiencies[points],
                "background_efficiency_low": low,
                "background_efficiency_high": high,
                "surviving_background_rows": self.curve.kept_background[points],
            },
        }

    def write_csv(self, path: Path) -> Path:
        """A few thousand points of the curve: threshold, both efficiencies, surviving rows."""
        curve, picked = self.curve, self.curve.thinned()[1:]
        columns = (curve.thresholds, curve.signal_efficiencies, curve.background_efficiencies)
        counts = (curve.kept_signal, curve.kept_background)
        text = io.StringIO()
        np.savetxt(
            text,
            np.stack([column[picked] for column in (*columns, *counts)], axis=1),
            fmt=["%.17g", "%.9g", "%.9g", "%d", "%d"],
            delimiter=",",
            header="threshold,signal_efficiency,background_efficiency,signal_rows,background_rows",
            comments="",
        )
        return write_text(path, text.getvalue())


def usual_efficiencies(classes: Sequence[str]) -> tuple[float, ...]:
    """Signal efficiencies by the conventions of the field: 0.7, 0.77 and 0.85 where b jets are a class, else 0.3, 0.5 and 0.7."""
    return FLAVOUR if {"b", "bjet", "bjets", "b_jets", "bottom"} & {name.lower() for name in classes} else TARGETS


def hanley_mcneil(auc: float, signal_rows: int, background_rows: int) -> float:
    """Standard error of an AUC, held away from 0 and 1, where the formula gives none."""
    edge = 0.25 / (min(signal_rows, background_rows) + 1)
    auc = min(max(auc, edge), 1 - edge)
    signal_pairs, background_pairs = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (signal_rows - 1) * (signal_pairs - auc**2)
    variance += (background_rows - 1) * (background_pairs - auc**2)
    return float(np.sqrt(variance / (signal_rows * background_rows)))


def measure_roc(
    name: str,
    scores: ArrayLike,
    is_signal: ArrayLike,
    weights: ArrayLike | None = None,
    *,
    targets: tuple[float, ...] = TARGETS,
    replicates: int = 200,
    seed: int = 0,
    signal: str = "signal",
    background: str = "background",
) -> RocResult:
    """ROC curve of scores (N,), truth (N,) and weights (N,) with bootstrap errors."""
    rows = binary_rows(scores, is_signal, weights)
    curve = curve_of(rows)
    drawn = bootstrap(rows, targets, replicates, seed)
    signal_rows = int(rows.is_signal.sum())
    return RocResult(
        name=name,
        curve=curve,
        replicates=drawn,
        rejections=tuple(
            _with_errors(curve, curve.rejection(t), drawn.background_efficiency[:, i], signal_rows)
            for i, t in enumerate(targets)
        ),
        signal=signal,
        background=background,
        signal_rows=signal_rows,
        background_rows=len(rows.scores) - signal_rows,
    )


def measure_discriminator(
    predictions: Predictions, name: str, *, targets: Sequence[float] = (), replicates: int = 200, seed: int = 0
) -> RocResult:
    """ROC curve of one discriminator of a file of predictions, on the rows of its classes.

    Rejections are quoted at the signal efficiencies ``targets``, by default those of the conventions of the field.
    """
    if name not in predictions.definitions:
        raise CollidekitError(f"no discriminator {name!r}{did_you_mean(name, list(predictions.definitions))}")
    definition = predictions.definitions[name]
    signal, background = (" + ".join(classes) for classes in (definition.signal, definition.background))
    wanted = tuple(targets) or usual_efficiencies(predictions.classes)
    return measure_roc(
        name, *predictions.task(name), targets=wanted, replicates=replicates, seed=seed, signal=signal, background=background
    )  # fmt: skip


def write_rocs(
    path: Path, results: list[RocResult], ensembles: Sequence[dict[str, Any]] = (), attack: str = ""
) -> Path:
    """One JSON file with the numbers and bands of all results; limits are marked, nothing is infinite.

    ``ensembles`` holds the numbers of the members, where the results are those of an ensemble. ``attack`` names what was
    done to the rows.
    """
    content: dict[str, Any] = {"format": "collidekit roc 1", "results": [result.as_dict() for result in results]}
    content |= {"attack": attack} if attack else {}
    return write_sealed(path, content | ({"ensembles": list(ensembles)} if ensembles else {}))


def _with_errors(
    curve: RocCurve, rejection: Rejection, efficiencies: np.ndarray[Any, np.dtype[np.float64]], signal_rows: int
) -> Rejection:
    """Errors from replicates (R,) of eB; that of 1/eB is propagated, so a replicate with eB = 0 cannot spoil it.

    With few signal rows the error is at least half of what eB changes by between the signal efficiencies one binomial error
    below and above.
    """
    spread = float(np.nanstd(efficiencies, ddof=1))
    if signal_rows < FEWEST_SIGNAL:
        return replace(rejection, few_signal_rows=True)
    if signal_rows < FEW:
        aim = rejection.signal_efficiency
        sides = np.clip(aim + np.array([-1, 1]) * np.sqrt(aim * (1 - aim) / signal_rows), 1e-9, 1)
        low, high = curve.background_efficiencies[curve.points(sides)]
        spread = max(spread, float(high - low) / 2)
    if rejection.limit:
        return replace(rejection, background_efficiency_error=spread)
    low, high = np.nanpercentile(efficiencies, [15.87, 84.13])
    return replace(
        rejection,
        background_efficiency_error=spread,
        error=spread * rejection.value**2,
        interval=(1 / high if high > 0 else None, 1 / low if low > 0 else None),
    )
