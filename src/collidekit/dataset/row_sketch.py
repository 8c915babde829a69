"""A sketch of the rows of a training: the smallest hashes of their inputs, to recognise the rows in any file.

It is a bottom-k sketch (Cohen and Kaplan 2007, "Summarizing data using bottom-k sketches"): it holds all hashes below a limit. Up to ``SIZE``
different rows, the limit is above all hashes, and every row is known. With more rows, it is a random fraction, the same in every file.
"""

import base64
import binascii
import zlib
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import cmp_using, field, frozen

from collidekit.dataset.hashing import comparable_rows, hash_inputs, hashed
from collidekit.dataset.parts import Part, RowSplit
from collidekit.dataset.split import SMALL, by_inputs

if TYPE_CHECKING:
    from collidekit.dataset.loader import Dataset

Array = np.ndarray[Any, Any]

SIZE = 100_000
"""Number of different rows to keep."""
BITS = 48
"""Bits to keep of a hash: a row that was not in the training equals one of N others with a probability of N / 2^48."""
FEW, FEW_SHARE = 3, 0.001
"""Number of rows of a file, or fraction of them, that may equal training rows by chance."""
PARTS: tuple[Part, ...] = ("test", "validation", "training")
"""Parts by number; for equal rows, the largest number counts."""

_SALT = 0x5EE17
_MOST = 10_000_000
_STEP = 1_000_000


@frozen
class RowSketch:
    """The hashes (K,) of rows, ascending and all below ``limit``, and the number (K,) in ``PARTS`` for each row."""

    hashes: Array = field(eq=cmp_using(np.array_equal))
    parts: Array = field(eq=cmp_using(np.array_equal))
    limit: int
    repeated: float
    """The fraction of rows that equal a few others: the probability that an independent row equals a kept one."""

    @property
    def fraction(self) -> float:
        """The fraction of all rows, from the training and others, that can be looked up."""
        return self.limit / float(2**BITS)

    @property
    def share_by_chance(self) -> float:
        """The fraction of the rows of a file that may equal training rows by chance."""
        return max(FEW_SHARE, 2 * self.repeated)

    def find(self, keys: Array) -> tuple[Array, Array]:
        """Return which rows (N,) with these hashes can be looked up, and the part (N,) of each, -1 if it is not found."""
        wanted = _sketched(keys)
        looked_up = wanted < np.uint64(self.limit)
        parts = np.full(len(keys), -1, dtype=np.int8)
        if len(self.hashes):
            place = np.minimum(np.searchsorted(self.hashes, wanted), len(self.hashes) - 1)
            same = looked_up & (self.hashes[place] == wanted)
            parts[same] = self.parts[place[same]]
        return looked_up, parts

    def as_dict(self) -> dict[str, Any]:
        """Return the content for a checkpoint or JSON."""
        return {
            "bits": BITS,
            "limit": self.limit,
            "repeated": self.repeated,
            "rows": len(self.hashes),
            "content": self._content,
        }

    @cached_property
    def _content(self) -> str:
        """Return the differences of the hashes, byte plane by byte plane, and the parts, compressed."""
        steps = np.diff(self.hashes, prepend=np.uint64(0)).astype("<u8").view(np.uint8).reshape(-1, 8)
        planes = np.ascontiguousarray(steps[:, : BITS // 8].T).tobytes()
        return base64.b64encode(zlib.compress(planes + self.parts.tobytes())).decode()

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> "RowSketch":
        """Return the sketch from ``as_dict``; KeyError, TypeError or ValueError if the content is not valid."""
        rows, limit, repeated = int(content["rows"]), int(content["limit"]), float(content["repeated"])
        if content["bits"] != BITS or not 0 <= rows <= _MOST or not 0 < limit <= 2**BITS or not 0 <= repeated <= 1:
            raise ValueError("the sketch of its rows has another form")
        width = BITS // 8
        values = _unpacked(str(content["content"]), rows * (width + 1))
        steps = np.zeros((rows, 8), dtype=np.uint8)
        steps[:, :width] = values[: rows * width].reshape(width, rows).T
        hashes = np.cumsum(steps.view("<u8").reshape(-1).astype(np.uint64), dtype=np.uint64)
        parts = values[rows * width :].copy()
        if rows and (
            hashes[-1] >= limit
            or (np.diff(hashes) == 0).any()
            or (hashes[1:] < hashes[:-1]).any()
            or parts.max() >= len(PARTS)
        ):
            raise ValueError("the sketch of its rows is damaged")
        return cls(hashes, parts, limit, repeated)


class SketchBuilder:
    """Makes a sketch from rows that are added in pieces, with memory that does not depend on their number."""

    def __init__(self, size: int = SIZE) -> None:
        self.size, self.limit = size, 2**BITS
        self._held: list[tuple[Array, Array, Array]] = []
        """Hashes, parts, and the number of rows for each hash."""
        self._count = 0

    def add(self, keys: Array, parts: Array) -> None:
        """Add rows, with the hashes (N,) of their inputs and the numbers (N,) of their parts."""
        hashes = _sketched(keys)
        below = hashes < np.uint64(self.limit)
        self._held.append((hashes[below], parts[below], np.ones(int(below.sum()), dtype=np.int64)))
        self._count += int(below.sum())
        if self._count > 4 * self.size + _STEP // 4:
            self._cut()

    def sketch(self) -> RowSketch:
        """Return the sketch, without groups of more than ``SMALL`` equal rows."""
        hashes, parts, counts = self._cut()
        few = counts <= SMALL
        repeated = counts[few & (counts > 1)].sum() / max(counts.sum(), 1)
        return RowSketch(hashes[few], parts[few], self.limit, float(repeated))

    def _cut(self) -> tuple[Array, Array, Array]:
        """Join equal hashes, and keep the smallest ones."""
        empty = (np.zeros(0, np.uint64), np.zeros(0, np.uint8), np.zeros(0, np.int64))
        hashes, parts, counts = (np.concatenate(column) for column in zip(empty, *self._held, strict=True))
        order = np.argsort(hashes, kind="stable")
        hashes = hashes[order]
        first = np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1]])[: len(hashes)])
        if len(first):
            counts = np.add.reduceat(counts[order], first)
            parts = np.maximum.reduceat(parts[order], first)
            hashes = hashes[first]
        if len(hashes) > self.size:
            self.limit = int(hashes[self.size])
        self._held = [(hashes[: self.size], parts[: self.size], counts[: self.size])]
        self._count = len(self._held[0][0])
        return self._held[0]


