"""A guess at what an analysis of a file would be: rows, classes, variables, inputs, from a sample of its columns."""

import re
from dataclasses import dataclass, field, replace

import numpy as np

from collidekit.starter.columns import (
    Column,
    Lists,
    first_part,
    group_lists,
    is_counter,
    is_event_number,
    is_mask,
    is_place,
    is_trigger,
    is_weight,
)
from collidekit.starter.follows import follows_from
from collidekit.starter.label import Label, find_label
from collidekit.starter.left_out import is_truth, reason
from collidekit.starter.momenta import Momentum, find_momentum
from collidekit.starter.padding import drop_padding
from collidekit.starter.rule import kind_of

MOST_FEATURES = 40
"""Of a flat group; what comes after is written as a comment."""
MOST_CONSTITUENTS = 128
_HEADROOM = 1.2
"""Of the limit of a collection over the longest list that was seen."""
_IMPACT = {"dphi": r"(^|_)(d0|dxy|ip2d|ip3d)$", "deta": r"(^|_)(z0|dz)$"}
"""Impact parameters, and the angle whose sign makes them signed by the jet's axis."""


@dataclass(frozen=True)
class GuessedFeature:
    """A line of a feature list; with a reason why not, it becomes a comment."""

    name: str
    expression: str = ""
    kind: str = "continuous"
    bounds: tuple[float, float] | None = None
    default: float | None = None
    note: str = ""
    """Why it is written as it is."""
    why_not: str = ""


@dataclass
class GuessedInput:
    """A collection, or a flat group where there is no limit."""

    name: str
    features: list[GuessedFeature] = field(default_factory=list)
    limit: int = 0
    order: str = ""
    where: str = ""
    momenta: tuple[str, ...] = ()
    coordinates: tuple[str, ...] = ()
    mean_count: float = 0.0
    """Members in a row."""
    more: bool = False
    """Whether it knows continuous quantities beside four-momenta."""


@dataclass
class Guess:
    """Everything that goes into the file."""

    rows: str = ""
    label: Label | None = None
    variables: dict[str, str] = field(default_factory=dict)
    inputs: list[GuessedInput] = field(default_factory=list)
    spectators: list[str] = field(default_factory=list)
    event: list[str] = field(default_factory=list)
    weights: list[str] = field(default_factory=list)
    kinematics: list[str] = field(default_factory=list)
    members: dict[str, str] = field(default_factory=dict)
    """Collections that say by an index to which row they belong (``JetPFCands_jetIdx``), and this index."""
    left_out: list[str] = field(default_factory=list)
    """Collections that are not of the row but of its event."""
    few_values: list[str] = field(default_factory=list)
    """Columns that may be the truth, where none was found."""
    rows_in_files: int = 0


def guess(columns: dict[str, Column]) -> Guess:
    """Look at sampled columns."""
    lists = group_lists(columns)
    for group in lists:
        drop_padding(group)
    numbers = {name: column for name, column in columns.items() if not column.is_list}
    numbers = {name: column for name, column in numbers.items() if not is_counter(column, lists)}
    found = Guess(label=find_label(list(numbers.values())))
    if found.label is None:
        numbers, lists = _rows_in_events(found, numbers, lists)
    if found.label is None:
        found.few_values = [c.name for c in numbers.values() if c.integral and 2 <= len(c.distinct) <= 12][:10]
    events = [column for column in columns.values() if not column.is_list and is_event_number(column)]
    found.event = [column.name for column in events if column.name.isidentifier()]
    found.weights = [name for name, column in columns.items() if not column.is_list and is_weight(column)]
    found.weights = sorted((name for name in found.weights if not name.startswith(("n", "LHE"))), key=len)[:5]
    lists = [group for group in lists if group.name in found.left_out or not _is_of_truth(found, group)]
    momenta = {group.name: _momentum_of(group) for group in lists}
    jet = _jet(found, numbers, lists, momenta, set(columns))
    for group in lists:
        found.inputs.append(_collection(found, group, momenta[group.name], jet, set(columns)))
    found.inputs.append(_flat(found, numbers, lists, jet))
    found.inputs = [entry for entry in found.inputs if any(not feature.why_not for feature in entry.features)]
    pt, eta, mass = (jet.pt, jet.eta, jet.mass) if jet else _jet_alone(numbers)
    found.spectators = [name for name in (pt, eta, mass) if name.isidentifier()]
    found.kinematics = [name for name in (pt, eta) if name.isidentifier()]
    return found


def _is_of_truth(found: Guess, group: Lists) -> bool:
    """Such a collection is named and left out."""
    if truth := is_truth(group.name) or all(is_truth(column.plain) for column in group.columns.values()):
        found.left_out.append(group.name if group.name != "constituents" else next(iter(group.columns)))
    return truth


