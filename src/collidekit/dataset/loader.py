"""Batches from shards: in order for inference, in an order that depends only on seed and epoch for training.

Shuffling takes limited memory: all blocks of all shards are drawn in a random order, and the rows of a window of blocks
are shuffled together. Rows left over from a window go into the next one, so that batches are full and no row is lost.

Several ranks divide each batch: the order and the content of batches do not depend on the number of ranks.
"""

import zlib
from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import torch

from collidekit.analysis.schema import Analysis
from collidekit.dataset.ahead import ahead
from collidekit.dataset.batch import Batch, concatenate
from collidekit.dataset.hashing import uniform
from collidekit.dataset.manifest import Manifest, read_manifest
from collidekit.dataset.parts import Part, RowSplit
from collidekit.dataset.shard_check import check_block
from collidekit.dataset.shards import BLOCK, checksum_around, from_record_batch, schema
from collidekit.errors import CollidekitError
from collidekit.shown import counted, html_table

WINDOW_BYTES = 48 * 2**20
"""Size of the window whose rows are shuffled together."""

Keep = Callable[[Batch], np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Block:
    """One record batch of a shard and the position of its first row in the dataset."""

    path: Path
    number: int
    first: int
    rows: int
    offset: int
    bytes: int
    checksum: int


class Dataset:
    """A constructed dataset, read block by block.

    ``analysis`` replaces the analysis that the dataset was constructed with. The two may differ in keys that do not
    affect its rows, such as class weights and discriminators.
    """

    def __init__(self, folder: str | Path | Manifest, n_files: int = -1, analysis: Analysis | None = None) -> None:
        self.manifest = folder if isinstance(folder, Manifest) else read_manifest(Path(folder))
        self.analysis = analysis or self.manifest.analysis
        self.blocks: list[Block] = []
        self._open = lru_cache(maxsize=128)(_open)
        self._schema = schema(self.manifest.analysis, self.manifest.summary["kinds"])
        self._verified: set[int] = set()
        shards = self.manifest.shards
        if n_files > len(shards):
            raise CollidekitError(f"{self.manifest.folder}: has {len(shards)} shards, but {n_files} were requested")
        first = 0
        for shard in shards[: n_files if n_files > 0 else None]:
            path = self.manifest.folder / shard["file"]
            file = self._open(path)
            if file.size() != shard["bytes"]:
                raise _damaged(path, f"has {file.size():,} bytes, not {shard['bytes']:,}")
            if checksum_around(file, shard["blocks"]) != shard["around"]:
                raise _damaged(path, "its beginning or its end does not match its checksum")
            if not _schema_of(path, file).equals(self._schema, check_metadata=True):
                raise _damaged(path, "its columns are not those of the analysis")
            places = enumerate(zip(range(0, shard["rows"], BLOCK), shard["blocks"], strict=True))
            for number, (start, place) in places:
                self.blocks.append(Block(path, number, first + start, min(BLOCK, shard["rows"] - start), *place))
            first += shard["rows"]
        self.rows = first

    def __len__(self) -> int:
        return self.rows

    def __repr__(self) -> str:
        shards = len({block.path for block in self.blocks})
        return f"Dataset({str(self.manifest.folder)!r}: {counted(self.rows, 'row')}, {counted(shards, 'shard')})"

    def _repr_html_(self) -> str:
        summary = self.manifest.summary
        rows = [(name, count, float(summary["class_weights"][name])) for name, count in summary["class_counts"].items()]
        left_out = f"{self.rows:,} of {self.manifest.rows:,} rows are read" if self.rows < self.manifest.rows else ""
        return html_table(repr(self), rows, ("class", "rows", "sum of weights"), left_out)

    def to_awkward(self, rows: int | None = None) -> Any:
        """Return an awkward array of records: the columns of rows, and a list of records for each collection.

        ``rows`` is the number of rows to read from the start of the dataset; the default is all.
        """
        from collidekit.dataset import records

        return records.to_awkward(self, rows)

    def to_pandas(self, rows: int | None = None) -> Any:
        """Return a pandas DataFrame of the columns of rows, without the constituents; ``rows`` as in ``to_awkward``."""
        from collidekit.dataset import records

        return records.to_pandas(self, rows)

    def to_hist(
        self, column: str, *, bins: int = 50, limits: tuple[float, float] | None = None, rows: int | None = None
    ) -> Any:
        """Return a weighted ``hist.Hist`` of a column of rows or constituents, with the axes ``class`` and ``value``."""
        from collidekit.dataset import records

        return records.to_hist(self, column, bins=bins, limits=limits, rows=rows)

    def read(self, block: Block) -> Batch:
        """Return the rows of a block; its checksum is verified at the first read."""
        try:
            data = self._open(block.path).read_at(block.bytes, block.offset)
        except OSError as error:
            raise _damaged(block.path, f"cannot be read ({error})") from error
        if block.first not in self._verified and zlib.crc32(data) != block.checksum:
            last = block.first + block.rows - 1
            raise _damaged(
                block.path, f"block {block.number} (rows {block.first} to {last}) does not match its checksum"
            )
        try:
            records = pa.ipc.read_record_batch(pa.py_buffer(data), self._schema)
            if block.first not in self._verified:
                check_block(records, block.rows, len(self.manifest.analysis.classes), len(self.manifest.inputs))
                self._verified.add(block.first)
            return from_record_batch(records, block.first)
        except (pa.ArrowException, OSError, MemoryError, KeyError, ValueError) as error:
            said = " ".join(str(error).split())[:160]
            raise _damaged(block.path, f"block {block.number} is not what was constructed ({said})") from error

    def column(self, name: str) -> np.ndarray[Any, Any]:
        """Return one column of numbers (N,) of all rows, such as ``key``, without reading the others."""
        options = pa.ipc.IpcReadOptions(included_fields=[self._schema.get_field_index(name)])
        parts = [np.zeros(0, dtype=self._schema.field(name).type.to_pandas_dtype())]
        for path in dict.fromkeys(block.path for block in self.blocks):
            try:
                with pa.OSFile(str(path)) as file:
                    reader = pa.ipc.open_file(file, options=options)
                    parts += [reader.get_batch(i).column(0).to_numpy() for i in range(reader.num_record_batches)]
            except (pa.ArrowException, OSError) as error:
                raise _damaged(
                    path, f"column {name!r} cannot be read ({' '.join(str(error).split())[:160]})"
                ) from error
        return np.concatenate(parts)

    @property
    def event_number(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return the last column (N,) that numbers an event, by name; empty if the analysis has none."""
        return {name: self.column(f"event:{name}") for name in self.manifest.analysis.event[-1:]}

    @property
    def bytes_per_row(self) -> float:
        """Size of the inputs in memory."""
        analysis, summary = self.analysis, self.manifest.summary
        total = 64.0
        total += sum(4 * len(group.features) for group in analysis.groups.values())
        total += sum(8 * len(target.values) for target in analysis.row_targets.values())
        for name, collection in analysis.collections.items():
            width = collection.width + len(analysis.target_columns(name))
            total += 8 + 4 * width * summary["constituents"][name] / max(self.manifest.rows, 1)
        return total


def _open(path: Path) -> pa.NativeFile:
    """Open a file, but not as a memory map, because its pages would count as memory of this process."""
    try:
        return pa.OSFile(str(path))
    except OSError as error:
        raise _damaged(path, f"cannot be read ({error})") from error


def _schema_of(path: Path, file: pa.NativeFile) -> pa.Schema:
    try:
        return pa.ipc.open_file(file).schema
    except (pa.ArrowException, OSError) as error:
        raise _damaged(path, f"it is not an Arrow file ({error})") from error


def _damaged(path: Path, what: str) -> CollidekitError:
    return CollidekitError(
        f"{path}: is damaged: {what}; remove the folder {path.parent} and run the same command again, which constructs "
        "the dataset again"
    )


class Loader:
    """Iterates over the batches of one epoch; ``set_epoch`` decides the order, ``skip`` continues in the middle.

    With a ``split``, only rows of ``part`` are returned. ``keep`` may drop training rows at random: it gives the
    probability to keep each row, drawn again in each epoch from the number of the row.

    Of ``ranks`` processes that train together, ``rank`` gets a part of each batch: over an epoch, all of them make the
    same number of steps and each row occurs once. ``batch_size`` is the size for all ranks together. A last batch with
    fewer rows than ranks is added to the batch before.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        split: RowSplit | None = None,
        part: Part = "training",
        shuffle: bool = False,
        seed: int = 0,
        keep: Keep | None = None,
        threads: int = 1,
        window_bytes: int = WINDOW_BYTES,
        rank: int = 0,
        ranks: int = 1,
    ) -> None:
        if not 0 <= rank < ranks <= batch_size:
            raise CollidekitError(
                f"rank {rank} of {ranks} with batches of {batch_size}: a batch needs a row for each rank"
            )
        self.dataset = dataset
        self.rank, self.ranks = rank, ranks
        self.batch_size = batch_size
        self.split = split
        self.part: Part = part
        self.shuffle = shuffle
        self.seed = seed
        self.keep = keep
        self.threads = threads
        self.epoch = 0
        self.places = range(len(dataset))
        """Positions in the dataset of the rows to return."""
        self.window_rows = max(int(window_bytes / dataset.bytes_per_row), 4 * batch_size)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def within(self, places: range) -> Self:
        """Return a loader of the same rows, restricted to these positions in the dataset."""
        found = copy(self)
        found.places = places
        return found

    def __iter__(self) -> Iterator[Batch]:
        return self.iterate()

    def iterate(self, skip: int = 0) -> Iterator[Batch]:
        """Return the batches of this epoch from number ``skip`` on; the next ones are prepared while one is used."""
        batches = self._batches(skip)
        return ahead(batches, 4) if self.threads > 0 else batches

    def _batches(self, skip: int) -> Iterator[Batch]:
        number = 0
        for window in self._windows():
            for rows in self._cut(window.order):
                if number >= skip:
                    share = slice(len(rows) * self.rank // self.ranks, len(rows) * (self.rank + 1) // self.ranks)
                    yield window.batch.take(rows[share])
                number += 1
            del window  # before the next one is made

    def _cut(self, order: torch.Tensor) -> list[torch.Tensor]:
        """Return the rows of each batch of a window, for all ranks together."""
        batches = list(order.split(self.batch_size))  # type: ignore[no-untyped-call]
        if len(batches[-1]) < self.ranks:
            if len(batches) == 1:
                raise CollidekitError(
                    f"{self.dataset.manifest.folder}: {len(order)} rows are too few for {self.ranks} ranks"
                )
            batches[-2:] = [torch.cat(batches[-2:])]
        return batches

    def _windows(self) -> Iterator["_Window"]:
        """Yield windows whose numbers of rows are multiples of the batch size; the last one has more than one batch if any has."""
        generator = np.random.default_rng([self.seed, self.epoch])
        places = self.places
        blocks = [b for b in self.dataset.blocks if b.first < places.stop and places.start < b.first + b.rows]
        if self.shuffle:
            blocks = [blocks[i] for i in generator.permutation(len(blocks))]
        held: list[Batch] = []
        rows = 0
        for block in blocks:
            batch = self._chosen(self.dataset.read(block))
            if not len(batch):
                continue
            held.append(batch)
            rows += len(batch)
            if rows >= self.window_rows:
                window, rest = self._window(held, generator, last=False)
                held = [rest] if len(rest) else []
                rows = len(rest)
                yield window
                del window
        if held:
            yield self._window(held, generator, last=True)[0]

    def _window(self, held: list[Batch], generator: np.random.Generator, last: bool) -> tuple["_Window", Batch]:
        batch = concatenate(held)
        order = generator.permutation(len(batch)) if self.shuffle else np.arange(len(batch))
        full = len(batch) if last else (len(batch) // self.batch_size - 1) * self.batch_size
        rest = batch.take(torch.from_numpy(order[full:]))
        return _Window(batch, torch.from_numpy(order[:full])), rest

    def _chosen(self, batch: Batch) -> Batch:
        """Return the rows of a block that belong to the part and are kept."""
        index = batch.index.numpy()
        mask = (self.places.start <= index) & (index < self.places.stop)
        if self.split is not None:
            mask &= self.split.rows(batch.keys.numpy(), self.part, batch.event)
        if self.keep is not None:
            mask &= uniform(batch.index, self.seed, self.epoch) < self.keep(batch)
        return batch if mask.all() else batch.take(torch.from_numpy(np.flatnonzero(mask)))


@dataclass(frozen=True)
class _Window:
    batch: Batch
    order: torch.Tensor
