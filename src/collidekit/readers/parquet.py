"""Parquet files, read row group by row group with pyarrow."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from typing import Any

import awkward as ak
import pyarrow as pa
import pyarrow.parquet as pq

from collidekit.analysis.schema import Source
from collidekit.readers.base import FileReader, bad_file, check, is_url, open_binary, unopened
from collidekit.readers.exported import KEY
from collidekit.readers.flatten import leaves, plain

BATCH = 16_384
"""Rows to decode at a time, for row groups of any size."""


class ParquetReader(FileReader):
    """A Parquet file; fields of structs become columns, joined with ``_``."""

    def __init__(self, path: str, source: Source) -> None:
        super().__init__(path, source)
        self._handle: Any = open_binary(path, kept=0) if is_url(path) else _local(path)
        try:
            # a buffer for each column instead of pre-buffering, which would hold the bytes of whole row groups
            self._file = pq.ParquetFile(self._handle, buffer_size=1 << 20, pre_buffer=False)
            schema = self._file.schema_arrow
        except Exception as error:
            self._handle.close()
            raise unopened(path, error, "a Parquet", b"PAR1") from error
        self.metadata = ((schema.metadata or {}).get(KEY, b"")).decode(errors="replace")
        self._where: dict[str, tuple[str, tuple[str, ...]]] = {}
        self._leaves: dict[str, list[str]] = {}
        self._find_columns(schema)
        self._stream: _Stream | None = None

    def _find_columns(self, schema: pa.Schema) -> None:
        for field in schema:
            try:
                form = ak.to_layout(ak.from_arrow(pa.array([], storage_type(field.type)))).form
            except (TypeError, ValueError, NotImplementedError, AssertionError):  # decimals, maps and the like
                self.unreadable[field.name] = str(field.type)
                continue
            for name, fields, columntype in leaves(field.name, form):
                if columntype is None or name in self._where:
                    self.unreadable[name] = str(field.type) if columntype is None else "in the file twice"
                else:
                    self._where[name] = (field.name, fields)
                    self.columns[name] = columntype

    def _count(self) -> int:
        return int(self._file.metadata.num_rows)

    def _read(self, columns: Sequence[str], start: int, stop: int) -> dict[str, ak.Array]:
        fields = sorted({self._where[name][0] for name in columns})
        if self._stream is None or (self._stream.fields, self._stream.position) != (fields, start):
            self._stream = _Stream(self._file, fields, start)
        try:
            table = self._stream.take(stop - start)
        except Exception as error:
            self._stream = None
            raise bad_file(self.path, error, f"rows {start} to {stop}, ") from error
        result = {}
        for name in columns:
            field, inner = self._where[name]
            stored = table.column(field).cast(storage_type(table.column(field).type))
            array = ak.from_arrow(pa.chunked_array(map(_whole, stored.chunks)))
            result[name] = plain(array[inner] if inner else array, f"{self.path}: column {name!r}", start)
        return result

    @cached_property
    def _groups(self) -> list[int]:
        """Return the first row of each row group."""
        sizes = [self._file.metadata.row_group(group).num_rows for group in range(self._file.num_row_groups)]
        return [0, *accumulate(sizes)][:-1]

    def detour(self, start: int) -> int:
        """Return the number of rows since the start of the row group; decoding is about ten times faster than making rows."""
        return (start - self._groups[bisect_right(self._groups, start) - 1]) // 10

    def close(self) -> None:
        self._stream = None
        self._handle.close()


def storage_type(kind: pa.DataType) -> pa.DataType:
    """Return a type without extensions, such as those of awkward, at any depth."""
    if isinstance(kind, pa.BaseExtensionType):
        return storage_type(kind.storage_type)
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(storage_type(field.type)) for field in kind])
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        return kind
    inner = kind.value_field.with_type(storage_type(kind.value_type))
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(inner, kind.list_size)
    return pa.large_list(inner) if pa.types.is_large_list(kind) else pa.list_(inner)


def _local(path: str) -> Any:
    check(path)
    return pa.OSFile(path)


def _whole(array: pa.Array) -> pa.Array:
    """Return an array without an offset, because awkward (2.14) ignores the offset of a slice for missing values."""
    return array.take(pa.array(range(len(array)))) if array.offset else array


class _Stream:
    """Rows of some fields from ``start`` on, decoded on demand, so that continuing costs nothing."""

    def __init__(self, file: pq.ParquetFile, fields: list[str], start: int) -> None:
        self.fields, self.position = fields, start
        self._rest: list[Any] = []
        self._batches = _batches(file, fields, start)

    def take(self, rows: int) -> pa.Table:
        parts, needed = [], rows
        while needed:
            batch = self._rest.pop() if self._rest else next(self._batches)
            parts.append(batch.slice(0, needed))
            if batch.num_rows > needed:
                self._rest.append(batch.slice(needed))
            needed -= parts[-1].num_rows
        self.position += rows
        return pa.Table.from_batches(parts)


def _batches(file: pq.ParquetFile, fields: list[str], start: int) -> Iterator[Any]:
    first = 0
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if rows and first + rows > start:
            skip = max(start - first, 0)
            for batch in file.iter_batches(BATCH, row_groups=[group], columns=fields):
                if skip < batch.num_rows:
                    yield batch.slice(skip)
                skip = max(skip - batch.num_rows, 0)
        first += rows