def _rows_in_events(
    found: Guess, numbers: dict[str, Column], lists: list[Lists]
) -> tuple[dict[str, Column], list[Lists]]:
    """Where only a collection has a label (``Jet_hadronFlavour``), its members become the rows."""
    labelled = {}
    for group in lists:
        candidates = [c for name, c in group.columns.items() if name.startswith(f"{group.name}_")]
        if (label := find_label(candidates)) and "flav" in label.columns[0].lower():
            labelled[group.name] = (label, group)
    if not labelled:
        return numbers, lists
    name = "Jet" if "Jet" in labelled else min(labelled, key=len)
    found.rows, (found.label, group) = name, labelled[name]
    others = [other for other in lists if other is not group]
    found.left_out = list(dict.fromkeys(name for other in others for name in _names_of(other)))
    for other in lists:
        if other.name.startswith(name) and (index := f"{other.name}_jetIdx") in other.columns:
            found.members[other.name] = index
    members = {n: Column(n, c.columntype, c.values) for n, c in group.columns.items() if n.startswith(f"{name}_")}
    return members, []


def _names_of(group: Lists) -> list[str]:
    """The name of a collection; of lists that happen to have the same lengths, the beginnings of theirs."""
    if not group.name.startswith("constituents"):
        return [group.name]
    return [first_part(column.plain) or column.plain for column in group.columns.values()]


def _momentum_of(group: Lists) -> Momentum | None:
    return find_momentum(group.columns, group.name) or find_momentum(group.columns)


def _jet(
    found: Guess, numbers: dict[str, Column], lists: list[Lists], momenta: dict[str, Momentum | None], taken: set[str]
) -> Momentum | None:
    """What constituents are relative to: the jet's own columns, else the sum of the only collection with momenta."""
    for prefix in (found.rows, "jet", "fatjet", "fj", "") if found.rows else ("jet", "fatjet", "fj", ""):
        if momentum := find_momentum(numbers, prefix):
            own = {part: _named(found, f"jet_{part}", getattr(momentum, part), taken) for part in ("pt", "eta", "phi")}
            energy, mass = momentum.energy, momentum.mass
            if momentum.px and energy and not mass:
                mass = _named(found, "jet_mass", f"mass({', '.join(momentum.cartesian or ())})", taken)
            return Momentum(**own, energy=energy, mass=mass, columns=momentum.columns)
    with_momenta = [group for group in lists if momenta[group.name]]
    if len(with_momenta) != 1:
        return None
    return _sum_of(found, with_momenta[0], momenta[with_momenta[0].name], taken)


def _sum_of(found: Guess, group: Lists, momentum: Momentum | None, taken: set[str]) -> Momentum | None:
    """The sum of the momenta of a collection, as new variables: the jet, or what all jets are together."""
    if momentum is None or (parts := momentum.cartesian) is None:
        return None
    name = "total" if "jet" in group.name.lower() else "jet"
    there = f" if {group.where} else 0" if group.where else ""
    x, y, z, energy = (
        _named(found, f"{name}_{part}", f"sum({expression}{there})", taken)
        for part, expression in zip(("px", "py", "pz", "energy"), parts, strict=True)
    )
    return Momentum(
        pt=_named(found, f"{name}_pt", f"pt({x}, {y})", taken),
        eta=_named(found, f"{name}_eta", f"eta({x}, {y}, {z})", taken),
        phi=_named(found, f"{name}_phi", f"phi({x}, {y})", taken),
        mass=_named(found, f"{name}_mass", f"mass({x}, {y}, {z}, {energy})", taken),
        energy=energy,
    )


def _jet_alone(numbers: dict[str, Column]) -> tuple[str, str, str]:
    """pt, eta and mass of the jet where there is no azimuth to make a momentum of; empty where they are not."""
    pt, eta, mass = (
        next((name for name in numbers if re.fullmatch(rf"((fat)?jets?_|fj_)?{part}", name, re.IGNORECASE)), "")
        for part in ("pt", "eta", "mass")
    )
    return pt, eta, mass


def _named(found: Guess, name: str, expression: str, taken: set[str]) -> str:
    """A name for an expression: a column as it is, else a new variable."""
    if expression in taken or expression in found.variables or not expression:
        return expression
    while name in taken or (name in found.variables and found.variables[name] != expression):
        name += "_"
    found.variables[name] = expression
    return name


def _collection(
    found: Guess, group: Lists, momentum: Momentum | None, jet: Momentum | None, taken: set[str]
) -> GuessedInput:
    longest = int(group.counts.max(initial=1))
    entry = GuessedInput(group.name, limit=int(np.clip(np.ceil(_HEADROOM * longest), 1, MOST_CONSTITUENTS)))
    entry.where, entry.mean_count = group.where, float(group.counts.mean())
    prefix = "part" if group.name.startswith("constituents") else group.name
    used: set[str] = set()
    if momentum:
        used |= set(momentum.columns)
        pt = _named(found, f"{prefix}_pt", momentum.pt, taken)
        entry.order, entry.momenta = pt, momentum.cartesian or ()
        entry.features.append(GuessedFeature(f"{prefix}_logpt", f"log({pt})"))
        if momentum.energy:
            entry.features.append(GuessedFeature(f"{prefix}_loge", f"log({momentum.energy})"))
        if jet:
            entry.features += _relative(found, entry, prefix, pt, momentum, jet, taken)
        else:
            entry.features.append(GuessedFeature(_named(found, f"{prefix}_eta", momentum.eta, taken)))
            phi = GuessedFeature(
                _named(found, f"{prefix}_phi", momentum.phi, taken), why_not="nothing should depend on the azimuth"
            )
            entry.features.append(phi)
    elif angles := _angles(group):
        entry.coordinates = angles
    made = {feature.name for feature in entry.features}
    others = [c for c in group.columns.values() if c.name not in used and c.plain not in made]
    entry.features += [_feature(c) for c in others]
    entry.more = any(not c.why_not and not c.integral for c in others)
    entry.features += _signed(entry, [c for c in others if not c.why_not])
    return entry


