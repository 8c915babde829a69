"""The ellipse of possible neutrino momenta of one leptonic top decay (Betchart, Demina, Harel, arXiv:1305.1878)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from collidekit.reconstruction.four_momenta import Floats

Z2_TOLERANCE = 1e-9
"""A negative Z^2 above -Z2_TOLERANCE m_W^2 counts as zero: a decay at the edge of phase space, within rounding."""


Rows = slice | NDArray[np.intp] | tuple[NDArray[np.intp], ...]


class NeutrinoEllipse(NamedTuple):
    """Points ``cosine cos t + sine sin t + centre`` for all angles t; NaN if the masses are impossible."""

    cosine: Floats
    """``(..., 3)`` in GeV."""
    sine: Floats
    """``(..., 3)``"""
    centre: Floats
    """``(..., 3)``"""
    z2: Floats
    """``(...)`` Z^2 of the paper in GeV^2; negative if no neutrino gives these masses."""

    def at(self, angle: Floats) -> Floats:
        """Return neutrino momenta ``(..., 3)`` at angles ``(...)``, or ``(..., K, 3)`` at angles ``(..., K)``."""
        more = (slice(None),) * (self.z2.ndim) + (None,) * (angle.ndim - self.z2.ndim)
        cosine, sine, centre = (vector[more] for vector in (self.cosine, self.sine, self.centre))
        return cosine * np.cos(angle)[..., None] + sine * np.sin(angle)[..., None] + centre

    def rows(self, index: Rows) -> "NeutrinoEllipse":
        """Return some of the ellipses."""
        return NeutrinoEllipse(*(part[index] for part in self))


def neutrino_ellipse(
    bottom: Floats,
    lepton: Floats,
    top_mass: ArrayLike,
    w_mass: ArrayLike,
    *,
    bottom_mass: ArrayLike | None = None,
    massless_lepton: bool = False,
) -> NeutrinoEllipse:
    """Return the ellipses of neutrinos of ``t -> b W -> b l nu`` for b quarks and leptons ``(..., 4)``.

    Masses broadcast to ``(...)``. A b or lepton with negative squared mass counts as massless. A lepton exactly along its b,
    a b or lepton without momentum, and NaN give NaN (also in ``z2``). The formulas are those of section 2 of arXiv:1305.1878 for a
    massive lepton, rearranged so that they are also valid and precise for a massless one.
    """
    top_mass, w_mass = np.asarray(top_mass, dtype=np.float64), np.asarray(w_mass, dtype=np.float64)
    with np.errstate(all="ignore"):
        p_b, unit_b, e_b, m2_b = _parts(bottom, bottom_mass)
        p_l, unit_l, e_l, m2_l = _parts(lepton, 0.0 if massless_lepton else None)
        normal = np.cross(unit_l, unit_b)
        sin = np.sqrt(np.sum(normal**2, axis=-1))
        normal = normal / sin[..., None]
        one_minus_cos = np.sum((unit_b - unit_l) ** 2, axis=-1) / 2
        beta2_l, gamma2_l = (p_l / e_l) ** 2, m2_l / e_l**2  # beta^2 and 1 / gamma^2
        x0_b = -(top_mass**2 - w_mass**2 - m2_b) / (2 * e_b)
        x0_l = -(w_mass**2 - m2_l) / (2 * e_l)
        s_x = (x0_l * p_l / e_l - p_l * gamma2_l) / beta2_l
        s_y = (x0_b * e_b / p_b - (1 - one_minus_cos) * s_x) / sin
        # beta_l / beta_b - 1, without the difference of two numbers near 1
        ratio = (p_l * e_b) / (e_l * p_b)
        excess = (m2_b * p_l**2 - m2_l * p_b**2) / (e_l * p_b) ** 2 / (ratio + 1)
        w = (excess + one_minus_cos) / sin
        omega2 = w**2 + gamma2_l
        d = s_y - w * s_x
        x1 = -(w * d + beta2_l * s_x) / omega2
        y1 = (s_y * gamma2_l - w * s_x) / omega2
        z2 = (2 * w * d * beta2_l * s_x + (beta2_l * s_x) ** 2 - d**2 * gamma2_l) / omega2
        z2 = z2 - w_mass**2 * beta2_l + x0_l**2
        z2 = np.where((z2 < 0) & (z2 >= -Z2_TOLERANCE * w_mass**2), 0.0, z2)
        z = np.sqrt(z2)
        x_axis, y_axis, omega = unit_l, np.cross(normal, unit_l), np.sqrt(omega2)
        return NeutrinoEllipse(
            cosine=(z / omega)[..., None] * (x_axis + w[..., None] * y_axis),
            sine=z[..., None] * normal,
            centre=(x1 - p_l)[..., None] * x_axis + y1[..., None] * y_axis + 0 * z[..., None],
            z2=z2,
        )


def _parts(momenta: Floats, mass: ArrayLike | None) -> tuple[Floats, Floats, Floats, Floats]:
    """Return length and direction of the momenta, energy and squared mass."""
    vector = momenta[..., 1:]
    length2 = np.sum(vector**2, axis=-1)
    length = np.sqrt(length2)
    if mass is None:
        squared = np.maximum(momenta[..., 0] ** 2 - length2, 0.0)
    else:
        squared = np.broadcast_to(np.asarray(mass, dtype=np.float64) ** 2, length.shape)
    return length, vector / length[..., None], np.sqrt(length2 + squared), squared
