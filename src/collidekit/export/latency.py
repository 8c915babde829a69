"""Time that a graph takes for a row: a row a call, and many rows at once."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from attrs import frozen

from collidekit.export.cases import Array, Row, generic_arrays
from collidekit.export.expected import noise_of
from collidekit.export.layouts.base import Layout
from collidekit.export.reduction import feeds, full_places

SINGLE, CALLS = 64, 256
"""Rows that are taken one by one, and calls with them."""
TOGETHER, BATCHES = 512, 8
"""Rows of about equal length in one call, and such calls."""
SECONDS = 2.0
"""After which no further call is made."""


@frozen
class Latency:
    """Milliseconds of a call of one row, and of a row where many are in one call; of one thread."""

    p50: float
    p99: float
    batch: int
    """Rows in one call; 0 where the layout takes one row a call."""
    p50_in_batch: float
    p99_in_batch: float


def measure_latency(session: Any, layout: Layout, rows: Sequence[Row]) -> Latency:
    """Return the latency of a session on real rows, on this machine."""
    analysis = layout.graph.analysis
    single = feeds(layout, [rows[i] for i in full_places(rows, analysis, SINGLE)])
    p50, p99 = _percentiles(session, [single[i % len(single)] for i in range(CALLS)])
    if not layout.batched:
        return Latency(p50, p99, 0, 0.0, 0.0)
    by_length = sorted(rows, key=lambda row: sum(len(row.values[name]) for name in analysis.collections))
    size = min(TOGETHER, len(by_length))
    starts = np.linspace(0, len(by_length) - size, BATCHES).astype(int).tolist()
    batches = []
    for start in starts:
        part = by_length[start : start + size]
        given = layout.given(generic_arrays(part, analysis, noise_of(layout.graph, part, analysis)))
        batches.append({name: np.ascontiguousarray(given[name]) for name in layout.input_names})
    in_batch = _percentiles(session, batches)
    return Latency(p50, p99, size, in_batch[0] / size, in_batch[1] / size)


def _percentiles(session: Any, calls: Sequence[Mapping[str, Array]]) -> tuple[float, float]:
    """The median and the 99th percentile of the milliseconds of calls."""
    session.run(None, calls[0])
    taken, begun = [], time.perf_counter()
    for given in calls:
        start = time.perf_counter()
        session.run(None, given)
        taken.append((time.perf_counter() - start) * 1e3)
        if time.perf_counter() - begun > SECONDS:
            break
    return float(np.percentile(taken, 50)), float(np.percentile(taken, 99))
