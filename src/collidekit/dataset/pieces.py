"""Division of files into chunks, which limit the memory, and pieces of several chunks, which one worker processes."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

CHUNK = 10_000
"""Entries of a file that one worker holds in memory at once."""

LARGEST = 5
"""Largest number of chunks in a piece, for formats with random access."""


@dataclass(frozen=True)
class Survey:
    """Facts about a file before it is read; ``detours`` has one number for each chunk, see ``Reader.detour``."""

    rows: int = 0
    id: dict[str, Any] = field(default_factory=dict)
    detours: list[int] = field(default_factory=list)
    failed: str = ""
    tree: str = ""

    def entry(self, path: str) -> dict[str, Any]:
        """Return the entry of the file in the manifest."""
        if self.failed:
            return {"path": path, "rows": 0, "skipped": self.failed}
        return {"path": path, "rows": self.rows, "id": self.id}


@dataclass(frozen=True)
class Chunk:
    """Entries from start to stop of a file; chunks are numbered through all files."""

    number: int
    file: int
    path: str
    start: int
    stop: int


@dataclass(frozen=True)
class Piece:
    """Consecutive chunks of one file."""

    chunks: tuple[Chunk, ...]
    last: bool
    """True if this piece is the last one of the file."""

    def __len__(self) -> int:
        return self.chunks[-1].stop - self.chunks[0].start

    def __str__(self) -> str:
        return f"{self.chunks[0].path}: rows {self.chunks[0].start} to {self.chunks[-1].stop}"


def cut(paths: Sequence[str], surveys: Sequence[Survey], workers: int, chunk: int) -> list[Piece]:
    """Return all files in pieces, with the longest files first if there are several workers.

    There are about four pieces per worker, so that no worker waits long at the end. A piece is longer if the next
    one must decode earlier rows: it takes four times as long as this decoding.
    """
    rows = sum(survey.rows for survey in surveys)
    largest = min(max(rows // (4 * workers), chunk), LARGEST * chunk)
    pieces: list[Piece] = []
    number = 0
    for file, (path, survey) in enumerate(zip(paths, surveys, strict=True)):
        held: list[Chunk] = []
        for start, detour in zip(range(0, survey.rows, chunk), survey.detours, strict=True):
            length = start - held[0].start if held else 0
            if held and length >= max(largest, 4 * detour):
                pieces.append(Piece(tuple(held), last=False))
                held = []
            held.append(Chunk(number, file, path, start, min(start + chunk, survey.rows)))
            number += 1
        if held:
            pieces.append(Piece(tuple(held), last=True))
    return pieces if workers == 1 else sorted(pieces, key=len, reverse=True)


def share_of(pieces: Sequence[Piece], share: int, shares: int) -> list[Piece]:
    """Return the chunks of one of several shares from each piece; a share has consecutive chunks."""
    count = sum(len(piece.chunks) for piece in pieces)
    numbers = range(count * share // shares, count * (share + 1) // shares)
    kept = [
        replace(piece, chunks=tuple(chunk for chunk in piece.chunks if chunk.number in numbers)) for piece in pieces
    ]
    return [piece for piece in kept if piece.chunks]
