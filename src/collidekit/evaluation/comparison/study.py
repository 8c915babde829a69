"""A comparison: all curves and differences, plots, ``comparison.json`` and one page."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from collidekit.evaluation.comparison.contenders import Contender, rows_differ, same_classes
from collidekit.evaluation.comparison.curves import ComparedCurve, measure_contender
from collidekit.evaluation.comparison.differences import ComparedDifference, compare_curves
from collidekit.sealed import write_sealed

FORMAT = "collidekit comparison 1"
OTHER_ROWS = "NOT THE SAME ROWS"
STYLES: tuple[Literal["top-tagging", "b-tagging"], ...] = ("top-tagging", "b-tagging")


@dataclass(frozen=True)
class Comparison:
    """Curves and differences to the first one, by discriminator."""

    analysis: str
    curves: Mapping[str, tuple[ComparedCurve, ...]]
    differences: Mapping[str, tuple[ComparedDifference, ...]]
    notes: tuple[str, ...] = ()
    """Notes for the reader, such as a warning about different rows."""
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings that differ, by the name of the contender."""

    @property
    def contenders(self) -> list[Contender]:
        return list({curve.name: curve.contender for found in self.curves.values() for curve in found}.values())

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return the notes that are shown as warnings."""
        return tuple(note for note in self.notes if note.startswith(OTHER_ROWS))

    @property
    def attacked(self) -> bool:
        return any(contender.attack for contender in self.contenders)

    @property
    def title(self) -> str:
        """Return the title of the page and of tables."""
        names = [contender.name for contender in self.contenders]
        return (
            f"{self.analysis}: {names[0]} and {len(names) - 1} more"
            if len(names) > 2
            else f"{self.analysis}: {' and '.join(names)}"
        )

    def stem(self, discriminator: str, style: str) -> str:
        """Return the file name of a plot, which includes the attacks."""
        attacks = dict.fromkeys(contender.attack for contender in self.contenders if contender.attack)
        mark = "".join(f"_under_{re.sub(r'[^0-9A-Za-z.]+', '_', attack)}" for attack in attacks)[:60]
        return f"roc_{discriminator}{mark}_{style}"

    def as_dict(self, with_curves: bool = True) -> dict[str, Any]:
        """Return everything as plain values; docs/evaluation.md describes the keys."""
        return {
            "format": FORMAT,
            "analysis": self.analysis,
            "reference": self.contenders[0].name,
            "notes": list(self.notes),
            "compared": [_described(contender) for contender in self.contenders],
            "settings": {name: dict(values) for name, values in self.settings.items()},
            "results": [_result(name, curve, with_curves) for name, found in self.curves.items() for curve in found],
            "differences": [
                record for name, found in self.differences.items() for one in found for record in one.as_dicts(name)
            ],
        }

    def write(self, path: Path) -> Path:
        return write_sealed(path, self.as_dict())


def compare(
    contenders: Sequence[Contender],
    analysis: str,
    replicates: int = 200,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    notes: Sequence[str] = (),
    done: Callable[[int], None] = lambda curves: None,
    efficiencies: Sequence[float] = (),
) -> Comparison:
    """Measure every discriminator with signal and background rows; the first contender is the reference of the others."""
    found = same_classes(contenders)
    groups, said = _row_sets(found)
    names = list(found[0].first.discriminators_with_truth())
    skipped = [name for name in found[0].first.definitions if name not in names]
    curves: dict[str, tuple[ComparedCurve, ...]] = {}
    for name in names:
        measured = []
        for contender, rows in zip(found, groups, strict=True):
            if contender.has(name) and name in contender.first.discriminators_with_truth():
                measured.append(measure_contender(contender, name, rows, replicates, efficiencies))
                done(1)
        curves[name] = tuple(measured)
    differences = {
        name: tuple(compare_curves(curve, found[0]) for curve in found[1:]) for name, found in curves.items()
    }
    missing = [f"{', '.join(skipped)}: no comparison, because signal or background has no rows"] if skipped else []
    return Comparison(analysis, curves, differences, (*notes, *said, *missing), settings or {})


def _row_sets(contenders: Sequence[Contender]) -> tuple[list[int], list[str]]:
    """Return the number of the set of rows of each contender, and a note for each set that differs from the first."""
    sets: list[Contender] = []
    numbers, notes = [], []
    for contender in contenders:
        reasons = [rows_differ(contender, other) for other in sets]
        if "" in reasons:
            numbers.append(reasons.index(""))
        else:
            numbers.append(len(sets))
            sets.append(contender)
        if numbers[-1]:
            notes.append(
                f"{OTHER_ROWS}: {contender.name} was not measured on the rows of {sets[0].name} "
                f"({reasons[0]}). Their errors are added as if the rows were independent"
            )
    return numbers, notes


def _described(contender: Contender) -> dict[str, Any]:
    return {
        "name": contender.name,
        "kind": "tagger of the files" if contender.is_tagger else "training",
        "attack": contender.attack,
        "seeds": len(contender.predictions),
        "rows": len(contender.first),
        **contender.facts,
    }


def _result(discriminator: str, curve: ComparedCurve, with_curve: bool) -> dict[str, Any]:
    first = curve.first
    found: dict[str, Any] = {
        "discriminator": discriminator,
        "name": curve.name,
        "signal": first.signal,
        "background": first.background,
        "signal_rows": first.signal_rows,
        "background_rows": first.background_rows,
        "auc": curve.auc,
        "auc_error": curve.auc_error,
        "auc_spread": curve.auc_spread,
        "rejections": [[rejection.as_dict() for rejection in result.rejections] for result in curve.results],
    }
    if with_curve:
        low, high = curve.band
        grid = first.as_dict()["curve"]["signal_efficiency"]
        found["curve"] = {
            "signal_efficiency": grid,
            "background_efficiency": curve.background,
            "background_efficiency_low": low,
            "background_efficiency_high": high,
        }
    return found
