"""Shards: Arrow IPC files with LZ4, in which a collection is one column of lists of fixed-size float32 vectors.

A written file has a list of blocks, each with its position and its checksum, which is verified when the block is read.
"""

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import torch
from attrs import evolve

from collidekit.analysis.schema import Analysis, Collection
from collidekit.dataset.batch import Batch, Input, Ragged, concatenate
from collidekit.dataset.exact import as_kind
from collidekit.errors import CollidekitError

BLOCK = 512
"""Rows in one record batch (except the last one of a shard), which is read and decompressed as a whole."""

_OPTIONS = pa.ipc.IpcWriteOptions(compression="lz4")


@dataclass(frozen=True)
class Written:
    """A file of blocks: its rows and size; position, size and CRC-32 of each block; the CRC-32 of all other bytes."""

    rows: int
    bytes: int
    blocks: list[tuple[int, int, int]]
    around: int


def schema(analysis: Analysis, kinds: Mapping[str, str] | None = None) -> pa.Schema:
    """Return the Arrow schema for the shards of an analysis; ``kinds`` are the types of its exact columns, see ``kinds_of``."""
    kinds = kinds or {}
    fields = []
    for name, entry in analysis.inputs.items():
        vector = pa.list_(pa.float32(), entry.width)
        if isinstance(entry, Collection):
            vector = pa.list_(vector)
        fields.append(pa.field(f"input:{name}", vector, nullable=False))
        if targets := analysis.target_columns(name):
            fields.append(pa.field(f"target:{name}", pa.list_(pa.list_(pa.int32(), len(targets))), nullable=False))
    for name, target in analysis.row_targets.items():
        fields.append(pa.field(f"truth:{name}", pa.list_(pa.float64(), len(target.values)), nullable=False))
    spectators = [*analysis.spectators, *(analysis.kinematics.bins if analysis.kinematics else ())]
    exact = [f"spectator:{name}" for name in dict.fromkeys(spectators)] + [f"event:{name}" for name in analysis.event]
    fields += [pa.field(name, pa.type_for_alias(kinds.get(name, "float64"))) for name in exact]
    fields += [pa.field(name, pa.int64()) for name in ("label", "key", "process", "file", "row")]
    fields.append(pa.field("weight", pa.float32()))
    layout = {
        name: [len(entry.features), bool(entry.momenta)]
        for name, entry in analysis.inputs.items()
        if isinstance(entry, Collection)
    }
    return pa.schema(fields, metadata={"collidekit": json.dumps(layout)})


def kinds_of(batch: Batch) -> dict[str, str]:
    """Return the type of each exact column: spectators and event numbers."""
    return {name: str(values.numpy().dtype) for name, values in _exact_columns(batch).items()}


def _exact_columns(batch: Batch) -> dict[str, torch.Tensor]:
    spectators = {f"spectator:{name}": values for name, values in batch.spectators.items()}
    return spectators | {f"event:{name}": values for name, values in batch.event.items()}


def _as_in(batch: Batch, target: pa.Schema) -> Batch:
    """Return the batch with spectators and event numbers in the types of a schema."""

    def column(kind: str, name: str, values: torch.Tensor) -> torch.Tensor:
        wanted = target.field(f"{kind}:{name}").type.to_pandas_dtype()
        return torch.from_numpy(as_kind(values.numpy(), np.dtype(wanted).name, name))

    return evolve(
        batch,
        spectators={name: column("spectator", name, values) for name, values in batch.spectators.items()},
        event={name: column("event", name, values) for name, values in batch.event.items()},
    )


def to_record_batch(batch: Batch, target: pa.Schema) -> pa.RecordBatch:
    """Return a batch as Arrow columns, without copying the constituents."""
    columns: dict[str, Any] = {f"input:{name}": _to_arrow(entry) for name, entry in batch.inputs.items()}
    for name, entry in batch.inputs.items():
        if isinstance(entry, Ragged) and entry.targets is not None:
            columns[f"target:{name}"] = _lists(entry.targets, entry.offsets)
    columns |= {f"truth:{name}": _to_arrow(values) for name, values in batch.truth.items()}
    columns |= _exact_columns(batch)
    columns |= {"label": batch.labels, "key": batch.keys, "process": batch.processes, "weight": batch.weights}
    columns |= {"file": batch.source[:, 0].contiguous(), "row": batch.source[:, 1].contiguous()}
    return pa.record_batch([_array(columns[field.name]) for field in target], schema=target)


def from_record_batch(records: pa.RecordBatch, first: int) -> Batch:
    """Return the batch of a record batch whose first row has the given position in the dataset."""
    layout = _layout(records.schema.metadata[b"collidekit"])
    inputs: dict[str, Input] = {}
    spectators: dict[str, torch.Tensor] = {}
    event: dict[str, torch.Tensor] = {}
    truth: dict[str, torch.Tensor] = {}
    rest: dict[str, torch.Tensor] = {}
    for name, column in zip(records.schema.names, records.columns, strict=True):
        kind, _, key = name.partition(":")
        if kind == "input":
            inputs[key] = _from_arrow(column, layout.get(key))
        elif kind == "target":
            entry = inputs[key]  # the field before this one
            assert isinstance(entry, Ragged)
            data = _tensor(column.values.flatten()).reshape(-1, column.values.type.list_size)
            inputs[key] = evolve(entry, targets=data)
        elif kind == "truth":
            truth[key] = _tensor(column.flatten()).reshape(len(column), column.type.list_size)
        elif kind in ("spectator", "event"):
            (spectators if kind == "spectator" else event)[key] = _tensor(column)
        else:
            rest[name] = _tensor(column)
    return Batch(
        inputs=inputs,
        labels=rest["label"],
        weights=rest["weight"],
        spectators=spectators,
        event=event,
        keys=rest["key"],
        processes=rest["process"],
        source=torch.stack([rest["file"], rest["row"]], dim=1),
        index=torch.arange(first, first + records.num_rows),
        truth=truth,
    )


