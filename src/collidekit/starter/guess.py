"""Guess the analysis of a file (rows, classes, variables, inputs) from a sample of its columns."""

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from collidekit.starter.columns import (
    Column,
    Lists,
    group_lists,
    is_counter,
    is_event_number,
    is_mask,
    is_place,
    is_row_number,
    is_trigger,
    is_weight,
)
from collidekit.starter.event_numbers import NUMBERS_ROWS, starts_once
from collidekit.starter.follows import follows_from
from collidekit.starter.guessed import Guess, GuessedFeature, GuessedInput
from collidekit.starter.impact import impact_features, without_sides
from collidekit.starter.inside import Nested, rows_in_events
from collidekit.starter.label import find_label
from collidekit.starter.left_out import IS_INDEX, is_truth, reason
from collidekit.starter.momenta import Momentum
from collidekit.starter.numbered import join_numbered
from collidekit.starter.padding import drop_padding
from collidekit.starter.rule import kind_of
from collidekit.starter.shared_unit import found_in, is_jets, own_momentum, shared_unit
from collidekit.starter.units import GEV, MEV, TO_RADIANS, UNKNOWN, in_gev, is_degrees, radians, unit_of

MOST_FEATURES = 40
"""Maximum number of features of a flat group; the others become comments."""
MOST_CONSTITUENTS = 128
_HEADROOM = 1.2
"""Limit of a collection, relative to the longest sampled list."""


def guess(columns: dict[str, Column], nested: Mapping[str, Nested] | None = None) -> Guess:
    """Return a guess from sampled columns and from columns with lists of lists."""
    found = Guess()
    columns = join_numbered(columns, found)
    lists = group_lists(columns)
    for group in lists:
        drop_padding(group)
    numbers = {name: column for name, column in columns.items() if not column.is_list}
    numbers = {name: column for name, column in numbers.items() if not is_counter(column, lists)}
    found.label = find_label(list(numbers.values()))
    if found.label is None:
        numbers, lists = rows_in_events(found, numbers, lists, nested or {})
        for group in lists:
            drop_padding(group)
    if found.label is None:
        found.few_values = [c.name for c in numbers.values() if c.integral and 2 <= len(c.distinct) <= 12][:10]
    events = [column for column in columns.values() if not column.is_list and is_event_number(column)]
    found.event = [column.name for column in events if column.name.isidentifier()] or _event_of_lists(found, columns)
    found.event = found.event or _row_number(found, numbers)
    if found.label and found.label.selection:
        found.selection.append(found.label.selection)
    found.weights = [name for name, column in columns.items() if not column.is_list and is_weight(column)]
    found.weights = sorted((name for name in found.weights if not name.startswith(("n", "LHE"))), key=len)[:5]
    lists = [group for group in lists if group.name in found.left_out or not _is_of_truth(found, group)]
    alone = numbers.get(_jet_alone(numbers)[0])
    taken = {*columns, *(name for group in lists for name in group.columns)}
    shared = shared_unit(found.rows, numbers, lists)
    momenta = {
        group.name: _with_unit(found, found_in(group), group.columns, group.name, is_jets(group.name), shared)
        for group in lists
    }
    jet = _jet(found, numbers, lists, momenta, taken, shared)
    for group in lists:
        found.inputs.append(_collection(found, group, momenta[group.name], jet, taken, None if jet else alone))
    found.inputs.append(_flat(found, numbers, lists, jet))
    found.inputs = [entry for entry in found.inputs if any(not feature.why_not for feature in entry.features)]
    pt, eta, mass = (jet.pt, jet.eta, jet.mass) if jet else _jet_alone(numbers)
    found.spectators = [name for name in (pt, eta, mass) if name.isidentifier()]
    if jet and jet.unit:
        found.units = {name: jet.unit for name in (pt, mass) if name.isidentifier()}
    found.kinematics = [name for name in (pt, eta) if name.isidentifier()]
    return found


