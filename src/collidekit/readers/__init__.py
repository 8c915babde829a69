"""Files of any format as tables of awkward arrays, read in chunks."""

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from collidekit.analysis.schema import Source
from collidekit.errors import CollidekitError
from collidekit.plugins import load_module
from collidekit.readers.base import BadFileError, FileReader, Reader, bad_file, chunks, is_url, open_binary
from collidekit.readers.csv import CsvReader
from collidekit.readers.files import expand, file_id
from collidekit.readers.hdf5 import Hdf5Reader
from collidekit.readers.jsonlines import JsonLinesReader
from collidekit.readers.parquet import ParquetReader
from collidekit.readers.remote import RemoteReader
from collidekit.readers.root import RootReader

__all__ = [
    "READERS",
    "BadFileError",
    "FileReader",
    "Reader",
    "chunks",
    "expand",
    "file_id",
    "open_file",
]

READERS: dict[str, Callable[[str, Source], Reader]] = {
    "root": RootReader,
    ".root": RootReader,
    "parquet": ParquetReader,
    ".parquet": ParquetReader,
    ".pq": ParquetReader,
    "hdf5": Hdf5Reader,
    ".hdf5": Hdf5Reader,
    ".h5": Hdf5Reader,
    ".hdf": Hdf5Reader,
    "jsonlines": JsonLinesReader,
    ".jsonl": JsonLinesReader,
    ".jsonl.gz": JsonLinesReader,
    ".json": JsonLinesReader,
    ".json.gz": JsonLinesReader,
    "csv": CsvReader,
    ".csv": CsvReader,
    ".tsv": CsvReader,
}
"""What reads a format or a suffix. A reader of your own is named in the analysis: ``source: {format: mine.py:Mine}``."""

ANY = Source()
MAGIC = {
    b"root": "root",
    b"PAR1": "parquet",
    b"\x89HDF": "hdf5",
    b"\x1f\x8b": "jsonlines",
    b"{": "jsonlines",
    b"[": "jsonlines",
}


def open_file(path: str, source: Source = ANY) -> Reader:
    """A reader for a file, by ``source.format``, else by its suffix, else by its first bytes."""

    def reader(path: str) -> Reader:
        kind = _format(path, source)
        return (_own(kind) if ".py:" in kind else READERS[kind])(path, source)

    return RemoteReader(path, reader) if is_url(path) else reader(path)


def _own(name: str) -> Callable[[str, Source], Reader]:
    """The reader of a user's that ``file.py:ClassName`` names."""
    path, _, chosen = name.rpartition(":")
    return _loaded(path, chosen, Path(path).stat().st_mtime_ns if os.path.isfile(path) else 0)


@lru_cache(maxsize=8)
def _loaded(path: str, name: str, changed: int) -> Callable[[str, Source], Reader]:
    reader = getattr(load_module(Path(path)), name, None)
    if not (isinstance(reader, type) and issubclass(reader, FileReader)):
        raise CollidekitError(f"{path}: there is no class {name!r} in it that is a collidekit.readers.FileReader")
    return reader


def _format(path: str, source: Source) -> str:
    if source.format != "auto":
        return source.format
    lower = path.split("?")[0].lower()
    for suffix in sorted(READERS, key=len, reverse=True):
        if suffix.startswith(".") and lower.endswith(suffix):
            return suffix
    with open_binary(path) as file:
        try:
            start = file.read(64).lstrip()
        except OSError as error:
            raise bad_file(path, error) from error
    for magic, name in MAGIC.items():
        if start.startswith(magic):
            return name
    known = ", ".join(sorted(name for name in READERS if name.startswith(".")))
    raise BadFileError(f"{path}: is of no format that can be read ({known}); `source: {{format: ...}}` says what it is")
