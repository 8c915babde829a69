"""Classical methods of dileptonic top pairs beside a network, on the same events."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from collidekit.analysis.dilepton import Dilepton
from collidekit.analysis.schema import Analysis
from collidekit.analysis.targets import PLACE, Assignment
from collidekit.dataset.batch import Batch, Ragged, concatenate
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.evaluation.assignment import EVENT, Found, measure_assignment
from collidekit.evaluation.numbers import with_error
from collidekit.evaluation.residuals import Spread
from collidekit.inference.predictions import Array, Predictions
from collidekit.reconstruction.events import DileptonEvents, opposite_charges, order_by_charge
from collidekit.reconstruction.four_momenta import mass, with_mass
from collidekit.reconstruction.method import Jets, Method
from collidekit.reconstruction.methods import METHODS, build_method

NETWORK = "network"
MOST_LEPTONS = 2
"""Blocks are at least this long, so that each event has a place for both leptons."""
USUAL = (
    "delta_r",
    "max_m_lb",
    "sum_m_lb2",
    "chi_square",
    "ellipse",
    "neutrino_weighting",
    "smeared_ellipse",
    "likelihood",
)
HEADER = (
    "method", "efficiency", "fraction right", "with m(tt)", "bias [GeV]", "width [GeV]", "pz width", "ms/event",
)  # fmt: skip


@dataclass(frozen=True)
class MethodResult:
    """What one method gives: the assignment, and residuals of the mass of the pair and of the neutrinos' pz in GeV."""

    method: str
    found: Found
    solved: float
    """Fraction of the events with an estimate of the mass, or where no truth of it is given, of the neutrinos."""
    mass: Spread | None
    neutrino_pz: Spread | None
    milliseconds: float | None
    """Processor time of an event; None for a network, which is timed elsewhere."""

    @property
    def _spreads(self) -> dict[str, Spread | None]:
        return {"mass": self.mass, "neutrino_pz": self.neutrino_pz}

    def as_dict(self) -> dict[str, Any]:
        spreads = {name: spread and spread.as_dict() for name, spread in self._spreads.items()}
        return {**asdict(self), "found": self.found.as_dict(), **spreads}

    @classmethod
    def read(cls, content: dict[str, Any]) -> "MethodResult":
        """Return what ``as_dict`` gave, from a file."""
        spreads = {name: Spread.read(content[name]) if content[name] else None for name in ("mass", "neutrino_pz")}
        return cls(**{**content, "found": Found.read(content["found"]), **spreads})

    def cells(self) -> tuple[str, ...]:
        """A line of the table."""
        complete = self.found.complete
        return (
            self.method, str(complete) if complete else "-", str(self.found.every), f"{self.solved:.1%}" if self.solved else "-",
            _shown(self.mass, "bias"), _shown(self.mass, "width"), _shown(self.neutrino_pz, "width"),
            "-" if self.milliseconds is None else f"{self.milliseconds:.3g}",
        )  # fmt: skip


def _shown(spread: Spread | None, name: str) -> str:
    if spread is None or np.isnan(getattr(spread, name)):
        return "-"
    return with_error(getattr(spread, name), getattr(spread, f"{name}_error"))


@dataclass(frozen=True)
class Dileptons:
    """The events of some rows as the methods take them, with the truth."""

    events: DileptonEvents
    usable: Array
    """Which rows (N,) have two leptons of opposite charge; the methods see no others."""
    places: Array
    """Position in the file (N, J) of each jet."""
    wrong_partner: int
    """Events in which the partner of the first parent is the negative lepton, or that of the second the positive one."""


