"""ROOT files that were never closed after writing, so that their tree does not list the last baskets."""

import struct
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, BinaryIO

from collidekit.progress import notice
from collidekit.readers.base import BadFileError, open_binary

LONG_SEEKS = 1000
"""Keys with this version and above hold positions of 8 bytes."""
SHORTEST, HEAD, WINDOW = 26, 800, 1 << 20
"""Bytes of the shortest key, bytes read of each record, and bytes searched at a time."""
MARK = b"\x07TBasket"


def check_closed(path: str, file: Any, size: int, tree: Any) -> None:
    """Raise an error if a TTree has fewer entries than the baskets in the file.

    A closed file has a list of free segments and of classes, and ends where its header says. Only if this is not the case,
    all keys of the file are read. A file that was cut or copied just after its tree was saved cannot be distinguished
    from a complete one.
    """
    closed = file.fSeekFree > file.fBEGIN and file.fSeekInfo > file.fBEGIN and size <= file.fEND
    if closed or not hasattr(tree, "itervalues"):
        return
    names = {branch.name for branch in tree.itervalues() if not branch.branches}
    held: Counter[str] = Counter()
    with open_binary(path, kept=8) as content:
        for name, title, entries in _baskets(content, file.fBEGIN, file.fEND, size):
            if title == tree.name and name in names:
                held[name] += entries
    most = max(held.values(), default=0)
    if most > tree.num_entries:
        raise BadFileError(
            f"{path}: was not closed by the program that wrote it: its tree has {tree.num_entries:,} entries, but the file "
            f"holds {most:,}; write it again or leave it out"
        )
    if size > file.fEND and _has_content(path, file.fEND):
        notice(
            f"{path}: holds {size - file.fEND:,} bytes after the end given in its header: the program that wrote it may have "
            f"been stopped, so rows may be missing; {tree.num_entries:,} are read"
        )


def _has_content(path: str, start: int) -> bool:
    """Return whether the file has bytes other than zero from a position on."""
    with open_binary(path, kept=8) as content:
        content.seek(start)
        return any(content.read(WINDOW))


def _baskets(content: BinaryIO, start: int, end: int, size: int) -> Iterator[tuple[str, str, int]]:
    """Yield branch, tree and entries of each basket, from keys one after another or after a gap."""
    position: int | None = start
    while position is not None and position + SHORTEST < size:
        content.seek(position)
        head = content.read(HEAD)
        length, version, key = _key(head)
        if length < 0 and position - length <= end:  # a free segment
            position -= length
        elif not (size - position >= length >= key >= SHORTEST and version % LONG_SEEKS < 20):
            position = _next_basket(content, position + 1)
        else:
            with suppress(IndexError, UnicodeDecodeError, struct.error):
                place = _place(version)
                kind, name, title = _texts(head, place)
                if kind == "TBasket":
                    yield name, title, struct.unpack(">i", _entries(head, place, kind, name, title))[0]
            position += length


def _key(head: bytes) -> tuple[int, int, int]:
    """Return the length of a record, and the version and length of its key."""
    length, version = struct.unpack(">ih", head[:6])
    return length, version, struct.unpack(">h", head[14:16])[0]


def _place(version: int) -> int:
    """Return the position of the texts of a key."""
    return 18 + (16 if version > LONG_SEEKS else 8)


def _next_basket(content: BinaryIO, position: int) -> int | None:
    """Return the position of the key of the next basket; None if there is none."""
    content.seek(position)
    before = b""
    while window := content.read(WINDOW):
        found = (before + window).find(MARK)
        if found >= 0:
            place = position - len(before) + found
            for begin in (place - _place(LONG_SEEKS + 1), place - _place(1)):
                content.seek(begin)
                if place - begin == _place(_key(content.read(16))[1]):
                    return begin
            return None
        position += len(window)
        before = window[-len(MARK) :]
    return None


def _entries(head: bytes, place: int, *texts: str) -> bytes:
    """Return the bytes of the number of entries; a version and two sizes follow the texts."""
    begin = place + sum(1 + len(text.encode()) for text in texts) + 10
    return head[begin : begin + 4]


def _texts(head: bytes, place: int) -> tuple[str, str, str]:
    """Return class, name and title of a key; a text longer than 254 bytes cannot belong to a basket."""
    found = []
    for _ in range(3):
        length = head[place]
        found.append(head[place + 1 : place + 1 + length].decode())
        place += 1 + length
    return found[0], found[1], found[2]
