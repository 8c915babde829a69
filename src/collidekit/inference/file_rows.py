"""Rows of files for prediction, read chunk by chunk, without torch."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from collidekit.analysis.scope import Plan
from collidekit.dataset.arrays import RowArrays, RowFields
from collidekit.dataset.as_given import put_back_nan, without_bounds
from collidekit.dataset.not_finite import NotFinite
from collidekit.dataset.pieces import CHUNK
from collidekit.dataset.rows import build_rows, columns_of
from collidekit.errors import CollidekitError
from collidekit.readers import BadFileError, open_file
from collidekit.readers.base import LostServerError, OneTree, UnsupportedError, no_entries_in_list

AnyRows = TypeVar("AnyRows", bound=RowFields[Any, Any])


def rows_of_files(
    plan: Plan, paths: list[str], skip_bad_files: bool, skipped: list[str], counts: NotFinite, as_given: bool = False
) -> Iterator[RowArrays]:
    """Yield the selected rows of files, chunk by chunk, with or without known truth.

    Messages about files that could not be read are appended to ``skipped``. NaN and infinity are counted in ``counts``.
    With ``as_given``, values are unchanged: NaN is kept and nothing is clipped.
    """
    plan = without_bounds(plan) if as_given else plan
    trees = OneTree()
    for number, path in enumerate(paths):
        start, opened = 0, False
        try:
            with open_file(path, plan.analysis.source) as reader:
                if reader.rows == 0:
                    raise no_entries_in_list(path, skip_bad_files)
                columns = columns_of(plan, reader, with_truth=False)
                opened = True
                trees.add(path, reader.tree)
                for start in range(0, reader.rows, CHUNK):
                    chunk = reader.read(columns, start, min(start + CHUNK, reader.rows))
                    places: dict[str, Any] | None = {} if as_given else None
                    rows = build_rows(plan, chunk, path, number, start, keep_all=True, places=places)
                    counts.add({} if as_given else rows.replaced, rows.lost)
                    if places:
                        put_back_nan(rows.arrays, places, plan)
                    if len(rows.arrays):
                        yield rows.arrays
        except CollidekitError as error:
            lost = isinstance(error, LostServerError | UnsupportedError)
            if not skip_bad_files or lost or (opened and not isinstance(error, BadFileError)):
                raise
            skipped.append(f"{error} (its first {start:,} entries are predicted)" if start else str(error))


def counted(parts: Iterable[AnyRows], done: Callable[[int], None]) -> Iterator[AnyRows]:
    """Yield the same parts; after each part, call ``done`` with its number of rows."""
    for part in parts:
        yield part
        done(len(part))


def output_suffix(path: Path) -> None:
    """Raise CollidekitError if the suffix is not ``.parquet`` or ``.root``, before any work is done."""
    if path.suffix not in (".parquet", ".root"):
        raise CollidekitError(f"{path}: predictions are written as .parquet or .root, not {path.suffix or 'no suffix'}")