def _is_of_truth(found: Guess, group: Lists) -> bool:
    """Return whether a collection looks like truth or weights, and add such a collection to ``left_out``."""
    if truth := is_truth(group.name) or all(is_truth(column.plain) for column in group.columns.values()):
        found.left_out.append(group.name if group.name != "constituents" else next(iter(group.columns)))
    return truth


def _row_number(found: Guess, numbers: dict[str, Column]) -> list[str]:
    """Return the first column that numbers rows or events according to its values, and say so."""
    truth = found.label.columns if found.label else ()
    for column in numbers.values():
        usable = column.name.isidentifier() and column.name not in truth and column.why_not in ("", IS_INDEX)
        if usable and is_row_number(column) and starts_once(column.values):
            found.doubts.append(f"{column.name} {NUMBERS_ROWS}: it is written as 'event', and is not an input")
            return [column.name]
    return []


def _event_of_lists(found: Guess, columns: dict[str, Column]) -> list[str]:
    """Return variables with the event numbers if these are lists of length 1, as in Delphes."""
    ones = [c for c in columns.values() if c.counts is not None and len(c.counts) and bool((c.counts == 1).all())]
    named = [c for c in ones if is_event_number(c) and c.name.isidentifier()]
    for column in named:
        found.variables[f"{column.plain}_of_row"] = f"first({column.name})"
    return [f"{column.plain}_of_row" for column in named]


def _with_unit(
    found: Guess, momentum: Momentum | None, columns: Mapping[str, Column], what: str, is_jet: bool, shared: str
) -> Momentum | None:
    """Return a momentum in GeV and radians. If the values do not tell the unit, it is the shared one.

    If that is also unknown, the momentum is unchanged and a message is added to ``doubts``.
    """
    if momentum is None:
        return None
    if is_degrees(momentum.phi, columns):
        found.notes.append(f"{what}: angles are in degrees, judging from their values, and are multiplied by pi / 180")
        momentum = replace(momentum, phi=radians(momentum.phi))
    measured = any(text in columns for text in (momentum.pt, momentum.energy, momentum.px))
    unit = unit_of(momentum, columns, is_jet) or (shared if measured else UNKNOWN)
    if unit == MEV:
        found.notes.append(f"{what}: momenta are in MeV, judging from their values, and are divided by 1000")
        return replace(in_gev(momentum, columns.__contains__), unit=GEV)
    if unit == UNKNOWN and measured:
        found.doubts.append(f"{what}: GeV or MeV? The values of the momenta do not tell, so no unit is written")
    return replace(momentum, unit=unit)


def _jet(
    found: Guess,
    numbers: dict[str, Column],
    lists: list[Lists],
    momenta: dict[str, Momentum | None],
    taken: set[str],
    shared: str,
) -> Momentum | None:
    """Return the momentum of the jet: from its own columns, else the sum of the only collection with momenta."""
    if own := own_momentum(found.rows, numbers):
        prefix, given = own
        if momentum := _with_unit(found, given, numbers, prefix or "rows", True, shared):
            parts = {
                part: _named(found, f"jet_{part}", getattr(momentum, part), taken) for part in ("pt", "eta", "phi")
            }
            energy, mass = (
                _named(found, f"jet_{part}", text, taken) if "/ 1000" in text else text
                for part, text in (("energy", momentum.energy), ("mass", momentum.mass))
            )
            if momentum.px and energy and not mass:
                mass = _named(found, "jet_mass", f"mass({', '.join(momentum.cartesian or ())})", taken)
            return Momentum(**parts, energy=energy, mass=mass, columns=momentum.columns, unit=momentum.unit)
    with_momenta = [group for group in lists if momenta[group.name]]
    if len(with_momenta) != 1:
        return None
    return _sum_of(found, with_momenta[0], momenta[with_momenta[0].name], taken)


def _sum_of(found: Guess, group: Lists, momentum: Momentum | None, taken: set[str]) -> Momentum | None:
    """Add the sum of the momenta of a collection as new variables, and return it: the jet, or the sum of all jets."""
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
    """Return the columns of pt, eta and mass of a jet without phi; empty if they are missing."""
    pt, eta, mass = (
        next(
            (
                name
                for name in numbers
                if re.fullmatch(rf"((fat)?jets?_|fj_)?{part}(_btagJes|_nosys|_nominal)?", name, re.IGNORECASE)
            ),
            "",
        )
        for part in ("pt", "eta", "mass")
    )
    return pt, eta, mass


