"""The interface of all readers, and the checks that they share."""

import io
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Any, BinaryIO, Protocol, Self, cast

import awkward as ak

from collidekit.analysis.schema import Source
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.readers.protocols import check_protocol
from collidekit.readers.xrootd import limit_waits, trouble

AHEAD = 1 << 20
"""Bytes to fetch from a server at a time when a file is read from beginning to end."""

BLOCK = 1 << 18
"""Bytes to fetch at a time when a file is read at random positions."""


POINTER = b"version https://git-lfs.github.com/spec/"
"""The first bytes of a pointer, which Git LFS leaves instead of a file that was not fetched."""

LARGEST_POINTER = 1024
MAIN_TREES = ("nominal", "reco", "DecayTree", "Delphes")
"""Usual names of the tree with the events; other trees hold systematic variations, luminosities or sums of weights."""
MOST_LISTED = 12
"""Maximum number of trees that an error lists."""


class BadFileError(CollidekitError):
    """A file that cannot be read, or not to its end: missing, empty, truncated or of another format."""


class UnsupportedError(CollidekitError):
    """A file, or a part of it, that a library does not support. The file may be good, so it is never skipped."""


class LostServerError(BadFileError):
    """The server of a file does not answer, or the connection is broken. Another try may succeed."""

    def __init__(self, message: str, said: str = "") -> None:
        super().__init__(message)
        self.said = said
        """The message of the server or the client."""


class SeveralTreesError(CollidekitError):
    """A file with several trees or tables, of which none was selected."""

    def __init__(self, message: str, problem: str = "", proposed: str = "", is_main: bool = False) -> None:
        super().__init__(message)
        self.problem, self.proposed = problem, proposed
        self.is_main = is_main
        """True if the proposed tree is the only one with a usual name."""

    @classmethod
    def of(
        cls, path: str, what: str, names: Sequence[str], size_of: Callable[[str], tuple[int, int]]
    ) -> "SeveralTreesError":
        """Return the error for trees; it proposes the only one with a usual name, else the one with the most numbers.

        ``size_of`` returns the numbers of entries and of branches (or bytes in an entry). It is called only if no name is usual,
        because it has to open the tree.
        """
        main = [name for name in names if name.rpartition("/")[2].split(";")[0] in MAIN_TREES]
        sizes = {} if len(main) == 1 else {name: size_of(name) for name in names}
        listed = [f"{name}: {sizes[name][0]:,} entries" if sizes else name for name in names]
        more = f", and {len(listed) - MOST_LISTED} more" if len(listed) > MOST_LISTED else ""
        problem = f"{path}: holds several {what} ({', '.join(listed[:MOST_LISTED])}{more})"
        proposed = max(sizes, key=lambda name: sizes[name][0] * sizes[name][1]) if sizes else main[0]
        return cls(f"{problem}; name one with `source: {{tree: {proposed}}}`", problem, proposed, not sizes)


def no_entries_in_list(path: str, skip_bad_files: bool) -> BadFileError:
    """Return the error about an empty file in a list; it names the option ``--skip-bad-files`` unless it was given."""
    if skip_bad_files:
        return BadFileError(f"{path}: holds no entries")
    return BadFileError(f"{path}: holds no entries; take it out of the list or pass --skip-bad-files")


