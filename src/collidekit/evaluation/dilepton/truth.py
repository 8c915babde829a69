"""Truth of dileptonic top pairs, and neutrinos of other tools, read from the files of the compared events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from collidekit.analysis.expressions import Expression
from collidekit.analysis.scope import Plan, Scope
from collidekit.dataset.pieces import CHUNK
from collidekit.dataset.rows import open_scope
from collidekit.errors import CollidekitError
from collidekit.evaluation.dilepton.kinematics import TopPair
from collidekit.inference.predictions import Array
from collidekit.readers import open_file
from collidekit.reconstruction.events import LARGEST_MEDIAN_PT
from collidekit.reconstruction.four_momenta import Floats, from_pt_eta_phi_mass, with_mass


@dataclass(frozen=True, eq=False)
class Truth:
    """True particles of N events, and factors of their weights that inject spin correlations."""

    particles: TopPair
    spin_weights: Mapping[str, Floats]
    """Factors (N,) by name."""
    given: Mapping[str, Floats]
    """Neutrinos (N, 2, 4) of other tools, by name; NaN if there are none."""


KEYS = ("truth", "given", "spin_weights")
"""Keys of ``dilepton`` whose expressions are read from the files."""


def check_truth(plan: Plan, files: Sequence[str], keys: Sequence[str] = KEYS) -> None:
    """Raise CollidekitError if a file does not hold the branches of these keys of ``dilepton``."""
    used = [expression for key in keys for expression in plan.under("dilepton", key)]
    for path in files if used and not plan.analysis.processor else ():
        with open_file(path, plan.analysis.source) as reader:
            plan.columns_of_expressions(used, reader.columns, reader.path)


def read_truth(
    plan: Plan, files: Sequence[str], rows: Array, neutrinos: Floats | None = None, keys: Sequence[str] = KEYS
) -> Truth:
    """Return the truth of rows (N, 2), given by number of the file and entry in it; ``neutrinos (N, 2, 4)`` are used unchanged.

    Only ``keys`` of ``dilepton`` are read.

    Raises CollidekitError for a missing branch, for momenta in MeV, and for factors that are not finite or have no
    positive sum.
    """
    used = {place: plan[place] for place in plan.expressions if place[0] == "dilepton" and place[1] in keys}
    if neutrinos is not None:
        pt = np.hypot(neutrinos[:, 0, 1], neutrinos[:, 0, 2])
        _check_unit(pt, plan.analysis.name, "the target of dilepton.neutrinos")
    if not used:
        return Truth(TopPair(neutrinos=neutrinos), {}, {})
    values = {place: np.full(len(rows), np.nan) for place in used}
    for number in np.unique(rows[:, 0]):
        here = np.flatnonzero(rows[:, 0] == number)
        for place, column in _of_file(plan, files[number], used, rows[here, 1]).items():
            values[place][here] = column
    momenta = {}
    for name in dict.fromkeys(str(place[2]) for place in used if place[1] == "truth"):
        columns = [values["dilepton", "truth", name, i] for i in range(4)]
        momenta[name] = from_pt_eta_phi_mass(*(np.where(np.isfinite(column), column, np.nan) for column in columns))
        for column, part in ((columns[0], 0), (columns[3], 3)):
            _check_unit(
                column,
                used["dilepton", "truth", name, part].where,
                f"dilepton.truth.{name}",
                "mass" if part else "transverse momentum",
            )
        if (largest := float(np.abs(columns[2]).max(initial=0.0, where=np.isfinite(columns[2])))) > 2 * np.pi + 1e-3:
            raise CollidekitError(
                f"{used['dilepton', 'truth', name, 2].where}: dilepton.truth.{name}: an azimuth is {largest:g}; angles are in radians: multiply "
                "degrees by pi / 180"
            )
    given = {}
    for name in dict.fromkeys(str(place[2]) for place in used if place[1] == "given"):
        found = np.stack([values["dilepton", "given", name, i] for i in range(6)], axis=1).reshape(-1, 2, 3)
        known = np.isfinite(found).all(axis=(1, 2), keepdims=True)
        given[name] = with_mass(np.where(known, found, np.nan))
        pt = np.hypot(found[:, 0, 0], found[:, 0, 1])
        _check_unit(pt, used["dilepton", "given", name, 0].where, f"dilepton.given.{name}")
    weights = {str(place[2]): column for place, column in values.items() if place[1] == "spin_weights"}
    for name, column in weights.items():
        if len(bad := np.flatnonzero(~np.isfinite(column))):
            file, entry = rows[bad[0]]
            raise CollidekitError(
                f"{files[file]}: row {entry}: dilepton.spin_weights.{name} is {column[bad[0]]}, and {len(bad):,} of {len(column):,} "
                "events are like that; exclude them in the selection"
            )
        if len(column) and column.sum() <= 0:
            raise CollidekitError(
                f"{used['dilepton', 'spin_weights', name].where}: dilepton.spin_weights.{name}: the factors of {len(column):,} events sum "
                f"to {column.sum():g}; the sum must be above 0"
            )

    def both(one: str, other: str) -> Floats | None:
        return np.stack([momenta[one], momenta[other]], axis=1) if one in momenta else None

    tops, ws, leptons = both("top", "antitop"), both("w_plus", "w_minus"), both("lepton_plus", "lepton_minus")
    return Truth(TopPair(tops, ws, neutrinos, leptons), weights, given)


def _check_unit(pt: Floats, where: str, key: str, what: str = "transverse momentum") -> None:
    """Raise CollidekitError if transverse momenta or masses (N,) are too large for GeV."""
    if len(known := pt[np.isfinite(pt)]) and np.median(known) > LARGEST_MEDIAN_PT:
        raise CollidekitError(
            f"{where}: {key}: the median {what} is {np.median(known):,.0f}; it must be in GeV: divide momenta and masses "
            "in MeV by 1000"
        )


Used = Mapping[tuple[str | int, ...], Expression]


def _of_file(plan: Plan, path: str, used: Used, entries: Array) -> dict[tuple[str | int, ...], Array]:
    """Return the expressions for entries (M,) of a file, in their order."""
    found = {place: np.full(len(entries), np.nan) for place in used}
    order = np.argsort(entries, kind="stable")
    rising = entries[order]
    filled = np.zeros(len(entries), dtype=bool)
    with open_file(path, plan.analysis.source) as reader:
        columns = list(reader.columns)
        if not plan.analysis.processor:
            columns = plan.columns_of_expressions(used.values(), columns, path)
        for start in range(0, reader.rows, CHUNK):
            stop = min(start + CHUNK, reader.rows)
            if (rising < stop).sum() == (rising < start).sum():
                continue
            scope = open_scope(plan, reader.read(columns, start, stop), path, start, keep_all=True)
            _check_entries(scope)
            place_of = np.searchsorted(rising, scope.entries)
            there = (place_of < len(rising)) & (rising[np.minimum(place_of, len(rising) - 1)] == scope.entries)
            filled[order[place_of[there]]] = True
            for place, expression in used.items():
                found[place][order[place_of[there]]] = scope.numbers(expression)[there]
    if not filled.all():
        raise CollidekitError(
            f"{path}: has no row {entries[~filled][0]}, but the predictions have; construct the dataset again"
        )
    return found


def _check_entries(scope: Scope) -> None:
    if len(np.unique(scope.entries)) < scope.rows:
        raise CollidekitError(
            f"{scope.path}: the processor returns several rows for one entry, so dilepton.truth cannot be found; return one row for each entry"
        )
