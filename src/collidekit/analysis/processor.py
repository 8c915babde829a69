"""Coffea processors written by users, which turn a chunk of a file into rows when expressions are not enough."""

import traceback
from functools import lru_cache
from typing import Any

import awkward as ak

from collidekit.errors import CollidekitError
from collidekit.extras import need
from collidekit.plugins import kept_class, python_file
from collidekit.readers.flatten import leaves, plain


def run_processor(text: str, chunk: ak.Array, path: str) -> ak.Array:
    """Return the rows that the processor ``file.py:Class`` makes from a chunk, as records of numbers and lists of numbers.

    ``process(events)`` gets the columns of the file; ``events.attrs["filename"]`` is the path of the file. It returns one
    record for each entry. If it returns fewer or more records, they need a column ``entry``: the position of each row's
    entry in the chunk (``ak.local_index(events, axis=0)`` before rows are dropped).
    """
    if python_file(text) is None:
        raise CollidekitError(f"processor: {text!r} must name a file and a class in it, such as my_rows.py:MyRows")
    file = str(python_file(text))
    kind = kept_class(text, "processor", _base(), "coffea.processor.ProcessorABC")
    name, instance = kind.__name__, _instance(kind, file)  # type: ignore[arg-type]
    chunk = ak.Array(chunk, attrs={"filename": path})
    try:
        rows = instance.process(chunk)
    except Exception as error:
        line = next((f.lineno for f in reversed(traceback.extract_tb(error.__traceback__)) if f.filename == file), 1)
        said = (str(error).strip() or "no message").splitlines()[0]
        raise CollidekitError(f"{file}:{line}: {name}.process: {type(error).__name__}: {said} (on {path})") from error
    return _checked(rows, len(chunk), f"{file}: {name}.process")


@lru_cache(maxsize=8)
def _instance(kind: type[Any], file: str) -> Any:
    try:
        return kind()
    except TypeError as error:
        raise CollidekitError(f"{file}: {kind.__name__}() cannot be made: {error}") from error


def _base() -> type[Any]:
    base: type[Any] = need("coffea.processor", "coffea").ProcessorABC
    return base


def _checked(rows: Any, entries: int, where: str) -> ak.Array:
    """Return the rows with plain columns; raise an error that names the problem if they are not valid."""
    if not isinstance(rows, ak.Array) or not rows.fields or rows.ndim != 1:
        found = f"an array of type {rows.type}" if isinstance(rows, ak.Array) else type(rows).__name__
        raise CollidekitError(
            f"{where} must return one record per row, such as ak.zip({{'jet_pt': ...}}, depth_limit=1), not {found[:120]}"
        )
    if len(rows) != entries and "entry" not in rows.fields:
        raise CollidekitError(
            f"{where} returns {len(rows)} rows for {entries} entries; add a column 'entry' with the position of each row's "
            "entry in the chunk: ak.local_index(events, axis=0)"
        )
    columns = {}
    for name in rows.fields:
        kinds = list(leaves(name, ak.to_layout(rows[name]).form))
        if len(kinds) != 1 or kinds[0][1] or kinds[0][2] is None:
            raise CollidekitError(f"{where}: column {name!r} does not hold numbers but {rows[name].type}")
        columns[name] = plain(rows[name], f"{where}: column {name!r}")
    if "entry" in columns and len(rows):
        entry = ak.to_numpy(columns["entry"])
        if entry.ndim != 1 or entry.dtype.kind not in "iu" or entry.min() < 0 or entry.max() >= entries:
            raise CollidekitError(f"{where}: column 'entry' must hold integers from 0 to {entries - 1}")
    return ak.zip(columns, depth_limit=1)
