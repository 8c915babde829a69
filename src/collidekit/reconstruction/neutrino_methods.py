"""Methods that find neutrinos and pairing together: ellipses, smeared ellipses, neutrino weighting."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from collidekit.errors import CollidekitError
from collidekit.reconstruction.choice import choose, distances, ttbar_masses
from collidekit.reconstruction.dilepton_solutions import DileptonSolutions, solve_ellipses
from collidekit.reconstruction.event_random import Seeds, seeds_from_kinematics, seeds_from_numbers
from collidekit.reconstruction.events import DileptonEvents, Reconstruction
from collidekit.reconstruction.four_momenta import Floats
from collidekit.reconstruction.jet_selection import jet_pairs, jets_of_pairs
from collidekit.reconstruction.lepton_b_mass import MassDensity, leading_order_density, pair_weights
from collidekit.reconstruction.masses import Masses
from collidekit.reconstruction.method import (
    Jets,
    Method,
    best_pairing,
    in_chunks,
    jets_of_choice,
    with_input_problems,
)
from collidekit.reconstruction.neutrino_weighting import eta_grid, weight_neutrinos
from collidekit.reconstruction.smearing import Resolutions, average_smeared
from collidekit.reconstruction.sonnenschein import solve_quartic


@dataclass(frozen=True)
class Analytic:
    """Exact neutrinos for assumed masses from ellipses or from Sonnenschein's quartic, for all allowed pairs of jets."""

    solver: Literal["ellipse", "sonnenschein"] = "ellipse"
    choice: Literal["smallest_mtt", "m_lb", "nearest"] = "smallest_mtt"
    """Score of a solution. ``smallest_mtt``: minus the mass of the top pair; ``m_lb``: the product of both densities of m(lb), and the
    smallest mass of equal ones; ``nearest``: minus the distance in GeV to the neutrinos of ``proposal``."""
    masses: Masses = field(default_factory=Masses)
    jets: Jets = field(default_factory=Jets)
    closest: bool = True
    """Use the closest approach if no pairing has an exact solution (``ellipse`` only)."""
    density: MassDensity | None = None
    """Density of true m(lb), for ``m_lb``; None is the leading-order one."""
    proposal: Method | None = None
    chunk: int = 4000
    """Number of pairs of jets in memory."""

    def __post_init__(self) -> None:
        for name, known in (("solver", ("ellipse", "sonnenschein")), ("choice", ("smallest_mtt", "m_lb", "nearest"))):
            if getattr(self, name) not in known:
                raise CollidekitError(f"analytic neutrinos: {name} must be one of {known}, got {getattr(self, name)!r}")
        if (self.choice == "nearest") != (self.proposal is not None):
            needs = "needs" if self.choice == "nearest" else "cannot use"
            raise CollidekitError(f"analytic neutrinos: the choice {self.choice!r} {needs} a proposal")

    def reconstruct(self, events: DileptonEvents) -> Reconstruction:
        """Return the chosen solution of each event; exact solutions are preferred to closest approaches."""
        proposal = None if self.proposal is None else self.proposal.reconstruct(events).neutrinos

        def one(part: DileptonEvents, rows: slice) -> Reconstruction:
            return self._reconstruct(part, self.masses.of_rows(rows), None if proposal is None else proposal[rows])

        return in_chunks(events, self.jets, self.chunk, one)

    def _reconstruct(self, events: DileptonEvents, masses: Masses, proposal: Floats | None) -> Reconstruction:
        pairs, exists = jet_pairs(self.jets.allowed(events))
        bottoms = np.where(exists[..., None, None], jets_of_pairs(events.jets, pairs), np.nan)
        if self.solver == "ellipse":
            solutions = solve_ellipses(bottoms, events.leptons, events.met, masses, closest=self.closest)
        else:
            solutions = solve_quartic(bottoms, events.leptons, events.met, masses)
        score, tie = self._scores(events, bottoms, solutions, proposal)
        chosen = choose(solutions, score, tie)
        known = np.isfinite(chosen.neutrinos[:, 0, 0])
        jets = jets_of_choice(pairs, chosen.pairing, known)
        return with_input_problems(events, Reconstruction(jets, chosen.neutrinos, chosen.score, chosen.status))

    def _scores(
        self, events: DileptonEvents, bottoms: Floats, solutions: DileptonSolutions, proposal: Floats | None
    ) -> tuple[Floats, Floats]:
        mass = -ttbar_masses(solutions, events.leptons, bottoms)
        if proposal is not None:
            return -distances(solutions, proposal), mass
        if self.choice == "m_lb":
            density = leading_order_density() if self.density is None else self.density
            return pair_weights(density, events.leptons, bottoms)[..., None], mass
        return mass, mass