@lru_cache(maxsize=8)
def _layout(text: bytes) -> dict[str, list[int]]:
    """Return the number of features of each collection, and whether it has momenta."""
    layout: dict[str, list[int]] = json.loads(text)
    return layout


def write_batches(path: Path, target: pa.Schema, batches: Iterator[Batch], compress: bool = True) -> Written:
    """Write batches, cut into blocks, under a temporary name, and rename the file at the end."""
    temporary = path.with_name(f".{path.name}.{uuid4().hex[:12]}.part")
    options = _OPTIONS if compress else None
    rows, ends = 0, []
    try:
        with pa.OSFile(str(temporary), "wb") as sink, pa.ipc.new_file(sink, target, options=options) as writer:
            for block in blocks(_as_in(batch, target) for batch in batches):
                rows += len(block)
                writer.write_batch(to_record_batch(block, target))
                ends.append(sink.tell())
        written = _with_checksums(temporary, rows, ends)
        temporary.replace(path)
    except OSError as error:
        raise CollidekitError(
            f"{path}: cannot be written ({_reason(error)}); free some space or choose another folder, and run "
            "the same command again: it continues where it stopped"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return written


def _with_checksums(path: Path, rows: int, ends: list[int]) -> Written:
    """Return the blocks of a file with their positions and checksums."""
    with pa.OSFile(str(path)) as file:
        file.seek(8)  # after the magic; the schema is written with the first block
        pa.ipc.read_message(file)
        places = pairwise([file.tell(), *ends])
        blocks = [(start, stop - start, zlib.crc32(file.read_at(stop - start, start))) for start, stop in places]
        return Written(rows, file.size(), blocks, checksum_around(file, blocks))


def checksum_around(file: pa.NativeFile, blocks: list[tuple[int, int, int]]) -> int:
    """Return the CRC-32 of the bytes before the first block and after the last one."""
    begin = blocks[0][0] if blocks else 0
    end = blocks[-1][0] + blocks[-1][1] if blocks else 0
    return zlib.crc32(file.read_at(file.size() - end, end), zlib.crc32(file.read_at(begin, 0)))


def blocks(batches: Iterator[Batch]) -> Iterator[Batch]:
    """Yield the same rows in batches of BLOCK rows; the last one may be shorter."""
    held: list[Batch] = []
    rows = 0
    for batch in batches:
        start = 0
        while len(batch) - start >= BLOCK - rows:
            stop = start + BLOCK - rows
            yield concatenate([*held, batch.slice(start, stop)])
            held, rows, start = [], 0, stop
        if start < len(batch):
            held.append(batch.slice(start, len(batch)))
            rows += len(batch) - start
    if held:
        yield concatenate(held)


def _reason(error: OSError) -> str:
    """Return the message of the system without the repetition that pyarrow adds."""
    return os.strerror(error.errno) if error.errno else str(error)


def open_shard(path: Path) -> pa.ipc.RecordBatchFileReader:
    """Open a shard, but not as a memory map, because its pages would count as memory of this process."""
    try:
        return pa.ipc.open_file(pa.OSFile(str(path)))
    except (OSError, pa.ArrowInvalid) as error:
        raise CollidekitError(f"{path}: not a readable shard ({error}); remove it and construct again") from None


def _array(values: Any) -> pa.Array:
    return pa.array(values.numpy()) if isinstance(values, torch.Tensor) else values


def _to_arrow(entry: Input) -> pa.Array:
    if isinstance(entry, Ragged):
        return _lists(entry.data, entry.offsets)
    data = np.ascontiguousarray(entry.numpy())
    return pa.FixedSizeListArray.from_arrays(pa.array(data.reshape(-1)), data.shape[1])


def _lists(values: torch.Tensor, offsets: torch.Tensor) -> pa.Array:
    """Return values (T, C) of constituents as lists of vectors, one list per row."""
    data = np.ascontiguousarray(values.numpy())
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(data.reshape(-1)), data.shape[1])
    return pa.ListArray.from_arrays(pa.array(offsets.numpy().astype(np.int32)), vectors)


def _from_arrow(column: pa.Array, layout: list[int] | None) -> Input:
    if layout is None:
        return _tensor(column.flatten()).reshape(len(column), column.type.list_size)
    vectors = column.values
    offsets = torch.from_numpy(column.offsets.to_numpy().astype(np.int64))
    data = _tensor(vectors.flatten()).reshape(-1, vectors.type.list_size)
    return Ragged(data, offsets, layout[0], bool(layout[1]))


def _tensor(column: pa.Array) -> torch.Tensor:
    """Return a tensor that shares the memory of an Arrow column and must not be changed."""
    return torch.from_dlpack(column)  # type: ignore[attr-defined]
