"""Classical methods of dileptonic top pairs beside a network, on the same events."""

import time
from collections.abc import Iterable, Mapping, Sequence
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
from collidekit.reconstruction.four_momenta import mass, with_mass
from collidekit.reconstruction.method import Jets, Method
from collidekit.reconstruction.methods import METHODS, build_method

NETWORK = "network"
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
    """What one method gives: the assignment, and residuals of the mass of the pair and of the neutrinos' pz in GeV."""

    method: str
    found: Found
    solved: float
    """Weighted fraction of the events with an estimate of the mass, or where no truth of it is given, of the neutrinos."""
    mass: Spread | None
    neutrino_pz: Spread | None
    milliseconds: float | None
    """Processor time of an event; None for an ensemble of networks."""

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


def check_methods(methods: Sequence[str], given: Iterable[str] = ()) -> None:
    """Raise CollidekitError for an unknown method, and for ``given`` names of other tools that methods of collidekit or the truth have."""
    known = [name for name in METHODS if name != "given"]
    for name in methods:
        if name not in known:
            raise CollidekitError(
                f"--methods: there is no method {name!r}{did_you_mean(name, known)}; known are {', '.join(known)}"
            )
    for name in given:
        if name in (*METHODS, NETWORK):
            raise CollidekitError(f"dilepton.given: {name!r} is a method of collidekit; give this one another name")
        if name == TRUTH:
            raise CollidekitError(
                f"dilepton.given: {name!r} is the line of the truth in the results; give this one another name"
            )


def measure_methods(
    analysis: Analysis,
    predictions: Predictions,
    events: Dileptons,
    methods: Sequence[str] = USUAL,
    others: Mapping[str, Array] | None = None,
) -> tuple[list[MethodResult], dict[str, Predictions], dict[str, TopPair]]:
    """Return a line for the network and for each method, the predictions and the momenta of each, for the same rows in the same order.

    ``others`` are neutrinos (N, 2, 4) of other tools by name; their jets are those of the smallest chi-square with them.
    Events that a method cannot use, such as those without two leptons of opposite charge, have no assignment and count as wrong.
    """
    names = analysis.dilepton
    assert names is not None
    target = analysis.assignments[names.assignment]
    slots = list(target.values)
    results, answers, pairs = [], {NETWORK: predictions}, {}

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

    truths, of_network = _truths(names, analysis, predictions)
    results.append(line(NETWORK, predictions, of_network, None))
    given = network_neutrinos(names, analysis, predictions)
    pairs[NETWORK] = TopPair.reconstructed(
        events.events.leptons, events.bottoms(np.stack([predictions.positions[slot] for slot in slots], axis=1)), given
    )
    check_methods(methods)
    chosen = {name: _chi_square(given, events) if name == "chi_square" else build_method(name) for name in methods}
    chosen |= {name: _chi_square(neutrinos, events) for name, neutrinos in (others or {}).items()}
    for name, method in chosen.items():
        begun = time.process_time()
        found = method.reconstruct(events.events[events.usable])
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
        bottoms = np.where(jets[:, :, None] >= 0, events.events.jets[rows[:, None], jets], np.nan)
        pairs[name] = TopPair.reconstructed(events.events.leptons, bottoms, neutrinos)
        pair = pairs[name].pair
        estimated = {} if pair is None else {"mass": mass(pair), "neutrino_pz": neutrinos[:, :, 3]}
        results.append(line(name, answers[name], estimated, spent))
    return results, answers, pairs


def _chi_square(given: Array | None, events: Dileptons) -> Method:
    """The smallest chi-square with the neutrinos (N, 2, 4) that are given, from the same jets as other methods.

    Without any they are those of neutrino weighting, and the pairing is always that of neutrino weighting, whose tops have the assumed
    mass.
    """
    if given is None:
        neutrinos = build_method("neutrino_weighting")
    else:
        neutrinos = build_method("given", neutrinos=given[events.usable])
    return build_method("chi_square", neutrinos=neutrinos, jets=Jets("two_tagged"))


def network_neutrinos(
    names: Dilepton, analysis: Analysis, predictions: Predictions, truth: bool = False
) -> Array | None:
    """Return the neutrinos (N, 2, 4) that the network estimates, or their truth; None where the analysis names none."""
    if not names.neutrinos:
        return None
    columns = predictions.truth if truth else predictions.values
    values = [columns[name] for name in analysis.regressions[names.neutrinos].values]
    return with_mass(np.stack(values, axis=1).reshape(-1, 2, 3))


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


def _fraction_known(estimate: Array, weights: Array) -> float:
    """Fraction of the weights (N,) of the events whose numbers (N,) or (N, K) are all known."""
    known = np.isfinite(estimate).reshape(len(weights), -1).all(axis=1)
    return efficiency(known, weights).value


def _residuals(estimate: Array, truth: Array, predictions: Predictions) -> Spread:
    """Of all numbers that are known and estimated."""
    known = np.isfinite(estimate) & np.isfinite(truth)
    weights = predictions.weights.astype(np.float64)
    if estimate.ndim == 1:
        return Spread.of((estimate - truth)[known], weights[known])
    events = np.broadcast_to(np.arange(len(weights))[:, None], estimate.shape)[known]
    return Spread.of((estimate - truth)[known], weights[events], events=events)  # both neutrinos are drawn together