def _named(found: Guess, name: str, expression: str, taken: set[str]) -> str:
    """Return a name for an expression: the column itself, else a new variable."""
    if expression in taken or expression in found.variables or not expression:
        return expression
    if "/ 1000" in expression:
        name = f"{name}_gev"
    elif expression.endswith(TO_RADIANS):
        name = f"{name}_rad"
    while name in taken or (name in found.variables and found.variables[name] != expression):
        name += "_"
    found.variables[name] = expression
    return name


def _collection(
    found: Guess,
    group: Lists,
    momentum: Momentum | None,
    jet: Momentum | None,
    taken: set[str],
    jet_pt: Column | None = None,
) -> GuessedInput:
    longest = int(group.counts.max(initial=1))
    entry = GuessedInput(group.name, limit=int(np.clip(np.ceil(_HEADROOM * longest), 1, MOST_CONSTITUENTS)))
    entry.where, entry.mean_count = group.where, float(group.counts.mean())
    prefix = "part" if group.name.startswith("constituents") else group.name
    used: set[str] = set()
    if momentum:
        used |= set(momentum.columns)
        pt = _named(found, f"{prefix}_pt", momentum.pt, taken)
        entry.order, entry.momenta = pt, (momentum.cartesian or ()) if momentum.unit else ()
        log_unit = f"log {momentum.unit}" if momentum.unit else ""
        entry.features.append(GuessedFeature(f"{prefix}_logpt", f"log({pt})", unit=log_unit))
        if momentum.energy:
            entry.features.append(GuessedFeature(f"{prefix}_loge", f"log({momentum.energy})", unit=log_unit))
        if jet:
            entry.features += _relative(found, entry, group, prefix, pt, momentum, jet, taken)
            if entry.coordinates[1] not in (f"{prefix}_dphi", ""):
                used.add(f"{prefix}_dphi")
        else:
            entry.features.append(GuessedFeature(_named(found, f"{prefix}_eta", momentum.eta, taken)))
            phi = GuessedFeature(
                _named(found, f"{prefix}_phi", momentum.phi, taken), why_not="the result should not depend on phi"
            )
            entry.features.append(phi)
    elif angles := _angles(group):
        deta, dphi = angles
        entry.coordinates = deta, _angle(found, prefix, dphi, group.columns)
        if entry.coordinates[1] != dphi:
            entry.features.append(GuessedFeature(entry.coordinates[1]))
            used.add(dphi)
    if not momentum and jet_pt and (fraction := _pt_fraction(found, group, prefix, jet_pt)):
        entry.features.append(fraction)
    made = {feature.name for feature in entry.features}
    others = [c for c in group.columns.values() if c.name not in used and c.plain not in made]
    entry.features += [_feature(c) for c in others]
    usable = [c for c in others if not c.why_not]
    entry.more = any(not c.integral for c in usable)
    deta, dphi = (_with_sign(found, group, angle) for angle in entry.coordinates or ("", ""))
    made_of_impact = list(impact_features(usable, deta, dphi, {c.plain for c in group.columns.values()}))
    entry.features += made_of_impact
    if made_of_impact and deta and dphi and found.label and {"b", "light"} <= set(found.label.classes):
        entry.features = list(without_sides(entry.features, usable, prefix, entry.coordinates))
    return entry


def _pt_fraction(found: Guess, group: Lists, prefix: str, jet_pt: Column) -> GuessedFeature | None:
    """Return the fraction of the jet's pt, for files without phi; None if the two units may differ."""
    pt = next((c for n, c in group.columns.items() if re.search(r"(^|_)pt$", c.plain, re.IGNORECASE)), None)
    name = f"{prefix}_logptrel"
    if pt is None or name in group.columns:
        return None
    units = [unit_of(Momentum(c.name, "", ""), {c.name: c}, is_jet=c is jet_pt) for c in (pt, jet_pt)]
    if units[0] != units[1] or not units[0]:
        found.doubts.append(f"{group.name}: no fraction of {jet_pt.name}, because the two units may differ")
        return None
    return GuessedFeature(name, f"log({pt.name} / {jet_pt.name})")


