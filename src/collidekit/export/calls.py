"""Calls that break graphs which are not general: many rows at once, any length, empty slots with garbage, another order."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from attrs import frozen

from collidekit.analysis.schema import Analysis, Collection
from collidekit.export.cases import Array, Row, generic_arrays
from collidekit.export.expected import noise_of
from collidekit.export.layouts.base import Layout

SIZES = (0, 1, 2, 7, 512)
"""Numbers of rows in one call."""
SHORTEST = 8
"""A call with many rows repeats so many rows, the shortest ones: pairs of constituents take memory."""
LENGTHS = 20
"""Lengths between 8 and the limit of a collection, at equal ratios."""
SLOTS = (1, 13)
GARBAGE = (0.0, 1e30, np.nan)
"""Values that are put into empty slots."""
REAL = 8
"""Rows for slots and order."""


@frozen
class Call:
    """Inputs of the generic layout, and the rows whose numbers they must give."""

    kind: str
    label: str
    rows: Sequence[Row]
    generic: Mapping[str, Array]
    size: int
    """Return the number of rows: 0 where no row goes in, else all of them."""


def calls(layout: Layout, rows: Sequence[Row], invariant: Sequence[str]) -> Iterator[Call]:
    """Yield calls made of real rows; ``invariant`` are the collections whose order does not matter."""
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
    """Rows of other lengths, up to twice the limit; constituents are those of real rows, which repeat."""
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
    """The inputs with empty slots at the end of each collection."""
    found = dict(generic)
    for name in analysis.collections:
        found[name] = np.pad(generic[name], ((0, 0), (0, more), (0, 0)), constant_values=fill)
        found[f"{name}_mask"] = np.pad(generic[f"{name}_mask"], ((0, 0), (0, more)))
    return found
