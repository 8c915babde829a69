"""Find the column with the class of a row, and its classes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from collidekit.starter.columns import Column, is_trigger
from collidekit.starter.event_numbers import is_event_name
from collidekit.starter.left_out import CLASS_FLAG

_LABEL = re.compile(
    r"label(?!.*(pt|mass|dr|barcode|lxy|charge|decay)$)|flav(?!tag)|LabDr|(^|_)(signal|target|class|class_?id|category|y)$|truth_?(type|class|id)$"
    r"|BKGCAT$|(^|_)is_?signal$",
    re.IGNORECASE | re.ASCII,
)
_OTHER_TAGGER = re.compile(r"deep_?flav|b_?tag", re.IGNORECASE)
_NEVER = re.compile(r"^(TARGETS|REGRESSIONS)_")
_RANKS = (
    r"HadronConeExclTruthLabelID$", r"hadronFlav", r"LabDr_HadF", r"HadronGhost\w*ID$", r"(^|_)is_?signal|(^|_)label$|^y$|(^|_)(jet_?)?flav(ou?r)?$",
    r"signal|label_?id|BKGCAT$", r"label|class|target|flav",
)  # fmt: skip
"""Names of class columns, from the most to the least certain one; names with ``parton``, ``extended`` and the like come last."""
_LESS = re.compile(r"parton|phys|extended|ghost|R10|double|final|accept|matched", re.IGNORECASE)
_NAMES = {4: "c", 5: "b", 15: "tau"}
_LIGHT = (0, 1, 2, 3, 21)
_MOST = 12
"""Maximum number of values of a column with classes."""
_MOSTLY = 0.5
"""Minimum fraction of rows in which one of several flags is set."""


@dataclass(frozen=True)
class Label:
    """Conditions by class name, and the columns that they use."""

    classes: dict[str, str]
    columns: tuple[str, ...]
    selection: str = ""
    """Condition for rows with known truth."""
    note: str = ""
    others: tuple[str, ...] = ()
    """Other columns that may hold the truth."""


def find_label(columns: list[Column]) -> Label | None:
    """Return the best guess among columns with one number per row: an integer with few values, or flags of which one is set."""
    known = [c for c in columns if c.integral and len(c.finite) and not is_event_name(c.plain)]
    known = [c for c in known if not (_NEVER.match(c.plain) or is_trigger(c))]
    named = [c for c in known if _LABEL.search(c.plain) and not _OTHER_TAGGER.search(c.plain)]
    flags = [c for c in known if (CLASS_FLAG.search(c.plain) or c in named) and set(c.distinct.tolist()) <= {0, 1}]
    found = [label for group in _families(flags) if (label := _of_flags(group))]
    few = sorted((c for c in {id(c): c for c in (*named, *flags)}.values() if 2 <= len(_values(c)) <= _MOST), key=_rank)
    if found and not (few and _rank(few[0])[0] < _SURE):
        return max(found, key=lambda label: len(label.classes))
    if not few:
        return None
    others = tuple(c.name for c in few[1:] if _rank(c)[:2] == _rank(few[0])[:2])
    return _label(few[0], others)


_SURE = 4
"""Names with a rank below this are preferred to flags."""


def _families(flags: list[Column]) -> Iterator[list[Column]]:
    """Yield groups of flags with the same prefix, such as ``label_QCD`` and ``label_Hbb``."""
    families: dict[str, list[Column]] = {}
    for column in flags:
        start = re.match(r"^(.*?(?:label|truth|target|sample_is|isPhys|isParton|is)_?)", column.plain)
        families.setdefault(start[1] if start else "", []).append(column)
    yield from (family for name, family in families.items() if name and len(family) >= 2)


def _of_flags(flags: list[Column]) -> Label | None:
    """Return classes from mutually exclusive flags; rows without a set flag, or with an unknown one, are left out."""
    known = np.all([np.isfinite(c.values) for c in flags], axis=0)
    if not known.any():
        return None
    values = [c.values[known].astype(np.int64) for c in flags]
    together = np.sum(values, axis=0)
    varied = [c for c, flag in zip(flags, values, strict=True) if len(np.unique(flag)) == 2]
    if (together > 1).any() or (together == 1).mean() < _MOSTLY or len(varied) < 2:
        return None
    selection = " and ".join(f"isfinite({c.name})" for c in flags if len(c.finite) < len(c.values))
    return Label({_class_name(c.plain): f"{c.name} == 1" for c in varied}, tuple(c.name for c in flags), selection)


def _values(column: Column) -> list[int]:
    """Return the values of a column; -1 in SPANet's classes means that a row has no class."""
    values = [int(value) for value in column.distinct]
    return [value for value in values if value >= 0] if column.plain.startswith("CLASSIFICATIONS_") else values


