"""What a dataset will take: disk, memory and time, scaled up from what was seen."""

from dataclasses import dataclass

import pyarrow as pa

from collidekit.dataset.batch import Ragged
from collidekit.dataset.check import Check
from collidekit.dataset.loader import WINDOW_BYTES
from collidekit.dataset.pieces import CHUNK
from collidekit.dataset.shards import BLOCK, kinds_of, schema, to_record_batch


@dataclass(frozen=True)
class Estimate:
    """Rows of the datasets, bytes on disk, bytes in memory for each of two jobs, seconds to construct."""

    rows: int
    disk: float
    construction: float
    training: float
    seconds: float


def estimate(check: Check) -> Estimate | None:
    """None where no row was selected."""
    first = check.parts[0].first
    if first is None:
        return None
    rows = round(sum(part.selected * part.rows / part.seen for part in check.parts if part.seen))
    sink = pa.BufferOutputStream()
    target = schema(check.plan.analysis, kinds_of(first))
    with pa.ipc.new_file(sink, target, options=pa.ipc.IpcWriteOptions(compression="lz4")) as writer:
        for start in range(0, len(first), BLOCK):
            writer.write_batch(to_record_batch(first.slice(start, min(start + BLOCK, len(first))), target))
    disk = sink.tell() / len(first) * rows
    inputs = (entry.data if isinstance(entry, Ragged) else entry for entry in first.inputs.values())
    held = 4.0 * sum(values.numel() for values in inputs) / len(first)
    # a column is held as read, in double precision, and as feature
    construction = 4.0 * max(part.entry_bytes * min(part.rows, CHUNK) for part in check.parts)
    # a window, the one that it is made from, and the batches that are ready
    training = 3.0 * min(WINDOW_BYTES, held * rows)
    return Estimate(rows, disk, construction, training, sum(part.rows for part in check.parts) / check.rate)
