"""A ROC curve with everything that is quoted from it: AUC and rejections with errors, the band, the files."""

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
"""Signal efficiencies at which rejections are quoted."""


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
            rejection_with_errors(curve, curve.rejection(t), drawn.background_efficiency[:, i], signal_rows)
            for i, t in enumerate(targets)
        ),
        signal=signal,
        background=background,
        signal_rows=signal_rows,
        background_rows=len(rows.scores) - signal_rows,
    )


def measure_discriminator(predictions: Predictions, name: str, *, replicates: int = 200, seed: int = 0) -> RocResult:
    """ROC curve of one discriminator of a file of predictions, on the rows of its classes."""
    if name not in predictions.definitions:
        raise CollidekitError(f"no discriminator {name!r}{did_you_mean(name, list(predictions.definitions))}")
    definition = predictions.definitions[name]
    signal, background = (" + ".join(classes) for classes in (definition.signal, definition.background))
    return measure_roc(
        name, *predictions.task(name), replicates=replicates, seed=seed, signal=signal, background=background
    )


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
