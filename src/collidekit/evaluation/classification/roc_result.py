"""Results of a ROC curve: AUC and rejections with errors, the band, and files."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from collidekit.errors import CollidekitError, did_you_mean
from collidekit.evaluation.classification.bootstrap import GRID, RocBootstrap, bootstrap
from collidekit.evaluation.classification.few_rows import auc_error, rejection_with_errors
from collidekit.evaluation.classification.rejection import Rejection
from collidekit.evaluation.classification.roc import RocCurve, curve_of
from collidekit.evaluation.numbers import with_error
from collidekit.evaluation.rows import binary_rows
from collidekit.files import write_text
from collidekit.inference.predictions import Predictions
from collidekit.sealed import write_sealed
from collidekit.shown import counted, html_table

TARGETS = (0.3, 0.5, 0.7)
"""Default signal efficiencies of rejections."""

FLAVOUR = (0.7, 0.77, 0.85)
"""Default signal efficiencies for b-tagging."""


@dataclass(frozen=True, eq=False)
class RocResult:
    """ROC curve, AUC and rejections of one discriminator or tagger."""

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
        """Return the bootstrap error of the AUC; with few rows of a class, at least the Hanley-McNeil error.

        The bootstrap cannot see how a single row fluctuates. See Radiology 143 (1982) 29, eq. 2.
        """
        return auc_error(self.replicates.auc_error, self.auc, self.signal_rows, self.background_rows)

    def __repr__(self) -> str:
        auc = with_error(self.auc, self.auc_error)
        return f"RocResult({self.name!r}: {self.signal} against {self.background}, AUC {auc})"

    def _repr_html_(self) -> str:
        rows = [(entry.signal_efficiency, str(entry), entry.threshold, entry.surviving) for entry in self.rejections]
        note = f"{counted(self.signal_rows, 'row')} of {self.signal}, {self.background_rows:,} of {self.background}"
        header = ("signal efficiency", "background rejection 1/eB", "threshold", "surviving background rows")
        return html_table(repr(self), rows, header, note)

    def as_dict(self) -> dict[str, Any]:
        """Return the numbers and the band of the curve for the JSON file."""
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
        """Write a few thousand points of the curve: threshold, both efficiencies, surviving rows."""
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
    """Return the usual signal efficiencies: 0.7, 0.77 and 0.85 if there is a class of b jets, else 0.3, 0.5 and 0.7."""
    return FLAVOUR if {"b", "bjet", "bjets", "b_jets", "bottom"} & {name.lower() for name in classes} else TARGETS


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
    """Return the ROC curve of scores (N,), truth (N,) and weights (N,) with bootstrap errors."""
    rows = binary_rows(scores, is_signal, weights)
    curve = curve_of(rows)
    drawn = bootstrap(rows, targets, replicates, seed)
    signal_rows = int(rows.is_signal.sum())
    return RocResult(
        name=name,
        curve=curve,
        replicates=drawn,
        rejections=tuple(
            rejection_with_errors(curve, curve.rejection(t), drawn.background_efficiency[:, i], signal_rows)
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
    """Return the ROC curve of one discriminator of the predictions, on the rows of its classes.

    Rejections are given at the signal efficiencies ``targets``; the default is ``usual_efficiencies``.
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
    """Write one JSON file with the numbers and bands of all results; limits are marked, and no number is infinite.

    ``ensembles`` holds the numbers of the members, if the results are those of an ensemble. ``attack`` names the attack on
    the rows.
    """
    content: dict[str, Any] = {"format": "collidekit roc 1", "results": [result.as_dict() for result in results]}
    content |= {"attack": attack} if attack else {}
    return write_sealed(path, content | ({"ensembles": list(ensembles)} if ensembles else {}))
