"""Conversion of energies between MeV, GeV and TeV, by the units of the columns."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from collidekit.analysis.expressions import Expression
from collidekit.dataset.export.columns import EXACT, Column
from collidekit.errors import CollidekitError

Array = np.ndarray[Any, Any]

EXPONENTS = {"eV": 0, "keV": 3, "MeV": 6, "GeV": 9, "TeV": 12}
_UNIT = re.compile(
    r"(?P<log>ln|log10|log)?\s*\(?\s*(?P<over>1\s*/\s*)?(?P<unit>[kMGT]?eV)\s*(?:(?:\^|\*\*)\s*(?P<power>[+-]?\d+))?\s*\)?"
)
_ANY_ENERGY = re.compile(r"(?<![A-Za-z])[kMGT]?eV(?![a-z])")


@dataclass(frozen=True)
class Conversion:
    """The conversion x -> x * 10^exponent, or for a logarithm x -> x + ``offset``."""

    exponent: int = 0
    offset: float = 0.0

    def apply(self, values: Array, leave: Array) -> Array:
        """Return the values (M,) converted in double precision; values at ``leave`` (M,) stay unchanged."""
        wide = values.astype(np.float64)
        scale = 10.0 ** abs(self.exponent)
        changed = (wide * scale if self.exponent > 0 else wide / scale) + self.offset
        return np.where(leave, wide, changed)


def find_conversions(
    columns: Sequence[Column], wanted: str, variables: Mapping[str, Expression]
) -> tuple[list[Column], dict[str, Conversion], list[str]]:
    """Return the columns with their new units, the conversion of each column, and the columns without a unit.

    Raises CollidekitError for a unit with an energy in it that is neither a power of it nor its logarithm.
    """
    if wanted not in EXPONENTS:
        raise CollidekitError(f"--units: {wanted!r} is none of {', '.join(EXPONENTS)}")
    new: list[Column] = []
    found: dict[str, Conversion] = {}
    unknown: list[str] = []
    for column in columns:
        if not column.unit:
            if column.dtype in ("float32", "float64", EXACT) and column.key[0] in ("input", "truth", "spectator"):
                unknown.append(column.name)
            new.append(column)
            continue
        conversion, unit = _conversion(column, wanted, variables)
        if conversion != Conversion():
            found[column.name] = conversion
            dtype = "float64" if column.dtype == EXACT else column.dtype
            column = replace(column, unit=unit, dtype=dtype)
        new.append(column)
    return new, found, unknown


def _conversion(column: Column, wanted: str, variables: Mapping[str, Expression]) -> tuple[Conversion, str]:
    """Return the conversion of a column with a unit, and its new unit."""
    if not _ANY_ENERGY.search(column.unit):
        return Conversion(), column.unit
    match = _UNIT.fullmatch(column.unit.strip())
    if match is None:
        raise CollidekitError(
            f"--units {wanted}: the unit {column.unit!r} of {column.name} is not a power of an energy or its logarithm; "
            "export without --units, or give the feature another unit"
        )
    power = int(match["power"] or 1) * (-1 if match["over"] else 1)
    exponent = (EXPONENTS[match["unit"]] - EXPONENTS[wanted]) * power
    unit = column.unit.replace(match["unit"], wanted)
    if not match["log"]:
        return Conversion(exponent), unit
    _check_base(column, match["log"], wanted, variables)
    return Conversion(offset=exponent * (1.0 if match["log"] == "log10" else math.log(10.0))), unit


def _check_base(column: Column, log: str, wanted: str, variables: Mapping[str, Expression]) -> None:
    """Raise an error if the expression has another logarithm than the unit: ``log`` and ``ln`` have base e."""
    text = column.expression
    seen: set[str] = set()
    names = set(re.findall(r"\w+", text))
    while more := (names & set(variables)) - seen:
        seen |= more
        for name in more:
            text += " " + variables[name].text
            names |= set(re.findall(r"\w+", variables[name].text))
    used = set(re.findall(r"\b(log10|log1p|log)\s*\(", text))
    if used and used != {"log10" if log == "log10" else "log"}:
        raise CollidekitError(
            f"--units {wanted}: {column.name} has the unit {column.unit!r}, but its expression {column.expression!r} uses "
            f"{' and '.join(sorted(used))}: write 'log10 GeV' for log10, 'log GeV' for log; log1p cannot be converted"
        )
