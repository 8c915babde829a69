"""Adapt a bundled analysis to files of the same layout: parts that need missing branches become comments."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import yaml
from pydantic import ValidationError

from collidekit.analysis.load import YamlLoader, parse_analysis
from collidekit.analysis.names import ColumnNames
from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import BUILT_IN, Plan
from collidekit.errors import CollidekitError

Place = tuple[str | int, ...]
_NEEDED = ("classes", "members", "rows")
"""Keys that must not change."""
_ROUNDS = 5


@dataclass
class Adapted:
    """The text of an analysis, and the parts that were left out."""

    text: str
    left_out: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    """Branches that the files do not have."""


def adapt(text: str, available: Iterable[str]) -> Adapted | None:
    """Leave out the parts of an analysis that need missing branches; return None if a required key needs them."""
    made, known = Adapted(text), ColumnNames([*available, *BUILT_IN])
    for _ in range(_ROUNDS):
        try:
            plan = Plan(*parse_analysis(made.text))
        except CollidekitError:
            return None
        lost: dict[Place, str] = {}
        for place, expression in plan.expressions.items():
            absent = [name for name in plan.leaves([expression]) if known.find(name) is None]
            if absent:
                lost[place] = absent[0]
        if not lost:
            return made
        if any(place[0] in _NEEDED for place in lost):
            return None
        made.absent = list(dict.fromkeys([*made.absent, *lost.values()]))
        if ("selection",) in lost and (kept := _terms(plan, known)):
            del lost["selection",]
            made.left_out.append("a condition of the selection")
            made.text = re.sub(
                r"^selection:.*$", lambda _: f"selection: {kept}", made.text, count=1, flags=re.MULTILINE
            )
        _leave_out(made, lost)
    return None


def _terms(plan: Plan, known: ColumnNames) -> str:
    """Return the conditions of the selection whose branches exist."""
    terms = plan["selection",].terms()
    return " and ".join(
        term.text for term in terms if all(known.find(name) is not None for name in plan.leaves([term]))
    )


def leave_out_class(text: str, name: str, reference: str) -> str:
    """Return the analysis without a class; kinematics gets another class as reference."""
    plan = Plan(*parse_analysis(text))
    places: dict[Place, str] = {("classes", name): "no rows"}
    for key, one in plan.analysis.discriminators.items():
        if name in [*one.signal, *one.background]:
            places["discriminators", key] = "no rows"
    made = Adapted(text)
    _leave_out(made, places, "the files have no rows of this class")
    return _without_unused_labels(re.sub(rf"(\breference: ){name}\b", rf"\g<1>{reference}", made.text))


def _leave_out(made: Adapted, lost: dict[Place, str], why: str = "") -> None:
    """Turn the lines of places into comments with a reason."""
    root = yaml.compose(made.text, Loader=YamlLoader)
    lines = made.text.splitlines()
    spans: dict[tuple[int, int], str] = {}
    for place, branch in lost.items():
        node, span = _span(root, _whole(place), lines)
        if span is None:
            lines[node] = _without(lines[node], branch)
            made.left_out.append(_named(place, lines[node]))
            continue
        spans[span] = why or f"no branch {branch}"
        if place[0] != "variables":
            made.left_out.append(_named(place, lines[span[0]]))
    for (first, last), said in spans.items():
        for number in range(first, last + 1):
            indent = len(lines[number]) - len(lines[number].lstrip())
            note = f"  # {said}" if number == first else ""
            if not lines[number].lstrip().startswith("#"):
                lines[number] = f"{' ' * indent}# {lines[number].lstrip()}{note}"
    made.left_out = list(dict.fromkeys(made.left_out))
    made.text = _without_unused_labels(_without_empty("\n".join(lines) + "\n"))


def _whole(place: Place) -> Place:
    """Return the part to leave out: the whole collection if its ``where`` cannot be evaluated."""
    if place[0] == "inputs" and place[2] == "where":
        return place[:2]
    if place[0] == "inputs" and place[2] in ("momenta", "coordinates"):
        return place[:3]
    if place[0] == "targets":
        return place[:2]
    return place


def _span(root: Any, place: Place, lines: list[str]) -> tuple[int, tuple[int, int] | None]:
    """Return the first line of a place, and its first and last line; None for the span if the place is an entry within a line."""
    node, first = root, 0
    for part in place:
        if isinstance(node, yaml.MappingNode):
            key, node = next((k, v) for k, v in node.value if k.value == str(part))
            first = key.start_mark.line
        else:
            node = node.value[part]
            if lines[node.start_mark.line].lstrip().startswith("- "):
                first = node.start_mark.line
            else:
                return node.start_mark.line, None
    return first, (first, max(_last_line(node), first))


def _last_line(node: yaml.Node) -> int:
    """Return the last line of a node. In YAML, the end mark of a block is the begin of the next one."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style:
        return int(node.end_mark.line) - int(node.end_mark.column == 0)
    inside = node.value if isinstance(node, yaml.SequenceNode) else [value for _, value in node.value]
    return max((_last_line(one) for one in inside), default=int(node.start_mark.line))


def _without(line: str, name: str) -> str:
    """Remove one entry from a line with a list, such as ``event: [run, event]``."""
    key, bracket, entries = line.partition("[")
    inside, end, rest = entries.partition("]")
    kept = [entry for entry in inside.split(",") if entry.strip() != name]
    return key + bracket + ",".join(kept).strip() + end + rest


def _named(place: Place, line: str) -> str:
    """Return the name of a place for messages: the feature, or the key."""
    if len(place) > 3 and place[2] == "features":
        found = re.search(r"(?:name: )?([A-Za-z_]\w*)", line.lstrip().removeprefix("- ").removeprefix("{"))
        named = re.search(r"name: (\w+)", line)
        return f"{place[1]}.{named[1] if named else found[1] if found else place[3]}"
    return ".".join(str(part) for part in place if not isinstance(part, int))


def _without_unused_labels(text: str) -> str:
    """Turn labels of names that the analysis no longer has into comments."""
    content = yaml.load(text, YamlLoader)
    labels = content.pop("labels", None) or {}
    try:
        known = Analysis.model_validate(content | {"name": "analysis"}).label_names if labels else []
    except ValidationError:  # the next parse raises the error with its line
        return text
    root, lines = yaml.compose(text, Loader=YamlLoader), text.splitlines()
    for name in labels:
        number, span = _span(root, ("labels", name), lines)
        if name not in known and span is not None:
            lines[number] = f"  # {lines[number].lstrip()}"
    return _without_empty("\n".join(lines) + "\n")


def _without_empty(text: str) -> str:
    """Turn empty keys into comments, such as an input without features or a list without entries."""
    root = yaml.compose(text, Loader=YamlLoader)
    lines = text.splitlines()

    def visit(node: Any) -> None:
        for key, value in node.value:
            empty = value.tag == "tag:yaml.org,2002:null" or (isinstance(value, yaml.SequenceNode) and not value.value)
            features = (
                next((v for k, v in value.value if k.value == "features"), None)
                if isinstance(value, yaml.MappingNode)
                else None
            )
            if empty or (features is not None and features.tag.endswith(":null")):
                last = _last_line(value) if not empty else key.start_mark.line
                for number in range(key.start_mark.line, last + 1):
                    if lines[number].strip() and not lines[number].lstrip().startswith("#"):
                        lines[number] = f"# {lines[number]}"
            elif isinstance(value, yaml.MappingNode):
                visit(value)

    visit(root)
    return "\n".join(lines) + "\n"