def dilepton_events(analysis: Analysis, batches: Iterable[Batch]) -> Dileptons:
    """Return the events of all rows, in their order; momenta are those of the analysis, in GeV."""
    names = analysis.dilepton
    if names is None:
        raise CollidekitError(
            f"{analysis.name}: has no 'dilepton:', which says where leptons, jets and missing momentum are"
        )
    batch = concatenate(list(batches))
    target = analysis.assignments[names.assignment]
    jet_name = target.collection
    jets, there = _momenta(batch, jet_name)
    leptons, leptons_there = _momenta(batch, names.leptons)
    charge = _column(analysis, batch, names.leptons, names.charge)[:, :2]
    usable = (leptons_there.sum(axis=1) == 2) & opposite_charges(charge)
    momenta = np.full((len(batch), 2, 4), np.nan)
    if usable.any():
        momenta[usable] = order_by_charge(leptons[usable, :2], charge[usable])
    b_tag = _column(analysis, batch, jet_name, names.b_tag)
    met = np.stack([_flat(analysis, batch, name) for name in names.met], axis=1)
    number = next(iter(batch.event.values()), batch.source[:, 1]).numpy()
    events = DileptonEvents(momenta, jets, there, b_tag, met, number, batch.weights.numpy())
    entry = _collection(batch, jet_name)
    assert entry.targets is not None
    places = entry.padded(entry.targets, MOST_LEPTONS).numpy()
    wrong = _wrong_partner(target, names.leptons, charge) & usable
    return Dileptons(events, usable, places[:, :, analysis.target_columns(jet_name).index(PLACE)], int(wrong.sum()))


def _wrong_partner(target: Assignment, leptons: str, charge: Array) -> Array:
    """Return in which events (N,) the partner of the first parent is the negative lepton, or that of the second the positive one."""
    wrong = np.zeros(len(charge), dtype=bool)
    for parent, sign in zip(target.parents, (1, -1), strict=True):
        partner = target.partner_of(parent)
        if partner and partner[0] == leptons and partner[1] < charge.shape[1]:
            wrong |= charge[:, partner[1]] * sign < 0
    return wrong


def _column(analysis: Analysis, batch: Batch, collection: str, name: str) -> Array:
    """A feature of a collection (N, L), padded."""
    entry = _collection(batch, collection)
    names = [feature.name for feature in analysis.collections[collection].features]
    found: Array = entry.padded(entry.values, MOST_LEPTONS).numpy()[:, :, names.index(name)]
    return found


def _momenta(batch: Batch, collection: str) -> tuple[Array, Array]:
    """Four-momenta (E, px, py, pz) of a collection (N, L, 4), padded, and which there are (N, L)."""
    entry = _collection(batch, collection)
    found = entry.padded(entry.momenta.double(), MOST_LEPTONS).numpy()[:, :, [3, 0, 1, 2]]
    return found, np.arange(found.shape[1]) < entry.counts.numpy()[:, None]


def _collection(batch: Batch, name: str) -> Ragged:
    entry = batch.inputs[name]
    assert isinstance(entry, Ragged)
    return entry


def _flat(analysis: Analysis, batch: Batch, name: str) -> Array:
    for group, entry in analysis.groups.items():
        for column, feature in enumerate(entry.features):
            if feature.name == name:
                values: Array = batch.inputs[group][:, column].numpy().astype(np.float64)  # type: ignore[index]
                return values
    raise CollidekitError(f"{analysis.name}: there is no flat feature {name!r}")


def check_methods(methods: Sequence[str]) -> None:
    """Raise CollidekitError for a method that there is not, or that needs an array of its own."""
    known = [name for name in METHODS if name != "given"]
    for name in methods:
        if name not in known:
            raise CollidekitError(
                f"--methods: there is no method {name!r}{did_you_mean(name, known)}; known are {', '.join(known)}"
            )


