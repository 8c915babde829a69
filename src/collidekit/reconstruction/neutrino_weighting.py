"""Neutrino weighting: assume the pseudorapidities of both neutrinos, and weight them with the missing transverse momentum."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from collidekit.errors import CollidekitError
from collidekit.reconstruction.four_momenta import Floats, mass_squared, with_mass
from collidekit.reconstruction.masses import Masses, per_event

CHUNK = 32
"""Number of pairings with grids in memory: 51 x 51 points of 4 solutions take 2.7 MB."""
ABSENT = 1e30
"""Squared distance of a grid point without a solution."""


class WeightedNeutrinos(NamedTuple):
    """The neutrinos with the highest weight."""

    neutrinos: Floats
    """``(N, P, 2, 4)``, NaN if no point of the grid has a solution."""
    log_weight: Floats
    """``(N, P)``: -dx^2 / (2 sx^2) - dy^2 / (2 sy^2) of the missing momentum; NaN without a solution."""
    eta: Floats
    """``(N, P, 2)`` assumed pseudorapidities."""


def eta_grid(points: int = 51, largest: float = 5.0) -> Floats:
    """Return pseudorapidities ``(points,)`` from ``-largest`` to ``largest`` in equal steps."""
    if points < 1 or not largest > 0:
        raise CollidekitError(f"eta grid: points must be at least 1 and the range positive, got {points} and {largest}")
    return np.linspace(-largest, largest, points)


def weight_neutrinos(
    bottoms: Floats,
    leptons: Floats,
    met: Floats,
    masses: Masses | None = None,
    *,
    grid: Floats | None = None,
    resolution: tuple[float, float] = (20.0, 20.0),
) -> WeightedNeutrinos:
    """Return the best neutrinos of b jets ``(N, P, 2, 4)``, leptons ``(N, 2, 4)`` and missing momentum ``met (N, 2)``.

    Each point of ``grid`` x ``grid`` assumes the pseudorapidities of neutrino and antineutrino. The masses of W and top then
    give up to two momenta of each. The weight is exp(-dx^2 / (2 sx^2) - dy^2 / (2 sy^2)), where (dx, dy) is ``met`` minus the
    sum of both neutrinos and (sx, sy) is the ``resolution`` in GeV, the same for all events. Each neutrino is solved once for each
    eta, not once for each pair. The grid is fixed in the frame of the detector: results are covariant under a boost along the
    beam only if the grid is boosted, too.
    """
    if not all(np.isfinite(width) and width > 0 for width in resolution):
        raise CollidekitError(
            f"neutrino weighting: the resolution must be two positive numbers in GeV, got {resolution}"
        )
    masses = masses or Masses()
    grid = eta_grid() if grid is None else np.asarray(grid, dtype=np.float64)
    sides = [
        solve_at_eta(
            bottoms[:, :, index], np.broadcast_to(leptons[:, None, index], bottoms[:, :, index].shape), grid, masses
        )
        for index in (0, 1)
    ]  # each (N, P, 2 G, 3)
    shape = bottoms.shape[:2]
    count = shape[0] * shape[1]
    first, second = (side.reshape(count, 2 * len(grid), 3) for side in sides)
    total = np.broadcast_to(met[:, None], (*shape, 2)).reshape(count, 2)
    best, known = _smallest_distance(first, second, total, resolution)
    rows = np.arange(count)
    one, other = np.divmod(best, 2 * len(grid))
    pair = np.where(known[:, None, None], np.stack([first[rows, one], second[rows, other]], axis=1), np.nan)
    gap = (total - pair[..., :2].sum(axis=1)) / np.asarray(resolution)
    eta = np.where(known[:, None], np.stack([grid[one // 2], grid[other // 2]], axis=1), np.nan)
    return WeightedNeutrinos(
        with_mass(pair.reshape(*shape, 2, 3)), -np.sum(gap**2, axis=-1).reshape(shape) / 2, eta.reshape(*shape, 2)
    )


def solve_at_eta(bottom: Floats, lepton: Floats, grid: Floats, masses: Masses) -> Floats:
    """Return neutrino momenta ``(N, P, 2 G, 3)`` of one top at pseudorapidities ``grid (G,)``, NaN without a solution.

    ``bottom`` and ``lepton`` are ``(N, P, 4)``. The masses of W and top give two linear equations for (pt, px, py) of a
    massless neutrino at fixed eta, which define a line. It intersects the cone pt^2 = px^2 + py^2 at up to two points.
    """
    top2, w2 = (per_event(masses.top, 2)[..., None]) ** 2, (per_event(masses.w, 2)[..., None]) ** 2
    bottom_mass = None if masses.bottom is None else per_event(masses.bottom, 2)
    p_b, e_b, m2_b = _with_mass_of(bottom, bottom_mass)
    p_l, e_l, m2_l = _with_mass_of(lepton, 0.0 if masses.massless_leptons else None)
    cosh, sinh = np.cosh(grid), np.sinh(grid)
    with np.errstate(all="ignore"):
        product = e_b * e_l - np.sum(p_b * p_l, axis=-1, keepdims=True)
        to_w = (w2 - m2_l) / 2
        to_top = (top2 - w2 - m2_b - 2 * product) / 2
        # p_l . p_nu = to_w and p_b . p_nu = to_top, in the coordinates (pt, px, py)
        n_l = [e_l * cosh - p_l[..., 2:] * sinh, -p_l[..., :1], -p_l[..., 1:2]]
        n_b = [e_b * cosh - p_b[..., 2:] * sinh, -p_b[..., :1], -p_b[..., 1:2]]
        line = _cross(n_l, n_b)
        towards_l, towards_b = _cross(n_b, line), _cross(line, n_l)
        length2 = line[0] ** 2 + line[1] ** 2 + line[2] ** 2
        start = [(to_w * one + to_top * other) / length2 for one, other in zip(towards_l, towards_b, strict=True)]
        a = line[0] ** 2 - line[1] ** 2 - line[2] ** 2
        b = start[0] * line[0] - start[1] * line[1] - start[2] * line[2]
        c = start[0] ** 2 - start[1] ** 2 - start[2] ** 2
        q = -(b + np.copysign(np.sqrt(b * b - a * c), b))
        steps = np.stack([q / a, c / q], axis=-1)  # (N, P, G, 2)
        pt, px, py = (s[..., None] + steps * d[..., None] for s, d in zip(start, line, strict=True))
        momenta = np.stack([px, py, pt * sinh[:, None]], axis=-1)
        fine = (pt > 0) & np.isfinite(momenta).all(axis=-1)
    return np.where(fine[..., None], momenta, np.nan).reshape(*momenta.shape[:2], 2 * len(grid), 3)


def _with_mass_of(momenta: Floats, mass: Floats | float | None) -> tuple[Floats, Floats, Floats]:
    squared = np.maximum(mass_squared(momenta), 0.0) if mass is None else np.square(mass) + 0.0 * momenta[..., 0]
    vector = momenta[..., 1:]
    energy = np.sqrt(np.sum(vector**2, axis=-1) + squared)
    return vector, energy[..., None], squared[..., None]


def _cross(one: list[Floats], other: list[Floats]) -> list[Floats]:
    return [
        one[1] * other[2] - one[2] * other[1],
        one[2] * other[0] - one[0] * other[2],
        one[0] * other[1] - one[1] * other[0],
    ]


def _smallest_distance(
    first: Floats, second: Floats, met: Floats, resolution: tuple[float, float]
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the grid point ``(M,)`` with the sum nearest to the missing momentum in units of the resolution, and True if there is one.

    |a - b|^2 of all pairs is one product of the matrices (|a|^2, 1, -2 a) and (1, |b|^2, b), with a = met - first, b = second.
    """
    widths = np.asarray(resolution)
    best, known = np.zeros(len(met), dtype=np.intp), np.zeros(len(met), dtype=bool)
    for begin in range(0, len(met), CHUNK):
        rows = slice(begin, begin + CHUNK)
        left = (met[rows, None] - first[rows, :, :2]) / widths
        right = second[rows, :, :2] / widths
        factors = []
        for vectors, scale in ((left, -2.0), (right, 1.0)):
            absent = np.isnan(vectors[..., 0])
            squared = np.where(absent, ABSENT, np.sum(vectors**2, axis=-1))
            moved = np.where(absent[..., None], 0.0, vectors * scale)
            own, one = squared[..., None], np.ones((*squared.shape, 1))
            factors.append(np.concatenate([own, one, moved] if scale < 0 else [one, own, moved], axis=-1))
        distance = (factors[0] @ np.swapaxes(factors[1], 1, 2)).reshape(len(left), -1)
        best[rows] = distance.argmin(axis=1)
        known[rows] = distance[np.arange(len(left)), best[rows]] < ABSENT
    return best, known
