"""Reads predictions files of a stranger, in a process of its own with little memory and no rights to write.

It runs as a script. For each file it writes one line of JSON and then the numbers: keys (int64), where the file has them, and values
(float64) of shape (runs, rows, columns). A line ``{"error": ...}`` is a sentence for the participant, and the end.
"""

import json
import os
import resource
import sys
from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

LONGEST_HEADER = 4096
MOST_GROUPS = 10_000
SPARE = 1 << 30
"""Bytes for the libraries and their buffers, beside the numbers."""


class FileError(Exception):
    """Error in the file, as one sentence."""


def main(files: Sequence[tuple[int, str]], key: str, columns: Sequence[str], rows: int, runs: int) -> None:
    """Limit this process, and answer on standard output; files are open file descriptors and their kinds."""
    budget = SPARE + 6 * 8 * rows * (len(columns) + 1) * runs
    wanted = {resource.RLIMIT_DATA: budget, resource.RLIMIT_CPU: 600, resource.RLIMIT_FSIZE: 0, resource.RLIMIT_CORE: 0}
    for name, value in wanted.items():
        hard = resource.getrlimit(name)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (value, value))
    answer(sys.stdout.buffer, files, key, columns, rows, runs)


def answer(
    out: BinaryIO, files: Sequence[tuple[int, str]], key: str, columns: Sequence[str], rows: int, runs: int
) -> None:
    """Write what the files hold; see the top of this file."""
    for handle, kind in files:
        try:
            with os.fdopen(os.dup(handle), "rb") as file:
                size = os.fstat(handle).st_size
                found_runs, arrays = READERS[kind](file, size, key, list(columns), rows, runs)
        except FileError as error:
            said = str(error)
        except MemoryError:
            said = "takes far more memory to read than its numbers need"
        except Exception as error:  # noqa: BLE001 - libraries raise many kinds for a damaged file
            said = f"cannot be read as {kind} ({type(error).__name__}: {' '.join(str(error).split())[:200]})"
        else:
            out.write(json.dumps({"runs": found_runs, "has_key": len(arrays) == 2}).encode() + b"\n")
            out.writelines(array.tobytes() for array in arrays)
            continue
        out.write(json.dumps({"error": said}).encode() + b"\n")
        break
    out.flush()


def read_npy(file: BinaryIO, size: int, key: str, columns: list[str], rows: int, runs: int) -> tuple[int, list[Any]]:
    """Read an array of numbers of shape (rows,), (rows, columns), (runs, rows) or (runs, rows, columns)."""
    import numpy as np
    from numpy.lib import format as npy

    try:
        version = npy.read_magic(file)
        if version not in ((1, 0), (2, 0)):
            raise FileError("has a format of npy that is not read; write it with numpy.save")
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran, dtype = read(file, max_header_size=LONGEST_HEADER)
    except ValueError as error:
        raise FileError(f"is not a npy file with a plain header ({' '.join(str(error).split())[:120]})") from None
    if dtype.hasobject:
        raise FileError("holds Python objects (a pickle), which are never read; save an array of numbers")
    if dtype.kind not in "fiu" or dtype.itemsize > 8:
        raise FileError(f"holds {dtype}; save real numbers of at most 8 bytes")
    count = 1
    for length in shape:
        count *= int(length)
    if file.tell() + count * dtype.itemsize != size:
        raise FileError(f"says that it has the shape {shape}, which is not what it holds ({size} bytes)")
    if count == 0:
        raise FileError(f"has the shape {shape}, and so no number at all; write one for each of the {rows} rows")
    found_runs = _runs(shape, rows, len(columns))
    if found_runs is None:
        wanted = f"({rows}, {len(columns)})" + (f" or ({rows},)" if len(columns) == 1 else "")
        wanted += f", or (runs, {rows}, {len(columns)})" if runs > 1 else ""
        raise FileError(f"has the shape {shape}; it must be {wanted}")
    if found_runs > runs:
        raise FileError(f"has {found_runs} runs; this benchmark takes at most {runs}")
    values = np.frombuffer(file.read(count * dtype.itemsize), dtype).reshape(shape, order="F" if fortran else "C")
    return found_runs, [np.ascontiguousarray(values.reshape(found_runs, rows, len(columns)), np.float64)]


