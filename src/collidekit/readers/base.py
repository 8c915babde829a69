"""What every reader offers, and the checks they share."""

import io
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, BinaryIO, Protocol, Self, cast

import awkward as ak

from collidekit.analysis.schema import Source
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.readers.protocols import check_protocol
from collidekit.readers.xrootd import limit_waits, trouble

AHEAD = 1 << 20
"""Bytes that are fetched from a server at a time where a file is read from its begin to its end."""

BLOCK = 1 << 18
"""Bytes that are fetched at a time where it is read here and there."""


POINTER = b"version https://git-lfs.github.com/spec/"
"""What Git LFS leaves in the place of a file that was not fetched begins so."""

LARGEST_POINTER = 1024


class BadFileError(CollidekitError):
    """A file that cannot be read at all, or no further: missing, empty, truncated or of another format."""


class UnsupportedError(CollidekitError):
    """A file, or a part of it, that the library does not know how to read. It may well be whole: it is never skipped."""


class LostServerError(BadFileError):
    """The server of a file does not answer, or the way to it is broken: another try may do better."""

    def __init__(self, message: str, said: str = "") -> None:
        super().__init__(message)
        self.said = said
        """What the server or the client said."""


class SeveralTreesError(CollidekitError):
    """A file with several trees or tables, of which none was named."""

    def __init__(self, path: str, what: str, names: Sequence[str]) -> None:
        listed = ", ".join(names)
        super().__init__(f"{path}: holds several {what} ({listed}); name one with `source: {{tree: {names[0]}}}`")
        self.what, self.names = what, list(names)


class Reader(Protocol):
    """An open file: a table whose columns are numbers or (nested) lists of numbers, without missing values."""

    path: str
    columns: dict[str, str]
    """Name and type of each column, such as ``{"part_px": "var * float32", "label": "int32"}``."""
    unreadable: dict[str, str]
    """Columns of the file that are no (lists of) numbers, and what they are instead."""
    tree: str
    """The tree or group that is read; empty where a format has none."""
    truth: set[str]
    """Columns that are simulated truth by the format itself: no inputs, whatever their names."""

    @property
    def rows(self) -> int: ...

    def read(self, columns: Sequence[str], start: int, stop: int) -> ak.Array:
        """Rows ``start`` to ``stop`` as records of exactly these columns; takes memory for ``stop - start`` rows."""

    def detour(self, start: int) -> int:
        """How many rows it costs to begin to read at this one, because others before it must be decoded too."""
        ...

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


class FileReader(ABC):
    """A reader of one format: fill ``columns``, count the rows in ``_count`` and read them in ``_read``."""

    def __init__(self, path: str, source: Source) -> None:
        self.path = path
        self.source = source
        self.columns: dict[str, str] = {}
        self.unreadable: dict[str, str] = {}
        """Columns of the file that are no (lists of) numbers, and what they are instead."""
        self.tree = ""
        self.truth: set[str] = set()
        self.metadata = ""
        """The text that ``collidekit export-events`` writes beside the columns; empty in other files."""

    @cached_property
    def rows(self) -> int:
        return self._count()

    @abstractmethod
    def _count(self) -> int:
        """The number of rows in the file."""

    @abstractmethod
    def _read(self, columns: Sequence[str], start: int, stop: int) -> dict[str, ak.Array]:
        """The columns between rows that exist, ``start < stop``."""

    def _empty(self, columns: Sequence[str]) -> dict[str, ak.Array]:
        return {name: empty(self.columns[name]) for name in columns}

    def read(self, columns: Sequence[str], start: int, stop: int) -> ak.Array:
        """Rows ``start`` to ``stop`` as records of exactly these columns, in this order."""
        for name in columns:
            if name in self.unreadable:
                raise CollidekitError(f"{self.path}: column {name!r} cannot be used: it is {self.unreadable[name]}")
            if name not in self.columns:
                raise CollidekitError(
                    f"{self.path}: there is no column {name!r}{did_you_mean(name, list(self.columns))}; "
                    "`reader.columns` lists them all"
                )
        if not 0 <= start <= stop <= self.rows:
            raise CollidekitError(f"{self.path}: rows {start} to {stop} were asked for, it has {self.rows}")
        if not columns:
            raise CollidekitError(f"{self.path}: no columns were asked for")
        arrays = self._read(columns, start, stop) if start < stop else self._empty(columns)
        for name, array in arrays.items():
            if len(array) != stop - start:
                raise BadFileError(
                    f"{self.path}: column {name!r} has {len(array)} values in rows {start} to {stop}: "
                    "the file is damaged; write it again or leave it out"
                )
        return ak.zip({name: arrays[name] for name in columns}, depth_limit=1)

    def detour(self, start: int) -> int:
        """How many rows it costs to begin to read at this one: none, where a format can be entered anywhere."""
        return 0

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class OneTree:
    """The trees of the files of one list: files in which different ones were found are not mixed."""

    def __init__(self) -> None:
        self._first: tuple[str, str] | None = None

    def add(self, path: str, tree: str) -> None:
        """Raise an error where the tree of a file has another name than that of the first file."""
        if not tree:
            return
        self._first = self._first or (path, tree)
        first, name = self._first
        if tree != name:
            raise CollidekitError(
                f"{path}: its tree is {tree!r}, and {name!r} in {first}: files of one list need trees of one name; name it with "
                f"`source: {{tree: {name}}}`, or leave the other files out"
            )


def chunks(reader: Reader, columns: Sequence[str], start: int, stop: int, size: int) -> Iterator[tuple[int, ak.Array]]:
    """``(first row, rows)`` for each ``size`` rows from ``start`` to ``stop``, in order."""
    if size < 1:
        raise CollidekitError(f"a chunk has at least one row, got {size}")
    for first in range(start, stop, size):
        yield first, reader.read(columns, first, min(first + size, stop))


