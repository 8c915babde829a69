"""Measurement of the invariance of a graph under permutations of constituents."""

from collections.abc import Sequence

import numpy as np
import torch

from collidekit.analysis.schema import Analysis, Collection
from collidekit.export.cases import Row, generic_arrays
from collidekit.export.expected import noise_of
from collidekit.export.graph import TaggerGraph

ROWS = 64
TOLERANCE = 1e-5
"""Largest accepted difference of a column, relative to the larger of 1 and its value."""


@torch.inference_mode()
def invariant_collections(graph: TaggerGraph, rows: Sequence[Row], analysis: Analysis) -> tuple[str, ...]:
    """Return the collections whose constituents can be permuted without a change of the columns of rows.

    Columns of constituents and positions depend on the order and are not compared. A collection is left out if no row
    has two constituents in it.
    """
    names = [name for name, entry in analysis.inputs.items() if isinstance(entry, Collection)]
    generator = np.random.default_rng(1)
    chosen = list(rows[:ROWS])
    before = _columns(graph, chosen, analysis)
    found = []
    for name in names:
        if max((len(row.values[name]) for row in chosen), default=0) < 2:
            continue
        shuffled = []
        for row in chosen:
            kept = row.values[name][: analysis.collections[name].limit]
            shuffled.append(row.changed(row.label, **{name: kept[generator.permutation(len(kept))]}))
        after = _columns(graph, shuffled, analysis)
        if all(_same(before[column], after[column]) for column in before):
            found.append(name)
    return tuple(found)


def _columns(graph: TaggerGraph, rows: Sequence[Row], analysis: Analysis) -> dict[str, torch.Tensor]:
    generic = generic_arrays(rows, analysis, noise_of(graph, rows, analysis))
    columns = graph.columns(*(torch.from_numpy(generic[name]) for name in graph.input_names))
    return {
        name: values
        for name, values in columns.items()
        if name not in graph.constituent_outputs and not name.startswith("index_")
    }


def _same(before: torch.Tensor, after: torch.Tensor) -> bool:
    return bool(((before - after).abs() <= TOLERANCE * before.abs().clamp(min=1)).all())
