"""Batches from shards: in order for inference, in an order that is a function of seed and epoch only for training.

Shuffling takes bounded memory: all blocks of all shards are drawn in a random order, and the rows of a window of blocks
are shuffled together. What is left of a window goes into the next one, so that batches are full and no row is lost.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import torch

from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch, concatenate
from collidekit.dataset.hashing import uniform
from collidekit.dataset.manifest import Manifest, read_manifest
from collidekit.dataset.shards import BLOCK, from_record_batch, open_shard
from collidekit.errors import CollidekitError

WINDOW_BYTES = 48 * 2**20
"""Size of the window whose rows are shuffled together."""

Split = Literal["training", "validation", "all"]
Keep = Callable[[Batch], np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Block:
    """One record batch of a shard and the position of its first row in the dataset."""

    path: Path
    number: int
    first: int
    rows: int


class Dataset:
    """A constructed dataset, read block by block.

    ``analysis`` takes the place of the one that the dataset was constructed with: they may differ in what does not
    decide its rows, such as class weights and discriminators.
    """

    def __init__(self, folder: Path | Manifest, n_files: int = -1, analysis: Analysis | None = None) -> None:
        self.manifest = folder if isinstance(folder, Manifest) else read_manifest(folder)
        self.analysis = analysis or self.manifest.analysis
        self.blocks: list[Block] = []
        self._open = lru_cache(maxsize=128)(open_shard)
        first = 0
        for shard in self.manifest.shards[: n_files if n_files > 0 else None]:
            path = self.manifest.folder / shard["file"]
            reader = self._open(path)
            if reader.num_record_batches != -(-shard["rows"] // BLOCK):
                raise _wrong_rows(path, f"{reader.num_record_batches} blocks", shard["rows"])
            for number, start in enumerate(range(0, shard["rows"], BLOCK)):
                self.blocks.append(Block(path, number, first + start, min(BLOCK, shard["rows"] - start)))
            first += shard["rows"]
        self.rows = first

    def __len__(self) -> int:
        return self.rows

    def read(self, block: Block) -> Batch:
        """The rows of a block."""
        try:
            records = self._open(block.path).get_batch(block.number)
        except (OSError, pa.ArrowInvalid) as error:
            raise CollidekitError(
                f"{block.path}: block {block.number} cannot be read ({error}); remove {block.path.parent} and construct again"
            ) from error
        if records.num_rows != block.rows:
            raise _wrong_rows(block.path, f"{records.num_rows} rows in block {block.number}", block.rows)
        return from_record_batch(records, block.first)

    @property
    def bytes_per_row(self) -> float:
        """Of the inputs, in memory."""
        analysis, summary = self.analysis, self.manifest.summary
        total = 64.0
        total += sum(4 * len(group.features) for group in analysis.groups.values())
        for name, collection in analysis.collections.items():
            width = len(collection.features) + 4 * bool(collection.momenta) + 2 * bool(collection.coordinates)
            total += 8 + 4 * width * summary["constituents"][name] / max(self.manifest.rows, 1)
        return total


def _wrong_rows(path: Path, found: str, rows: int) -> CollidekitError:
    return CollidekitError(
        f"{path}: holds {found}, which does not fit the {rows} rows of the manifest; remove {path.parent} and construct again"
    )


def is_validation(batch: Batch, share: float) -> np.ndarray[Any, Any]:
    """Which rows (N,) belong to the validation part: a function of the event's number (or the row's content) only."""
    return uniform(batch.keys, 0x5EED) >= share


class Loader:
    """Iterates over batches of one epoch; ``set_epoch`` decides the order, ``skip`` goes on in the middle.

    ``train_share`` is the part of the rows that is for training. ``keep`` may thin out the training rows: it gives the
    probability to keep each row, drawn anew in each epoch from the row's own number.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        split: Split = "all",
        train_share: float = 1.0,
        shuffle: bool = False,
        seed: int = 0,
        keep: Keep | None = None,
        threads: int = 1,
        window_bytes: int = WINDOW_BYTES,
    ) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.split = split
        self.train_share = train_share
        self.shuffle = shuffle
        self.seed = seed
        self.keep = keep
        self.threads = threads
        self.epoch = 0
        self.window_rows = max(int(window_bytes / dataset.bytes_per_row), 4 * batch_size)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[Batch]:
        return self.iterate()

    def iterate(self, skip: int = 0) -> Iterator[Batch]:
        """Batches of this epoch from number ``skip`` on; the next ones are made ready while one is used."""
        batches = self._batches(skip)
        return ahead(batches, 4) if self.threads > 0 else batches

    def _batches(self, skip: int) -> Iterator[Batch]:
        size, position = self.batch_size, 0
        for window in self._windows():
            number = 0
            for start in range(0, len(window.order), size):
                rows = window.order[start : start + size]
                if position + number >= skip:
                    yield window.batch.take(rows)
                number += 1
            position += number
            del window  # before the next one is put together

    def _windows(self) -> Iterator["_Window"]:
        """Windows of rows whose number is a multiple of the batch size, the last one apart."""
        generator = np.random.default_rng([self.seed, self.epoch])
        blocks = self.dataset.blocks
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
        full = len(batch) if last else len(batch) - len(batch) % self.batch_size
        rest = batch.take(torch.from_numpy(order[full:]))
        return _Window(batch, torch.from_numpy(order[:full])), rest

    def _chosen(self, batch: Batch) -> Batch:
        """The rows of a block that belong to the split and are kept."""
        mask = np.ones(len(batch), dtype=bool)
        if self.split != "all":
            mask = is_validation(batch, self.train_share) == (self.split == "validation")
        if self.keep is not None:
            mask &= uniform(batch.index, self.seed, self.epoch) < self.keep(batch)
        return batch if mask.all() else batch.take(torch.from_numpy(np.flatnonzero(mask)))


@dataclass(frozen=True)
class _Window:
    batch: Batch
    order: torch.Tensor


def ahead(batches: Iterator[Batch], depth: int) -> Iterator[Batch]:
    """The same batches, made in a thread while earlier ones are used; an error in the thread is raised here."""
    ready: queue.Queue[Any] = queue.Queue(maxsize=depth)
    stopped = threading.Event()

    def put(item: Any) -> None:
        while not stopped.is_set():
            with suppress(queue.Full):
                ready.put(item, timeout=0.1)
                return

    def make() -> None:
        try:
            for batch in batches:
                put(batch)
                if stopped.is_set():
                    return
            put(None)
        except BaseException as error:  # noqa: BLE001 - raised in the other thread
            put(error)

    thread = threading.Thread(target=make, name="collidekit-loader", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()
