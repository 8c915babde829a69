"""Measurement of the time of a graph per row, in calls with one row and with many rows."""

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
"""Number of rows for calls with one row, and number of such calls."""
TOGETHER, BATCHES = 512, 8
"""Number of rows of similar length in a call with many rows, and number of such calls."""
SECONDS = 2.0
"""Time limit in seconds, after which no further call is made."""


@frozen
class Latency:
    """Time in milliseconds, on one thread, of a call with one row, and per row of a call with many rows."""

    p50: float
    p99: float
    batch: int
    """Number of rows in a call; 0 if the layout takes one row per call."""
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
    """Return the median and the 99th percentile of the time of calls, in milliseconds."""
    session.run(None, calls[0])
    taken, begun = [], time.perf_counter()
    for given in calls:
        start = time.perf_counter()
        session.run(None, given)
        taken.append((time.perf_counter() - start) * 1e3)
        if time.perf_counter() - begun > SECONDS:
            break
    return float(np.percentile(taken, 50)), float(np.percentile(taken, 99))
