"""Neutrinos of dileptonic top pairs from a quartic in one momentum component (Sonnenschein, hep-ph/0603011).

A cross-check of ``dilepton_solutions`` with other equations. It shares no code with the ellipses.
"""

import numpy as np
from numpy.typing import NDArray

from collidekit.reconstruction.dilepton_solutions import DileptonSolutions
from collidekit.reconstruction.events import Status
from collidekit.reconstruction.four_momenta import Floats, mass_squared, with_mass
from collidekit.reconstruction.masses import Masses, per_event

SCALE = 100.0
"""Unit of momenta in GeV, so that the coefficients of the quartic are near 1."""
NEAR_REAL = 1e-5
"""Roots with a larger imaginary part (relative to 1 + |x|) are complex."""
RESIDUAL = 1e-8
"""A solution is kept if, after Newton steps, both conics are below this fraction of their largest term."""
SAME = 1e-6
"""Solutions nearer than this (relative to 1 + |x|) count as one."""


def solve_quartic(bottoms: Floats, leptons: Floats, met: Floats, masses: Masses | None = None) -> DileptonSolutions:
    """Return all neutrino pairs for b jets ``(N, P, 2, 4)``, leptons ``(N, 2, 4)`` and missing momentum ``(N, 2)``.

    The masses of W and top of one side make the z component a linear function of x and y, so the massless neutrino lies on a conic.
    The other side gives a second conic through the missing momentum. Their resultant is a quartic in x.
    If the coefficient of z in the linear equation vanishes, the pairing gets the status NOT_FINITE. Pairings without a solution
    get NO_SOLUTION; this method does not distinguish impossible masses.
    """
    masses = masses or Masses()
    conics, planes = [], []
    for index in (0, 1):
        plane = _plane(bottoms[:, :, index], leptons[:, None, index], masses)
        conics.append(_conic(plane, leptons[:, None, index], masses, None if index == 0 else met[:, None] / SCALE))
        planes.append(plane)
    shape = bottoms.shape[:2]
    first, second = (conic.reshape(-1, 6) for conic in conics)
    finite = np.asarray(np.isfinite(first).all(axis=1) & np.isfinite(second).all(axis=1))
    x, y, valid = _intersect_conics(np.where(finite[:, None], first, 1.0), np.where(finite[:, None], second, 2.0))
    valid &= finite[:, None]
    x, y, valid = x.reshape(*shape, 4), y.reshape(*shape, 4), valid.reshape(*shape, 4)
    neutrinos = np.full((*shape, 4, 2, 3), np.nan)
    with np.errstate(all="ignore"):
        for index, (across, up) in enumerate(
            ((x, y), (met[:, None, None, 0] / SCALE - x, met[:, None, None, 1] / SCALE - y))
        ):
            constant, of_x, of_y = (planes[index][..., None, i] for i in range(3))
            neutrinos[..., index, :] = np.stack([across, up, constant + of_x * across + of_y * up], axis=-1) * SCALE
    neutrinos = with_mass(np.where(valid[..., None, None], neutrinos, np.nan))
    order = np.argsort(~valid, axis=-1, kind="stable")
    neutrinos = np.take_along_axis(neutrinos, order[..., None, None], axis=2)
    valid = np.take_along_axis(valid, order, axis=2)
    status = np.where(valid.any(axis=-1), Status.SOLVED, Status.NO_SOLUTION)
    status = np.where(finite.reshape(shape), status, Status.NOT_FINITE).astype(np.int8)
    distance = np.where(status == Status.SOLVED, 0.0, np.nan)
    return DileptonSolutions(neutrinos, valid, status, distance, np.full((*shape, 2), np.nan))


def _energies(lepton: Floats, massless: bool) -> tuple[Floats, Floats]:
    squared = 0.0 * lepton[..., 0] if massless else np.maximum(mass_squared(lepton), 0.0)
    return np.sqrt(np.sum(lepton[..., 1:] ** 2, axis=-1) + squared) / SCALE, squared / SCALE**2


def _plane(bottom: Floats, lepton: Floats, masses: Masses) -> Floats:
    """Return the coefficients ``(..., 3)`` of z = c0 + c1 x + c2 y, in units of SCALE."""
    e_l, m2_l = _energies(lepton, masses.massless_leptons)
    given = masses.bottom
    m2_b = np.maximum(mass_squared(bottom), 0.0) if given is None else per_event(given, 2) ** 2
    m2_b = m2_b / SCALE**2
    p_b, p_l = bottom[..., 1:] / SCALE, lepton[..., 1:] / SCALE
    e_b = np.sqrt(np.sum(p_b**2, axis=-1) + m2_b)
    top2, w2 = (per_event(masses.top, 2) / SCALE) ** 2, (per_event(masses.w, 2) / SCALE) ** 2
    with np.errstate(all="ignore"):
        # E_nu = (w2 - m2_l) / (2 E_l) + p_l . p_nu / E_l, inserted in the mass of the top
        constant = top2 - w2 - m2_b - 2 * (e_b * e_l - np.sum(p_b * p_l, axis=-1)) - e_b / e_l * (w2 - m2_l)
        linear = 2 * (e_b / e_l)[..., None] * p_l - 2 * p_b  # constant = linear . p_nu
        plane: Floats = np.stack([constant, -linear[..., 0], -linear[..., 1]], axis=-1) / linear[..., 2:]
    return plane


