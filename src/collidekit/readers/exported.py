"""Padded lists in files from ``collidekit export-events``, whose metadata names the column with the length of each list."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from collidekit.readers.base import BadFileError
from collidekit.readers.flatten import number
from collidekit.readers.hdf5_parts import lists

METADATA = "metadata"
"""The name of the array or dataset that holds the metadata."""
KEY = b"collidekit_events"
"""The key of the metadata in the schema of a Parquet file."""
MOST_METADATA = 1 << 26
"""Largest size of the metadata in bytes."""


NO_INPUT = ("truth", "member", "file", "entry")
"""Kinds of columns that are not inputs: truth of rows and constituents, and the source of a row."""


def no_inputs(text: str) -> set[str]:
    """Return the columns that are not inputs according to the metadata of exported events; empty for other texts."""
    columns = (_content(text) or {}).get("columns")
    if not isinstance(columns, dict):
        return set()
    kinds = {
        name: str(about.get("from", "")).split(" ")[0] for name, about in columns.items() if isinstance(about, dict)
    }
    return {name for name, kind in kinds.items() if kind in NO_INPUT}


def _content(text: str) -> dict[str, Any] | None:
    """Return the metadata of exported events; None for any other text."""
    try:
        content = json.loads(text)
    except ValueError:
        return None
    return content if isinstance(content, dict) and "collidekit_events" in content else None


def metadata_of(reader: Any) -> str:
    """Return the text of the metadata of a reader; empty if a user's reader has none."""
    return str(getattr(reader, "metadata", ""))


def read_metadata(text: str) -> dict[str, Any] | None:
    """Return the metadata of exported events with the definition of their analysis; None for other texts or older versions."""
    content = _content(text)
    known = content and isinstance(content.get("definition"), dict) and isinstance(content.get("columns"), dict)
    return content if known else None


def counts_of_lists(path: str, text: str, arrays: Mapping[str, Any]) -> dict[str, str] | None:
    """Return the column of counts of each padded list; None if the text is not the metadata of exported events.

    ``arrays`` are all arrays of the file, with ``shape`` and ``dtype``; a contradiction to the metadata is an error.
    """
    content = _content(text)
    if content is None:
        return None
    try:
        counts = {name: str(about["count"]) for name, about in content["collections"].items()}
        padded = {name: about["collection"] for name, about in content["columns"].items() if "collection" in about}
        found = {name: counts[collection] for name, collection in padded.items()}
    except (KeyError, TypeError, AttributeError) as error:
        raise BadFileError(f"{path}: its metadata is incomplete ({error}); write the file again") from None
    for name, count in found.items():
        problem = _wrong_list(arrays.get(name), arrays.get(count))
        if problem:
            raise BadFileError(f"{path}: its metadata says that {count} counts {name}, but {problem}")
    return found


def _wrong_list(values: Any, counts: Any) -> str:
    """Return the problem of a padded list and its counts; empty if they fit together."""
    if values is None or counts is None:
        return "one of them is missing"
    problem = getattr(values, "problem", "")
    if problem or len(values.shape) != 2 or number(values.dtype) is None:
        return f"the list is {problem or f'{values.dtype} of shape {values.shape}'}"
    problem = getattr(counts, "problem", "")
    if problem or len(counts.shape) != 1 or counts.dtype.kind not in "iu":
        return f"the counts are {problem or f'{counts.dtype} of shape {counts.shape}'}"
    if values.shape[0] != counts.shape[0]:
        return f"they have {counts.shape[0]:,} and {values.shape[0]:,} rows"
    return ""


class ListPart:
    """Lists (N, L) with a column of counts (N,), read as lists of these lengths."""

    def __init__(self, path: str, name: str, values: Any, counts: Any, counted_by: str) -> None:
        self.path, self.name, self._counts, self._counted_by = path, name, counts, counted_by
        self.columns = {name: f"var * {number(values.dtype)}"}
        self.unreadable: dict[str, str] = {}
        self.datasets: list[Any] = [values]

    def read(self, names: Sequence[str], start: int, stop: int) -> dict[str, ak.Array]:
        values: NDArray[Any] = self.datasets[0][start:stop]
        counts = self._counts[start:stop]
        if len(wrong := np.flatnonzero((counts < 0) | (counts > values.shape[1]))):
            raise BadFileError(
                f"{self.path}: row {start + wrong[0]}: {self._counted_by} is {counts[wrong[0]]}, but {self.name} has room for "
                f"{values.shape[1]}; write the file again"
            )
        return {self.name: lists(values, np.arange(values.shape[1]) < counts[:, None])}
