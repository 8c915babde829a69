"""Columns that number events, runs or rows, by their names and by their values. They are never inputs."""

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

NUMBERS_ROWS = "looks like a number of the row or event"
_FEWEST, _NEARLY = 100, 0.99
"""Minimum number of different values, and the fraction of rows that is nearly all."""
_ROWS_OF_EVENT = 10
"""Largest mean number of rows with the same event number."""

_NOT_A_NUMBER = r"(?:n|num|number_of|is|has|pass|passes|passed)_"
"""Prefixes of counts and flags, such as ``n_event`` and ``is_signal_event``."""
_WORDS = r"experiment|event|evt|run|lumi|lumi_?(?:block|section|sec)|luminosity_?(?:block|section)"
_NUMBER = r"(?:_?(?:no|nr|nbr|num|number|id|uid|idx|index))?_*"
_EVENT = re.compile(rf"_*(?!{_NOT_A_NUMBER})(?:.*_)?(?:{_WORDS}){_NUMBER}|_*ls{_NUMBER}")
_MEASURED = re.compile(
    r"^(?:n|num|count)_|(?:^|_)(?:pt|p[xyz]?|e|et|ht|met|energy|m|mass|charge|adc|tdc|time|amplitude|sum|counts?)(?:_|$)"
)


def snake_case(name: str) -> str:
    """Return a name in lower case, with ``_`` before each word of a name in camel case: ``evtNum`` is ``evt_num``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def is_event_name(name: str) -> bool:
    """Return whether a name is that of an event number, a run or a luminosity block, such as ``evt_no`` or ``lumiBlock``."""
    return bool(_EVENT.fullmatch(snake_case(name)))


def numbers_rows(name: str, values: NDArray[Any]) -> bool:
    """Return whether integers (N,) number rows or events: nearly all of them are different, or they are in ascending order."""
    if (
        values.dtype.kind not in "iu"
        or len(values) <= _FEWEST
        or values.min() < 0
        or _MEASURED.search(snake_case(name))
    ):
        return False
    different = len(np.unique(values))
    if different >= _NEARLY * len(values):
        return True
    ascending = int(np.count_nonzero(values[1:] >= values[:-1])) >= _NEARLY * (len(values) - 1)
    return ascending and different > _FEWEST and _ROWS_OF_EVENT * different >= len(values)


def starts_once(values: NDArray[Any]) -> bool:
    """Return whether nearly all equal numbers (N,) are in consecutive rows: the numbers do not start again in each file."""
    return len(np.unique(values)) >= _NEARLY * (1 + int(np.count_nonzero(values[1:] != values[:-1])))