def _conic(plane: Floats, lepton: Floats, masses: Masses, met: Floats | None) -> Floats:
    """Return E_nu^2 - p_nu^2 as coefficients ``(..., 6)`` of 1, x, y, x^2, x y, y^2 of the first neutrino.

    With ``met``, x and y of this neutrino are the missing momentum minus those of the first.
    """
    e_l, m2_l = _energies(lepton, masses.massless_leptons)
    w2 = (per_event(masses.w, 2) / SCALE) ** 2
    zero, one = np.zeros(plane.shape[:-1]), np.ones(plane.shape[:-1])
    x, y = np.stack([zero, one, zero], axis=-1), np.stack([zero, zero, one], axis=-1)
    if met is not None:
        x, y = -x, -y
        x[..., 0], y[..., 0] = met[..., 0], met[..., 1]
    start = np.stack([one, zero, zero], axis=-1)
    with np.errstate(all="ignore"):
        unit = lepton[..., 1:] / SCALE / e_l[..., None]
        z = plane[..., :1] * start + plane[..., 1:2] * x + plane[..., 2:] * y
        energy = ((w2 - m2_l) / (2 * e_l))[..., None] * start
        energy = energy + unit[..., :1] * x + unit[..., 1:2] * y + unit[..., 2:] * z
        conic = _square(energy) - _square(x) - _square(y) - _square(z)
        scaled: Floats = conic / np.abs(conic).max(axis=-1, keepdims=True)
    return scaled


def _square(linear: Floats) -> Floats:
    c, a, b = np.moveaxis(linear, -1, 0)
    return np.stack([c * c, 2 * c * a, 2 * c * b, a * a, 2 * a * b, b * b], axis=-1)


def _intersect_conics(first: Floats, second: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return the real common points ``(M, 4)`` of two conics ``(M, 6)``: x, y, and True for points that exist."""
    c0, d0 = first[:, 5], second[:, 5]
    c1, d1 = first[:, [2, 4]], second[:, [2, 4]]  # polynomials in x, constant term first
    c2, d2 = first[:, [0, 1, 3]], second[:, [0, 1, 3]]
    outer = c0[:, None] * d2 - d0[:, None] * c2
    inner = c0[:, None] * d1 - d0[:, None] * c1
    quartic = _multiply(outer, outer) - _multiply(inner, _multiply(c1, d2) - _multiply(d1, c2))
    largest = np.abs(quartic).max(axis=1)
    solvable = np.abs(quartic[:, 4]) > 1e-14 * largest
    companion = np.zeros((len(quartic), 4, 4))
    companion[:, [1, 2, 3], [0, 1, 2]] = 1
    companion[:, :, 3] = -quartic[:, :4] / np.where(solvable, quartic[:, 4], 1.0)[:, None]
    roots = np.linalg.eigvals(companion)
    x = np.asarray(roots.real, dtype=np.float64)
    valid = solvable[:, None] & (np.abs(roots.imag) < NEAR_REAL * (1 + np.abs(x)))
    with np.errstate(all="ignore"):
        y = -_value(outer[:, None], x) / _value(inner[:, None], x)
        y = np.where(np.isfinite(y), y, -_value(c1[:, None], x) / (2 * c0[:, None]))
        for _ in range(8):
            f, fx, fy, _ = _conic_value(first, x, y)
            g, gx, gy, _ = _conic_value(second, x, y)
            determinant = fx * gy - fy * gx
            dx, dy = (f * gy - fy * g) / determinant, (fx * g - f * gx) / determinant
            fine = np.isfinite(dx) & np.isfinite(dy)
            x, y = np.where(fine, x - dx, x), np.where(fine, y - dy, y)
        f, _, _, f_size = _conic_value(first, x, y)
        g, _, _, g_size = _conic_value(second, x, y)
        valid &= (np.abs(f) < RESIDUAL * f_size) & (np.abs(g) < RESIDUAL * g_size)
        for one in range(4):  # remove roots that Newton steps moved to the same point
            for other in range(one):
                near = np.hypot(x[:, one] - x[:, other], y[:, one] - y[:, other]) < SAME * (1 + np.abs(x[:, one]))
                valid[:, one] &= ~(near & valid[:, other])
    return x, y, valid


def _multiply(first: Floats, second: Floats) -> Floats:
    product = np.zeros((len(first), first.shape[1] + second.shape[1] - 1))
    for power in range(first.shape[1]):
        product[:, power : power + second.shape[1]] += first[:, power : power + 1] * second
    return product


def _value(polynomial: Floats, x: Floats) -> Floats:
    value = np.zeros_like(x)
    for power in range(polynomial.shape[-1] - 1, -1, -1):
        value = value * x + polynomial[..., power]
    return value


def _conic_value(conic: Floats, x: Floats, y: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the value, the derivatives with respect to x and y, and the absolute value of the largest term."""
    k, kx, ky, kxx, kxy, kyy = (conic[:, None, i] for i in range(6))
    terms = np.stack([k + 0 * x, kx * x, ky * y, kxx * x * x, kxy * x * y, kyy * y * y])
    return terms.sum(axis=0), kx + 2 * kxx * x + kxy * y, ky + 2 * kyy * y + kxy * x, np.abs(terms).max(axis=0)
