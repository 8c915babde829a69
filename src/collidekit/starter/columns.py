"""What the columns of a file seem to be, by their names, types and some of their values."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from keyword import iskeyword
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from collidekit.analysis.functions import CONSTANTS

_TRUTH = re.compile(
    r"truth|(^|_)gen|Gen[A-Z]|mother|(^|_)mc_|LHE|HTXS|[Ff]lavou?r|(^|_)flav|genPartFlav|pdgId|parton|Hadrons|Pileup_|nTrue",
    re.ASCII,
)
_INDEX = re.compile(r"(_index|_idx|_id|Index)$|Idx|barcode", re.ASCII)
_SCORE = re.compile(
    r"btag|[Pp]article[Nn]et|[Dd]eepFlav|DeepCSV|UParT|ParT(?![a-z])|DL1|GN[12]|score|(^|_)disc|deepTag|tagger",
    re.ASCII,
)
_LABEL = re.compile(r"label|flav|truth|(^|_)is_|(^|_)is[A-Z]|signal|target|class|category|(^|_)y$", re.IGNORECASE)
_EVENT = re.compile(r"^(run|runnumber|lumi|luminosityblock|event|eventnumber|event_?id|evt)$", re.IGNORECASE)
_WEIGHT = re.compile(r"weight|(^|_)wgt", re.IGNORECASE)
_FOLD = re.compile(r"^(ttv|fold|split|kfold)$", re.IGNORECASE)
_TRIGGER = re.compile(r"^n?(HLT|HLTriggerFirst|HLTriggerFinal|L1|Flag|DST)(_|Path)")


@dataclass
class Column:
    """One column and a sample of its values: numbers (N,), or all members of its lists one after the other."""

    name: str
    columntype: str
    values: NDArray[Any]
    counts: NDArray[np.int64] | None = None
    """Lengths of the lists (N,)."""

    @property
    def is_list(self) -> bool:
        return self.counts is not None

    @property
    def finite(self) -> NDArray[Any]:
        return self.values[np.isfinite(self.values)] if self.values.dtype.kind == "f" else self.values

    @property
    def distinct(self) -> NDArray[Any]:
        return np.unique(self.finite)

    @property
    def integral(self) -> bool:
        """Whether all values are whole numbers, whatever the type."""
        return self.values.dtype.kind != "f" or bool(len(self.finite) and (self.finite == np.round(self.finite)).all())

    @property
    def kind(self) -> str:
        """As a feature's kind."""
        if set(self.distinct.tolist()) <= {0, 1}:
            return "flag"
        return "integer" if self.integral else "continuous"

    @property
    def why_not(self) -> str:
        """Why this is no input, or nothing if it may be one."""
        if len(self.distinct) < 2:
            return "never varies in the rows looked at"
        reasons = (
            (_EVENT, "numbers events"),
            (_FOLD, "seems to say which part of a split a row is in"),
            (_TRUTH, "looks like simulated truth"),
            (_INDEX, "looks like an index"),
            (_SCORE, "looks like another tagger's score"),
            (_WEIGHT, "looks like a weight"),
        )
        return next((reason for pattern, reason in reasons if pattern.search(self.name)), "")


@dataclass
class Lists:
    """Lists of the same lengths: a collection of constituents, tracks, vertices ..."""

    name: str
    columns: dict[str, Column] = field(default_factory=dict)

    @property
    def counts(self) -> NDArray[np.int64]:
        counts = next(iter(self.columns.values())).counts
        assert counts is not None
        return counts


def sampled(name: str, columntype: str, array: ak.Array) -> Column | None:
    """None for what an analysis file cannot name or use: lists of lists, names that are no names."""
    if array.ndim > 2 or not name.isidentifier() or iskeyword(name) or name in CONSTANTS:
        return None
    if array.ndim == 2:
        return Column(name, columntype, ak.to_numpy(ak.flatten(array, axis=1)), ak.to_numpy(ak.num(array, axis=1)))
    return Column(name, columntype, ak.to_numpy(array))


