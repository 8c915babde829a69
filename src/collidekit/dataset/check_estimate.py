"""Estimate of the disk space, memory and time of a dataset, scaled up from a check."""

from dataclasses import dataclass

import pyarrow as pa

from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch, Ragged
from collidekit.dataset.check import Check
from collidekit.dataset.loader import WINDOW_BYTES
from collidekit.dataset.pieces import CHUNK
from collidekit.dataset.shards import BLOCK, kinds_of, schema, to_record_batch


@dataclass(frozen=True)
class Estimate:
    """Rows of the datasets, bytes on disk, bytes in memory for construction and for training, seconds to construct."""

    rows: int
    disk: float
    construction: float
    training: float
    seconds: float


def estimate(check: Check) -> Estimate | None:
    """Return the estimate; None if no row was selected."""
    first = check.parts[0].first
    if first is None:
        return None
    rows = round(sum(part.selected * part.rows / part.seen for part in check.parts if part.seen))
    disk = disk_of_row(first, check.plan.analysis) * rows
    # a column is held as read, in double precision, and as a feature
    construction = 4.0 * max(part.entry_bytes * min(part.rows, CHUNK) for part in check.parts)
    training = memory_of_rows(first, rows)
    return Estimate(rows, disk, construction, training, sum(part.rows for part in check.parts) / check.rate)


def disk_of_row(rows: Batch, analysis: Analysis) -> float:
    """Return the bytes per row in a dataset, from some rows of it."""
    sink = pa.BufferOutputStream()
    target = schema(analysis, kinds_of(rows))
    with pa.ipc.new_file(sink, target, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        for start in range(0, len(rows), BLOCK):
            writer.write_batch(to_record_batch(rows.slice(start, min(start + BLOCK, len(rows))), target))
    return float(sink.tell() / max(len(rows), 1))


def memory_of_rows(sample: Batch, rows: int) -> float:
    """Return the bytes that rows take in memory during a training, from some of them."""
    inputs = (entry.data if isinstance(entry, Ragged) else entry for entry in sample.inputs.values())
    held = 4.0 * sum(values.numel() for values in inputs) / max(len(sample), 1)
    # a window, the rows that it is made from, and the batches that are ready
    return 3.0 * min(WINDOW_BYTES, held * rows)


def show_size(amount: float) -> str:
    """Return a number of bytes as text, such as ``1.2 GB``."""
    return f"{amount / 1e9:,.1f} GB" if amount >= 1e9 else f"{max(amount / 1e6, 0.1):,.{0 if amount >= 1e7 else 1}f} MB"


def show_duration(seconds: float) -> str:
    """Return a time span as text, such as ``12 min``."""
    if seconds < 90:
        return f"{max(seconds, 1):,.0f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"