def _with_sign(found: Guess, group: Lists, angle: str) -> str:
    """Return an angle if it has a sign, else an empty text; some files hold only its absolute value."""
    column = group.columns.get(found.variables.get(angle, angle).removesuffix(TO_RADIANS))
    return "" if column is not None and not (column.finite < 0).any() else angle


def _angle(found: Guess, prefix: str, angle: str, columns: Mapping[str, Column]) -> str:
    """Return the name of the azimuth of members to the jet axis in radians; a new variable if the file holds degrees."""
    if not is_degrees(angle, columns):
        return angle
    found.notes.append(f"{prefix}: {angle} is in degrees, judging from its values, and is multiplied by pi / 180")
    name = f"{prefix}_rad_dphi"
    found.variables[name] = radians(angle)
    return name


def _angles(group: Lists) -> tuple[str, ...]:
    """Return the columns of the angles to the jet axis, if the file has both."""
    found = [
        next((n for n, c in group.columns.items() if c.plain.lower().endswith(end)), "") for end in ("deta", "dphi")
    ]
    return tuple(found) if all(found) else ()


def _relative(
    found: Guess,
    entry: GuessedInput,
    group: Lists,
    prefix: str,
    pt: str,
    momentum: Momentum,
    jet: Momentum,
    taken: set[str],
) -> list[GuessedFeature]:
    """Return momentum fractions and angles to the jet axis; angles in the file are used."""
    angles = []
    for part, expression in (
        ("deta", f"{momentum.eta} - {jet.eta}"),
        ("dphi", f"delta_phi({momentum.phi}, {jet.phi})"),
    ):
        name = f"{prefix}_{part}"
        if name not in taken:
            found.variables[name] = expression
        elif part == "dphi":
            name = _angle(found, prefix, name, group.columns)
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
    """Return the flat group: pt, eta, mass of the jet, and other numbers of the row."""
    entry = GuessedInput("jet" if jet and jet.pt != "total_pt" else "event")
    entry.name = "row" if entry.name in [group.name for group in lists] else entry.name
    used = {*(found.label.columns if found.label else ()), *found.event}
    if jet:
        used |= {jet.phi, *jet.columns}
        log_unit = f"log {jet.unit}" if jet.unit else ""
        name = "total_logpt" if jet.pt == "total_pt" else "jet_logpt"
        entry.features.append(GuessedFeature(name, f"log({jet.pt})", unit=log_unit))
        entry.features.append(GuessedFeature(jet.eta))
        if jet.mass:
            entry.features.append(GuessedFeature(jet.mass, unit=jet.unit))
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
    entry.features = [
        replace(f, why_not=f"beyond the first {MOST_FEATURES} features") if f.name in late else f
        for f in entry.features
    ]
    return entry


def _number_of(group: Lists) -> str:
    return f"sum({group.where})" if group.where else f"count({next(iter(group.columns))})"


def _number(column: Column, lists: list[Lists]) -> GuessedFeature:
    feature = _feature(column)
    if not feature.why_not and is_place(column, lists):
        return replace(feature, why_not="looks like an index of a list member, with -1 for none: simulated truth")
    if not feature.why_not and is_mask(column):
        return replace(feature, why_not="looks like a mask of simulated truth")
    if not feature.why_not and is_row_number(column):
        return replace(feature, why_not=NUMBERS_ROWS)
    if not feature.why_not and (source := follows_from(column, lists)):
        return replace(feature, why_not=f"follows from {source}, which {reason(source)}")
    return feature


def _feature(column: Column) -> GuessedFeature:
    """Return a column as a feature without transform; ``treat`` chooses transform, bounds and default."""
    expression = "" if column.name == column.plain else column.name
    return GuessedFeature(column.plain, expression, kind_of(column.finite), why_not=column.why_not)