def _angles(group: Lists) -> tuple[str, ...]:
    """Angles from the axis that the file has."""
    found = [next((n for n, c in group.columns.items() if c.plain.lower().endswith(end)), "") for end in _IMPACT]
    return tuple(reversed(found)) if all(found) else ()


def _signed(entry: GuessedInput, columns: list[Column]) -> list[GuessedFeature]:
    """Impact parameters with the sign of the side of the jet's axis: decays in flight prefer one of them."""
    found = []
    for column in columns if entry.coordinates else []:
        for angle, pattern in zip(entry.coordinates, (_IMPACT["deta"], _IMPACT["dphi"]), strict=True):
            if re.search(pattern, column.plain, re.IGNORECASE) and (column.finite < 0).any():
                signed = GuessedFeature(f"{column.plain}_signed", f"sign({angle}) * {column.name}")
                found.append(signed)
    return found


def _relative(
    found: Guess, entry: GuessedInput, prefix: str, pt: str, momentum: Momentum, jet: Momentum, taken: set[str]
) -> list[GuessedFeature]:
    """Momentum fractions and angles from the jet's axis; angles that the file has are taken."""
    angles = []
    for part, expression in (
        ("deta", f"{momentum.eta} - {jet.eta}"),
        ("dphi", f"delta_phi({momentum.phi}, {jet.phi})"),
    ):
        name = f"{prefix}_{part}"
        if name not in taken:
            found.variables[name] = expression
        angles.append(name)
    entry.coordinates = tuple(angles)
    features = [GuessedFeature(f"{prefix}_logptrel", f"log({pt} / {jet.pt})")]
    if momentum.energy and jet.energy:
        features.append(GuessedFeature(f"{prefix}_logerel", f"log({momentum.energy} / {jet.energy})"))
    dr = f"{prefix}_dr" if f"{prefix}_dr" not in taken else f"{prefix}_dr_"
    return [
        *features,
        *(GuessedFeature(name) for name in angles),
        GuessedFeature(dr, f"hypot({angles[0]}, {angles[1]})"),
    ]


def _flat(found: Guess, numbers: dict[str, Column], lists: list[Lists], jet: Momentum | None) -> GuessedInput:
    """One number each: pt, eta, mass of the jet, and whatever else the row has."""
    entry = GuessedInput("jet" if jet and jet.pt != "total_pt" else "event")
    entry.name = "row" if entry.name in [group.name for group in lists] else entry.name
    used = {*(found.label.columns if found.label else ()), *found.event}
    if jet:
        used |= {jet.phi, *jet.columns}
        entry.features.append(GuessedFeature("total_logpt" if jet.pt == "total_pt" else "jet_logpt", f"log({jet.pt})"))
        entry.features.append(GuessedFeature(jet.eta))
        if jet.mass:
            entry.features.append(GuessedFeature(jet.mass))
    entry.features += [
        GuessedFeature(f"n_{group.name}", _number_of(group), "integer")
        for group in lists
        if f"n_{group.name}" not in numbers
    ]
    others = [c for c in numbers.values() if c.name not in used and not is_trigger(c)]
    others = [c for c in others if not c.plain.lower().endswith("phi")]
    entry.features += [_number(column, lists) for column in others]
    good = [feature for feature in entry.features if not feature.why_not]
    late = {feature.name for feature in good[MOST_FEATURES:]}
    entry.features = [replace(f, why_not="one of many") if f.name in late else f for f in entry.features]
    return entry


def _number_of(group: Lists) -> str:
    return f"sum({group.where})" if group.where else f"count({next(iter(group.columns))})"


def _number(column: Column, lists: list[Lists]) -> GuessedFeature:
    feature = _feature(column)
    if not feature.why_not and is_place(column, lists):
        return replace(feature, why_not="looks like the place of a member of a list, -1 for none: simulated truth")
    if not feature.why_not and is_mask(column):
        return replace(feature, why_not="looks like a mask of simulated truth")
    if not feature.why_not and (source := follows_from(column, lists)):
        return replace(feature, why_not=f"follows from {source}, which {reason(source)}")
    return feature


def _feature(column: Column) -> GuessedFeature:
    """As it stands in the file; ``treat`` chooses transform, bounds and default."""
    expression = "" if column.name == column.plain else column.name
    return GuessedFeature(column.plain, expression, kind_of(column.finite), why_not=column.why_not)