def _rank(column: Column) -> tuple[int, bool, int]:
    """Return a sort key: more certain names first, then shorter ones."""
    place = next((i for i, name in enumerate(_RANKS) if re.search(name, column.plain, re.IGNORECASE)), len(_RANKS))
    return place, bool(_LESS.search(column.plain)), len(column.plain)


def _class_name(column: str) -> str:
    name = re.sub(r"^(\w+_)?(label|sample_is|is|truth|target)_?(?=[A-Za-z])", "", column)
    return name if name.isidentifier() else re.sub(r"\W", "_", column)


def _label(column: Column, others: tuple[str, ...]) -> Label:
    finite = len(column.finite) == len(column.values)
    selection = "" if finite else f"isfinite({column.name})"
    classes, note = _classes(column)
    return Label(classes, (column.name,), selection, note, others)


def _classes(column: Column) -> tuple[dict[str, str], str]:
    """Return conditions by class, and a note for the user."""
    values = _values(column)
    if re.search(r"BKGCAT$", column.plain) and {0, 10} & set(values):
        note = "background categories of LHCb: 0 and 10 are signal, 50 (low-mass background) is left out"
        return {"background": f"{column.name} not in (0, 10, 50)", "signal": f"{column.name} in (0, 10)"}, note
    sizes = {abs(value) for value in values}
    signed = min(values) < 0 and len(sizes) > 1 and sizes <= {*_LIGHT, *_NAMES}
    name = f"abs({column.name})" if signed else column.name
    values = sorted(sizes) if signed else values
    if values in ([0, 1], [-1, 1]):
        return {"background": f"{name} == {values[0]}", "signal": f"{name} == 1"}, ""
    if set(values) & {4, 5} and set(values) & set(_LIGHT) and _are_flavours(column, values):
        return _flavours(name, values)
    quarks = [value for value in values if value not in (0, 21)]
    if 21 in values and quarks and set(values) <= {*_LIGHT, 4, 5}:
        return {"quark": _one_of(name, quarks), "gluon": f"{name} == 21"}, ""
    return {f"class_{value}".replace("-", "minus_"): f"{name} == {value}" for value in values}, ""


def _are_flavours(column: Column, values: list[int]) -> bool:
    """Return whether the name of a column is that of a flavour, and at most 20 % of its values are not flavours."""
    known = np.isin(np.abs(column.finite), [*_LIGHT, *_NAMES])
    named = re.search(r"flav|label|LabDr|ID$", column.plain, re.IGNORECASE)
    return bool(named) and float(known.mean()) > 0.8


def _flavours(name: str, values: list[int]) -> tuple[dict[str, str], str]:
    """Return flavour classes, with u, d, s and gluons as light jets, and a note for the user."""
    light = [value for value in values if value in _LIGHT]
    classes = {"light": _one_of(name, light if len(light) == 1 else list(_LIGHT))}
    classes |= {kind: f"{name} == {value}" for value, kind in _NAMES.items() if value in values}
    unknown = [value for value in values if value not in (*_LIGHT, *_NAMES)]
    notes = [f"light: u, d, s quarks and gluons of {name}"] if len(light) > 1 else []
    notes += [f"rows with {', '.join(map(str, unknown))} are left out"] if unknown else []
    return classes, "; ".join(notes)


def _one_of(name: str, values: list[int]) -> str:
    return f"{name} == {values[0]}" if len(values) == 1 else f"{name} in ({', '.join(map(str, values))})"