def empty(columntype: str) -> ak.Array:
    """No rows of a type such as ``var * float32``."""
    return ak.enforce_type(ak.Array([]), columntype)


def is_url(path: str) -> bool:
    return "://" in path


def server_of(url: str) -> tuple[Any, str]:
    """The server of a url as fsspec knows it, and the path on it."""
    check_protocol(url)
    import fsspec

    # of a file that does not open, a search for other places of it would hide what the server says
    options = {"locate_all_sources": False} if url.startswith("root://") else {}
    server, inside = fsspec.core.url_to_fs(url, use_listings_cache=False, **options)
    return server, inside


class UrlFile(io.RawIOBase):
    """The bytes of a remote file; the last ``kept`` blocks stay in memory, without any it is read as it is asked for.

    To close it is no error, whatever became of its server.
    """

    def __init__(self, url: str, kept: int = 0) -> None:
        server, inside = server_of(url)
        blocks = {"cache_type": "blockcache", "block_size": BLOCK, "cache_options": {"maxblocks": kept}}
        self._file: Any = server.open(inside, "rb", **blocks if kept else {"cache_type": "none"})

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def readinto(self, buffer: Any) -> int:
        content = self._file.read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        if not self.closed:
            with suppress(OSError):
                self._file.close()
        super().close()


def open_binary(path: str, kept: int | None = None) -> BinaryIO:
    """A local file or a url, opened for reading bytes; a missing or empty one is an error.

    ``kept`` is for a url that is not read from its begin to its end (see `UrlFile`).
    """
    check(path)
    if not is_url(path):
        return open(path, "rb")
    try:
        if kept is None:
            return io.BufferedReader(UrlFile(path), AHEAD)
        return cast(BinaryIO, UrlFile(path, kept))
    except Exception as error:
        raise bad_file(path, error) from error


def check(path: str) -> None:
    """An error in one line for a file that is missing, unreadable or empty, or a url nobody here can read."""
    if is_url(path):
        check_protocol(path)
        import fsspec

        try:
            fsspec.get_filesystem_class(path.split("://")[0])
        except ImportError as error:
            remote = "pip install 'collidekit[remote]'" if path.startswith("root://") else str(error).split("\n")[0]
            raise CollidekitError(f"{path}: files of this kind need one more package: {remote}") from error
        except ValueError as error:
            raise CollidekitError(f"{path}: no such kind of url; root:// and local files can be read") from error
        if path.startswith("root://"):
            limit_waits()
    elif os.path.isdir(path):
        raise BadFileError(f"{path}: is a folder; name its files, such as {os.path.join(path, '*.root')}")
    elif not os.path.exists(path):
        raise BadFileError(f"{path}: there is no such file")
    elif not os.access(path, os.R_OK):
        raise BadFileError(f"{path}: may not be read; look at its permissions")
    elif (size := os.path.getsize(path)) == 0:
        raise BadFileError(f"{path}: is empty (0 bytes); write it again or leave it out")
    elif size < LARGEST_POINTER and _is_pointer(path):
        raise BadFileError(f"{path}: is a Git LFS pointer and not the file itself; fetch that with `git lfs pull`")


def _is_pointer(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(len(POINTER)) == POINTER


UNKNOWN_TO_LIBRARY = (NotImplementedError, ImportError)
CONFUSED = (KeyError, AttributeError, TypeError, AssertionError)
"""Errors of a library that may come of damage, or of something that it does not know."""


def bad_file(path: str, error: Exception, where: str = "") -> CollidekitError:
    """What a library said about a file that it could not read, in one line."""
    if isinstance(error, CollidekitError):
        return error
    if is_url(path) and (found := trouble(error)):
        if found.final:
            return BadFileError(f"{path}: {found.final} ({found.said[:160]})")
        return LostServerError(f"{path}: {where}the server is lost ({found.said[:160]})", found.said[:160])
    what = said_by(error)
    if isinstance(error, UNKNOWN_TO_LIBRARY):
        return unsupported(path, what, where)
    if isinstance(error, CONFUSED):
        return BadFileError(
            f"{path}: {where}cannot be read: it is damaged, or of a kind that {library_of(error)} does not know ({what}); copy "
            "it again, write it in another way, or leave it out"
        )
    return BadFileError(
        f"{path}: {where}cannot be read, it seems truncated or damaged ({what}); copy it again or leave it out"
    )


def unsupported(path: str, what: str, where: str = "") -> UnsupportedError:
    """An error for what is whole, as far as one can see, and cannot be read here all the same."""
    return UnsupportedError(
        f"{path}: {where}cannot be read here ({what}); nothing says that the file is damaged: use other columns, write it in "
        "another way, or leave it out"
    )


def said_by(error: Exception) -> str:
    """Kind and text of an error, in one short line."""
    said = " ".join(str(error).split())[:160]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def library_of(error: Exception) -> str:
    """The package whose code raised an error."""
    last = error.__traceback__
    name = "the library"
    while last is not None:
        package = str(last.tb_frame.f_globals.get("__name__", "")).split(".")[0]
        name = package if package not in ("", "collidekit") else name
        last = last.tb_next
    return name


def unopened(path: str, error: Exception, what: str, magic: bytes) -> CollidekitError:
    """A file that cannot be opened as, say, ``a Parquet`` file: it is of another format, or damaged."""
    bad = bad_file(path, error)
    if not (is_url(path) and trouble(error)):
        with suppress(OSError), open_binary(path) as file:
            if file.read(len(magic)) != magic:
                return BadFileError(f"{path}: is not {what} file; `source: {{format: ...}}` says what it is")
    return bad
