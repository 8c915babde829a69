"""Rows with the values of the files, without bounds and defaults, for methods other than networks."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from collidekit.analysis.scope import Plan
from collidekit.dataset.arrays import RaggedArray, RowArrays

Array = np.ndarray[Any, Any]


def without_bounds(plan: Plan) -> Plan:
    """Return the plan of an analysis without bounds of features."""
    inputs = {}
    for name, entry in plan.analysis.inputs.items():
        features = [feature.model_copy(update={"bounds": None}) for feature in entry.features]
        inputs[name] = entry.model_copy(update={"features": features})
    return Plan(plan.analysis.model_copy(update={"inputs": inputs}), plan.lines)


def put_back_nan(rows: RowArrays, places: Mapping[str, Array], plan: Plan) -> None:
    """Replace defaults by NaN again at the ``places`` from ``make_input``, by ``input.feature``."""
    for name, entry in plan.analysis.inputs.items():
        given = rows.inputs[name]
        columns = given.data if isinstance(given, RaggedArray) else given
        names = [feature.name for feature in entry.features]
        names += [f"momenta_{k}" for k in range(4)] if getattr(entry, "momenta", None) else []
        for column, feature in enumerate(names):
            columns[places.get(f"{name}.{feature}", np.zeros(0, dtype=np.int64)), column] = np.nan
