"""CSV files with column names in the first line, streamed with pyarrow."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import awkward as ak
import pyarrow as pa
from pyarrow import compute as pc
from pyarrow import csv

from collidekit.analysis.schema import Source
from collidekit.errors import CollidekitError
from collidekit.readers.base import BadFileError, FileReader, bad_file, open_binary
from collidekit.readers.layout import is_number

DELIMITERS = ",;\t"
BLOCK = 1 << 20
MOST_COLUMNS = 20_000
_COLUMN = re.compile(r"CSV column #(\d+): (.*)", re.DOTALL)


class CsvReader(FileReader):
    """Numbers separated by commas, semicolons or tabs; an empty cell is NaN.

    One pass over the file finds the number of rows and the types: a column is integer if all of its cells are, floating
    point if some cells are not integers, and unusable if it holds text.
    """

    def __init__(self, path: str, source: Source) -> None:
        super().__init__(path, source)
        with open_binary(path) as file:
            first = file.readline(BLOCK).decode("utf-8", "replace").strip("\ufeff\r\n")
        self._delimiter = max(DELIMITERS, key=first.count)
        self._names = [name.strip().strip('"') for name in first.split(self._delimiter)]
        if len(self._names) > MOST_COLUMNS:
            raise BadFileError(
                f"{path}: its first line names {len(self._names):,} columns, and at most {MOST_COLUMNS:,} are read; is it a table "
                "of rows?"
            )
        if repeated := [name for name, count in Counter(self._names).items() if count > 1]:
            raise BadFileError(f"{path}: its first line names {repeated[0]!r} twice")
        if all(is_number(name) for name in self._names):
            raise BadFileError(f"{path}: its first line must name the columns; it holds numbers ({first[:60]})")
        self._types: dict[str, Any] = {}
        self._rows = self._look()
        for name in self._names:
            kind = self._types.get(name, pa.float64())
            if name in self.unreadable:
                continue
            if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
                self.columns[name] = str(kind).replace("double", "float64")
            else:
                self.unreadable[name] = "text" if pa.types.is_string(kind) else str(kind)
        self._stream: Iterator[Any] | None = None
        self._position, self._rest = 0, pa.table({})

    def _count(self) -> int:
        return self._rows

    def _look(self) -> int:
        """Return the number of rows and set the types; types change from integer to float to text if a cell requires it.

        Integers from 2^63 on are read as unsigned integers.
        """
        tried: set[str] = set()
        while True:
            rows, nulls = 0, set()
            large: set[str] = set()
            exact: set[str] = set()
            try:
                for batch in self._batches(self._names):
                    rows += batch.num_rows
                    for name, column in zip(batch.schema.names, batch.columns, strict=True):
                        self._types.setdefault(name, column.type)
                        if column.null_count and not pa.types.is_string(column.type):
                            nulls.add(name)
                        if pa.types.is_integer(column.type) and _largest(column) > 2**53:
                            exact.add(name)
                        if column.type == pa.float64() and (pc.max(column).as_py() or 0) >= 2.0**63:
                            large.add(name)
            except pa.ArrowInvalid as error:
                found = _COLUMN.search(str(error))
                name = self._names[int(found[1])] if found else ""
                kind = self._types.get(name)
                if found is None or kind == pa.string():
                    raise BadFileError(
                        f"{self.path}: not a table of this form ({' '.join(str(error).split())[:160]})"
                    ) from None
                self._types[name] = pa.float64() if kind is None or pa.types.is_integer(kind) else pa.string()
                continue
            if new := large - tried:
                self._types |= dict.fromkeys(new, pa.uint64())
                tried |= new
                continue
            self._types |= dict.fromkeys(nulls, pa.float64())
            self.unreadable |= dict.fromkeys(
                sorted(nulls & exact), "integers above 2^53 beside empty cells, which no column type holds exactly"
            )
            return rows

    def _batches(self, columns: Sequence[str]) -> Iterator[Any]:
        try:
            with open_binary(self.path) as file:
                reading = csv.ReadOptions(block_size=BLOCK, column_names=self._names, skip_rows=1)
                parsing = csv.ParseOptions(delimiter=self._delimiter)
                types = {name: kind for name, kind in self._types.items() if not pa.types.is_null(kind)}
                convert = csv.ConvertOptions(include_columns=list(columns), column_types=types)
                yield from csv.open_csv(file, reading, parsing, convert)
        except (OSError, UnicodeDecodeError) as error:
            raise bad_file(self.path, error) from error

    def _read(self, columns: Sequence[str], start: int, stop: int) -> dict[str, ak.Array]:
        if self._stream is None or self._position != start or set(self._rest.column_names) != set(columns):
            self._stream, self._position = self._batches(sorted(columns)), 0
            self._rest = pa.table({name: pa.array([], self._types[name]) for name in sorted(columns)})
            self._take(start)
        table = self._take(stop - start)
        return {name: _plain(table.column(name)) for name in columns}

    def _take(self, rows: int) -> pa.Table:
        """Return the next rows of the stream."""
        assert self._stream is not None
        parts, found = [self._rest], self._rest.num_rows
        while found < rows:
            batch = next(self._stream, None)
            if batch is None:
                raise CollidekitError(f"{self.path}: has changed while it was read")
            parts.append(pa.Table.from_batches([batch]))
            found += batch.num_rows
        whole = pa.concat_tables(parts)
        self._rest, self._position = whole.slice(rows), self._position + rows
        return whole.slice(0, rows)

    def detour(self, start: int) -> int:
        """Return the number of rows before this one; they are parsed, about ten times faster than rows are made."""
        return start // 10

    def close(self) -> None:
        self._stream = None


def _largest(column: pa.Array) -> int:
    """Return the largest absolute value of integers; 0 if all cells are empty."""
    ends = pc.min_max(column).as_py()
    return int(max(abs(end) for end in (0, ends["min"] or 0, ends["max"] or 0)))


def _plain(column: Any) -> ak.Array:
    values = column.to_pylist() if pa.types.is_boolean(column.type) else column.to_numpy(zero_copy_only=False)
    return ak.Array(values)
