"""The truth of a dileptonic top pair: jets of the b quarks, neutrinos, masses, true four-momenta."""

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collidekit.starter.columns import Column
from collidekit.starter.momenta import NOMINAL, Momentum, split_part
from collidekit.starter.objects import Objects, find_true_momenta
from collidekit.starter.particle_names import is_true, role_of, words
from collidekit.starter.particle_record import find_recorded_momenta
from collidekit.starter.units import divided
from collidekit.starter.variables import Variables

_TRUTH_KEYS = ("top", "antitop", "w_plus", "w_minus", "lepton_plus", "lepton_minus")
_INDEX_WORDS = {"jet", "index", "idx", "truth", "true", "match", "matched", "gen", "position"}
_NEAR = 0.4
"""Distance within which a jet is that of a b quark."""


@dataclass
class PairTruth:
    """Expressions of what can be learned; empty where the file does not hold it."""

    indices: tuple[str, str] | None = None
    """Positions of the jets of the b quark and of the b antiquark."""
    neutrinos: list[str] = field(default_factory=list)
    """px, py, pz of the neutrino, then of the antineutrino."""
    mass: str = ""
    momenta: dict[str, list[str]] = field(default_factory=dict)
    """pt, eta, phi and mass of particles, under the keys of ``dilepton.truth``."""
    notes: list[str] = field(default_factory=list)

    @property
    def is_known(self) -> bool:
        return bool(self.indices or self.neutrinos)


def find_truth(variables: Variables, jets: Objects) -> PairTruth:
    """Return the truth of a file, from positions and momenta of its own or from a record of the generator."""
    momenta = find_true_momenta(variables)
    if not {"nu", "nubar"} & set(momenta):
        momenta |= find_recorded_momenta(variables)
    found = PairTruth(indices=_given_indices(variables, jets))
    if not found.indices and {"b", "bbar"} <= set(momenta):
        found.indices = _matched(variables, jets, momenta["b"], momenta["bbar"])
        found.notes.append(
            f"the jet of a b quark is the nearest one within {_NEAR:g}, if it is not that of the other, too"
        )
    neutrinos = [_cartesian(momenta.get(name)) for name in ("nu", "nubar")]
    if all(neutrinos):
        found.neutrinos = [part for parts in neutrinos for part in parts]
    found.mass = _mass_of_pair(variables, momenta)
    if {"top", "antitop"} <= set(momenta):
        found.momenta = {role: _polar(momenta[role]) for role in _TRUTH_KEYS if role in momenta}
        for pair in (("w_plus", "w_minus"), ("lepton_plus", "lepton_minus")):
            if not set(pair) <= set(found.momenta):
                found.momenta = {role: parts for role, parts in found.momenta.items() if role not in pair}
    return found


def _given_indices(variables: Variables, jets: Objects) -> tuple[str, str] | None:
    """The positions that columns hold, made negative where no jet or the same one stands there."""
    columns = variables.columns
    found: dict[str, tuple[str, Column]] = {}
    for name, column in columns.items():
        plain = NOMINAL.sub("", column.plain)
        if not column.is_list and column.integral and re.search(r"(index|idx)", plain, re.IGNORECASE):
            own = [word for word in words(plain) if word not in _INDEX_WORDS]
            role = {"top": "b", "antitop": "bbar"}.get(role := role_of("_".join(own)), role)
            found.setdefault(role, (name, column))
    if {"b", "bbar"} <= set(found):
        both = [found["b"], found["bbar"]]
        return _cleaned(variables, jets, [name for name, _ in both], [column.values for _, column in both])
    for name, column in columns.items():
        if (
            re.search(r"jet_?truth_?(idx|index)$", NOMINAL.sub("", column.plain), re.IGNORECASE)
            and column.counts is not None
        ):
            return _slots(variables, jets, name, column)
    return None


