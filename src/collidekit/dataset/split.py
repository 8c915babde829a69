"""The split into training and validation: possible problems, and large groups of equal rows, which are broken up.

Without event numbers, the inputs of a row decide the split, so that repeated rows stay together. Rows that are equal for
another reason, such as jets without tracks, would then all be in one part: they are split by file and entry.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, TypeVar

import numpy as np

from collidekit.analysis.schema import Analysis
from collidekit.dataset.arrays import RowFields
from collidekit.dataset.hashing import hash_columns
from collidekit.dataset.parts import RowSplit

Array = np.ndarray[Any, Any]
AnyRows = TypeVar("AnyRows", bound=RowFields[Any, Any])

SMALL = 10
"""Number of equal rows that stay together in any dataset."""

_MOST = 1000
"""Largest number of groups of equal rows that are counted in one chunk."""


def by_inputs(analysis: Analysis) -> bool:
    """Return whether the inputs of a row decide the split, because there is neither an event number nor an event of jets."""
    return not analysis.event and not analysis.rows


def file_key(path: str) -> int:
    """Return a number for the name of a file, which does not depend on its folder."""
    digest = hashlib.blake2b(PurePath(path).name.encode("utf-8", "surrogateescape"), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def entry_keys(path: str, entries: Array) -> Array:
    """Return a key (N,) for each entry of a file, which is the same for all jets of an event."""
    return hash_columns([np.full(len(entries), file_key(path), dtype=np.int64), entries])


def largest_group(rows: int) -> int:
    """Return how many equal rows stay together: fewer than would change the fraction by its statistical error."""
    return max(SMALL, int(0.25 * np.sqrt(rows)))


def repeated_keys(keys: Array) -> list[list[int]]:
    """Return key and count of the largest groups of equal rows in a chunk."""
    found, counts = np.unique(keys, return_counts=True)
    order = np.lexsort((found, -counts))[:_MOST]
    return [[int(found[i]), int(counts[i])] for i in order if counts[i] > 1]


def large_groups(repeated: Sequence[Sequence[Sequence[int]]], rows: int) -> dict[int, int]:
    """Return the groups of equal rows of all chunks that are too large to stay together, and their sizes."""
    pairs = [pair for chunk in repeated for pair in chunk]
    if not pairs:
        return {}
    table = np.asarray(pairs, dtype=np.int64)
    keys, inverse = np.unique(table[:, 0], return_inverse=True)
    sizes = np.bincount(inverse.reshape(-1), table[:, 1]).astype(np.int64)
    large = sizes > largest_group(rows)
    return dict(zip(keys[large].tolist(), sizes[large].tolist(), strict=True))


def break_up(rows: AnyRows, large: Mapping[int, int], paths: Sequence[str]) -> AnyRows:
    """Return the rows, with keys from file and entry for the rows of large groups."""
    keys = np.asarray(rows.keys)
    changed = break_up_keys(keys, np.asarray(rows.source), large, paths)
    return rows if changed is keys else rows.with_keys(changed)


def break_up_keys(keys: Array, source: Array, large: Mapping[int, int], paths: Sequence[str]) -> Array:
    """Return the keys (N,), with keys from ``source`` (N, 2) for large groups; the same array if there are none."""
    rows = np.isin(keys, np.fromiter(large, dtype=np.int64, count=len(large)))
    if not rows.any():
        return keys
    files = np.asarray([file_key(path) for path in paths], dtype=np.int64)
    changed = keys.copy()
    changed[rows] = hash_columns([keys[rows], files[source[rows, 0]], source[rows, 1]])
    return changed


def group_squares(keys: Array) -> int:
    """Return the sum of the squared sizes of the groups with equal keys."""
    return int(np.square(np.unique(keys, return_counts=True)[1]).sum())


def missed_share(training: int, rows: int, split: RowSplit, squares: float = 0.0) -> str:
    """Return a warning if the fraction of training rows differs from its setting by more than statistics; else empty.

    ``squares`` is the sum of the squared numbers of rows that share a key, such as the jets of an event.
    """
    if not rows:
        return ""
    share = split.share
    found, error = training / rows, np.sqrt(share * (1 - share) / rows)
    grouped = error * np.sqrt(max(squares / rows, 1.0))
    off = abs(found - share)
    if off <= 4 * error or off <= min(4 * grouped, 0.03):
        return ""
    return (
        f"{found:.1%} of {rows:,} rows are for training, but {split.setting.split()[0]} sets {share:.1%}: many rows share an event "
        "number, or the event number takes few values. Name branches under 'event' that differ from event to event"
    )


def groups_note(groups: int, rows: int, total: int) -> str:
    """Return the note about groups of equal rows that were broken up; empty if there are none."""
    if not groups:
        return ""
    return (
        f"{rows:,} of {total:,} rows ({rows / max(total, 1):.1%}) have the same inputs as more than "
        f"{largest_group(total):,} others ({groups:,} groups): they are split into training and validation by file and "
        "entry. Name the event number under 'event' to split by event"
    )


def constant_event(analysis: Analysis, where: str) -> str:
    """Return the error message for an event number that is the same in every row."""
    event = ", ".join(analysis.event)
    return (
        f"{where}: the event number ({event}) is the same in every row. Rows of one event are never split into training "
        "and validation, so one part would be empty. Name branches under 'event' that differ from event to event, or remove "
        "'event'"
    )