def prefix(name: str) -> str:
    """``trk`` of ``trk_pt``; empty where there is none."""
    return name.partition("_")[0] if "_" in name else ""


def group_lists(columns: dict[str, Column]) -> list[Lists]:
    """Lists with the same lengths and the same prefix; prefixes are joined where lengths vary and are always equal."""
    groups: dict[tuple[bytes, str], Lists] = {}
    for column in columns.values():
        if column.counts is None:
            continue
        same = column.counts.tobytes()
        varied = len(column.counts) >= 50 and len(np.unique(column.counts)) > 3
        key = (same, "" if varied else prefix(column.name))
        groups.setdefault(key, Lists("")).columns[column.name] = column
    found = list(groups.values())
    for group in found:
        prefixes = [prefix(name) for name in group.columns]
        common = max(set(prefixes), key=prefixes.count)
        group.name = common if common and prefixes.count(common) > len(prefixes) / 2 else "constituents"
    for number, group in enumerate(found):
        if group.name in [other.name for other in found[:number]]:
            group.name = f"{group.name}_{number}"
    return sorted(found, key=lambda group: -int(group.counts.sum()))


@dataclass(frozen=True)
class Label:
    """What says the class: conditions by class name, and the columns that they look at."""

    classes: dict[str, str]
    columns: tuple[str, ...]


_FLAVOURS = {0: "light", 1: "d", 2: "u", 3: "s", 4: "c", 5: "b", 15: "tau", 21: "gluon"}


def find_label(columns: list[Column], lists: Sequence[Lists] = ()) -> Label | None:
    """The best guess among columns with one number a row: one integer with few values, or flags of which one is set."""
    named = [c for c in columns if _LABEL.search(c.name) and c.integral and len(c.values) and not _EVENT.match(c.name)]
    named = [c for c in named if not is_trigger(c) and not is_counter(c, list(lists))]
    flags = [c for c in named if set(c.distinct.tolist()) <= {0, 1}]
    if len(flags) >= 2 and (np.sum([c.values.astype(np.int64) for c in flags], axis=0) == 1).all():
        return Label({_class_name(c.name): f"{c.name} == 1" for c in flags}, tuple(c.name for c in flags))
    few = [c for c in named if 2 <= len(c.distinct) <= 12]
    if not few:
        return None
    best = max(few, key=_rank)
    return Label(_classes(best), (best.name,))


def _rank(column: Column) -> tuple[bool, bool, int]:
    """Hadron rather than parton flavour, and the shorter name."""
    lower = column.name.lower()
    return ("hadron" in lower or "label" in lower or "signal" in lower, "parton" not in lower, -len(column.name))


def _class_name(column: str) -> str:
    name = re.sub(r"^(label|is|truth|target)_?", "", column)
    return name if name.isidentifier() else column


def _classes(column: Column) -> dict[str, str]:
    values = [int(value) for value in column.distinct]
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


def is_event_number(column: Column) -> bool:
    return bool(_EVENT.match(column.name)) and column.values.dtype.kind in "iu"


def is_weight(column: Column) -> bool:
    return bool(_WEIGHT.search(column.name))


def is_trigger(column: Column) -> bool:
    return bool(_TRIGGER.match(column.name))


def is_truth(name: str) -> bool:
    """Whether a whole collection looks like simulated truth or like weights."""
    return bool(_TRUTH.search(name) or _WEIGHT.search(name))


def is_counter(column: Column, lists: list[Lists]) -> bool:
    """The length of a collection, which the lists say already: ``nJet``, ``nJet_pt``, or equal in every row."""
    for group in lists:
        if len(column.values) == len(group.counts) and np.array_equal(column.values, group.counts):
            return True
        if column.name.startswith("n") and column.name[1:] in (group.name, *group.columns, *map(prefix, group.columns)):
            return True
    return False