def _runs(shape: tuple[int, ...], rows: int, columns: int) -> int | None:
    """Return the number of runs of an array, or None where its shape does not fit."""
    if shape == (rows, columns) or (columns == 1 and shape == (rows,)):
        return 1
    if len(shape) == 3 and shape[1:] == (rows, columns):
        return shape[0]
    return shape[0] if columns == 1 and len(shape) == 2 and shape[1] == rows else None


def read_parquet(
    file: BinaryIO, size: int, key: str, columns: list[str], rows: int, runs: int
) -> tuple[int, list[Any]]:
    """Read a key and columns of plain numbers."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pa.set_memory_pool(pa.system_memory_pool())
    pa.set_cpu_count(1)
    source = pq.ParquetFile(
        file, memory_map=False, pre_buffer=False, thrift_string_size_limit=1 << 20, thrift_container_size_limit=1 << 20
    )
    about, schema = source.metadata, source.schema_arrow
    _check_names(schema.names, key, columns)
    if about.num_rows != rows:
        raise FileError(f"has {about.num_rows} rows; it must have the {rows} rows of features.parquet")
    if about.num_row_groups > MOST_GROUPS:
        raise FileError(f"has {about.num_row_groups} row groups; at most {MOST_GROUPS} are read")
    for field in schema:
        _check_type(field.name, field.type, key)
    groups = [about.row_group(group) for group in range(about.num_row_groups)]
    unpacked = sum(
        group.column(column).total_uncompressed_size for group in groups for column in range(about.num_columns)
    )
    most = (64 << 20) + 3 * 8 * rows * (len(columns) + 1)
    if unpacked > most or sum(group.num_rows for group in groups) != rows:
        raise FileError(f"unpacks to {unpacked} bytes, more than its {rows} rows need; write plain columns of numbers")
    return 1, _filled(
        source.iter_batches(batch_size=1 << 16, columns=[key, *columns], use_threads=False), key, columns, rows
    )


def read_csv(file: BinaryIO, size: int, key: str, columns: list[str], rows: int, runs: int) -> tuple[int, list[Any]]:
    """Read a key and columns of numbers, with a first line of names."""
    import pyarrow as pa
    from pyarrow import csv

    pa.set_memory_pool(pa.system_memory_pool())
    pa.set_cpu_count(1)
    first = file.readline(1 << 16)
    _check_text(first, [key, *columns])
    names: list[str] = next(iter(_csv_line(first)), [])
    _check_names(names, key, columns)
    if not file.peek(1):  # type: ignore[attr-defined]
        raise FileError(f"has 0 rows; it must have the {rows} rows of features.parquet")
    types = {key: pa.int64(), **{name: pa.float64() for name in columns}}
    try:
        reader = csv.open_csv(
            file,
            csv.ReadOptions(use_threads=False, block_size=1 << 20, column_names=names),
            csv.ParseOptions(newlines_in_values=False),
            csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=False),
        )
        return 1, _filled(reader, key, columns, rows)
    except pa.ArrowInvalid as error:
        raise FileError(_plain_words(" ".join(str(error).split()), names)) from None


STARTS = {b"\x1f\x8b": "compressed with gzip", b"BZh": "compressed with bzip2", b"\xfd7zXZ": "compressed with xz", b"\x28\xb5\x2f\xfd": "compressed with zstd",
          b"PK\x03\x04": "a zip file", b"PAR1": "a Parquet file", b"\x93NUMPY": "a npy file"}  # fmt: skip


def _check_text(first: bytes, wanted: Sequence[str]) -> None:
    """Refuse what is no CSV in UTF-8 with line ends and commas, by the first line."""
    for start, what in STARTS.items():
        if first.startswith(start):
            raise FileError(f"is {what} and no text; write plain CSV")
    if first.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in first:
        raise FileError("is no text in UTF-8 (UTF-16, perhaps); write it in UTF-8")
    if b"\r" in first.rstrip(b"\r\n"):
        raise FileError("ends its lines with a carriage return alone (\\r); end them with a line feed (\\n)")
    text = first.decode("utf-8-sig", errors="replace").strip()
    for separator, shown in ((";", "semicolons"), ("\t", "tabs")):
        if len(wanted) > 1 and sorted(text.replace('"', "").split(separator)) == sorted(wanted):
            raise FileError(
                f"separates its columns by {shown}; write commas between columns, and numbers with a decimal point"
            )


def _plain_words(said: str, names: Sequence[str]) -> str:
    """Return in one sentence what the CSV reader says."""
    import re

    if found := re.search(r"Row #(\d+): Expected (\d+) columns, got (\d+)", said):
        point = " (a decimal comma counts as one more: write 0.5, not 0,5)" if int(found[3]) > int(found[2]) else ""
        return f"has {found[3]} values in line {found[1]} of its data, and {found[2]} columns{point}"
    found = re.search(
        r"In CSV column #(\d+): (?:Row #(\d+): )?CSV conversion error to (\w+): invalid value '(.*)'", said
    )
    if found and int(found[1]) < len(names):
        line = f" in line {found[2]} of its data" if found[2] else ""
        kind = "integers" if found[3].startswith("int") else "numbers"
        point = ", with a decimal point (0.5, not 0,5)" if "," in found[4] else ""
        return f"column {names[int(found[1])]} holds {found[4][:60]!r}{line}; it must hold {kind}{point}"
    return f"cannot be read as csv ({said[:200]})"


def _csv_line(line: bytes) -> Any:
    import csv

    text = line.decode("utf-8-sig", errors="replace").rstrip("\r\n")
    return csv.reader([text])


def _check_names(names: Sequence[str], key: str, columns: list[str]) -> None:
    wanted, shown = [key, *columns], ", ".join(repr(name[:60]) for name in names[:10])
    if sorted(names) != sorted(wanted):
        raise FileError(f"has the columns {shown or 'none'}; it must have {', '.join(wanted)} and no others")


def _check_type(name: str, kind: Any, key: str) -> None:
    import pyarrow as pa

    numeric = pa.types.is_integer(kind) or (name != key and pa.types.is_floating(kind))
    if not numeric:
        raise FileError(
            f"column {name} holds {str(kind)[:60]}; it must hold {'integers' if name == key else 'numbers'}"
        )


def _filled(batches: Any, key: str, columns: list[str], rows: int) -> list[Any]:
    """Return keys (rows,) and values (1, rows, columns) of batches."""
    import numpy as np
    import pyarrow as pa

    keys, values, done = np.empty(rows, np.int64), np.empty((1, rows, len(columns)), np.float64), 0
    for batch in batches:
        end = done + batch.num_rows
        if end > rows:
            raise FileError(f"has more than the {rows} rows of features.parquet")
        for name in (key, *columns):
            column = batch.column(batch.schema.get_field_index(name))
            if column.null_count:
                empty = done + int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
                raise FileError(f"has no value in column {name} at line {empty + 1} of its data")
            if name == key:
                keys[done:end] = column.cast(pa.int64()).to_numpy(zero_copy_only=False)
            else:
                values[0, done:end, columns.index(name)] = column.cast(pa.float64(), safe=False).to_numpy(
                    zero_copy_only=False
                )
        done = end
    if done != rows:
        raise FileError(f"has {done} rows; it must have the {rows} rows of features.parquet")
    return [keys, values]


READERS: dict[str, Callable[..., tuple[int, list[Any]]]] = {"npy": read_npy, "parquet": read_parquet, "csv": read_csv}

if __name__ == "__main__":
    settings = json.loads(sys.argv[1])
    main(**settings)
