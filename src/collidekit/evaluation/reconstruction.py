"""Comparison of a network with classical methods for dileptonic top pairs, on the same events."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from collidekit.analysis.dilepton import Dilepton
from collidekit.analysis.schema import Analysis
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.evaluation.assignment import EVENT, Found, measure_assignment
from collidekit.evaluation.binomial import efficiency
from collidekit.evaluation.dilepton.events import Dileptons
from collidekit.evaluation.dilepton.kinematics import TopPair
from collidekit.evaluation.dilepton.spin import TRUTH
from collidekit.evaluation.numbers import with_error
from collidekit.evaluation.residuals import Spread
from collidekit.inference.predictions import Array, Predictions
from collidekit.reconstruction.events import Status
from collidekit.reconstruction.four_momenta import mass, with_mass
from collidekit.reconstruction.method import Method
from collidekit.reconstruction.methods import METHODS, build_method, method_from_file

NETWORK = "network"
LARGEST_MEDIAN_MASS = 20_000.0
"""Maximum plausible median mass of top pairs in GeV; a larger one means that the unit is MeV."""
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
    "method", "efficiency", "fraction right", "solved", "bias [GeV]", "width [GeV]", "pz width", "ms/event",
)  # fmt: skip


@dataclass(frozen=True)
class MethodResult:
    """Results of one method: the assignment, and residuals of the mass of the pair and of the neutrino pz in GeV."""

    method: str
    found: Found
    solved: float
    """Weighted fraction of the events with an estimate of the mass, or of the neutrinos if the true mass is not given."""
    mass: Spread | None
    neutrino_pz: Spread | None
    milliseconds: float | None
    """Processor time per event; None for a network."""

    @property
    def _spreads(self) -> dict[str, Spread | None]:
        return {"mass": self.mass, "neutrino_pz": self.neutrino_pz}

    def as_dict(self) -> dict[str, Any]:
        spreads = {name: spread and spread.as_dict() for name, spread in self._spreads.items()}
        return {**asdict(self), "found": self.found.as_dict(), **spreads}

    @classmethod
    def read(cls, content: dict[str, Any]) -> "MethodResult":
        """Return the object that ``as_dict`` wrote."""
        spreads = {name: Spread.read(content[name]) if content[name] else None for name in ("mass", "neutrino_pz")}
        return cls(**{**content, "found": Found.read(content["found"]), **spreads})

    def cells(self) -> tuple[str, ...]:
        """Return a row of the table."""
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


def check_methods(methods: Sequence[str], names: Dilepton) -> None:
    """Raise CollidekitError for an unknown method, a wrong setting, or a name that is already used by a method or by the truth."""
    nothing = build_method("given", neutrinos=np.zeros((0, 2, 4)))
    for name, settings in names.methods.items():
        try:
            method_from_file(name, settings, nothing)
        except CollidekitError as error:
            raise CollidekitError(f"dilepton.methods.{name}: {error}") from None
    known = [*(name for name in METHODS if name != "given"), *(name for name in names.methods if name not in METHODS)]
    for name in methods:
        if name not in known:
            raise CollidekitError(
                f"--methods: unknown method {name!r}{did_you_mean(name, known)}; allowed are {', '.join(known)}"
            )
    for key, others, taken in (
        ("given", names.given, (*METHODS, NETWORK, *names.methods)),
        ("methods", names.methods, (NETWORK,)),
    ):
        for name in others:
            if name in taken:
                raise CollidekitError(
                    f"dilepton.{key}: {name!r} is the name of a method of collidekit; use another name"
                )
            if name == TRUTH:
                raise CollidekitError(
                    f"dilepton.{key}: {name!r} is the name of the truth in the results; use another name"
                )


def chosen_methods(methods: Sequence[str], names: Dilepton) -> list[str]:
    """Return the names of all methods to run: ``methods``, and the methods with settings in the analysis."""
    return list(dict.fromkeys([*methods, *names.methods]))


@dataclass(frozen=True, eq=False)
class Answer:
    """Solutions of a method for N events; -1 and NaN if there is none, as for events without two leptons of opposite charge."""

    positions: Array
    """(N, 2): positions in the file of the jets of the positive and of the negative lepton."""
    neutrinos: Array
    """(N, 2, 4)"""
    score: Array
    status: Array
    """(N,) ``Status``; -1 for events that were not given to the method."""
    pair: TopPair
    milliseconds: float
    """Processor time per event."""

    def counts(self) -> dict[str, int]:
        """Return the number of events for each status that occurs."""
        return {one.name.lower(): number for one in Status if (number := int((self.status == one).sum()))}


def run_methods(
    names: Dilepton,
    events: Dileptons,
    methods: Sequence[str],
    neutrinos: Array | None = None,
    others: Mapping[str, Array] | None = None,
) -> dict[str, Answer]:
    """Return the solutions of each method, by name.

    ``neutrinos (N, 2, 4)`` of a network are used by ``chi_square`` and the choice ``nearest``; without them both use those of neutrino
    weighting. ``others`` are neutrinos (N, 2, 4) of other tools by name; their jets have the smallest chi-square.
    """
    check_methods(methods, names)
    usable = events.usable

    def given(found: Array | None) -> Method:
        return build_method("neutrino_weighting") if found is None else build_method("given", neutrinos=found[usable])

    made = {
        name: method_from_file(name, names.methods.get(name, {}), given(neutrinos))
        for name in chosen_methods(methods, names)
    }
    made |= {name: method_from_file("chi_square", {}, given(found)) for name, found in (others or {}).items()}
    count, seen = len(usable), events.events[usable]
    answers = {}
    for name, method in made.items():
        begun = time.process_time()
        found = method.reconstruct(seen)
        spent = 1000 * (time.process_time() - begun) / max(len(seen), 1)
        jets = _scatter(found.jets, usable, -1)
        rows, own = np.arange(count)[:, None], _scatter(found.neutrinos, usable, np.nan)
        there = jets >= 0
        bottoms = (
            np.where(there[:, :, None], events.events.jets[rows, jets], np.nan) if jets.size else np.zeros((0, 2, 4))
        )
        answers[name] = Answer(
            np.where(there, events.places[rows, jets], -1) if jets.size else jets, own, _scatter(found.score, usable, np.nan),
            _scatter(found.status, usable, -1), TopPair.reconstructed(events.events.leptons, bottoms, own), spent,
        )  # fmt: skip
    return answers


def _scatter(values: Array, usable: Array, other: float) -> Array:
    """Return the values of the usable events in an array for all events (N, ...)."""
    found = np.full((len(usable), *values.shape[1:]), other, dtype=values.dtype)
    found[usable] = values
    return found


def measure_methods(
    analysis: Analysis, predictions: Predictions, events: Dileptons, answers: Mapping[str, Answer], network: bool = True
) -> tuple[list[MethodResult], dict[str, Predictions], dict[str, TopPair]]:
    """Return a row for the network and for each method, and the predictions and momenta of each, for the same rows in the same order.

    Without ``network`` the predictions hold only the truth. Events without a solution have no assignment and count as wrong.
    """
    names = analysis.dilepton
    assert names is not None
    target = analysis.assignments[names.assignment]
    slots = list(target.values)
    results, assigned, pairs = [], {}, {}
    truths, of_network = _truths(names, analysis, predictions)

    def line(name: str, own: Predictions, estimated: Mapping[str, Array], milliseconds: float | None) -> MethodResult:
        found = next(entry for entry in measure_assignment(own, names.assignment, target) if entry.what == EVENT)
        spreads = {
            kind: _residuals(estimated[kind], truths[kind], predictions)
            if kind in estimated and kind in truths
            else None
            for kind in ("mass", "neutrino_pz")
        }
        known = estimated.get("mass", estimated.get("neutrino_pz"))
        solved = 0.0 if known is None else _fraction_known(known, predictions.weights)
        return MethodResult(name, found, solved, spreads["mass"], spreads["neutrino_pz"], milliseconds)

    if network:
        results.append(line(NETWORK, predictions, of_network, None))
        assigned[NETWORK] = predictions
        bottoms = events.bottoms(np.stack([predictions.positions[slot] for slot in slots], axis=1))
        given = network_neutrinos(names, analysis, predictions)
        pairs[NETWORK] = TopPair.reconstructed(events.events.leptons, bottoms, given)
    for name, answer in answers.items():
        own = {slot: answer.positions[:, k] for k, slot in enumerate(slots)}
        assigned[name], pairs[name] = replace(predictions, positions=own), answer.pair
        pair = answer.pair.pair
        estimated = {} if pair is None else {"mass": mass(pair), "neutrino_pz": answer.neutrinos[:, :, 3]}
        results.append(line(name, assigned[name], estimated, answer.milliseconds))
    return results, assigned, pairs


def network_neutrinos(
    names: Dilepton, analysis: Analysis, predictions: Predictions, truth: bool = False
) -> Array | None:
    """Return the neutrinos (N, 2, 4) that the network estimates, or the true ones; None if the analysis names none."""
    if not names.neutrinos:
        return None
    columns = predictions.truth if truth else predictions.values
    values = [columns[name] for name in analysis.regressions[names.neutrinos].values]
    return with_mass(np.stack(values, axis=1).reshape(-1, 2, 3))


def _truths(names: Dilepton, analysis: Analysis, predictions: Predictions) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return true mass and neutrino pz, and the estimates of the network."""
    truths, estimates = {}, {}
    if names.mass:
        truths["mass"] = predictions.truth[names.mass]
        known = truths["mass"][np.isfinite(truths["mass"])]
        if len(known) and np.median(known) > LARGEST_MEDIAN_MASS:
            raise CollidekitError(
                f"{analysis.name}: dilepton.mass: the median of the true {names.mass} is {np.median(known):,.0f}; it must be in GeV: divide it by "
                "1000 in the target"
            )
        if names.mass in predictions.values:
            estimates["mass"] = predictions.values[names.mass]
    if names.neutrinos:
        along = [list(analysis.regressions[names.neutrinos].values)[k] for k in (2, 5)]
        truths["neutrino_pz"] = np.stack([predictions.truth[name] for name in along], axis=1)
        if along[0] in predictions.values:
            estimates["neutrino_pz"] = np.stack([predictions.values[name] for name in along], axis=1)
    return truths, estimates


def _fraction_known(estimate: Array, weights: Array) -> float:
    """Return the fraction of the weights (N,) of the events whose numbers (N,) or (N, K) are all finite."""
    known = np.isfinite(estimate).reshape(len(weights), -1).all(axis=1)
    return efficiency(known, weights).value


def _residuals(estimate: Array, truth: Array, predictions: Predictions) -> Spread:
    """Return the spread of all residuals with finite truth and estimate."""
    known = np.isfinite(estimate) & np.isfinite(truth)
    weights = predictions.weights.astype(np.float64)
    if estimate.ndim == 1:
        return Spread.of((estimate - truth)[known], weights[known])
    events = np.broadcast_to(np.arange(len(weights))[:, None], estimate.shape)[known]
    return Spread.of((estimate - truth)[known], weights[events], events=events)  # both neutrinos are drawn together
