"""The neutrino pair nearest to the missing transverse momentum, for events without an exact solution."""

import numpy as np

from collidekit.reconstruction.ellipse import NeutrinoEllipse
from collidekit.reconstruction.four_momenta import Floats

GRID = 24
"""Number of angles on each ellipse in the grid search."""
STARTS = 2
"""Number of local minima of the grid that are refined."""
STEPS = 12
CHUNK = 4096


def closest_approach(first: NeutrinoEllipse, second: NeutrinoEllipse, met: Floats) -> tuple[Floats, Floats]:
    """Return the neutrino pairs ``(M, 2, 3)`` on the ellipses ``(M)`` that are nearest to the missing momentum ``met (M, 2)``, and
    the distances ``(M,)`` in GeV between their transverse sum and ``met``.

    The distance is minimised over both angles: damped Newton steps refine the best local minima of a grid.
    """
    neutrinos, distance = np.full((len(met), 2, 3), np.nan), np.full(len(met), np.nan)
    for begin in range(0, len(met), CHUNK):
        rows = slice(begin, begin + CHUNK)
        neutrinos[rows], distance[rows] = _closest(first.rows(rows), second.rows(rows), met[rows])
    return neutrinos, distance


def _closest(first: NeutrinoEllipse, second: NeutrinoEllipse, met: Floats) -> tuple[Floats, Floats]:
    count = len(met)
    angles = np.linspace(-np.pi, np.pi, GRID, endpoint=False)
    grid = np.broadcast_to(angles, (count, GRID))
    near, far = first.at(grid)[..., :2] - met[:, None], second.at(grid)[..., :2]
    squared = near[:, :, None] + far[:, None, :]
    squared = squared[..., 0] ** 2 + squared[..., 1] ** 2  # (M, GRID, GRID)
    minimum = np.ones(squared.shape, dtype=bool)
    for axis in (1, 2):
        for shift in (-1, 1):
            minimum &= squared <= np.roll(squared, shift, axis=axis)
    candidates = np.where(minimum, squared, np.inf).reshape(count, GRID * GRID)
    start = np.argpartition(candidates, STARTS, axis=1)[:, :STARTS]
    angle = np.stack([angles[start // GRID], angles[start % GRID]], axis=-1)  # (M, STARTS, 2)
    damping = np.full(angle.shape[:2], 1e-3)
    value, slope, curvature = _distance(first, second, met, angle)
    for _ in range(STEPS):
        step = _newton_step(slope, curvature, damping)
        trial = angle + step
        trial_value, trial_slope, trial_curvature = _distance(first, second, met, trial)
        better = trial_value <= value
        value = np.where(better, trial_value, value)
        angle = np.where(better[..., None], trial, angle)
        slope = np.where(better[..., None], trial_slope, slope)
        curvature = np.where(better[..., None], trial_curvature, curvature)
        damping = np.where(better, damping * 0.1, damping * 10)
    best = value.argmin(axis=1)[:, None]
    angle = np.take_along_axis(angle, best[..., None], axis=1)[:, 0]
    pair = np.stack([first.at(angle[:, 0]), second.at(angle[:, 1])], axis=1)
    return pair, np.hypot(*np.moveaxis(pair[:, 0, :2] + pair[:, 1, :2] - met, -1, 0))


def _distance(
    first: NeutrinoEllipse, second: NeutrinoEllipse, met: Floats, angle: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return half the squared distance ``(M, K)``, its gradient ``(M, K, 2)`` and its second derivatives ``(M, K, 3)``: 11, 12, 22."""
    point, along, inward = [], [], []
    for index, ellipse in enumerate((first, second)):
        cos, sin = np.cos(angle[..., index])[..., None], np.sin(angle[..., index])[..., None]
        c, s = ellipse.cosine[:, None, :2], ellipse.sine[:, None, :2]
        offset = c * cos + s * sin
        point.append(offset + ellipse.centre[:, None, :2])
        along.append(s * cos - c * sin)
        inward.append(-offset)
    gap = point[0] + point[1] - met[:, None]
    slope = np.stack([np.sum(gap * along[i], axis=-1) for i in (0, 1)], axis=-1)
    own = [np.sum(along[i] ** 2 + gap * inward[i], axis=-1) for i in (0, 1)]
    mixed = np.sum(along[0] * along[1], axis=-1)
    return np.sum(gap**2, axis=-1) / 2, slope, np.stack([own[0], mixed, own[1]], axis=-1)


def _newton_step(slope: Floats, curvature: Floats, damping: Floats) -> Floats:
    """Return a Newton step with second derivatives that are shifted until both eigenvalues are positive."""
    one, mixed, two = np.moveaxis(curvature, -1, 0)
    mean, spread = (one + two) / 2, np.hypot((one - two) / 2, mixed)
    size = np.abs(mean) + spread + 1e-300
    shift = np.maximum(0.0, spread - mean) * 1.001 + damping * size
    one, two = one + shift, two + shift
    determinant = one * two - mixed**2
    step = np.stack([two * slope[..., 0] - mixed * slope[..., 1], one * slope[..., 1] - mixed * slope[..., 0]], axis=-1)
    step = -step / np.where(determinant > 0, determinant, np.inf)[..., None]
    return np.clip(step, -0.5, 0.5)
