"""Which column says the class of a row, and the classes that it holds."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from collidekit.starter.columns import Column, Lists, is_counter, is_trigger
from collidekit.starter.left_out import EVENT

_LABEL = re.compile(r"label|flav|truth|(^|_)is_|(^|_)is[A-Z]|signal|target|class|category|(^|_)y$", re.IGNORECASE)
_NEVER = re.compile(r"^(TARGETS|REGRESSIONS)_")
_FLAVOURS = {0: "light", 1: "d", 2: "u", 3: "s", 4: "c", 5: "b", 15: "tau", 21: "gluon"}
_MOST = 12
"""Values of a column that may still say a class."""


@dataclass(frozen=True)
class Label:
    """What says the class: conditions by class name, and the columns that they look at."""

    classes: dict[str, str]
    columns: tuple[str, ...]


def find_label(columns: list[Column], lists: Sequence[Lists] = ()) -> Label | None:
    """The best guess among columns with one number a row: one integer with few values, or flags of which one is set."""
    named = [c for c in columns if _LABEL.search(c.plain) and c.integral and len(c.values) and not EVENT.match(c.plain)]
    named = [c for c in named if not (_NEVER.match(c.plain) or is_trigger(c) or is_counter(c, list(lists)))]
    flags = [c for c in named if set(c.distinct.tolist()) <= {0, 1}]
    if len(flags) >= 2 and (np.sum([c.values.astype(np.int64) for c in flags], axis=0) == 1).all():
        return Label({_class_name(c.plain): f"{c.name} == 1" for c in flags}, tuple(c.name for c in flags))
    few = [c for c in named if 2 <= len(_values(c)) <= _MOST]
    if not few:
        return None
    best = max(few, key=_rank)
    return Label(_classes(best), (best.name,))


def _values(column: Column) -> list[int]:
    """The values; -1 of SPANet's classes means that a row has none."""
    values = [int(value) for value in column.distinct]
    return [value for value in values if value >= 0] if column.plain.startswith("CLASSIFICATIONS_") else values


def _rank(column: Column) -> tuple[bool, bool, int]:
    """Hadron rather than parton flavour, and the shorter name."""
    lower = column.plain.lower()
    return ("hadron" in lower or "label" in lower or "signal" in lower, "parton" not in lower, -len(column.plain))


def _class_name(column: str) -> str:
    name = re.sub(r"^(label|is|truth|target)_?", "", column)
    return name if name.isidentifier() else re.sub(r"\W", "_", column)


def _classes(column: Column) -> dict[str, str]:
    values = _values(column)
    sizes = {abs(value) for value in values}
    signed = min(values) < 0 and len(sizes) > 1 and sizes <= _FLAVOURS.keys()
    name = f"abs({column.name})" if signed else column.name
    values = sorted({abs(value) for value in values}) if signed else values
    if values in ([0, 1], [-1, 1]):
        return {"background": f"{name} == {values[0]}", "signal": f"{name} == 1"}
    flavours = set(values) <= _FLAVOURS.keys() and len(set(values) & {4, 5}) > 0
    return {
        (_FLAVOURS[value] if flavours else f"class_{value}".replace("-", "minus_")): f"{name} == {value}"
        for value in values
    }
