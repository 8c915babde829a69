"""Neutrino pairs on two ellipses that agree with the missing transverse momentum."""

import numpy as np
from numpy.typing import NDArray

from collidekit.reconstruction.ellipse import NeutrinoEllipse
from collidekit.reconstruction.four_momenta import Floats

TANGENCY = 1e-11
"""Two ellipses touch if the quartic at its extremum is below TANGENCY times its largest value."""
NEAR_REAL = 1e-4
"""Complex roots this near to the real axis are tested for touching ellipses."""


def intersections(first: NeutrinoEllipse, second: NeutrinoEllipse, met: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return all neutrino pairs ``(..., 4, 2, 3)`` that add up to the missing momentum ``met (..., 2)``, and ``(..., 4)``
    True for pairs that exist; the others are NaN.

    Pairs that exist come first, in arbitrary order. The second ellipse is written as |K (cos t, sin t, 1)| = 1 with the angle t
    of the first. This is a quartic in tan(t / 2), after a rotation of t that keeps its roots away from infinity. Newton steps refine
    its real roots. Two ellipses that touch (``TANGENCY``) have one pair there, or two next to each other.
    """
    shape = first.z2.shape
    one, two = (NeutrinoEllipse(*(_flat(part, shape) for part in ellipse)) for ellipse in (first, second))
    total = np.broadcast_to(met, (*shape, 2)).reshape(-1, 2)
    neutrinos = np.full((len(total), 4, 2, 3), np.nan)
    known = np.zeros((len(total), 4), dtype=bool)
    determinants = np.abs([_determinant(ellipse) for ellipse in (one, two)])
    swap = determinants[0] > determinants[1]  # the rounder one is inverted
    for swapped in (False, True):
        rows = np.flatnonzero(
            (swap == swapped) & np.isfinite(determinants).all(axis=0) & np.isfinite(total).all(axis=1)
        )
        free, inverted = (two, one) if swapped else (one, two)
        found = _one_way(free.rows(rows), inverted.rows(rows), total[rows])
        neutrinos[rows] = found[0][:, :, ::-1] if swapped else found[0]
        known[rows] = found[1]
    order = np.argsort(~known, axis=1, kind="stable")
    neutrinos = np.take_along_axis(neutrinos, order[:, :, None, None], axis=1)
    known = np.take_along_axis(known, order, axis=1)
    return neutrinos.reshape(*shape, 4, 2, 3), known.reshape(*shape, 4)


def _flat(part: Floats, shape: tuple[int, ...]) -> Floats:
    return part.reshape(-1, *part.shape[len(shape) :])


def _determinant(ellipse: NeutrinoEllipse) -> Floats:
    cosine, sine = ellipse.cosine, ellipse.sine
    return cosine[..., 0] * sine[..., 1] - cosine[..., 1] * sine[..., 0]


def _one_way(free: NeutrinoEllipse, inverted: NeutrinoEllipse, met: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    with np.errstate(all="ignore"):
        matrix = np.stack([inverted.cosine[:, :2], inverted.sine[:, :2]], axis=-1)
        determinant = _determinant(inverted)[:, None, None]
        inverse = np.stack([matrix[:, 1, 1], -matrix[:, 0, 1], -matrix[:, 1, 0], matrix[:, 0, 0]], axis=-1)
        inverse = inverse.reshape(-1, 2, 2) / determinant
        wanted = np.stack(
            [met - inverted.centre[:, :2] - free.centre[:, :2], -free.cosine[:, :2], -free.sine[:, :2]], -1
        )
        k = inverse @ wanted  # (M, 2, 3): cosine and sine of the second angle = k (1, cos t, sin t)
        coefficients = _trigonometric(k)
        solvable = np.asarray(np.isfinite(coefficients).all(axis=1))
        coefficients = np.where(solvable[:, None], coefficients, np.array([1.0, 0, 0, 0, 0]))
        angle, known = roots(coefficients)
        known &= solvable[:, None]
        angle = np.where(known, angle, np.nan)
        other = (
            k[:, None, :, 0] + k[:, None, :, 1] * np.cos(angle)[..., None] + k[:, None, :, 2] * np.sin(angle)[..., None]
        )
        pair = np.stack([free.at(angle), inverted.at(np.arctan2(other[..., 1], other[..., 0]))], axis=2)
    return pair, known


def _trigonometric(k: Floats) -> Floats:
    """Return |k (1, cos t, sin t)|^2 - 1 as coefficients ``(M, 5)`` of 1, cos t, sin t, cos 2t, sin 2t."""
    products = np.einsum("mij,mik->mjk", k, k)
    square, cosine, sine = products[:, 0, 0], products[:, 1, 1], products[:, 2, 2]
    return np.stack(
        [
            square - 1 + (cosine + sine) / 2,
            2 * products[:, 0, 1],
            2 * products[:, 0, 2],
            (cosine - sine) / 2,
            products[:, 1, 2],
        ],
        axis=-1,
    )


def roots(coefficients: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the roots ``(M, 4)`` of a0 + a1 cos t + b1 sin t + a2 cos 2t + b2 sin 2t, and True for real ones.

    ``coefficients (M, 5)`` are a0, a1, b1, a2, b2.
    """
    samples = np.arange(8) * (np.pi / 4)
    basis = np.stack([np.ones(8), np.cos(samples), np.sin(samples), np.cos(2 * samples), np.sin(2 * samples)])
    values = coefficients @ basis
    largest = np.abs(values).argmax(axis=1)
    scale = np.take_along_axis(np.abs(values), largest[:, None], axis=1)
    turn = samples[largest] - np.pi
    a0, a1, b1, a2, b2 = (coefficients / np.where(scale == 0, 1, scale)).T
    cos, sin, cos2, sin2 = np.cos(turn), np.sin(turn), np.cos(2 * turn), np.sin(2 * turn)
    a1, b1, a2, b2 = a1 * cos + b1 * sin, b1 * cos - a1 * sin, a2 * cos2 + b2 * sin2, b2 * cos2 - a2 * sin2
    leading = a0 - a1 + a2
    companion = np.zeros((len(coefficients), 4, 4))
    companion[:, [1, 2, 3], [0, 1, 2]] = 1
    quartic = np.stack([a0 + a1 + a2, 2 * b1 + 4 * b2, 2 * a0 - 6 * a2, 2 * b1 - 4 * b2], axis=-1)
    companion[:, :, 3] = -quartic / np.where(leading == 0, 1, leading)[:, None]
    u = np.linalg.eigvals(companion)
    angle = 2 * np.arctan(u.real)
    real = (u.imag == 0) & (leading != 0)[:, None]
    near = (u.imag > 0) & (u.imag < NEAR_REAL * (1 + u.real**2))
    trigonometric = np.stack([a0, a1, b1, a2, b2], axis=-1)
    if near.any():
        rows, columns = np.nonzero(near)
        extremum = angle[rows, columns]
        for _ in range(4):
            _, slope, curvature = _value_and_slopes(trigonometric[rows], extremum)
            extremum = extremum - np.where(curvature == 0, 0, slope / np.where(curvature == 0, 1, curvature))
        value, _, _ = _value_and_slopes(trigonometric[rows], extremum)
        angle[rows, columns] = extremum
        real[rows, columns] = np.abs(value) < TANGENCY
    polished = angle
    for _ in range(3):
        value, slope, _ = _value_and_slopes(trigonometric[:, None], polished)
        step = value / np.where(slope == 0, np.inf, slope)
        polished = polished - np.where(np.abs(step) < 1e-3, step, 0)
    before, _, _ = _value_and_slopes(trigonometric[:, None], angle)
    after, _, _ = _value_and_slopes(trigonometric[:, None], polished)
    angle = np.where((np.abs(after) < np.abs(before)) & (u.imag == 0), polished, angle)
    return angle + turn[:, None], real


def _value_and_slopes(coefficients: Floats, angle: Floats) -> tuple[Floats, Floats, Floats]:
    a0, a1, b1, a2, b2 = np.moveaxis(coefficients, -1, 0)
    cos, sin, cos2, sin2 = np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)
    value = a0 + a1 * cos + b1 * sin + a2 * cos2 + b2 * sin2
    slope = b1 * cos - a1 * sin + 2 * (b2 * cos2 - a2 * sin2)
    return value, slope, -a1 * cos - b1 * sin - 4 * (a2 * cos2 + b2 * sin2)
