"""Test calls of a graph: many rows, all lengths, random values in empty slots, permuted constituents."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from attrs import frozen

from collidekit.analysis.schema import Analysis, Collection
from collidekit.export.cases import Array, Row, generic_arrays
from collidekit.export.expected import noise_of
from collidekit.export.layouts.base import Layout

SIZES = (0, 1, 2, 7, 512)
"""Numbers of rows in a call."""
SHORTEST = 8
"""Number of rows that a call with many rows repeats, the shortest ones, because pairs of constituents need memory."""
LENGTHS = 20
"""Number of lengths between 8 and the limit of a collection, at equal ratios."""
SLOTS = (1, 13)
GARBAGE = (0.0, 1e30, np.nan)
"""Values in empty slots."""
REAL = 8
"""Number of rows for calls with empty slots or permuted constituents."""


@frozen
class Call:
    """Inputs of the generic layout, and the rows whose outputs they must give."""

    kind: str
    label: str
    rows: Sequence[Row]
    generic: Mapping[str, Array]
    size: int
    """Number of rows in the call; may be 0."""


def calls(layout: Layout, rows: Sequence[Row], invariant: Sequence[str]) -> Iterator[Call]:
    """Yield calls made from real rows; ``invariant`` are the collections whose order has no effect."""
    analysis = layout.graph.analysis
    if layout.batched:
        yield from _batches(layout, rows)
    for name, entry in analysis.collections.items():
        yield from _lengths(layout, rows, name, entry)
    for fill, more in ((fill, more) for fill in GARBAGE for more in SLOTS):
        for i, row in enumerate(rows[:REAL] if analysis.collections else ()):
            generic = _with_slots(_generic(layout, [row]), analysis, more, fill)
            yield Call("empty slots", f"{more} empty slots of {fill:g} after row {i}", [row], generic, 1)
    generator = np.random.default_rng(1)
    for name in invariant:
        for i, row in enumerate(rows[:REAL]):
            kept = row.values[name][: analysis.collections[name].limit]
            mixed = row.changed(row.label, **{name: kept[generator.permutation(len(kept))]})
            before = row.changed(row.label, **{name: kept})
            yield Call("order", f"row {i} with {name} in another order", [before], _generic(layout, [mixed]), 1)


def _batches(layout: Layout, rows: Sequence[Row]) -> Iterator[Call]:
    by_length = sorted(rows, key=lambda row: sum(len(values) for values in row.values.values()))
    for size in SIZES:
        pool = by_length[:SHORTEST] if size > SHORTEST else by_length[:: -max(len(rows) // SHORTEST, 1)]
        chosen = [pool[i % len(pool)] for i in range(max(size, 1))]
        generic = _generic(layout, chosen)
        some = {name: values[:size] for name, values in generic.items()}
        yield Call("rows at once", f"{size} rows at once", chosen, some, size)


def _lengths(layout: Layout, rows: Sequence[Row], name: str, entry: Collection) -> Iterator[Call]:
    """Yield calls with other lengths, up to twice the limit, made from repeated constituents of real rows."""
    pool = np.concatenate([row.values[name] for row in rows])
    longest = max(rows, key=lambda row: len(row.values[name]))
    most = entry.limit
    wanted = {*range(9), *np.geomspace(8, max(most, 8), LENGTHS).astype(int).tolist(), most, most + 1, 2 * most}
    for length in sorted(n for n in wanted if n <= 2 * most and len(pool)):
        row = longest.changed("", **{name: np.resize(pool, (length, pool.shape[1]))})
        yield Call("lengths", f"{length} {name}", [row], _generic(layout, [row]), 1)


def _generic(layout: Layout, rows: Sequence[Row]) -> dict[str, Array]:
    analysis = layout.graph.analysis
    return generic_arrays(rows, analysis, noise_of(layout.graph, rows, analysis))


def _with_slots(generic: Mapping[str, Array], analysis: Analysis, more: int, fill: float) -> dict[str, Array]:
    """Return the inputs with additional empty slots at the end of each collection."""
    found = dict(generic)
    for name in analysis.collections:
        found[name] = np.pad(generic[name], ((0, 0), (0, more), (0, 0)), constant_values=fill)
        found[f"{name}_mask"] = np.pad(generic[f"{name}_mask"], ((0, 0), (0, more)))
    return found