def _slots(variables: Variables, jets: Objects, name: str, column: Column) -> tuple[str, str] | None:
    """The two places of a list of six positions that are ever filled: W bosons decay to no jets here."""
    if set(column.counts.tolist() if column.counts is not None else ()) != {6}:
        return None
    positions = column.values.reshape(-1, 6)
    filled = np.argsort(-(positions >= 0).sum(axis=0), kind="stable")[:2]
    first, second = sorted(filled.tolist())
    texts = [f"at({name}, {place})" for place in (first, second)]
    return _cleaned(variables, jets, texts, [positions[:, first], positions[:, second]])


def _cleaned(variables: Variables, jets: Objects, texts: list[str], positions: list[NDArray[Any]]) -> tuple[str, str]:
    """Positions as an assignment takes them: where two are equal, or one is beyond the list, there is no jet."""
    counts = variables.columns[jets.momentum.columns[0]].counts
    both = np.stack(positions, axis=1).astype(np.float64)
    conditions: list[list[str]] = [[], []]
    if counts is not None and bool((both >= counts[:, None]).any()):
        lists = jets.momentum.columns[0]
        conditions = [[f"{text} < count({lists})"] for text in texts]
    if bool(((both[:, 0] == both[:, 1]) & (both[:, 0] >= 0)).any()):
        conditions = [[*own, f"{texts[0]} != {texts[1]}"] for own in conditions]
    first, second = (
        f"{text} if {' and '.join(own)} else -1" if own else text for text, own in zip(texts, conditions, strict=True)
    )
    return first, second


def _matched(variables: Variables, jets: Objects, b: Momentum, bbar: Momentum) -> tuple[str, str]:
    """The nearest jet of each b quark, if it is near and not that of the other."""
    eta, phi = jets.momentum.eta, jets.momentum.phi
    distances = []
    for name, quark in (("b", b), ("bbar", bbar)):
        distances.append(variables.add(f"dR_{name}", f"delta_r({eta}, {phi}, {quark.eta}, {quark.phi})"))
    near = [
        variables.add(f"{name}_near", f"min({dr}) < {_NEAR:g}")
        for name, dr in zip(("b", "bbar"), distances, strict=True)
    ]
    same = variables.add("b_share_jet", f"{near[0]} and {near[1]} and argmin({distances[0]}) == argmin({distances[1]})")
    first, second = (
        f"argmin({dr}) if {close} and not {same} else -1" for dr, close in zip(distances, near, strict=True)
    )
    return variables.add("b_jet_index", first), variables.add("bbar_jet_index", second)


def _cartesian(momentum: Momentum | None) -> list[str]:
    """px, py, pz."""
    if momentum is None:
        return []
    parts = momentum.cartesian or (momentum.px, momentum.py, momentum.pz)
    return list(parts[:3])


def _polar(momentum: Momentum) -> list[str]:
    """pt, eta, phi, mass."""
    mass = momentum.mass
    if not mass:
        mass = f"mass({', '.join(momentum.cartesian)})" if momentum.energy and momentum.cartesian else "0"
    return [momentum.pt, momentum.eta, momentum.phi, mass]


def _mass_of_pair(variables: Variables, momenta: dict[str, Momentum]) -> str:
    """The mass of the top pair that a file holds, or that of both tops together."""
    if "pair" in momenta:
        return _polar(momenta["pair"])[3]
    for plain, name in variables.numbers().items():
        stem, part = split_part(plain)
        if part == "mass" and is_true(stem) and role_of(stem) == "pair":
            return divided(name) if variables.is_mev([name]) else name
    if not {"top", "antitop"} <= set(momenta):
        return ""
    return _mass_of_two(momenta["top"], momenta["antitop"])


def _mass_of_two(one: Momentum, other: Momentum) -> str:
    if one.px and other.px and one.energy and other.energy:
        pairs = zip(one.cartesian or (), other.cartesian or (), strict=True)
        return f"mass({', '.join(f'{a} + {b}' for a, b in pairs)})"
    parts = []
    for momentum in (one, other):
        energy = momentum.energy or f"energy({momentum.pt}, {momentum.eta}, {momentum.mass or 0})"
        parts += [momentum.pt, momentum.eta, momentum.phi, energy]
    return f"pair_mass({', '.join(parts)})"
