"""Rows with the numbers that a graph must give for them, as arrays that numpy reads without pickle.

``golden.npz`` holds real rows and edge cases, ``rows.npz`` real rows with class and weight. Case i has the tensors ``i.in.<name>`` of the
layout, as they go into one call, and for graph g the columns ``i.out.g.<name>`` (1,) or (1, L) of the generic layout. ``cases`` names all.
"""

from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path

import numpy as np

from collidekit.export.cases import Array, Row, edge_cases, generic_arrays
from collidekit.export.expected import expected, is_finite, noise_of
from collidekit.export.layouts.base import Layout
from collidekit.export.sample import Sample
from collidekit.files import replacing
from collidekit.training.checkpoint import Checkpoint

GOLDEN_ROWS, REAL_ROWS = 16, 400
"""Real rows among the golden ones, and those for the shift of AUC and working points."""


def write_golden(
    path: Path, members: Sequence[Checkpoint], layouts: Sequence[Layout], rows: Sequence[Row]
) -> tuple[str, ...]:
    """Write real rows and edge cases; return the names of those left out, for which a network gives no finite numbers."""
    analysis = layouts[0].graph.analysis
    cases = [*(row.changed(f"real row {i}") for i, row in enumerate(rows[:GOLDEN_ROWS])), *edge_cases(rows, analysis)]
    wanted = [list(_expected(member, layout, cases)) for member, layout in zip(members, layouts, strict=True)]
    content: dict[str, Array] = {}
    labels, left_out = list[str](), list[str]()
    for case, given, *found in zip(cases, _inputs(layouts[0], cases), *wanted, strict=True):
        if not all(is_finite(columns).all() for columns in found):
            left_out.append(case.label)
            continue
        content |= _entries(len(labels), given, dict(enumerate(found)))
        labels.append(case.label)
    _save(path, {**content, "cases": np.array(labels)})
    return tuple(left_out)


def write_real(
    path: Path, members: Sequence[Checkpoint], layouts: Sequence[Layout], rows: Sequence[Row], sample: Sample
) -> None:
    """Write real rows, each with the numbers of the graph that judges it; ``graph`` (N,) is its number."""
    chosen = _spread(len(rows))
    content: dict[str, Array] = {
        "labels": sample.predictions.labels[chosen],
        "weights": sample.predictions.weights[chosen],
        "graph": sample.member[chosen],
        "cases": np.array([f"row {i}" for i in chosen]),
    }
    for graph, (member, layout) in enumerate(zip(members, layouts, strict=True)):
        own = [place for place, i in enumerate(chosen) if sample.member[i] == graph]
        some = [rows[chosen[place]] for place in own]
        for place, given, found in zip(own, _inputs(layout, some), _expected(member, layout, some), strict=True):
            content |= _entries(place, given, {graph: found})
    _save(path, content)


def _spread(rows: int) -> list[int]:
    """Which of all rows are written: they are taken at equal distances, since classes often stand one after another."""
    found: list[int] = np.unique(np.linspace(0, rows - 1, min(REAL_ROWS, rows)).astype(int)).tolist()
    return found


def _inputs(layout: Layout, rows: Sequence[Row]) -> Iterator[dict[str, Array]]:
    """Yield the tensors of the layout for each row."""
    for row in rows:
        noise = noise_of(layout.graph, [row], layout.graph.analysis)
        yield layout.given(generic_arrays([row], layout.graph.analysis, noise))


def _expected(member: Checkpoint, layout: Layout, rows: Sequence[Row]) -> Iterator[dict[str, Array]]:
    """Yield the columns that the checkpoint gives for each row; those of constituents are as long as the row."""
    columns = expected(member.tagger, layout.graph, rows, layout.graph.analysis) if rows else {}
    for i, row in enumerate(rows):
        lengths = {name: len(row.values[of]) for name, of in layout.graph.constituent_outputs.items()}
        yield {
            name: values[i : i + 1, : lengths[name]] if name in lengths else values[i : i + 1]
            for name, values in columns.items()
        }


def _entries(number: int, given: Mapping[str, Array], found: Mapping[int, Mapping[str, Array]]) -> dict[str, Array]:
    entries = {f"{number}.in.{name}": values for name, values in given.items()}
    for graph, columns in found.items():
        entries |= {f"{number}.out.{graph}.{name}": values for name, values in columns.items()}
    return entries


def _save(path: Path, arrays: Mapping[str, Array]) -> None:
    memory = BytesIO()
    np.savez_compressed(memory, allow_pickle=False, **arrays)
    with replacing(path) as temporary:
        temporary.write_bytes(memory.getvalue())
