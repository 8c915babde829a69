"""Croissant metadata (JSON-LD, version 1.1 of MLCommons) of a data set: description, files with checksums, columns of tables.

Specification: https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from collidekit.errors import CollidekitError
from collidekit.files import write_json

SUFFIX = ".croissant.json"
"""Suffix of the metadata beside a single file."""
CONFORMS_TO = "http://mlcommons.org/croissant/1.1"
LICENCE = "https://spdx.org/licenses/BSD-3-Clause.html"
"""Licence of the bundled samples."""
FORMATS = {
    ".parquet": "application/x-parquet", ".csv": "text/csv", ".root": "application/x-root", ".h5": "application/x-hdf5",
    ".hdf5": "application/x-hdf5", ".json": "application/json", ".jsonl": "application/jsonlines", ".gz": "application/gzip",
    ".npz": "application/x-npz", ".npy": "application/x-npy",
}  # fmt: skip
"""Media types; for Parquet and JSON lines the names that the reader mlcroissant knows."""
CONTEXT: dict[str, Any] = {
    "@language": "en", "@vocab": "https://schema.org/", "arrayShape": "cr:arrayShape", "citeAs": "cr:citeAs", "column": "cr:column",
    "conformsTo": "dct:conformsTo", "containedIn": "cr:containedIn", "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"}, "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/", "description": {"@container": "@language"}, "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"}, "extract": "cr:extract", "field": "cr:field",
    "fileObject": "cr:fileObject", "fileProperty": "cr:fileProperty", "fileSet": "cr:fileSet", "format": "cr:format",
    "includes": "cr:includes", "isArray": "cr:isArray", "isLiveDataset": "cr:isLiveDataset", "jsonPath": "cr:jsonPath",
    "key": "cr:key", "md5": "cr:md5", "name": {"@container": "@language"}, "parentField": "cr:parentField", "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/", "recordSet": "cr:recordSet", "references": "cr:references", "regex": "cr:regex",
    "repeated": "cr:repeated", "replace": "cr:replace", "samplingRate": "cr:samplingRate", "sc": "https://schema.org/",
    "separator": "cr:separator", "source": "cr:source", "subField": "cr:subField", "transform": "cr:transform",
}  # fmt: skip


@dataclass(frozen=True)
class DescribedFile:
    """A file of a data set: its local path, its path in the metadata, and the descriptions of its content and columns."""

    path: Path
    name: str
    description: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Description of each column."""
    key: str = ""
    """The column that identifies a row."""


def describe(
    name: str,
    description: str,
    files: Sequence[DescribedFile],
    *,
    license: str = "",
    url: str = "",
    cite_as: str = "",
    keywords: Sequence[str] = (),
    date: datetime | None = None,
    version: str = "1.0.0",
) -> dict[str, Any]:
    """Return the metadata of a data set.

    The columns of Parquet and CSV files are described, so that a reader such as mlcroissant can load them. Files of
    other formats have only a checksum.
    """
    given: dict[str, Any] = {"license": license, "url": url, "citeAs": cite_as, "keywords": list(keywords)}
    content: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": name,
        "description": description,
        **{key: value for key, value in given.items() if value},
        "datePublished": f"{date or datetime.now(UTC):%Y-%m-%d}",
        "version": version,
        "distribution": [_file(file) for file in files],
    }
    tables = [_record_set(file) for file in files if file.path.suffix in (".parquet", ".csv")]
    return {**content, "recordSet": tables} if tables else content


def write_croissant(path: Path, content: Mapping[str, Any]) -> Path:
    """Write metadata to a file."""
    return write_json(path, content)


def describe_beside(path: Path, name: str, description: str, **details: Any) -> Path:
    """Write the metadata of a single file beside it, as ``<file>.croissant.json``."""
    content = describe(name, description, [DescribedFile(path, path.name, contents(path))], **details)
    return write_croissant(path.with_name(path.name + SUFFIX), content)


