"""Translate the targets of SPANet's event file to targets and classes of an analysis, and list what cannot be translated."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collidekit.errors import CollidekitError, did_you_mean
from collidekit.readers.spanet_parts import ElsewhereError
from collidekit.starter.columns import Column, plain_name
from collidekit.starter.event_file import EventFile, Extra

MOST_SLOTS = 3
"""Maximum number of decay products of a parent in an assignment."""
_LOSSES = {"gaussian": ("standard", "mse"), "laplacian": ("robust", "mae"), "log_gaussian": ("standard", "mse")}

ReadPositions = Callable[[str], NDArray[np.int64]]
"""Function that returns the positions (N,) of a column in the sampled rows. It raises CollidekitError for impossible positions."""


@dataclass
class Slots:
    """The parents of an assignment."""

    parents: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)
    """Column and collection of each slot of each parent."""
    symmetries: list[list[str]] = field(default_factory=list)
    not_translated: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    joint: dict[str, list[str]] = field(default_factory=dict)
    """By input: decay products whose positions count over all inputs, and which are always in this input in the sampled rows."""

    @property
    def collection(self) -> str:
        """The collection of most slots."""
        used = [collection for slots in self.parents.values() for _, collection in slots.values()]
        return max(used, key=used.count) if used else ""


def find_slots(event: EventFile, known: set[str], read: ReadPositions) -> Slots:
    """Return the assignment of the event file and its symmetries. Raises CollidekitError for missing truth."""
    found = Slots()
    for particle, products in event.products.items():
        if len(products) > MOST_SLOTS:
            found.not_translated.append(
                f"EVENT/{particle}: it has {len(products)} decay products, but a parent has at most {MOST_SLOTS}"
            )
            continue
        slots: dict[str, tuple[str, str]] = {}
        for product, source in products.items():
            column = _column(event, found, particle, product, source, known, read)
            if column is None:
                break
            slots[plain_name(product)] = column
        else:
            found.parents[plain_name(particle)] = slots
    for chosen, counted in found.joint.items():
        found.notes.append(
            f"the positions of {', '.join(counted)} count over {', '.join(event.sequential)} including padding; in the sampled rows, "
            f"all are in {chosen}"
        )
    _find_symmetries(event, found)
    return found


def _column(
    event: EventFile, found: Slots, particle: str, product: str, source: str, known: set[str], read: ReadPositions
) -> tuple[str, str] | None:
    """Return column and collection of a slot; None, with a message, if its decay product is in different inputs."""
    name, inputs = f"{particle}_{product}", event.sequential
    where = f"TARGETS/{particle}/{product}"
    alone = name if name in known else f"{name}_in_{inputs[0]}"  # the file may have more inputs than the event file
    columns = {one: f"{name}_joint_in_{one}" for one in inputs} if len(inputs) > 1 else {inputs[0]: alone}
    if len(inputs) == 1 and alone in known:
        return alone, plain_name(inputs[0])
    if not known >= set(columns.values()):
        raise CollidekitError(f"{event.path}: EVENT has {particle}/{product}, but the file has no positions {where}")
    if source:
        try:
            read(f"{name}_in_{source}")
        except CollidekitError as error:
            read(columns[source])  # raises an error if this is impossible, too
            found.notes.append(
                f"{where} is used as a position in all inputs together, because it cannot be a position in {source} ({error})"
            )
            return columns[source], plain_name(source)
        return f"{name}_in_{source}", plain_name(source)
    for chosen in inputs:
        try:
            read(columns[chosen])
            break
        except ElsewhereError:
            continue
    else:
        found.not_translated.append(
            f"EVENT/{particle}: its {product} is in different inputs, but a slot is filled from one collection"
        )
        return None
    found.joint.setdefault(chosen, []).append(f"{particle}/{product}")
    return columns[chosen], plain_name(chosen)


def _find_symmetries(event: EventFile, found: Slots) -> None:
    particles_first = sorted(event.permutations.items(), key=lambda item: item[0] == "EVENT")
    for owner, entries in particles_first:
        names = list(event.products if owner == "EVENT" else event.products[owner])
        groups: list[set[str]] = []
        for entry in entries:
            group = _group(entry, names, f"{event.path}: PERMUTATIONS/{owner}")
            if group is None:
                found.not_translated.append(
                    f"PERMUTATIONS/{owner}: {entry}: only a cycle of two names can be translated; all names of a list [a, b, c] may be exchanged"
                )
                continue
            touching = [one for one in groups if one & group]  # overlapping groups become one
            groups = [one for one in groups if not one & group] + [group.union(*touching)]
        for group in groups:
            _add_symmetry(found, owner, [name for name in names if name in group])


def _group(entry: Any, names: list[str], where: str) -> set[str] | None:
    """Return the names of which any two may be exchanged; None for other cycles."""
    flat = isinstance(entry, list) and all(isinstance(name, str) for name in entry)
    cycle = isinstance(entry, list) and all(isinstance(one, list) for one in entry)
    if not entry or not (flat or cycle):
        raise CollidekitError(f"{where}: {entry!r} must be a list of names, such as [q1, q2]")
    used = entry if flat else [name for one in entry for name in one]
    for name in used:
        if name not in names:
            raise CollidekitError(f"{where}: there is no {name!r}{did_you_mean(str(name), names)}")
    return set(used) if flat or (len(entry) == 1 and len(entry[0]) == 2) else None


def _add_symmetry(found: Slots, owner: str, names: list[str]) -> None:
    names = [plain_name(name) for name in names]
    if owner == "EVENT":
        names = [name for name in names if name in found.parents]
        shapes = {name: _shape(found, name) for name in names}
    elif (parent := plain_name(owner)) in found.parents:
        shapes = {f"{parent}.{name}": [("", found.parents[parent][name][1])] for name in names}
        names = list(shapes)
    else:
        return
    if len({str(shape) for shape in shapes.values()}) > 1:
        found.not_translated.append(
            f"PERMUTATIONS/{owner}: {', '.join(names)}: these are distinguishable, because their decay products differ in names, order, inputs "
            "or symmetries"
        )
    elif len(names) > 1:
        found.symmetries.append(names)


def _shape(found: Slots, parent: str) -> list[tuple[str, str]]:
    """Return what must be equal for two exchangeable parents: slots, their collections, and their symmetries."""
    groups = [sorted(name.split(".")[1] for name in one) for one in found.symmetries if one[0].startswith(f"{parent}.")]
    return [(slot, place[1]) for slot, place in found.parents[parent].items()] + [("", str(sorted(groups)))]


@dataclass
class Numbers:
    """Regressions as targets (name -> YAML), classes, and messages for the user."""

    targets: dict[str, str] = field(default_factory=dict)
    classes: dict[str, str] = field(default_factory=dict)
    not_translated: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_numbers(event: EventFile, slots: Slots, columns: Mapping[str, Column]) -> Numbers:
    """Return regressions as targets with values, and a classification of the event as classes of rows."""
    found = Numbers()
    taken = {f"{parent}_{slot}" for parent, entries in slots.parents.items() for slot in entries}
    exchanged = set(_exchanged(event))
    for extra in event.regressions:
        column = _truth(event, f"REGRESSIONS_{extra.column}", f"REGRESSIONS/{extra.written}", columns)
        parts = [plain_name(part) for part in extra.place]
        if exchanged & {extra.place[:1], extra.place}:
            found.not_translated.append(
                f"REGRESSIONS/{extra.written}: {'/'.join(extra.place)} may be exchanged, but its values cannot be exchanged with it"
            )
            continue
        name = plain_name("_".join((*parts, extra.name)))
        name = f"regression_{name}" if name in taken else name
        value, (scale, loss) = column.name, _LOSSES[extra.how]
        if extra.how == "log_gaussian":
            name, value = f"arcsinh_half_{name}", f"arcsinh({value} / 2)"
            found.notes.append(f"REGRESSIONS/{extra.written}: the target is {value}, as in SPANet")
        if name in taken:
            raise CollidekitError(
                f"{event.path}: REGRESSIONS/{extra.written}: another target already has the name {name!r}"
            )
        taken.add(name)
        found.targets[name] = f'{{values: {{{name}: "{value}"}}, scale: {scale}, loss: {loss}}}'
    for extra in event.classifications:
        _add_classes(event, found, extra, columns)
    return found


def _exchanged(event: EventFile) -> Iterator[tuple[str, ...]]:
    """Yield the particles ``(t1,)`` and decay products ``(t1, q1)`` that may be exchanged according to the event file."""
    for owner, entries in event.permutations.items():
        for entry in entries:
            for one in entry:
                for name in one if isinstance(one, list) else [one]:
                    yield (name,) if owner == "EVENT" else (owner, name)


def _add_classes(event: EventFile, found: Numbers, extra: Extra, columns: Mapping[str, Column]) -> None:
    where = f"CLASSIFICATIONS/{extra.written}"
    column = _truth(event, f"CLASSIFICATIONS_{extra.column}", where, columns)
    values = [int(value) for value in column.distinct if value >= 0]
    if extra.place or found.classes:
        why = "only whole events have classes" if extra.place else "an analysis has only one set of classes"
        found.not_translated.append(f"{where}: {why}")
    elif len(values) < 2 or not column.integral:
        found.not_translated.append(f"{where}: the sampled rows do not have two classes")
    else:
        found.classes = {f"{plain_name(extra.name)}_{value}": f"{column.name} == {value}" for value in values}
        listed = ", ".join(map(str, values))
        said = f"{where}: the sampled rows have the classes {listed}; rows of other classes are left out, also for all other targets"
        found.notes.append(f"{said}, and so are rows without a class (-1)" if (column.finite < 0).any() else said)


def _truth(event: EventFile, name: str, where: str, columns: Mapping[str, Column]) -> Column:
    if name not in columns:
        raise CollidekitError(f"{event.path}: names {where}, but the file has no such dataset")
    return columns[name]
