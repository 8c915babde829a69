"""Likelihood fit of every pairing, starting from every solution of the ellipses."""

from dataclasses import dataclass, field

import numpy as np
import torch

from collidekit.errors import CollidekitError
from collidekit.reconstruction.dilepton_solutions import solve_ellipses
from collidekit.reconstruction.events import DileptonEvents, Reconstruction, Status
from collidekit.reconstruction.four_momenta import Floats, eta, mass_squared, with_mass
from collidekit.reconstruction.jet_selection import jet_pairs, jets_of_pairs
from collidekit.reconstruction.likelihood import FitInput, Likelihood
from collidekit.reconstruction.likelihood_fit import fit
from collidekit.reconstruction.masses import Masses
from collidekit.reconstruction.method import Jets, best_pairing, in_chunks, with_input_problems


@dataclass(frozen=True)
class LikelihoodFit:
    """Pairing with the largest likelihood, and neutrinos of one of its maxima; the score is the largest log-likelihood.

    Each pairing is fitted from every solution of its ellipses, or from the closest approach. For pairings with
    impossible masses, each neutrino starts with half of the missing momentum and the pseudorapidity of its lepton.
    The maxima of one pairing are nearly equally likely, because the likelihood does not contain the spectrum of the top-pair mass.
    Therefore the maximum with the largest log-likelihood - ``spectrum_power`` log(m_tt) gives the neutrinos.
    """

    likelihood: Likelihood = field(default_factory=Likelihood)
    jets: Jets = field(default_factory=Jets)
    steps: int = 200
    spectrum_power: float = 4.0
    """Power of m_tt with which the assumed spectrum falls; 0 selects the largest likelihood."""
    chunk: int = 2000
    """Number of pairs of jets in memory."""

    def __post_init__(self) -> None:
        if not (np.isfinite(self.spectrum_power) and self.steps >= 1):
            raise CollidekitError(
                f"likelihood: spectrum_power must be finite and steps at least 1, got {self.spectrum_power} and {self.steps}"
            )

    def reconstruct(self, events: DileptonEvents) -> Reconstruction:
        """Return the best fit of each event; the status is NOT_CONVERGED if the fit stopped after ``steps``."""
        return in_chunks(events, self.jets, self.chunk, lambda part, rows: self._reconstruct(part))

    def _reconstruct(self, events: DileptonEvents) -> Reconstruction:
        pairs, exists = jet_pairs(self.jets.allowed(events))
        bottoms = np.where(exists[..., None, None], jets_of_pairs(events.jets, pairs), np.nan)
        masses = Masses(self.likelihood.top, self.likelihood.w)
        solutions = solve_ellipses(bottoms, events.leptons, events.met, masses)
        starts = solutions.neutrinos[..., 1:]
        lost = np.nonzero(exists & (solutions.status == Status.IMPOSSIBLE_MASSES))
        starts[(*lost, np.zeros_like(lost[0]))] = _along_leptons(events)[lost[0]]
        known = np.isfinite(starts).all(axis=(-2, -1))  # (N, P, 4)
        row, pair, _ = np.nonzero(known)
        measured = FitInput(
            *(torch.from_numpy(values) for values in (events.leptons[row], bottoms[row, pair], events.met[row]))
        )
        found = fit(self.likelihood, measured, torch.from_numpy(starts[known]), steps=self.steps)
        values, momenta = np.full(known.shape, -np.inf), np.full((*known.shape, 2, 3), np.nan)
        converged = np.zeros(known.shape, dtype=bool)
        values[known], momenta[known] = found.log_likelihood.numpy(), found.neutrinos.numpy()
        converged[known] = found.converged.numpy()
        visible = events.leptons.sum(axis=1)[:, None, None] + bottoms.sum(axis=2)[:, :, None]
        with np.errstate(invalid="ignore"):
            total = np.maximum(mass_squared(visible + with_mass(momenta).sum(axis=-2)), 1.0)
        ranked = np.where(known, values - self.spectrum_power / 2 * np.log(np.where(known, total, 1.0)), -np.inf)
        best = ranked.argmax(axis=2)[..., None]
        score = values.max(axis=2)
        fitted = np.take_along_axis(momenta, best[..., None, None], axis=2)[:, :, 0]
        answer, pairing = best_pairing(pairs, exists, with_mass(fitted), score)
        if known.shape[1]:
            stopped = np.take_along_axis(converged, best, axis=2)[np.arange(len(events)), pairing, 0]
            unfinished = (answer.status == Status.SOLVED) & ~stopped
            answer.status[unfinished] = Status.NOT_CONVERGED
        return with_input_problems(events, answer)


def _along_leptons(events: DileptonEvents) -> Floats:
    """Return three-momenta ``(N, 2, 3)`` of neutrinos with half of the missing momentum each, along their leptons in eta."""
    half = np.broadcast_to(events.met[:, None] / 2, (len(events), 2, 2))
    with np.errstate(over="ignore", invalid="ignore"):
        along = np.hypot(half[..., 0], half[..., 1]) * np.sinh(np.clip(eta(events.leptons), -5, 5))
    return np.concatenate([half, along[..., None]], axis=-1)