def contents(path: Path) -> str:
    """Return a sentence about the content of a ROOT or HDF5 file; an empty text for other formats."""
    if path.suffix == ".root":
        import uproot

        with uproot.open(path) as file:
            trees = {
                name: file[name]
                for name, kind in file.classnames(cycle=False).items()
                if kind in ("TTree", "ROOT::RNTuple")
            }
            said = [
                f"`{name}` ({tree.num_entries} entries) with the branches {', '.join(tree.keys(recursive=False))}"
                for name, tree in trees.items()
            ]
        return f"ROOT file, tree {'; tree '.join(said)}." if said else "ROOT file."
    if path.suffix in (".h5", ".hdf5"):
        import h5py

        found: list[str] = []
        with h5py.File(path) as file:
            file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
        return f"HDF5 file with the datasets {', '.join(found)}."
    return ""


def _file(file: DescribedFile) -> dict[str, Any]:
    """Return the metadata of a file."""
    kind = FORMATS.get(file.path.suffix)
    if kind is None:
        raise CollidekitError(
            f"{file.path}: files with the suffix {file.path.suffix!r} cannot be described; known are {', '.join(FORMATS)}"
        )
    try:
        with file.path.open("rb") as content:
            checksum = hashlib.file_digest(content, "sha256").hexdigest()
        size = file.path.stat().st_size
    except OSError as error:
        raise CollidekitError(f"{file.path}: cannot be read ({error.strerror or error})") from None
    found = {
        "@type": "cr:FileObject",
        "@id": file.name,
        "name": file.name,
        "description": file.description,
        "contentSize": f"{size} B",
        "contentUrl": file.name,
        "encodingFormat": kind,
        "sha256": checksum,
    }
    return {key: value for key, value in found.items() if value}


def _record_set(file: DescribedFile) -> dict[str, Any]:
    """Return the metadata of the columns of a table."""
    schema = _schema(file.path)
    table = f"{file.name}/rows"
    found = {
        "@type": "cr:RecordSet",
        "@id": table,
        "name": table,
        "description": file.description or f"The rows of {file.name}.",
        "field": [_column(file, table, column) for column in schema if _is_described(column.type)],
    }
    return {**found, "key": {"@id": f"{table}/{file.key}"}} if file.key in schema.names else found


def _column(file: DescribedFile, table: str, column: pa.Field) -> dict[str, Any]:
    kind, depth = column.type, 0
    while pa.types.is_list(kind) or pa.types.is_large_list(kind):
        kind, depth = kind.value_type, depth + 1
    found: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"{table}/{column.name}",
        "name": column.name,
        "dataType": _data_type(kind),
        "source": {"fileObject": {"@id": file.name}, "extract": {"column": column.name}},
    }
    if column.name in file.columns:
        found["description"] = file.columns[column.name]
    return {**found, "isArray": True, "arrayShape": ",".join(["-1"] * depth)} if depth else found


def _data_type(kind: pa.DataType) -> str:
    """Return the type of a column in the vocabulary of Croissant."""
    if pa.types.is_boolean(kind):
        return "sc:Boolean"
    if pa.types.is_integer(kind):
        return f"cr:{'UInt' if pa.types.is_unsigned_integer(kind) else 'Int'}{kind.bit_width}"
    if pa.types.is_floating(kind):
        return f"cr:Float{kind.bit_width}"
    return "sc:Text"


def _is_described(kind: pa.DataType) -> bool:
    while pa.types.is_list(kind) or pa.types.is_large_list(kind):
        kind = kind.value_type
    return any(
        test(kind)
        for test in (
            pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_string, pa.types.is_large_string, pa.types.is_dictionary,
        )
    )  # fmt: skip


def _schema(path: Path) -> pa.Schema:
    try:
        if path.suffix == ".parquet":
            return pq.read_schema(path)
        with pa.csv.open_csv(path) as reader:
            return reader.schema
    except (OSError, pa.ArrowException) as error:
        raise CollidekitError(f"{path}: cannot be read ({error})") from None
