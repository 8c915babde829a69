"""Spin correlation of top pairs in dileptonic decays: c_hel, c_han and D.

Four-momenta are arrays (..., 4) of (E, px, py, pz) in the same unit. The direction of each lepton is measured in the rest frame of its
top: it is boosted from the laboratory to the rest frame of the top pair, and then to that of the top, without rotation.
``spin_weights.py`` has the coefficients of the weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from collidekit.reconstruction.four_momenta import Floats, to_rest_frame


@dataclass(frozen=True, slots=True)
class DecayDirections:
    """Directions of both leptons and the helicity basis of each event, in the axes of the top-pair frame.

    `basis` holds the unit vectors k (top), r and n as rows: r is the normalised component of the beam axis perpendicular to k, and n is r x k
    (arXiv 2003.02280). Values are NaN for events without two massive tops.
    """

    plus: Floats  # (..., 3) unit vector of l+ in the rest frame of the top
    minus: Floats  # (..., 3) unit vector of l- in the rest frame of the antitop
    basis: Floats  # (..., 3, 3)
    beta: Floats  # (...) velocity of the top in the top-pair frame
    cos_theta: Floats  # (...) of the angle between top and beam axis (+z) there

    @property
    def c_hel(self) -> Floats:
        """Cosine of the angle between both leptons, (...)."""
        return _dot(self.plus, self.minus)

    @property
    def c_han(self) -> Floats:
        """c_hel with the component of one lepton along the top direction k reversed, (...)."""
        k = self.basis[..., 0, :]
        return self.c_hel - 2 * _dot(self.plus, k) * _dot(self.minus, k)


def decay_directions(top: Floats, antitop: Floats, lepton_plus: Floats, lepton_minus: Floats) -> DecayDirections:
    """Return the directions of both leptons in the rest frames of their tops, from four-momenta (..., 4) in a common frame.

    `basis` and `cos_theta` use +z as the beam axis, so the momenta must be those in the laboratory, or boosted along z.
    """
    top, antitop, lepton_plus, lepton_minus = (
        np.asarray(p, dtype=np.float64) for p in (top, antitop, lepton_plus, lepton_minus)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        pair = top + antitop
        top, antitop, lepton_plus, lepton_minus = (
            to_rest_frame(p, pair) for p in (top, antitop, lepton_plus, lepton_minus)
        )
        plus = _unit(to_rest_frame(lepton_plus, top)[..., 1:])
        minus = _unit(to_rest_frame(lepton_minus, antitop)[..., 1:])
        k = _unit(top[..., 1:])
        beta = np.sqrt(_dot(top[..., 1:], top[..., 1:])) / top[..., 0]
    return DecayDirections(plus, minus, _helicity_basis(k), beta, k[..., 2])


def c_hel(top: Floats, antitop: Floats, lepton_plus: Floats, lepton_minus: Floats) -> Floats:
    """Return the cosine of the angle between l+ and l-, each in the rest frame of its top, (...); four-momenta are (..., 4)."""
    return decay_directions(top, antitop, lepton_plus, lepton_minus).c_hel


def c_han(top: Floats, antitop: Floats, lepton_plus: Floats, lepton_minus: Floats) -> Floats:
    """Return c_hel with the component of one lepton along the top direction (in the top-pair frame) reversed, (...)."""
    return decay_directions(top, antitop, lepton_plus, lepton_minus).c_han


def spin_marker(cosine: Floats, weights: Floats | None = None) -> tuple[float, float]:
    """Return D = -3 <c_hel> and its statistical error, from c_hel (N,) and weights (N,); the default weights are 1.

    Top pairs are entangled if D < -1/3 (arXiv 2003.02280). The distribution of c_hel is (1 - D c) / 2. Events with NaN
    are left out. The error is that of a weighted mean. The result is NaN without events, or if the sum of the weights is not positive.
    """
    cosine = np.asarray(cosine, dtype=np.float64)
    weights = np.ones_like(cosine) if weights is None else np.asarray(weights, dtype=np.float64)
    there = np.isfinite(cosine) & np.isfinite(weights)
    cosine, weights = cosine[there], weights[there]
    total = float(weights.sum())
    if total <= 0:
        return float("nan"), float("nan")
    mean = float((weights * cosine).sum() / total)
    error = float(np.sqrt((weights**2 * (cosine - mean) ** 2).sum()) / total)
    return -3 * mean, 3 * error


def _helicity_basis(k: Floats) -> Floats:
    """Return the rows k, r, n (..., 3, 3); if k is along the beam, r is any perpendicular direction."""
    cos_theta = k[..., 2:3]
    beam = np.array([0.0, 0.0, 1.0])
    across = beam - cos_theta * k
    along = np.sum(across**2, axis=-1, keepdims=True) < 1e-24
    across = np.where(along, np.array([1.0, 0.0, 0.0]) - k[..., 0:1] * k, across)
    r = _unit(across)
    return np.stack([k, r, np.cross(r, k)], axis=-2)


def _dot(a: Floats, b: Floats) -> Floats:
    return np.asarray(np.sum(a * b, axis=-1))


def _unit(v: Floats) -> Floats:
    length = np.sqrt(np.sum(v**2, axis=-1, keepdims=True))
    return v / np.where(length > 0, length, np.nan)
