"""A guess at what an analysis of a file would be: rows, classes, variables, inputs, from a sample of its columns."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collidekit.starter.columns import (
    Column,
    Label,
    Lists,
    find_label,
    group_lists,
    is_counter,
    is_event_number,
    is_trigger,
    is_truth,
    is_weight,
)
from collidekit.starter.momenta import Momentum, find_momentum

MOST_FEATURES = 40
"""Of a flat group; what comes after is written as a comment."""


@dataclass(frozen=True)
class GuessedFeature:
    """A line of a feature list; with a reason why not, it becomes a comment."""

    name: str
    expression: str = ""
    kind: str = "continuous"
    bounds: tuple[float, float] | None = None
    why_not: str = ""


@dataclass
class GuessedInput:
    """A collection, or a flat group where there is no limit."""

    name: str
    features: list[GuessedFeature] = field(default_factory=list)
    limit: int = 0
    order: str = ""
    momenta: tuple[str, ...] = ()
    coordinates: tuple[str, ...] = ()


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


def guess(columns: dict[str, Column]) -> Guess:
    """Look at sampled columns."""
    lists = group_lists(columns)
    numbers = {name: column for name, column in columns.items() if not column.is_list}
    numbers = {name: column for name, column in numbers.items() if not is_counter(column, lists)}
    found = Guess(label=find_label(list(numbers.values())))
    if found.label is None:
        numbers, lists = _rows_in_events(found, numbers, lists)
    if found.label is None:
        found.few_values = [c.name for c in numbers.values() if c.integral and 2 <= len(c.distinct) <= 12][:10]
    events = [column for column in columns.values() if not column.is_list and is_event_number(column)]
    found.event = [column.name for column in events]
    found.weights = [name for name, column in columns.items() if not column.is_list and is_weight(column)]
    found.weights = sorted((name for name in found.weights if not name.startswith(("n", "LHE"))), key=len)[:5]
    lists = [group for group in lists if group.name in found.left_out or not _is_of_truth(found, group)]
    momenta = {group.name: _momentum_of(group) for group in lists}
    jet = _jet(found, numbers, lists, momenta, set(columns))
    for group in lists:
        found.inputs.append(_collection(found, group, momenta[group.name], jet, set(columns)))
    found.inputs.append(_flat(found, numbers, lists, jet))
    found.inputs = [entry for entry in found.inputs if any(not feature.why_not for feature in entry.features)]
    if jet:
        known = [name for name in (jet.pt, jet.eta, jet.mass) if name]
        found.spectators, found.kinematics = known, [jet.pt, jet.eta]
    return found


def _is_of_truth(found: Guess, group: Lists) -> bool:
    """Such a collection is named and left out."""
    if truth := is_truth(group.name) or all(is_truth(name) for name in group.columns):
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
    found.left_out = [other.name for other in lists if other is not group]
    for other in lists:
        if other.name.startswith(name) and (index := f"{other.name}_jetIdx") in other.columns:
            found.members[other.name] = index
    members = {n: Column(n, c.columntype, c.values) for n, c in group.columns.items() if n.startswith(f"{name}_")}
    return members, []


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
    with_momenta = [momentum for momentum in momenta.values() if momentum]
    if len(with_momenta) != 1 or (parts := with_momenta[0].cartesian) is None:
        return None
    x, y, z, energy = (
        _named(found, f"jet_{part}", f"sum({expression})", taken)
        for part, expression in zip(("px", "py", "pz", "energy"), parts, strict=True)
    )
    return Momentum(
        pt=_named(found, "jet_pt", f"pt({x}, {y})", taken),
        eta=_named(found, "jet_eta", f"eta({x}, {y}, {z})", taken),
        phi=_named(found, "jet_phi", f"phi({x}, {y})", taken),
        mass=_named(found, "jet_mass", f"mass({x}, {y}, {z}, {energy})", taken),
        energy=energy,
    )


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
    entry = GuessedInput(group.name, limit=int(np.clip(group.counts.max(initial=1), 1, 128)))
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
    made = {feature.name for feature in entry.features}
    entry.features += [_feature(c) for c in group.columns.values() if c.name not in used | made]
    return entry


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
    entry = GuessedInput("jet" if jet else "event")
    entry.name = "row" if entry.name in [group.name for group in lists] else entry.name
    used = {*(found.label.columns if found.label else ()), *found.event}
    if jet:
        used |= {jet.phi, *jet.columns}
        entry.features.append(GuessedFeature("jet_logpt", f"log({jet.pt})"))
        entry.features.append(GuessedFeature(jet.eta))
        if jet.mass:
            entry.features.append(GuessedFeature(jet.mass))
    entry.features += [
        GuessedFeature(f"n_{group.name}", f"count({next(iter(group.columns))})", "integer")
        for group in lists
        if f"n_{group.name}" not in numbers
    ]
    others = [c for c in numbers.values() if c.name not in used and not is_trigger(c)]
    others = [c for c in others if not c.name.lower().endswith("phi")]
    entry.features += [_feature(column) for column in others]
    good = [feature for feature in entry.features if not feature.why_not]
    if len(good) > MOST_FEATURES:
        late = {feature.name for feature in good[MOST_FEATURES:]}
        entry.features = [
            GuessedFeature(f.name, f.expression, f.kind, f.bounds, "one of many") if f.name in late else f
            for f in entry.features
        ]
    return entry


def _feature(column: Column) -> GuessedFeature:
    return GuessedFeature(column.name, "", column.kind, _bounds(column.finite), column.why_not)


def _bounds(values: NDArray[Any]) -> tuple[float, float] | None:
    """Where a few values lie far outside of all others: what holds 99 % of them, rounded."""
    if len(values) < 200 or values.dtype.kind != "f":
        return None
    low, high = (float(v) for v in np.percentile(values, [0.5, 99.5]))
    if float(values.max()) - float(values.min()) < 5 * (high - low) or high <= low:
        return None
    rounded = float(f"{low:.2g}"), float(f"{high:.2g}")
    return rounded if rounded[0] < rounded[1] else None
