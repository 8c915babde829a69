"""Selection of one neutrino solution for each event."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from collidekit.errors import CollidekitError
from collidekit.reconstruction.dilepton_solutions import DileptonSolutions
from collidekit.reconstruction.events import Status
from collidekit.reconstruction.four_momenta import Floats, mass_squared


class Chosen(NamedTuple):
    """One solution of each event."""

    pairing: NDArray[np.intp]
    """``(N,)`` index of the pairing; 0 without a solution."""
    solution: NDArray[np.intp]
    """``(N,)`` index of the solution of this pairing; 0 without a solution."""
    neutrinos: Floats
    """``(N, 2, 4)``, NaN without a solution."""
    status: NDArray[np.int8]
    """``(N,)`` ``Status``."""
    score: Floats
    """``(N,)`` score of the solution, NaN without one."""


def ttbar_masses(solutions: DileptonSolutions, leptons: Floats, bottoms: Floats) -> Floats:
    """Return the mass of both tops together ``(N, P, 4)`` for leptons ``(N, 2, 4)`` and b jets ``(N, P, 2, 4)``."""
    visible = leptons.sum(axis=1)[:, None] + bottoms.sum(axis=2)
    with np.errstate(invalid="ignore"):
        total = visible[:, :, None] + solutions.neutrinos.sum(axis=-2)
        return np.sqrt(np.maximum(mass_squared(total), 0.0))


def distances(solutions: DileptonSolutions, proposal: Floats) -> Floats:
    """Return the distances ``(N, P, 4)`` of solutions from proposed neutrinos ``(N, 2, 4)``, in GeV.

    The distance is the square root of the sum of squared differences over all six momentum components. The proposal comes from a
    network or another method. The distance is NaN for an event without a proposal (NaN).
    """
    difference = solutions.neutrinos[..., 1:] - proposal[:, None, None, :, 1:]
    distance: Floats = np.sqrt(np.sum(difference**2, axis=(-2, -1)))
    return distance


def choose(solutions: DileptonSolutions, score: Floats, tie: Floats | None = None) -> Chosen:
    """Return the solution with the highest score of each event. Scores are ``(N, P, 4)``, or ``(N, P, 1)`` for scores of pairings.

    Exact solutions are preferred to closest approaches. Of solutions with equal scores, the one with the highest ``tie (N, P, 4)``
    is chosen, then the first. A score of NaN counts as the lowest. Without any solution, the status is the first of NO_SOLUTION,
    IMPOSSIBLE_MASSES and NOT_FINITE that a pairing has.
    """
    shape = solutions.valid.shape
    if score.shape[:2] != shape[:2] or score.shape[2] not in (1, shape[2]):
        raise CollidekitError(f"choice: scores have the shape {score.shape}, but it must be {shape}")
    if not shape[1]:
        nothing = np.zeros(shape[0], dtype=np.intp)
        status = np.full(shape[0], Status.TOO_FEW_JETS, dtype=np.int8)
        return Chosen(nothing, nothing, np.full((shape[0], 2, 4), np.nan), status, np.full(shape[0], np.nan))
    nearest = np.zeros(shape, dtype=bool)
    nearest[..., 0] = solutions.status == Status.CLOSEST
    exact = np.asarray(solutions.valid.any(axis=(1, 2)))
    available = np.where(exact[:, None, None], solutions.valid, nearest).reshape(shape[0], shape[1] * shape[2])
    keys = [np.broadcast_to(score, shape).reshape(shape[0], shape[1] * shape[2])]
    if tie is not None:
        keys.append(tie.reshape(shape[0], shape[1] * shape[2]))
    left = available
    for key in keys:
        key = np.where(np.isnan(key), -np.inf, key)
        highest = np.where(left, key, -np.inf).max(axis=1, keepdims=True)
        left = left & (key >= highest)
    best = left.argmax(axis=1)
    known = np.asarray(available.any(axis=1))
    pairing, solution = np.divmod(np.where(known, best, 0), shape[2])
    rows = np.arange(shape[0])
    # statuses without neutrinos are ordered from nearest to a solution to farthest
    none = np.where(solutions.status >= Status.NO_SOLUTION, solutions.status, 127).min(axis=1)
    status = np.where(known, np.where(exact, Status.SOLVED, Status.CLOSEST), none).astype(np.int8)
    return Chosen(
        pairing,
        solution,
        np.where(known[:, None, None], solutions.neutrinos[rows, pairing, solution], np.nan),
        status,
        np.where(known, keys[0][rows, best], np.nan),
    )
