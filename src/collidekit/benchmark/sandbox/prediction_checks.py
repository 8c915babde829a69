"""Checks of numbers that a submission wrote: order, finiteness, range."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from collidekit.benchmark.sandbox.collect import OutputError


def check_keys(name: str, key: str, found: NDArray[np.int64], wanted: NDArray[np.int64]) -> None:
    """Raise an ``OutputError`` where the keys of a file are not those of the features, in their order."""
    if np.array_equal(found, wanted):
        return
    place = int(np.flatnonzero(found != wanted)[0])
    where = f"line {place + 1} of its data has {key} {found[place]}, where features.parquet has {wanted[place]}"
    if len(np.unique(found)) < len(found):
        raise OutputError(f"{name}: some values of {key} stand there more than once ({where})")
    if np.array_equal(np.sort(found), np.sort(wanted)):
        raise OutputError(
            f"{name}: the rows are in another order than those of features.parquet ({where}); keep its order"
        )
    raise OutputError(f"{name}: the values of {key} are not those of features.parquet ({where})")


def check_values(
    name: str,
    columns: Sequence[str],
    values: NDArray[np.float64],
    keys: NDArray[np.int64],
    minimum: float | None,
    maximum: float | None,
) -> None:
    """Raise an ``OutputError`` where a value (runs, rows, columns) is not finite or out of range."""
    refuse = [
        (~np.isfinite(values), "is not a finite number"),
        (values < (-np.inf if minimum is None else minimum), f"is below {minimum}"),
        (values > (np.inf if maximum is None else maximum), f"is above {maximum}"),
    ]
    for wrong, said in refuse:
        count = int(np.count_nonzero(wrong))
        if count:
            run, row, column = (int(place[0]) for place in np.nonzero(wrong))
            of_run = f" of run {run}" if len(values) > 1 else ""
            raise OutputError(
                f"{name}: {columns[column]} = {values[run, row, column]:g}{of_run} for row {keys[row]} {said} ({count} of {values.size} values)"
            )