class Reader(Protocol):
    """An open file: a table whose columns are numbers or (nested) lists of numbers, without missing values."""

    path: str
    columns: dict[str, str]
    """Name and type of each column, such as ``{"part_px": "var * float32", "label": "int32"}``."""
    unreadable: dict[str, str]
    """Columns of the file that do not hold numbers or lists of numbers, and their types."""
    tree: str
    """The tree or group that is read; empty for formats without trees."""
    truth: set[str]
    """Columns that are simulated truth according to the format; they are never inputs, whatever their names."""

    @property
    def rows(self) -> int: ...

    def read(self, columns: Sequence[str], start: int, stop: int) -> ak.Array:
        """Return rows ``start`` to ``stop`` as records of exactly these columns; needs memory for ``stop - start`` rows."""

    def detour(self, start: int) -> int:
        """Return the number of earlier rows that must also be decoded when reading begins at this row."""
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
        """Columns of the file that do not hold numbers or lists of numbers, and their types."""
        self.tree = ""
        self.truth: set[str] = set()
        self.metadata = ""
        """The text that ``collidekit export-events`` writes beside the columns; empty in other files."""

    @cached_property
    def rows(self) -> int:
        return self._count()

    @abstractmethod
    def _count(self) -> int:
        """Return the number of rows in the file."""

    @abstractmethod
    def _read(self, columns: Sequence[str], start: int, stop: int) -> dict[str, ak.Array]:
        """Return the columns for existing rows, ``start < stop``."""

    def _empty(self, columns: Sequence[str]) -> dict[str, ak.Array]:
        return {name: empty(self.columns[name]) for name in columns}

    def read(self, columns: Sequence[str], start: int, stop: int) -> ak.Array:
        """Return rows ``start`` to ``stop`` as records of exactly these columns, in this order."""
        for name in columns:
            if name in self.unreadable:
                raise CollidekitError(f"{self.path}: column {name!r} cannot be used: it is {self.unreadable[name]}")
            if name not in self.columns:
                raise CollidekitError(
                    f"{self.path}: there is no column {name!r}{did_you_mean(name, list(self.columns))}; "
                    "`reader.columns` lists them all"
                )
        if not 0 <= start <= stop <= self.rows:
            raise CollidekitError(f"{self.path}: rows {start} to {stop} were requested, but the file has {self.rows}")
        if not columns:
            raise CollidekitError(f"{self.path}: no columns were requested")
        arrays = self._read(columns, start, stop) if start < stop else self._empty(columns)
        for name, array in arrays.items():
            if len(array) != stop - start:
                raise BadFileError(
                    f"{self.path}: column {name!r} has {len(array)} values in rows {start} to {stop}: "
                    "the file is damaged; write it again or leave it out"
                )
        return ak.zip({name: arrays[name] for name in columns}, depth_limit=1)

    def detour(self, start: int) -> int:
        """Return the number of earlier rows that must be decoded too; 0 for formats with random access."""
        return 0

    @abstractmethod
    def close(self) -> None:
        """Close the file."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class OneTree:
    """The names of the trees in the files of one list; a different name is an error."""

    def __init__(self) -> None:
        self._first: tuple[str, str] | None = None

    def add(self, path: str, tree: str) -> None:
        """Raise an error if the tree of a file has another name than the tree of the first file."""
        if not tree:
            return
        self._first = self._first or (path, tree)
        first, name = self._first
        if tree != name:
            raise CollidekitError(
                f"{path}: its tree is {tree!r}, but {name!r} in {first}: all files of a list need trees with the same name; give "
                f"`source: {{tree: {name}}}`, or remove the other files"
            )


def chunks(reader: Reader, columns: Sequence[str], start: int, stop: int, size: int) -> Iterator[tuple[int, ak.Array]]:
    """Yield ``(first row, rows)`` for each ``size`` rows from ``start`` to ``stop``, in order."""
    if size < 1:
        raise CollidekitError(f"a chunk has at least one row, got {size}")
    for first in range(start, stop, size):
        yield first, reader.read(columns, first, min(first + size, stop))


def empty(columntype: str) -> ak.Array:
    """Return an array without rows of a type such as ``var * float32``."""
    return ak.enforce_type(ak.Array([]), columntype)


def is_url(path: str) -> bool:
    return "://" in path


def server_of(url: str) -> tuple[Any, str]:
    """Return the server of a URL as an fsspec file system, and the path on it."""
    check_protocol(url)
    import fsspec

    # if a file does not open, a search for other sources of it would hide the message of the server
    options = {"locate_all_sources": False} if url.startswith("root://") else {}
    server, inside = fsspec.core.url_to_fs(url, use_listings_cache=False, **options)
    return server, inside


class UrlFile(io.RawIOBase):
    """The bytes of a remote file. The last ``kept`` blocks stay in memory; with 0, bytes are fetched as they are requested.

    ``close`` never raises an error, even if the server is lost.
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
    """Open a local file or a URL for reading bytes; a missing or empty file is an error.

    ``kept`` is for a URL that is not read from beginning to end (see `UrlFile`).
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
    """Raise an error for a file that is missing, unreadable or empty, or for a URL without a client."""
    if is_url(path):
        check_protocol(path)
        import fsspec

        try:
            fsspec.get_filesystem_class(path.split("://")[0])
        except ImportError as error:
            remote = "pip install 'collidekit[remote]'" if path.startswith("root://") else str(error).split("\n")[0]
            raise CollidekitError(f"{path}: files of this kind need one more package: {remote}") from error
        except ValueError as error:
            raise CollidekitError(f"{path}: this kind of URL is not supported; use root:// or local files") from error
        if path.startswith("root://"):
            limit_waits()
    elif os.path.isdir(path):
        raise BadFileError(f"{path}: is a folder; name its files, such as {os.path.join(path, '*.root')}")
    elif not os.path.exists(path):
        raise BadFileError(f"{path}: there is no such file")
    elif not os.access(path, os.R_OK):
        raise BadFileError(f"{path}: permission denied; check the permissions of the file")
    elif (size := os.path.getsize(path)) == 0:
        raise BadFileError(f"{path}: is empty (0 bytes); write it again or leave it out")
    elif size < LARGEST_POINTER and _is_pointer(path):
        raise BadFileError(f"{path}: is a Git LFS pointer and not the file itself; fetch that with `git lfs pull`")


def _is_pointer(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(len(POINTER)) == POINTER


UNKNOWN_TO_LIBRARY = (NotImplementedError, ImportError)
CONFUSED = (KeyError, AttributeError, TypeError, AssertionError)
"""Errors of a library that may be caused by damage, or by a feature that it does not support."""


def bad_file(path: str, error: Exception, where: str = "") -> CollidekitError:
    """Return a one-line error for a file that a library could not read, with the message of the library."""
    if isinstance(error, CollidekitError):
        return error
    if is_url(path) and (found := trouble(error)):
        if found.final:
            return BadFileError(f"{path}: {found.final} ({found.said[:160]})")
        return LostServerError(f"{path}: {where}the server does not answer ({found.said[:160]})", found.said[:160])
    what = said_by(error)
    if isinstance(error, UNKNOWN_TO_LIBRARY):
        return unsupported(path, what, where)
    if isinstance(error, CONFUSED):
        return BadFileError(
            f"{path}: {where}cannot be read: it is damaged, or of a kind that {library_of(error)} does not support ({what}); copy "
            "it again, write it in another way, or leave it out"
        )
    return BadFileError(
        f"{path}: {where}cannot be read, it seems truncated or damaged ({what}); copy it again or leave it out"
    )


def unsupported(path: str, what: str, where: str = "") -> UnsupportedError:
    """Return an error for data that seems undamaged but cannot be read here."""
    return UnsupportedError(
        f"{path}: {where}cannot be read here ({what}), but nothing shows that the file is damaged: use other columns, write it in "
        "another way, or leave it out"
    )


def said_by(error: Exception) -> str:
    """Return the kind and the message of an error in one short line."""
    said = " ".join(str(error).split())[:160]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def library_of(error: Exception) -> str:
    """Return the name of the package whose code raised an error."""
    last = error.__traceback__
    name = "the library"
    while last is not None:
        package = str(last.tb_frame.f_globals.get("__name__", "")).split(".")[0]
        name = package if package not in ("", "collidekit") else name
        last = last.tb_next
    return name


def unopened(path: str, error: Exception, what: str, magic: bytes) -> CollidekitError:
    """Return an error for a file that does not open as, say, ``a Parquet`` file: it has another format, or is damaged."""
    bad = bad_file(path, error)
    if not (is_url(path) and trouble(error)):
        with suppress(OSError), open_binary(path) as file:
            if file.read(len(magic)) != magic:
                return BadFileError(f"{path}: is not {what} file; set `source: {{format: ...}}`")
    return bad
