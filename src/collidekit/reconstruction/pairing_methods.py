"""Methods that assign jets to leptons: by distance, by m(lb), or by the top mass with given neutrinos."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from collidekit.errors import CollidekitError
from collidekit.reconstruction.events import DileptonEvents, Reconstruction, Status
from collidekit.reconstruction.four_momenta import Floats
from collidekit.reconstruction.method import Jets, Method
from collidekit.reconstruction.pairing import (
    as_reconstruction,
    best_pair,
    delta_r_costs,
    greedy_pair,
    squared_masses,
    top_mass_costs,
)


@dataclass(frozen=True)
class DeltaR:
    """Pairing of jets with near leptons: the smallest sum of both distances, or greedily the smallest distance first.

    The score is minus the sum.
    """

    greedy: bool = False
    jets: Jets = field(default_factory=Jets)

    def reconstruct(self, events: DileptonEvents) -> Reconstruction:
        """Return the pairing of each event, without neutrinos."""
        pair = greedy_pair if self.greedy else best_pair
        return as_reconstruction(events, pair(delta_r_costs(events), self.jets.allowed(events)))


@dataclass(frozen=True)
class LeptonJetMass:
    """Pairing with the smallest value of the larger m(lj) (``max``), or the smallest sum of both m(lj)^2 (``sum``).

    The score is minus the larger m(lj) in GeV, or minus the sum in GeV^2.
    """

    combine: Literal["max", "sum"] = "max"
    jets: Jets = field(default_factory=Jets)

    def __post_init__(self) -> None:
        if self.combine not in ("max", "sum"):
            raise CollidekitError(f"lepton-jet mass: combine must be 'max' or 'sum', got {self.combine!r}")

    def reconstruct(self, events: DileptonEvents) -> Reconstruction:
        """Return the pairing of each event, without neutrinos."""
        costs = squared_masses(events.leptons, events.jets)
        if self.combine == "max":
            costs = np.sqrt(costs)
        return as_reconstruction(events, best_pair(costs, self.jets.allowed(events), self.combine))


@dataclass(frozen=True)
class GivenNeutrinos:
    """Given neutrinos, such as branches of a file, without an assignment of jets."""

    neutrinos: Floats
    """``(N, 2, 4)`` in GeV, neutrino first; NaN for an event without neutrinos."""

    def reconstruct(self, events: DileptonEvents) -> Reconstruction:
        """Return the neutrinos of each event. ``events`` must be exactly the events of the neutrinos, in the same order."""
        given = np.asarray(self.neutrinos, dtype=np.float64)
        if given.shape != (len(events), 2, 4):
            raise CollidekitError(f"given neutrinos have the shape {given.shape}, but it must be {(len(events), 2, 4)}")
        known = np.asarray(np.isfinite(given).all(axis=(1, 2)))
        status = np.where(known, Status.SOLVED, Status.NO_SOLUTION).astype(np.int8)
        none = np.full(len(events), np.nan)
        return Reconstruction(
            np.full((len(events), 2), -1), np.where(known[:, None, None], given, np.nan), none, status
        )


@dataclass(frozen=True)
class TopMassChiSquare:
    """Pairing with m(l nu j) nearest to the top mass, with the neutrinos of another method.

    The score is minus the sum of ((m(l nu j) - mass) / width)^2 over both tops.
    """

    neutrinos: Method
    mass: float = 172.5
    width: float = 20.0
    jets: Jets = field(default_factory=lambda: Jets("all"))

    def __post_init__(self) -> None:
        if not (np.isfinite([self.mass, self.width]).all() and self.mass > 0 and self.width > 0):
            raise CollidekitError(f"chi-square: mass and width must be positive, got {self.mass} and {self.width}")

    def reconstruct(self, events: DileptonEvents) -> Reconstruction:
        """Return the pairing, and the neutrinos that it uses."""
        neutrinos = self.neutrinos.reconstruct(events).neutrinos
        costs = top_mass_costs(events, neutrinos, self.mass, self.width)
        return as_reconstruction(events, best_pair(costs, self.jets.allowed(events)), neutrinos)
