"""Whole events with two leptons, jets and missing momentum: what a dileptonic analysis of them is made of."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from collidekit.starter.columns import Column, is_event_number, is_weight
from collidekit.starter.momenta import NOMINAL, Momentum, find_momenta
from collidekit.starter.objects import Met, Objects, find_jets, find_leptons, find_met
from collidekit.starter.pair_truth import PairTruth, find_truth
from collidekit.starter.particle_names import role_of
from collidekit.starter.units import column_of, divided
from collidekit.starter.variables import Variables

_WEIGHTS = (
    "weight",
    "event_weight",
    "eventWeight",
    "weight_mc",
    "mc_weight",
    "genWeight",
    "Event_Weight",
    "Weight_Weight",
)
_NUMBER = re.compile(r"^(Event_Number|mc_event_number)$")
_FEWEST_JETS, _MOST_JETS = 10, 20
"""The range of the limit of the jets."""


@dataclass
class TopPairs:
    """Expressions of everything that goes into the file."""

    variables: Variables
    leptons: Objects
    jets: Objects
    met: Met
    truth: PairTruth
    limit: int = 10
    """Largest number of jets."""
    n_jets: str = ""
    distance: str = ""
    """Distance between the two leptons."""
    more_of_event: list[str] = field(default_factory=list)
    """Columns of the event that are inputs."""
    event: list[str] = field(default_factory=list)
    weight: str = ""
    other_weights: list[str] = field(default_factory=list)
    spin_weights: dict[str, str] = field(default_factory=dict)
    given: dict[str, list[str]] = field(default_factory=dict)
    """Neutrinos of other tools."""

    @property
    def can_compare(self) -> bool:
        """True if classical methods have all that they need."""
        return bool(self.truth.indices and self.jets.b_tag)

    @property
    def selection(self) -> str:
        """Events with two leptons of opposite charge and at least two jets."""
        return f"{self.count_leptons} == 2 and sum({self._charge}) == 0 and {self.count_jets} >= 2"

    @property
    def _charge(self) -> str:
        there = self.leptons.where
        return f"where({there}, {self.leptons.charge}, 0)" if there else self.leptons.charge

    @property
    def count_leptons(self) -> str:
        return f"sum({self.leptons.where})" if self.leptons.where else f"count({self.leptons.charge})"

    @property
    def count_jets(self) -> str:
        return f"sum({self.jets.where})" if self.jets.where else f"count({self.jets.momentum.columns[0]})"


def find_top_pairs(columns: Mapping[str, Column]) -> TopPairs | None:
    """Return the parts of a dileptonic analysis; None where leptons, jets or missing momentum are not there.

    Separate electrons and muons are taken only where the file holds the truth of top pairs: such files serve many purposes.
    """
    variables = Variables(columns)
    jets, leptons, met = find_jets(variables), find_leptons(variables), find_met(variables)
    if jets is None or leptons is None or met is None:
        return None
    jets, leptons = _named(variables, "jet", jets), _named(variables, "lep", leptons)
    met = Met(variables.add("met_pt", met.pt), variables.add("met_px", met.px), variables.add("met_py", met.py))
    truth = find_truth(variables, jets)
    if leptons.joined and not truth.is_known:
        return None
    found = TopPairs(variables, leptons, jets, met, truth, limit=_limit(columns, jets))
    _add_event(found)
    if variables.degrees:
        names = ", ".join(variables.degrees)
        truth.notes.append(f"angles in degrees, judging from their values, are multiplied by pi / 180: {names}")
    return found


def _named(variables: Variables, prefix: str, objects: Objects) -> Objects:
    """The same objects with a variable for each part that is no column."""
    momentum, known = objects.momentum, variables
    energy = known.add(f"{prefix}_e", objects.energy)
    parts: dict[str, str] = {}
    if momentum.px:
        parts |= {part: known.add(f"{prefix}_{part}", getattr(momentum, part)) for part in ("px", "py", "pz")}
        x, y, z = parts["px"], parts["py"], parts["pz"]
        momentum = Momentum(f"pt({x}, {y})", f"eta({x}, {y}, {z})", f"phi({x}, {y})", columns=momentum.columns)
    parts |= {part: known.add(f"{prefix}_{part}", getattr(momentum, part)) for part in ("pt", "eta", "phi")}
    if "px" not in parts:
        pt, eta, phi = parts["pt"], parts["eta"], parts["phi"]
        made = {"px": f"px({pt}, {phi})", "py": f"py({pt}, {phi})", "pz": f"pz({pt}, {eta})"}
        parts |= {part: known.add(f"{prefix}_{part}", text) for part, text in made.items()}
    more = {"charge": objects.charge, "b_tag": objects.b_tag, "muon": objects.muon}
    named = {key: known.add(f"{prefix}_{key}", text) for key, text in more.items() if text}
    where = f"{parts['pt']} > 0" if objects.where else ""
    return Objects(
        Momentum(**parts, energy=energy, columns=momentum.columns), energy, b_tag_column=objects.b_tag_column, where=where,
        joined=objects.joined, **named,
    )  # fmt: skip


def _limit(columns: Mapping[str, Column], jets: Objects) -> int:
    counts = columns[jets.momentum.columns[0]].counts
    return int(np.clip(counts.max(initial=1) if counts is not None else 1, _FEWEST_JETS, _MOST_JETS))


def _add_event(found: TopPairs) -> None:
    """Numbers of the event: what numbers it, weights, counts of b jets, answers of other tools."""
    variables = found.variables
    eta, phi = found.leptons.momentum.eta, found.leptons.momentum.phi
    found.n_jets = variables.add("n_jets", found.count_jets)
    found.distance = variables.add("dR_ll", f"delta_r(at({eta}, 0), at({phi}, 0), at({eta}, 1), at({phi}, 1))")
    numbers = variables.numbers()
    for plain, name in numbers.items():
        column = variables.columns.get(name)
        if (column is not None and is_event_number(column)) or _NUMBER.match(plain):
            found.event.append(variables.add("event_number", name))
    plain_weights = [plain for plain, name in numbers.items() if _is_weight(variables, name)]
    spin = [plain for plain in plain_weights if "spin" in plain.lower()]
    if len(spin) > 1 and "lepton_plus" in found.truth.momenta:
        found.spin_weights = {re.sub(r"^.*spin_", "", plain): numbers[plain] for plain in spin}
    others = [plain for plain in plain_weights if plain not in spin and not plain.startswith("LHE")]
    found.weight = next((numbers[p] for name in _WEIGHTS for p in others if NOMINAL.sub("", p) == name), "")
    found.other_weights = [numbers[plain] for plain in others if numbers[plain] != found.weight][:6]
    found.more_of_event = [
        n for p, n in numbers.items() if re.fullmatch(r"n_?b_?(tag(ged)?_?)?(jets?|tags?)", p, re.IGNORECASE)
    ]
    _add_given(found)


def _is_weight(variables: Variables, name: str) -> bool:
    column = column_of(name, variables.columns)
    return column is not None and is_weight(column) and bool(np.isfinite(column.values.astype(np.float64)).all())


def _add_given(found: TopPairs) -> None:
    """Neutrinos that NuFlows or neutrino weighting of TopCPToolkit wrote."""
    columns = found.variables.columns
    for name, column in columns.items():
        if (
            re.fullmatch(r"nuflows_nu_out(_\w+)?", column.plain)
            and column.counts is not None
            and set(column.counts) == {6}
        ):
            texts = [f"at({name}, {place})" for place in range(6)]
            found.given["nu_flows"] = [divided(text) for text in texts] if found.variables.is_mev([name]) else texts
    momenta = find_momenta({p: n for p, n in found.variables.numbers().items() if NOMINAL.search(p)})
    roles = {role_of(stem): found.variables.in_gev(momentum) for stem, momentum in momenta.items()}
    if {"nu", "nubar"} <= set(roles):
        parts = [roles[role].cartesian for role in ("nu", "nubar")]
        found.given["weighting"] = [text for momentum in parts if momentum for text in momentum[:3]]
