"""The positions of numbers in a JSON line: layouts given by users or derived from the lines."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from collidekit.errors import CollidekitError, did_you_mean

TRACK = ["d0", "z0", "phi", "theta", "qoverp"]
COVARIANCES = [first + second for i, first in enumerate(TRACK) for second in TRACK[: i + 1]]
VERTEX = ["mass", "displacement", "delta_eta_jet", "delta_phi_jet", "displacement_significance", "n_tracks"]
VERTEX = [f"vertex_{name}" for name in [*VERTEX, "energy_fraction"]]

LAYOUTS: dict[str, list[Any]] = {
    "jet_flavour_2016": [
        "jet_pt",
        "jet_eta",
        "flavor",
        [
            "track_2_d0_significance",
            "track_3_d0_significance",
            "track_2_z0_significance",
            "track_3_z0_significance",
            "n_tracks_over_d0_threshold",
            "jet_prob",
            "jet_width_eta",
            "jet_width_phi",
        ],
        [
            "vertex_significance",
            "n_secondary_vertices",
            "n_secondary_vertex_tracks",
            "delta_r_vertex",
            "vertex_mass",
            "vertex_energy_fraction",
        ],
        {
            "each": {
                "each": [*TRACK, *COVARIANCES, "weight", *VERTEX],
                "prefix": "track_",
            }
        },
    ]
}
"""Layouts by name. ``jet_flavour_2016``: lists of vertices, each a list of its tracks (data of arXiv:1607.08633)."""


class ShapeError(Exception):
    """A line that does not match its layout; ``where`` is the position in it, such as ``[5][0][27]``."""

    def __init__(self, what: str, where: str = "") -> None:
        super().__init__(what)
        self.what, self.where = what, where

    def inside(self, where: object) -> "ShapeError":
        return ShapeError(self.what, f"[{where}]{self.where}")


@dataclass
class Level:
    """Values with the same multiplicity: the numbers of the line, or the members of its lists of one kind."""

    depth: int  # 0: numbers of the line; 1: lists
    names: list[str] = field(default_factory=list)
    scalar: bool = False  # each row is a number, not a list with one number for each name
    rows: list[Any] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)


class Node:
    """A part of a layout; ``read`` adds its numbers to ``record``, and numbers of lists to their levels."""

    def read(self, value: Any, record: list[Any]) -> None:
        raise NotImplementedError


class Skip(Node):
    def read(self, value: Any, record: list[Any]) -> None:
        pass


class Number(Node):
    def read(self, value: Any, record: list[Any]) -> None:
        if isinstance(value, list | dict):
            raise ShapeError(f"a number was expected, not {_kind(value)}")
        record.append(value)


@dataclass
class Tuple(Node):
    nodes: list[Node]

    @cached_property
    def plain(self) -> bool:
        """True if all nodes are numbers, which are then read together and several times faster; numpy finds errors."""
        return all(isinstance(node, Number) for node in self.nodes)

    def read(self, value: Any, record: list[Any]) -> None:
        if not isinstance(value, list):
            raise ShapeError(f"a list of {len(self.nodes)} was expected, not {_kind(value)}")
        if len(value) != len(self.nodes):
            raise ShapeError(f"a list of {len(self.nodes)} was expected, not of {len(value)}")
        if self.plain:
            record.extend(value)
            return
        for index, node in enumerate(self.nodes):
            try:
                node.read(value[index], record)
            except ShapeError as error:
                raise error.inside(index) from None


@dataclass
class Object(Node):
    nodes: dict[str, Node]

    def read(self, value: Any, record: list[Any]) -> None:
        if not isinstance(value, dict):
            raise ShapeError(f"an object was expected, not {_kind(value)}")
        for key, node in self.nodes.items():
            try:
                if key not in value:
                    raise ShapeError("the value is missing")
                node.read(value[key], record)
            except ShapeError as error:
                raise error.inside(repr(key)) from None


@dataclass
class Each(Node):
    """A list of any length, where null is empty; ``repeat`` holds positions in the record of a member for inner lists."""

    node: Node
    level: Level
    repeat: list[tuple[Level, list[int]]] = field(default_factory=list)

    def read(self, value: Any, record: list[Any]) -> None:
        if value is None:
            return
        if not isinstance(value, list):
            raise ShapeError(f"a list of any length was expected, not {_kind(value)}")
        if isinstance(self.node, Number) and len(self.level.names) == 1:
            self.level.scalar = True
            self.level.rows.extend(value)
            return
        width = len(self.node.nodes) if isinstance(self.node, Tuple) and self.node.plain and not self.repeat else None
        for index, member in enumerate(value):
            if isinstance(member, list) and len(member) == width:
                self.level.rows.append(member)
                continue
            try:
                self._member(member)
            except ShapeError as error:
                raise error.inside(index) from None

    def _member(self, member: Any) -> None:
        starts = [len(inner.rows) for inner, _ in self.repeat]
        record: list[Any] = []
        self.node.read(member, record)
        self.level.rows.append(record)
        for (inner, positions), start in zip(self.repeat, starts, strict=True):
            for row in inner.rows[start:]:
                row.extend(record[position] for position in positions)


def _kind(value: Any) -> str:
    return {list: "a list", dict: "an object", type(None): "null"}.get(type(value), repr(value)[:40])


class Layout:
    """A layout ready to read lines; ``line`` fills the ``levels``."""

    def __init__(self) -> None:
        self.levels = [Level(0)]
        self.root: Node = Skip()

    def columns(self) -> Iterator[tuple[str, Level, int]]:
        for level in self.levels:
            for position, name in enumerate(level.names):
                yield name, level, position

    def line(self, value: Any) -> None:
        starts = [len(level.rows) for level in self.levels]
        record: list[Any] = []
        self.root.read(value, record)
        self.levels[0].rows.append(record)
        for level, start in zip(self.levels, starts, strict=True):
            level.counts.append(len(level.rows) - start)

    def clear(self) -> None:
        for level in self.levels:
            level.rows, level.counts = [], []


def written(template: Any) -> Layout:
    """Return the layout of ``source: {layout: ...}``: a name from `LAYOUTS`, or a list with the structure of a line."""
    if isinstance(template, str):
        if template not in LAYOUTS:
            raise CollidekitError(
                f"source.layout: there is no layout {template!r}{did_you_mean(template, list(LAYOUTS))}; "
                f"known are {', '.join(LAYOUTS)}, or write it as a list"
            )
        template = LAYOUTS[template]
    layout = Layout()
    layout.root = _written(template, layout, layout.levels[0], "", None)
    names = [name for name, _, _ in layout.columns()]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise CollidekitError(f"source.layout: the name {twice[0]!r} is given twice; distinguish one with `prefix`")
    return layout


def _written(template: Any, layout: Layout, level: Level, prefix: str, outer: Each | None) -> Node:
    if template is None or template == "_":
        return Skip()
    if isinstance(template, str):
        level.names.append(prefix + template)
        return Number()
    if isinstance(template, list):
        return Tuple([_written(part, layout, level, prefix, outer) for part in template])
    if not isinstance(template, dict) or "each" not in template or template.keys() - {"each", "prefix", "repeat"}:
        raise CollidekitError(
            f"source.layout: {str(template)[:60]} is neither a name, a list, null, nor {{each: ..., prefix: ..., repeat: ...}}"
        )
    inner = Level(1)
    layout.levels.append(inner)
    node = Each(Skip(), inner)
    node.node = _written(template["each"], layout, inner, str(template.get("prefix", "")), node)
    for name, new in dict(template.get("repeat") or {}).items():
        known = outer.level.names if outer else []
        if outer is None or name not in known:
            raise CollidekitError(
                f"source.layout: repeat: {name!r} is not a name of the list around it{did_you_mean(str(name), known)}; "
                "names in that list must be written with their prefix and before the inner list"
            )
        if not outer.repeat or outer.repeat[-1][0] is not inner:
            outer.repeat.append((inner, []))
        outer.repeat[-1][1].append(known.index(name))
        inner.names.append(str(new))
    return node


def shown(lines: list[Any]) -> tuple[Layout, dict[str, str]]:
    """Return the layout of lines that are objects, derived from some of them, and the values that cannot be read."""
    layout = Layout()
    unreadable: dict[str, str] = {}
    layout.root = _shown(lines, "", layout, layout.levels[0], unreadable)
    return layout, unreadable


def _shown(samples: list[Any], name: str, layout: Layout, level: Level, unreadable: dict[str, str]) -> Node:
    if all(isinstance(sample, dict) for sample in samples):
        keys = list(dict.fromkeys(key for sample in samples for key in sample))
        nodes = {}
        for key in keys:
            inside = [sample[key] for sample in samples if key in sample]
            nodes[key] = _shown(inside, f"{name}_{key}" if name else key, layout, level, unreadable)
        return Object({key: node for key, node in nodes.items() if not isinstance(node, Skip)})
    lists = [sample for sample in samples if isinstance(sample, list)]
    if level.depth == 0 and lists and all(sample is None or isinstance(sample, list) for sample in samples):
        inner = Level(1)
        layout.levels.append(inner)
        members = [member for sample in lists for member in sample] or [0.0]
        node = _shown(members, name, layout, inner, unreadable)
        return node if isinstance(node, Skip) else Each(node, inner)
    if any(isinstance(sample, list | dict) for sample in samples):
        unreadable[name] = "lists in lists, or sometimes a list and sometimes not"
        return Skip()
    if any(isinstance(sample, str) and not is_number(sample) for sample in samples):
        unreadable[name] = "text"
        return Skip()
    level.names.append(name)
    return Number()


def is_number(text: str) -> bool:
    """Return whether a text is a number, including ``NaN`` and ``-inf``."""
    try:
        float(text)
    except ValueError:
        return False
    return True