def measure_methods(
    analysis: Analysis, predictions: Predictions, events: Dileptons, methods: Sequence[str] = USUAL
) -> tuple[list[MethodResult], dict[str, Predictions]]:
    """Return a line for the network and for each method, and the predictions of each, for the same rows in the same order.

    Events that a method cannot use, such as those without two leptons of opposite charge, have no assignment and count as wrong.
    """
    names = analysis.dilepton
    assert names is not None
    target = analysis.assignments[names.assignment]
    slots = list(target.values)
    results, answers = [], {NETWORK: predictions}

    def line(name: str, own: Predictions, estimated: Mapping[str, Array], milliseconds: float | None) -> MethodResult:
        found = next(entry for entry in measure_assignment(own, names.assignment, target) if entry.what == EVENT)
        spreads = {
            kind: _residuals(estimated[kind], truths[kind], predictions)
            if kind in estimated and kind in truths
            else None
            for kind in ("mass", "neutrino_pz")
        }
        known = estimated.get("mass", estimated.get("neutrino_pz"))
        solved = 0.0 if known is None else float(np.isfinite(known).reshape(len(predictions), -1).all(axis=1).mean())
        return MethodResult(name, found, solved, spreads["mass"], spreads["neutrino_pz"], milliseconds)

    truths, of_network = _truths(names, analysis, predictions)
    results.append(line(NETWORK, predictions, of_network, None))
    check_methods(methods)
    for name in methods:
        settings: dict[str, Any] = {}
        if name == "chi_square":  # from the same jets as the others
            settings = {"neutrinos": _neutrinos(names, analysis, predictions, events), "jets": Jets("two_tagged")}
        begun = time.process_time()
        found = build_method(name, **settings).reconstruct(events.events[events.usable])
        spent = 1000 * (time.process_time() - begun) / max(int(events.usable.sum()), 1)
        jets = np.full((len(predictions), 2), -1)
        jets[events.usable] = found.jets
        neutrinos = np.full((len(predictions), 2, 4), np.nan)
        neutrinos[events.usable] = found.neutrinos
        rows = np.arange(len(jets))
        positions = {
            slot: np.where(jets[:, k] >= 0, events.places[rows, jets[:, k]], -1) for k, slot in enumerate(slots)
        }
        answers[name] = replace(predictions, positions=positions)
        chosen = events.events.jets[rows[:, None], jets]
        pair = np.where(jets[:, :, None] >= 0, events.events.leptons + neutrinos + chosen, np.nan).sum(axis=1)
        estimated = {"mass": mass(pair), "neutrino_pz": neutrinos[:, :, 3]} if np.isfinite(neutrinos).any() else {}
        results.append(line(name, answers[name], estimated, spent))
    return results, answers


def _neutrinos(names: Dilepton, analysis: Analysis, predictions: Predictions, events: Dileptons) -> Method:
    """The neutrinos of ``chi_square``: those of the network, else of neutrino weighting.

    With the latter the pairing is always that of neutrino weighting, whose tops have the assumed mass.
    """
    if not names.neutrinos:
        return build_method("neutrino_weighting")
    values = [predictions.values[name] for name in analysis.regressions[names.neutrinos].values]
    momenta = with_mass(np.stack(values, axis=1).reshape(-1, 2, 3))
    return build_method("given", neutrinos=momenta[events.usable])


def _truths(names: Dilepton, analysis: Analysis, predictions: Predictions) -> tuple[dict[str, Array], dict[str, Array]]:
    """True mass and neutrinos' pz, and what the network estimates of them."""
    truths, estimates = {}, {}
    if names.mass:
        truths["mass"], estimates["mass"] = predictions.truth[names.mass], predictions.values[names.mass]
    if names.neutrinos:
        along = [list(analysis.regressions[names.neutrinos].values)[k] for k in (2, 5)]
        truths["neutrino_pz"] = np.stack([predictions.truth[name] for name in along], axis=1)
        estimates["neutrino_pz"] = np.stack([predictions.values[name] for name in along], axis=1)
    return truths, estimates


def _residuals(estimate: Array, truth: Array, predictions: Predictions) -> Spread:
    """Of all numbers that are known and estimated."""
    known = np.isfinite(estimate) & np.isfinite(truth)
    weights = predictions.weights.astype(np.float64)
    weights = weights if estimate.ndim == 1 else np.repeat(weights[:, None], estimate.shape[1], axis=1)
    return Spread.of((estimate - truth)[known], weights[known])
