"""Assembly of ``Predictions`` from rows and the output columns of models."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from collidekit.analysis.schema import Analysis
from collidekit.dataset.arrays import RowFields
from collidekit.dataset.exact import join_exact
from collidekit.dataset.targets import UNKNOWN
from collidekit.errors import CollidekitError
from collidekit.inference.predictions import Array, Predictions
from collidekit.inference.uncertainties import densities_of, uncertainties_of


class NothingToPredictError(CollidekitError):
    """No row passes the selection, so there is nothing to predict."""


class Assembly:
    """Collects the output columns of several models for the same rows, part by part."""

    def __init__(self, analysis: Analysis, models: int = 1) -> None:
        self.analysis = analysis
        self._columns: list[list[Mapping[str, Array]]] = [[] for _ in range(models)]
        self._labels: list[Array] = []
        self._weights: list[Array] = []
        self._spectators: dict[str, list[Array]] = {}
        self._event: dict[str, list[Array]] = {}
        self._truth: dict[str, list[Array]] = {}

    def add(self, rows: RowFields[Any, Any], answers: Sequence[Mapping[str, Array]]) -> None:
        """Add the next rows, and the columns (N,) of each model for them."""
        for kept, found in zip(self._columns, answers, strict=True):
            kept.append(found)
        self._labels.append(np.asarray(rows.labels).copy())
        self._weights.append(np.asarray(rows.weights).copy())
        for target, values in rows.truth.items():
            for v, name in enumerate(self.analysis.row_targets[target].values):
                self._truth.setdefault(name, []).append(np.asarray(values[:, v]).copy())
        for name, values in rows.spectators.items():
            self._spectators.setdefault(name, []).append(np.asarray(values).copy())
        source = {"file": rows.source[:, 0], "row": rows.source[:, 1]}
        if self.analysis.processes:
            source[process_column(self.analysis)] = rows.processes
        for name, values in {**rows.event, **source}.items():
            self._event.setdefault(name, []).append(np.asarray(values).copy())

    def predictions(self) -> list[Predictions]:
        """Return the predictions of each model; raise NothingToPredictError if there are no rows."""
        if not self._labels:
            raise NothingToPredictError("no row passes the selection, so there is nothing to predict")
        columns = [{name: np.concatenate([part[name] for part in kept]) for name in kept[0]} for kept in self._columns]
        first = Predictions(
            classes=tuple(self.analysis.classes),
            **_prediction_fields(columns[0], self.analysis),
            labels=np.concatenate(self._labels),
            weights=np.concatenate(self._weights),
            definitions=self.analysis.discriminators,
            spectators={name: join_exact(parts, name) for name, parts in self._spectators.items()},
            event={name: join_exact(parts, name) for name, parts in self._event.items()},
            **truths_of(self._truth, self.analysis),
            units=self.analysis.units_of_values,
        )
        return [first, *(replace(first, **_prediction_fields(found, self.analysis)) for found in columns[1:])]


def process_column(analysis: Analysis) -> str:
    """Return the name of the column with the process number of each row, different from all event numbers of the analysis."""
    name = "process"
    while name in analysis.event:
        name = f"{name}_number"
    return name


def truths_of(parts: Mapping[str, list[Array]], analysis: Analysis) -> dict[str, Any]:
    """Return the truth of values and positions as fields of ``Predictions``."""
    joined = {name: np.concatenate(part) for name, part in parts.items()}
    slots = [name for target in analysis.assignments.values() for name in target.values]
    return {
        "truth": {name: values for name, values in joined.items() if name not in slots},
        "true_positions": {name: np.nan_to_num(joined[name], nan=UNKNOWN).astype(np.int32) for name in slots},
    }


def _prediction_fields(columns: Mapping[str, Array], analysis: Analysis) -> dict[str, Any]:
    """Return the columns of a model as fields of ``Predictions``."""
    rows = len(next(iter(columns.values())))
    classes = [columns[f"prob_{name}"] for name in analysis.classes]
    probabilities = np.stack(classes, axis=1) if classes else np.zeros((rows, 0))
    values = {name: columns[f"pred_{name}"] for target in analysis.regressions.values() for name in target.values}
    slots = [name for target in analysis.assignments.values() for name in target.values]
    parents = [parent for target in analysis.assignments.values() for parent in target.parents]
    kinds = [f"{parent}_{kind}" for parent in parents for kind in ("assignment", "detection")]
    events = [column for name, target in analysis.assignments.items() for column in target.probabilities_of_event(name)]
    # bundles of earlier versions do not have these columns
    kinds += [column.removesuffix("_probability") for column in events if column in columns]
    return {
        "probabilities": probabilities,
        "relegated": columns.get("prob_relegated"),
        "values": values,
        "uncertainties": uncertainties_of(columns, analysis),
        "densities": densities_of(columns, analysis),
        "positions": {name: columns[f"index_{name}"].astype(np.int32) for name in slots},
        "parent_probabilities": {kind: columns[f"{kind}_probability"] for kind in kinds},
    }
