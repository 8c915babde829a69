"""Reading files of any format as tables of awkward arrays, in chunks."""

from collections.abc import Callable

from collidekit.analysis.schema import Source
from collidekit.plugins import Kind, kept_class, python_file
from collidekit.readers.base import BadFileError, FileReader, Reader, bad_file, chunks, is_url, open_binary
from collidekit.readers.csv import CsvReader
from collidekit.readers.files import content_of, expand, file_id
from collidekit.readers.hdf5 import Hdf5Reader
from collidekit.readers.jsonlines import JsonLinesReader
from collidekit.readers.npz import NpzReader
from collidekit.readers.parquet import ParquetReader
from collidekit.readers.remote import RemoteReader
from collidekit.readers.root import RootReader

__all__ = [
    "READERS",
    "BadFileError",
    "FileReader",
    "Reader",
    "chunks",
    "content_of",
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
    "npz": NpzReader,
    ".npz": NpzReader,
}
"""The reader of each format and suffix. Your own reader is named in the analysis: ``source: {format: mine.py:Mine}``."""
KIND: Kind[FileReader] = Kind(
    "reader",
    FileReader,  # type: ignore[type-abstract]
    "collidekit.readers.FileReader",
    READERS,
)

ANY = Source()
MAGIC = {
    b"root": "root",
    b"PAR1": "parquet",
    b"\x89HDF": "hdf5",
    b"\x1f\x8b": "jsonlines",
    b"PK": "npz",
    b"{": "jsonlines",
    b"[": "jsonlines",
}


def open_file(path: str, source: Source = ANY) -> Reader:
    """Return a reader for a file, chosen by ``source.format``, else by the suffix, else by the first bytes."""

    def reader(path: str) -> Reader:
        kind = _format(path, source)
        return _find(kind)(path, source)

    return RemoteReader(path, reader) if is_url(path) else reader(path)


def _find(name: str) -> Callable[[str, Source], Reader]:
    """Return the reader with the name of a format, from a user's file (imported once) or from an installed package."""
    found: Callable[[str, Source], Reader]
    found = kept_class(name, KIND.what, KIND.base, KIND.public) if python_file(name) else KIND.find(name)
    return found


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
    raise BadFileError(f"{path}: has no known format ({known}); set `source: {{format: ...}}`")
