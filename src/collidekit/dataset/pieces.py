"""How files are cut: into chunks, which decide what is held in memory, and pieces of several, which one worker does."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

CHUNK = 10_000
"""Entries of a file that one worker holds in memory at once."""

LARGEST = 5
"""Chunks in a piece, where beginning in the middle of the file costs nothing."""


@dataclass(frozen=True)
class Survey:
    """What is known of a file before it is read; ``detours`` has one number for each chunk, see ``Reader.detour``."""

    rows: int = 0
    id: dict[str, Any] = field(default_factory=dict)
    detours: list[int] = field(default_factory=list)
    failed: str = ""
    tree: str = ""

    def entry(self, path: str) -> dict[str, Any]:
        """For the manifest."""
        if self.failed:
            return {"path": path, "rows": 0, "skipped": self.failed}
        return {"path": path, "rows": self.rows, "id": self.id}


@dataclass(frozen=True)
class Chunk:
    """Entries start to stop of a file; chunks are numbered through all files."""

    number: int
    file: int
    path: str
    start: int
    stop: int


@dataclass(frozen=True)
class Piece:
    """Chunks of one file, one after another."""

    chunks: tuple[Chunk, ...]
    last: bool
    """Whether the file ends with it."""

    def __len__(self) -> int:
        return self.chunks[-1].stop - self.chunks[0].start

    def __str__(self) -> str:
        return f"{self.chunks[0].path}: rows {self.chunks[0].start} to {self.chunks[-1].stop}"


def cut(paths: Sequence[str], surveys: Sequence[Survey], workers: int, chunk: int) -> list[Piece]:
    """All files in pieces, the longest ones first where several workers share them.

    There are about four pieces to a worker, so that no one waits long for the last. A piece is longer where the next
    could only begin with a detour: it takes four times as long as that.
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
    """Return what one of several shares of all chunks has of each piece; a share is chunks one after another."""
    count = sum(len(piece.chunks) for piece in pieces)
    numbers = range(count * share // shares, count * (share + 1) // shares)
    kept = [
        replace(piece, chunks=tuple(chunk for chunk in piece.chunks if chunk.number in numbers)) for piece in pieces
    ]
    return [piece for piece in kept if piece.chunks]
