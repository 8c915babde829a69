"""Solutions of all methods and the truth of the same events: the input of all measurements of dileptonic top pairs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from collidekit.analysis.targets import Assignment
from collidekit.dataset.targets import UNKNOWN
from collidekit.evaluation.dilepton.bins import Bins, of_counts, with_equal_counts, with_limits
from collidekit.evaluation.dilepton.events import Dileptons
from collidekit.evaluation.dilepton.kinematics import TopPair
from collidekit.evaluation.dilepton.truth import Truth
from collidekit.evaluation.rows import Bools, Floats, Ints
from collidekit.inference.predictions import Array, Predictions
from collidekit.reconstruction.four_momenta import delta_r, mass, pt

MASS = "m(tt̄)"


@dataclass(frozen=True, eq=False)
class Sample:
    """N events with weights, solutions of each method, truth, and bins."""

    weights: Floats
    methods: Mapping[str, TopPair]
    """Four-momenta of each method."""
    positions: Mapping[str, Ints]
    """Jets (N, 2) of top and antitop that each method assigns, -1 if there is none."""
    true_positions: Ints
    """(N, 2): -1 if the jet is not in the event, -2 if the truth is unknown."""
    slots: tuple[str, str]
    """Names of the two jets."""
    truth: TopPair
    spin_weights: Mapping[str, Floats]
    """Factors of the weights (N,) that inject spin correlations, by name; may be empty."""
    odd: Bools
    """Flags of events with an odd number."""
    mass_limits: tuple[float, ...]
    """Limits in GeV between the bins of m(tt) for spin."""
    bins: tuple[Bins, ...]
    """Bins of true m(tt) and pT(tt) if the truth is known, of the number of jets, and of the distance of the leptons."""

    @property
    def known(self) -> Bools:
        """Return the flags (N,) of events with known true jets."""
        return np.asarray((self.true_positions != UNKNOWN).all(axis=1))

    @property
    def matchable(self) -> Bools:
        """Return the flags (N,) of events that contain both true jets."""
        return np.asarray((self.true_positions >= 0).all(axis=1))

    def mass_bins(self, pair: TopPair) -> Bins:
        """Return the bins of the mass of a pair for spin."""
        momenta = pair.pair
        values = np.full(len(self.weights), np.nan) if momenta is None else mass(momenta)
        return with_limits("m_tt", f"{MASS} [GeV]", values, self.mass_limits)


def make_sample(
    target: Assignment,
    answers: Mapping[str, Predictions],
    methods: Mapping[str, TopPair],
    events: Dileptons,
    truth: Truth,
    mass_limits: Sequence[float],
) -> Sample:
    """Return the sample of the events with the solutions of methods and network."""
    slots = list(target.values)
    predictions = next(iter(answers.values()))

    def both(columns: Mapping[str, Array]) -> Ints:
        return np.stack([columns[slot] for slot in slots], axis=1).astype(np.int64)

    pair = truth.particles.pair
    bins = []
    if pair is not None:
        bins.append(with_equal_counts("m_tt", f"true {MASS} [GeV]", mass(pair)))
        bins.append(with_equal_counts("pt_tt", "true pT(tt̄) [GeV]", pt(pair)))
    bins.append(of_counts("n_jets", "number of jets", events.events.mask.sum(axis=1)))
    leptons = events.events.leptons
    bins.append(with_equal_counts("dr_ll", "ΔR(ℓ⁺, ℓ⁻)", delta_r(leptons[:, 0], leptons[:, 1])))
    return Sample(
        predictions.weights.astype(np.float64), methods, {name: both(own.positions) for name, own in answers.items()},
        both(predictions.true_positions), (slots[0], slots[1]), truth.particles, truth.spin_weights, events.odd,
        tuple(mass_limits), tuple(bins),
    )  # fmt: skip