@dataclass(frozen=True)
class NeutrinoWeighting:
    """Neutrinos with the highest weight on a grid of assumed pseudorapidities, for all allowed pairs of jets.

    The score is the weight, from 0 to 1. Weights below 1e-308 become 0, but the best solution is still chosen correctly.
    """

    masses: Masses = field(default_factory=Masses)
    jets: Jets = field(default_factory=Jets)
    points: int = 51
    largest_eta: float = 5.0
    resolution: tuple[float, float] = (20.0, 20.0)
    """Resolution of the missing transverse momentum in x and y, GeV."""
    chunk: int = 512
    """Number of pairs of jets in memory."""

    def __post_init__(self) -> None:
        if not (
            self.points >= 2 and 0 < self.largest_eta < np.inf and all(0 < each < np.inf for each in self.resolution)
        ):
            raise CollidekitError(
                f"neutrino weighting: points must be at least 2, and largest_eta and resolution must be positive; got {self.points}, "
                f"{self.largest_eta} and {list(self.resolution)}"
            )

    def reconstruct(self, events: DileptonEvents) -> Reconstruction:
        """Return the best pairing and neutrinos of each event."""
        grid = eta_grid(self.points, self.largest_eta)

        def one(part: DileptonEvents, rows: slice) -> Reconstruction:
            pairs, exists = jet_pairs(self.jets.allowed(part))
            bottoms = np.where(exists[..., None, None], jets_of_pairs(part.jets, pairs), np.nan)
            found = weight_neutrinos(
                bottoms, part.leptons, part.met, self.masses.of_rows(rows), grid=grid, resolution=self.resolution
            )
            answer, _ = best_pairing(pairs, exists, found.neutrinos, found.log_weight)
            weighted = Reconstruction(answer.jets, answer.neutrinos, np.exp(answer.score), answer.status)
            return with_input_problems(part, weighted)

        return in_chunks(events, self.jets, self.chunk, one)


@dataclass(frozen=True)
class SmearedEllipse:
    """Mean neutrinos over smeared copies of an event, for the pairing with the largest mean weight, which is the score."""

    masses: Masses = field(default_factory=Masses)
    jets: Jets = field(default_factory=Jets)
    smearings: int = 100
    resolutions: Resolutions = field(default_factory=Resolutions)
    density: MassDensity | None = None
    """Density of true m(lb); None is the leading-order one."""
    seed: int = 0
    seeds_from: Literal["kinematics", "event"] = "kinematics"
    """Source of the random numbers of an event: its leptons and missing momentum, or its event number."""
    chunk: int = 200
    """Number of pairs of jets in memory, each with all smeared copies."""

    def __post_init__(self) -> None:
        if self.smearings < 1:
            raise CollidekitError(f"smeared_ellipse: smearings must be at least 1, got {self.smearings}")
        if self.seeds_from not in ("kinematics", "event"):
            raise CollidekitError(
                f"smeared_ellipse: seeds_from must be 'kinematics' or 'event', got {self.seeds_from!r}"
            )

    def reconstruct(self, events: DileptonEvents) -> Reconstruction:
        """Return the best pairing and the mean neutrinos of each event."""

        def one(part: DileptonEvents, rows: slice) -> Reconstruction:
            pairs, exists = jet_pairs(self.jets.allowed(part))
            bottoms = np.where(exists[..., None, None], jets_of_pairs(part.jets, pairs), np.nan)
            found = average_smeared(
                bottoms,
                part.leptons,
                part.met,
                self._seeds(part),
                self.masses.of_rows(rows),
                smearings=self.smearings,
                resolutions=self.resolutions,
                density=self.density,
            )
            weight = np.where(found.weight > 0, found.weight, np.nan)
            return with_input_problems(part, best_pairing(pairs, exists, found.neutrinos, weight)[0])

        return in_chunks(events, self.jets, self.chunk, one)

    def _seeds(self, events: DileptonEvents) -> Seeds:
        if self.seeds_from == "event":
            return seeds_from_numbers(events.event, self.seed)
        values = np.concatenate([events.leptons.reshape(len(events), 8), events.met], axis=1)
        return seeds_from_kinematics(values, self.seed)