def sketch_of(dataset: "Dataset", split: RowSplit, size: int = SIZE) -> RowSketch:
    """Return the sketch of the rows of a dataset, each with its part of the split."""
    builder = SketchBuilder(size)
    for hashes, keys, event in _hashes_of(dataset):
        parts = np.zeros(len(keys), dtype=np.uint8)
        for number, part in enumerate(PARTS):
            parts[split.rows(keys, part, event)] = number
        builder.add(hashes, parts)
    return builder.sketch()


def _hashes_of(dataset: "Dataset") -> Iterator[tuple[Array, Array, Mapping[str, Any]]]:
    """Yield the hashes of the inputs of all comparable rows, with the keys and event numbers of these rows.

    If the inputs decide the split, the keys are these hashes, except for large groups of equal rows.
    """
    if by_inputs(dataset.manifest.analysis):
        keys = dataset.column("key")
        yield from ((part, part, {}) for part in np.split(keys, range(_STEP, len(keys), _STEP)))
        return
    for block in dataset.blocks:
        batch = dataset.read(block)
        usable = comparable_rows(batch.inputs)
        event = {name: values.numpy()[usable] for name, values in batch.event.items()}
        yield hash_inputs(batch.inputs)[usable], batch.keys.numpy()[usable], event


def _sketched(keys: Array) -> Array:
    return hashed(keys, _SALT) >> np.uint64(64 - BITS)


def _unpacked(text: str, size: int) -> Array:
    """Return the bytes (size,) of a compressed text; ValueError if there are more or fewer."""
    try:
        unpacker = zlib.decompressobj()
        found = unpacker.decompress(base64.b64decode(text, validate=True), size + 1)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"the sketch of its rows is damaged: {error}") from None
    if len(found) != size or not unpacker.eof:
        raise ValueError("the sketch of its rows is damaged: it has another size")
    return np.frombuffer(found, dtype=np.uint8)
