"""Reading an analysis file: every error names the file, the line and the allowed values."""

import re
from os.path import isfile  # pathlib's raise an error for a name that is too long
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from collidekit.analysis.dilepton import Dilepton, DileptonTruth
from collidekit.analysis.discriminators import Discriminator
from collidekit.analysis.expressions import Expression
from collidekit.analysis.features import Feature
from collidekit.analysis.figure_of_merit import FigureOfMerit
from collidekit.analysis.kinematics import Kinematics
from collidekit.analysis.plot_settings import PlotSettings
from collidekit.analysis.schema import Analysis, Collection, Files, Process, Source
from collidekit.analysis.targets import KINDS, Assignment, MemberClasses, Regression
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.plugins import file_and_class, python_file
from collidekit.trust import own_code

MOST_NODES = 100_000
"""Largest number of keys and values of an analysis file, with aliases expanded."""


class YamlLoader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML in which only true and false are booleans, as in YAML 1.2, and every key is a name, also ``no`` and ``off``."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        self.flatten_mapping(node)
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                key.tag = "tag:yaml.org,2002:str"
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


_BOOL = "tag:yaml.org,2002:bool"
YamlLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != _BOOL]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
YamlLoader.add_implicit_resolver(_BOOL, re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


class Lines:
    """The line of each key in a YAML file."""

    def __init__(self, path: str, root: yaml.Node | None) -> None:
        self.path = path
        self._root = root

    def at(self, location: tuple[str | int, ...]) -> str:
        """Return ``file.yaml:12`` for the deepest existing part of a location; for a checkpoint, only the name."""
        if self._root is None:
            return self.path
        node, line = self._root, 1
        for part in location:
            found = self._child(node, part)
            if found is None:
                continue
            node, line = found
        return f"{self.path}:{line}"

    @staticmethod
    def _child(node: yaml.Node | None, part: str | int) -> tuple[yaml.Node, int] | None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == str(part):
                    return value, key.start_mark.line + 1
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            return node.value[part], node.value[part].start_mark.line + 1
        return None


def load_analysis(path: str | Path) -> Analysis:
    """Return a validated analysis file; its expressions are parsed, and their names are checked against files later."""
    return read_analysis(path)[0]


def read_analysis(path: str | Path) -> tuple[Analysis, Lines]:
    """Return the analysis and the lines of its keys in the file."""
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CollidekitError(f"{path}: there is no such analysis file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CollidekitError(f"{path}: cannot be read as a text file ({error})") from None
    found = parse_analysis(text, str(path))
    own_code(found[0].processor, found[0].source.format)
    return found


def parse_yaml(text: str, path: str, what: str) -> tuple[Any, Lines]:
    """Return the content of a YAML text and the lines of its keys; a repeated key is an error."""
    try:
        root = yaml.compose(text, Loader=YamlLoader)
        _no_key_twice(root, path)
        content = yaml.load(text, Loader=YamlLoader)
    except (ValueError, RecursionError) as error:  # such as the date 2024-13-45, or a thousand brackets
        raise CollidekitError(f"{path}:1: not {what} ({error})") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        said = " ".join(str(getattr(error, "problem", error)).split())
        raise CollidekitError(f"{path}:{line}: not valid YAML ({said})") from None
    return content, Lines(path, root)


def parse_analysis(text: str, path: str = "analysis") -> tuple[Analysis, Lines]:
    """Return the analysis and the lines of its keys from a text."""
    content, lines = parse_yaml(text, path, "an analysis file")
    if not isinstance(content, dict):
        raise CollidekitError(f"{path}:1: an analysis file is a list of 'key: value' lines; see docs/analysis.md")
    content.setdefault("name", Path(path).stem)
    try:
        analysis = Analysis.model_validate(content)
    except ValidationError as error:
        raise CollidekitError(_message(error, lines)) from None
    if analysis.processor:
        analysis = analysis.model_copy(update={"processor": _beside(analysis.processor, Path(path).parent)})
    if python_file(analysis.source.format):
        source = analysis.source.model_copy(update={"format": _beside(analysis.source.format, Path(path).parent)})
        analysis = analysis.model_copy(update={"source": source})
    for place, expression in expressions(analysis, lines).items():
        if place[-1] in ("selection", "order", "where") and not expression.names:
            raise CollidekitError(
                f"{expression.where}: {expression.text!r}: {place[-1]} uses no branch and no variable, so it is the same for all; "
                "leave it out, or compare a branch with something"
            )
    return analysis, lines


def _beside(plugin: str, folder: Path) -> str:
    """Return a processor or reader with an absolute path, found relative to the analysis file, else to the current folder.

    The path is absolute because the workers of a cluster may run in another folder.
    """
    file, name = file_and_class(plugin)
    found = next((place for place in (folder / file, Path(file)) if isfile(place)), None)
    return f"{found.absolute()}{name and f':{name}'}" if found else plugin


def expressions(analysis: Analysis, lines: Lines | None = None) -> dict[tuple[str | int, ...], Expression]:
    """Return every expression of an analysis, parsed, by its location in the file."""
    lines = lines or Lines(analysis.name or "analysis", None)
    found: dict[tuple[str | int, ...], str] = {}
    if analysis.selection:
        found["selection",] = analysis.selection
    if analysis.weight:
        found["weight",] = analysis.weight
    found |= {("variables", name): text for name, text in analysis.variables.items()}
    found |= {("classes", name): text for name, text in analysis.classes.items()}
    for group, entry in analysis.inputs.items():
        found |= {("inputs", group, "features", i): f.expression for i, f in enumerate(entry.features)}
        if isinstance(entry, Collection):
            if entry.order:
                found["inputs", group, "order"] = entry.order
            if entry.where:
                found["inputs", group, "where"] = entry.where
            found |= {("inputs", group, "momenta", i): text for i, text in enumerate(entry.momenta or [])}
            found |= {("inputs", group, "coordinates", i): text for i, text in enumerate(entry.coordinates or [])}
    for name, target in analysis.targets.items():
        if isinstance(target, MemberClasses):
            found |= {("targets", name, "classes", key): text for key, text in target.classes.items()}
        elif isinstance(target, Regression):
            found |= {("targets", name, "values", key): text for key, text in target.values.items()}
        elif isinstance(target, Assignment):
            found |= {
                ("targets", name, "parents", parent, key): slot.index
                for parent, slots in target.parents.items()
                for key, slot in slots.items()
            }
        else:
            found["targets", name, "same"] = target.same
    for name, process in analysis.processes.items():
        if process.selection:
            found["processes", name, "selection"] = process.selection
    found |= {("spectators", i): name for i, name in enumerate(analysis.spectators)}
    found |= {("event", i): name for i, name in enumerate(analysis.event)}
    if analysis.kinematics:
        found |= {("kinematics", name): name for name in analysis.kinematics.bins}
    found |= {("members", name): index for name, index in analysis.members.items()}
    if dilepton := analysis.dilepton:
        for particle, momentum in dilepton.truth.particles.items() if dilepton.truth else ():
            found |= {("dilepton", "truth", particle, i): text for i, text in enumerate(momentum)}
        for name, neutrinos in dilepton.given.items():
            found |= {("dilepton", "given", name, i): text for i, text in enumerate(neutrinos)}
        found |= {("dilepton", "spin_weights", name): text for name, text in dilepton.spin_weights.items()}
    return {place: Expression(text, lines.at(place)) for place, text in found.items()}


def _no_key_twice(root: yaml.Node | None, path: str) -> None:
    """Raise an error for a repeated key, and for aliases that expand to more entries than a file may have."""
    todo, visited = [root], 0
    while todo:
        node = todo.pop()
        visited += 1
        if visited > MOST_NODES:
            raise CollidekitError(f"{path}:1: its aliases (*name) expand to more than {MOST_NODES} entries")
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, _ in node.value:
                if not isinstance(key, yaml.ScalarNode):
                    raise CollidekitError(f"{path}:{key.start_mark.line + 1}: a key must be a name")
                if key.value in seen:
                    raise CollidekitError(f"{path}:{key.start_mark.line + 1}: {key.value!r} is given twice")
                seen.add(key.value)
            todo += [value for _, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            todo += node.value


def _message(error: ValidationError, lines: Lines) -> str:
    """Return the first error as one line: the place, the problem, and the allowed values."""
    errors = error.errors()
    unknown = (e for e in errors if e["type"] == "extra_forbidden" and e["loc"][:-1] == errors[0]["loc"][:-1])
    first = next(unknown, errors[0])  # a missing key may only be misspelt
    location = tuple(part for part in first["loc"] if part not in ("Collection", "Group", *KINDS))
    location += first.get("ctx", {}).get("place", ())
    place = ".".join(str(part) for part in location)
    at = lines.at(location)
    if first["type"] == "extra_forbidden" and not str(location[-1]).isidentifier():
        return f"{at}: {'.'.join(map(str, location[:-1]))}: an expression with a comma needs quotes inside {{ }}"
    if first["type"] == "extra_forbidden":
        kind = next((KINDS[part] for part in first["loc"] if part in KINDS), None)
        allowed = sorted(kind.model_fields) if kind else _allowed(location)
        return f"{at}: {place}: unknown key{did_you_mean(str(location[-1]), allowed)}; allowed are {', '.join(allowed)}"
    if first["type"] == "missing":
        return f"{at}: {place}: is required"
    message = first["msg"].removeprefix("Value error, ")
    given = first.get("input")
    shown = f", got {given!r}" if isinstance(given, str | int | float) and "got" not in message else ""
    return f"{at}: {place + ': ' if place else ''}{message}{shown}"


def _allowed(location: tuple[Any, ...]) -> list[str]:
    """Return the allowed keys beside a wrong one."""
    match location:
        case (_,):
            model: type[BaseModel] = Analysis
        case ("source", *_):
            model = Source
        case ("files", *_):
            model = Files
        case ("inputs", _, "features", *_):
            model = Feature
        case ("inputs", *_):
            model = Collection
        case ("discriminators", *_):
            model = Discriminator
        case ("processes", *_):
            model = Process
        case ("plots", *_):
            model = PlotSettings
        case ("figure_of_merit", *_):
            model = FigureOfMerit
        case ("dilepton", "truth", *_):
            model = DileptonTruth
        case ("dilepton", *_):
            model = Dilepton
        case _:
            model = Kinematics
    return sorted(model.model_fields)
