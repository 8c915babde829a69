"""All neutrino pairs of dileptonic top pairs, from the ellipses of both tops."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from collidekit.reconstruction.closest_approach import closest_approach
from collidekit.reconstruction.ellipse import NeutrinoEllipse, neutrino_ellipse
from collidekit.reconstruction.events import Status
from collidekit.reconstruction.four_momenta import Floats, with_mass
from collidekit.reconstruction.intersection import intersections
from collidekit.reconstruction.masses import Masses, per_event


@dataclass(frozen=True)
class DileptonSolutions:
    """Neutrinos of N events and P pairings of jets with leptons."""

    neutrinos: Floats
    """``(N, P, 4, 2, 4)``: up to four solutions, each with neutrino and antineutrino; NaN without a solution. If ``status``
    is CLOSEST, the first one is the closest approach, and its sum is not the missing momentum."""
    valid: NDArray[np.bool_]
    """``(N, P, 4)``: True for exact solutions."""
    status: NDArray[np.int8]
    """``(N, P)`` ``Status``: SOLVED, CLOSEST, NO_SOLUTION, IMPOSSIBLE_MASSES, or NOT_FINITE for input without an ellipse."""
    distance: Floats
    """``(N, P)`` in GeV between the sum of the neutrinos and the missing momentum: 0 if SOLVED; NaN without neutrinos."""
    z2: Floats
    """``(N, P, 2)`` Z^2 of both ellipses in GeV^2: negative for impossible masses."""


def pair_ellipses(bottoms: Floats, leptons: Floats, masses: Masses) -> tuple[NeutrinoEllipse, NeutrinoEllipse]:
    """Return the ellipses ``(N, P)`` of neutrino and antineutrino for b jets ``(N, P, 2, 4)`` and leptons ``(N, 2, 4)``."""
    found = []
    for index in (0, 1):
        lepton = np.broadcast_to(leptons[:, None, index], bottoms[:, :, index].shape)
        bottom_mass = None if masses.bottom is None else per_event(masses.bottom, 2)
        top_mass, w_mass = per_event(masses.top, 2), per_event(masses.w, 2)
        found.append(
            neutrino_ellipse(
                bottoms[:, :, index],
                lepton,
                top_mass,
                w_mass,
                bottom_mass=bottom_mass,
                massless_lepton=masses.massless_leptons,
            )
        )
    return found[0], found[1]


def solve_ellipses(
    bottoms: Floats, leptons: Floats, met: Floats, masses: Masses | None = None, *, closest: bool = True
) -> DileptonSolutions:
    """Return all neutrino pairs for b jets ``(N, P, 2, 4)``, leptons ``(N, 2, 4)`` and missing momentum ``(N, 2)``.

    The first b belongs to the first lepton. Pairings without a solution get the closest approach; without ``closest`` they get the status
    NO_SOLUTION and no neutrinos (arXiv:1305.1878, section 4).
    """
    first, second = pair_ellipses(bottoms, leptons, masses or Masses())
    total = np.broadcast_to(met[:, None], (*first.z2.shape, 2))
    momenta, valid = intersections(first, second, total)
    z2 = np.stack([first.z2, second.z2], axis=-1)
    status = np.where(valid.any(axis=-1), Status.SOLVED, Status.NO_SOLUTION)
    status = np.where((z2 < 0).any(axis=-1), Status.IMPOSSIBLE_MASSES, status)
    broken = np.isnan(z2).any(axis=-1) | ~np.isfinite(total).all(axis=-1)
    status = np.where(broken, Status.NOT_FINITE, status).astype(np.int8)
    distance = np.where(status == Status.SOLVED, 0.0, np.nan)
    row, pairing = np.nonzero(status == Status.NO_SOLUTION)
    if closest and len(row):
        apart = (row, pairing)
        found = closest_approach(first.rows(apart), second.rows(apart), total[apart])
        momenta[row, pairing, 0], distance[apart] = found
        status[apart] = np.where(np.isfinite(distance[apart]), Status.CLOSEST, Status.NO_SOLUTION)
    return DileptonSolutions(with_mass(momenta), valid, status, distance, z2)
