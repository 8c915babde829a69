"""Write the analysis file for events that ``collidekit export-events`` wrote, from the metadata of the file."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from collidekit.analysis.schema import Analysis
from collidekit.analysis.targets import Assignment, MemberClasses, Regression
from collidekit.dataset.export.columns import Column, find_columns
from collidekit.dataset.export.units import find_conversions
from collidekit.dataset.targets import UNKNOWN

_ENERGY = re.compile(r"[kMGT]?eV")
_KEPT = ("class_weights", "discriminators", "working_points", "efficiencies", "training", "recipes")
"""Keys of the analysis that do not change for the exported events."""
_NOT_EXPORTED = ("truth", "given", "spin_weights")
"""Keys of ``dilepton`` that need the original files."""


@dataclass
class _Columns:
    """Expressions for the columns of a file in the units of the analysis."""

    about: dict[str, dict[str, Any]]
    own: dict[tuple[str, ...], Column]
    """Columns of the analysis by the source of their values."""
    names: dict[str, str] = field(default_factory=dict)
    """Name in the file for each source."""

    def __post_init__(self) -> None:
        self.names = {str(about.get("from", "")): name for name, about in self.about.items()}

    def name(self, *key: str) -> str:
        return self.names[" ".join(key)]

    def text(self, *key: str) -> str:
        """Return the expression of a column in the unit of the analysis."""
        name, column = self.name(*key), self.own[key]
        unit, original = str(self.about[name].get("unit", "")), _ENERGY.search(column.unit)
        if unit == column.unit or not original:
            return name
        there = Column(name, key, "float64", unit=unit)
        change = find_conversions([there], original[0], {})[1][name]
        text = f"{name} {'*' if change.exponent > 0 else '/'} 1e{abs(change.exponent)}" if change.exponent else name
        if change.offset:
            text = f"{name} {'+' if change.offset > 0 else '-'} {abs(change.offset):.17g}"
        return text if column.missing is None else f"{text} if {name} != {column.missing:g} else {column.missing:g}"


def write_exported(content: dict[str, Any], files: Sequence[str], source: dict[str, Any], about: str) -> str:
    """Return the text of an analysis file with the inputs, momenta and targets of the analysis in the metadata."""
    analysis = Analysis.model_validate(content["definition"])
    columns = _Columns(content["columns"], {column.key: column for column in find_columns(analysis)})
    definition = content["definition"]
    made: dict[str, Any] = {"source": source, "files": {"training": list(files)}}
    made["classes"] = {name: f"label == {k}" for k, name in enumerate(analysis.classes)}
    made["inputs"] = {name: _input(columns, name, entry) for name, entry in definition["inputs"].items()}
    made["targets"] = {
        name: _target(columns, analysis, name, entry) for name, entry in definition.get("targets", {}).items()
    }
    dilepton = definition.get("dilepton", {})
    made["dilepton"] = {key: value for key, value in dilepton.items() if key not in _NOT_EXPORTED}
    made["weight"] = columns.name("weight")
    made["spectators"] = [columns.name("spectator", name) for name in analysis.spectators]
    made["units"] = {
        columns.name("spectator", name): unit for name in analysis.spectators if (unit := _unit(columns, name))
    }
    made["event"] = [columns.name("event", name) for name in analysis.event]
    if analysis.kinematics:
        bins = {columns.name("spectator", name): edges for name, edges in analysis.kinematics.bins.items()}
        made["kinematics"] = bins | {"reference": analysis.kinematics.reference}
    if merit := definition.get("figure_of_merit"):
        made["figure_of_merit"] = merit | {"variable": columns.name("spectator", merit["variable"])}
    made |= {key: definition[key] for key in _KEPT if key in definition}
    given = {key: value for key, value in made.items() if value}
    text = yaml.safe_dump(given, sort_keys=False, width=120, allow_unicode=True, default_flow_style=None)
    return "\n".join([*_head(content, about, [key for key in _NOT_EXPORTED if dilepton.get(key)]), "", text])


def _head(content: dict[str, Any], about: str, lost: list[str]) -> list[str]:
    found = [
        f"# {about}",
        f"# These events were exported with the analysis {content.get('analysis')}. Rows are already selected, and constituents sorted and truncated.",
    ]
    if lost:
        found.append(f"# Left out of `dilepton`, because the file does not hold them: {', '.join(lost)}")
    return found


def _input(columns: _Columns, name: str, entry: dict[str, Any]) -> dict[str, Any]:
    """Return an input with the columns of the file; momenta in GeV."""
    features = []
    for i, feature in enumerate(entry["features"]):
        text = columns.text("input", name, str(i))
        features.append({**{k: v for k, v in feature.items() if k != "expression"}, "expression": text})
    found: dict[str, Any] = {"limit": entry["limit"]} if "limit" in entry else {}
    place = len(features)
    for key, number in (("momenta", 4), ("coordinates", 2)):
        if entry.get(key):
            found[key] = [columns.text("input", name, str(i)) for i in range(place, place + number)]
            place += number
    return found | {"features": features}


def _target(columns: _Columns, analysis: Analysis, name: str, entry: dict[str, Any]) -> dict[str, Any]:
    """Return a target with the columns of the file."""
    target = analysis.targets[name]
    if isinstance(target, Regression):
        values = {value: columns.text("truth", name, str(v)) for v, value in enumerate(target.values)}
        return entry | {"values": values}
    if isinstance(target, Assignment):
        parents: dict[str, dict[str, Any]] = {}
        for v, value in enumerate(target.values):
            parent, slot = next((p, s) for p, slots in target.parents.items() for s in slots if f"{p}_{s}" == value)
            index = {"index": _known(columns.name("truth", name, str(v)))}
            other = target.parents[parent][slot].collection
            parents.setdefault(parent, {})[slot] = index | ({"collection": other} if other else {})
        return entry | {"parents": parents}
    held = analysis.target_columns(target.collection)
    text = columns.name("member", target.collection, str(held.index(name)))
    if isinstance(target, MemberClasses):
        return entry | {"classes": {known: f"{text} == {k}" for k, known in enumerate(target.classes)}}
    return entry | {"same": _known(text)}


def _known(name: str) -> str:
    """Return the expression of a position, which is NaN where the file marks it as unknown."""
    return f"nan if {name} == {UNKNOWN} else {name}"


def _unit(columns: _Columns, spectator: str) -> str:
    return str(columns.about[columns.name("spectator", spectator)].get("unit", ""))
