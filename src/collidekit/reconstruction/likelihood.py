"""Likelihood of dileptonic top pairs with transfer functions, and its derivatives, in batches."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from collidekit.errors import CollidekitError

NEUTRINO_UNIT = 20.0
"""Unit of neutrino momenta in the parameters, in GeV, so that all parameters change by about 1."""
LEAST_SCALE = 0.01
"""Minimum ratio of fitted to measured energy of a jet; below it the likelihood falls steeply."""
STEEP = 1e6
"""Slope of minus the log-likelihood below LEAST_SCALE."""
TINY = 1e-12
"""Added to squared momenta of neutrinos, in GeV^2, so that derivatives exist for neutrinos at rest."""


class FitInput(NamedTuple):
    """Measured quantities of B fits, in double precision and GeV."""

    leptons: Tensor
    """``(B, 2, 4)``"""
    bottoms: Tensor
    """``(B, 2, 4)``"""
    met: Tensor
    """``(B, 2)``"""

    def rows(self, index: Tensor) -> "FitInput":
        """Return some of the fits."""
        return FitInput(*(values[index] for values in self))


class Derivatives(NamedTuple):
    """Minus the log-likelihood, its gradient and its second derivatives."""

    value: Tensor
    """``(B,)``"""
    slope: Tensor
    """``(B, 8)``"""
    curvature: Tensor
    """``(B, 8, 8)``"""


@dataclass(frozen=True)
class Likelihood:
    """Terms of the likelihood; energies in GeV.

    * Each jet: its energy follows a Gaussian around the true one; its direction and its ratio of mass to energy are exact.
    * Missing transverse momentum: a Gaussian in x and in y around the sum of both neutrinos.
    * m(l nu) and m(l nu b): relativistic Breit-Wigner distributions of the squared mass.
    * Pseudorapidity of each neutrino: a Gaussian around 0.72 eta_l - 0.018 eta_l^3. Without it, all solutions of the
      ellipses are equally likely, and so are both pairings.

    Parameters ``(B, 8)`` are the pulls of both jets, (fitted - measured energy) / resolution, and the momenta (x, y, z) of
    neutrino and antineutrino in units of ``NEUTRINO_UNIT``.
    """

    top: float = 172.5
    top_width: float = 1.4
    w: float = 80.379
    w_width: float = 2.085
    jet_stochastic: float = 0.8
    """Resolution of the energy of jets: ``jet_stochastic`` sqrt(E) and ``jet_constant`` E in quadrature, at the measured E."""
    jet_constant: float = 0.05
    met_resolution: float = 20.0
    eta_width: float = 1.16

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            least = 0 if name == "jet_constant" else 1e-6
            if not (math.isfinite(value) and value >= least):
                raise CollidekitError(f"likelihood: {name} must be a positive number, got {value}")

    def log_likelihood(self, parameters: Tensor, measured: FitInput) -> Tensor:
        """Return the log-likelihood ``(B,)`` of parameters ``(B, 8)``."""
        relative = self._relative_resolution(measured)
        scale = 1 + parameters[:, :2] * relative
        neutrinos = parameters[:, 2:].reshape(-1, 2, 3) * NEUTRINO_UNIT
        length = torch.sqrt((neutrinos**2).sum(dim=-1, keepdim=True) + TINY)
        bosons = measured.leptons + torch.cat([length, neutrinos], dim=-1)
        tops = bosons + measured.bottoms * scale[..., None]
        gap = (measured.met - neutrinos[..., :2].sum(dim=1)) / self.met_resolution
        transverse = torch.sqrt((neutrinos[..., :2] ** 2).sum(dim=-1) + TINY)
        pull = (torch.asinh(neutrinos[..., 2] / transverse) - self._expected_eta(measured)) / self.eta_width
        gauss = (parameters[:, :2] ** 2).sum(dim=1) + (gap**2).sum(dim=1) + (pull**2).sum(dim=1)
        shapes = _breit_wigner(bosons, self.w, self.w_width) + _breit_wigner(tops, self.top, self.top_width)
        steep = STEEP * torch.relu(LEAST_SCALE - scale).sum(dim=1)
        return self._constant(measured, relative) - gauss / 2 - shapes - steep

    def _relative_resolution(self, measured: FitInput) -> Tensor:
        energies = measured.bottoms[..., 0]
        return torch.sqrt(self.jet_stochastic**2 / energies + self.jet_constant**2)

    def _expected_eta(self, measured: FitInput) -> Tensor:
        lepton = torch.asinh(measured.leptons[..., 3] / torch.linalg.vector_norm(measured.leptons[..., 1:3], dim=-1))
        return 0.72 * lepton - 0.018 * lepton**3

    def _constant(self, measured: FitInput, relative: Tensor) -> Tensor:
        """Return the logarithm of the normalisation of six Gaussians and four Breit-Wigner distributions."""
        widths = 2 * math.log(self.met_resolution) + 2 * math.log(self.eta_width) + 3 * math.log(2 * math.pi)
        scales = 2 * math.log(math.pi * self.w * self.w_width) + 2 * math.log(math.pi * self.top * self.top_width)
        return -torch.log(relative * measured.bottoms[..., 0]).sum(dim=1) - widths - scales

    def derivatives(self, parameters: Tensor, measured: FitInput) -> Derivatives:
        """Return minus the log-likelihood with first and second derivatives, in closed form.

        The terms of each top depend on four parameters, of its jet and its neutrino. The term of the missing momentum depends on both neutrinos.
        """
        relative = self._relative_resolution(measured)
        neutrinos = parameters[:, 2:].reshape(-1, 2, 3) * NEUTRINO_UNIT
        scale = 1 + parameters[:, :2] * relative
        length = torch.sqrt((neutrinos**2).sum(dim=-1, keepdim=True) + TINY)
        bosons = measured.leptons + torch.cat([length, neutrinos], dim=-1)
        tops = bosons + measured.bottoms * scale[..., None]
        unit = neutrinos / length
        across = torch.eye(3, dtype=unit.dtype) - unit[..., :, None] * unit[..., None, :]
        value, slope, curvature = _mass_term(bosons, self.w, self.w_width, unit, length, across, None)
        change = relative[..., None] * measured.bottoms
        more = _mass_term(tops, self.top, self.top_width, unit, length, across, change)
        value, slope, curvature = value + more[0], slope + more[1], curvature + more[2]
        pull, towards, bending = _pseudorapidity(neutrinos, length[..., 0])
        pull = (pull - self._expected_eta(measured)) / self.eta_width
        value = value + pull**2 / 2 + parameters[:, :2] ** 2 / 2 + STEEP * torch.relu(LEAST_SCALE - scale)
        towards, bending = towards * (NEUTRINO_UNIT / self.eta_width), bending * (NEUTRINO_UNIT**2 / self.eta_width)
        slope[..., 1:] += pull[..., None] * towards
        curvature[..., 1:, 1:] += towards[..., :, None] * towards[..., None, :] + pull[..., None, None] * bending
        slope[..., 0] += parameters[:, :2] - STEEP * relative * (scale < LEAST_SCALE)
        curvature[..., 0, 0] += 1
        return self._join(parameters, measured, value, slope, curvature)

    def _join(
        self, parameters: Tensor, measured: FitInput, value: Tensor, slope: Tensor, curvature: Tensor
    ) -> Derivatives:
        """Return the sum of both sides ``(B, 2, 4)``, in the order of the parameters, and the term of the missing momentum."""
        count = len(parameters)
        order = torch.tensor([[0, 2, 3, 4], [1, 5, 6, 7]])
        whole_slope = slope.new_zeros(count, 8)
        whole = slope.new_zeros(count, 8, 8)
        for side in (0, 1):
            whole_slope[:, order[side]] = slope[:, side]
            whole[:, order[side][:, None], order[side]] = curvature[:, side]
        unit = NEUTRINO_UNIT / self.met_resolution
        gap = measured.met / self.met_resolution - (parameters[:, 2:4] + parameters[:, 5:7]) * unit
        for one in (2, 5):
            whole_slope[:, one : one + 2] -= gap * unit
            for other in (2, 5):
                for axis in (0, 1):
                    whole[:, one + axis, other + axis] += unit**2
        constant = self._constant(measured, self._relative_resolution(measured))
        return Derivatives(value.sum(dim=1) + (gap**2).sum(dim=1) / 2 - constant, whole_slope, whole)


def _breit_wigner(momenta: Tensor, mass: float, width: float) -> Tensor:
    """Return minus the logarithm of both Breit-Wigner distributions ``(B,)`` without normalisation."""
    squared = momenta[..., 0] ** 2 - (momenta[..., 1:] ** 2).sum(dim=-1)
    return torch.log1p(((squared - mass**2) / (mass * width)) ** 2).sum(dim=1)


def _mass_term(
    momenta: Tensor, mass: float, width: float, unit: Tensor, length: Tensor, across: Tensor, change: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Return minus the logarithm of a Breit-Wigner distribution ``(B, 2)``, with derivatives with respect to jet pull and neutrino.

    ``change (B, 2, 4)`` is the derivative of the momenta with respect to the jet pull; None if they do not depend on it.
    """
    energy, vector = momenta[..., :1], momenta[..., 1:]
    squared = (energy**2)[..., 0] - (vector**2).sum(dim=-1)
    slope = momenta.new_zeros(*momenta.shape)
    curvature = momenta.new_zeros(*momenta.shape, 4)
    slope[..., 1:] = (2 * NEUTRINO_UNIT) * (energy * unit - vector)
    curvature[..., 1:, 1:] = (2 * NEUTRINO_UNIT**2) * (energy / length - 1)[..., None] * across
    if change is not None:
        slope[..., 0] = 2 * (energy[..., 0] * change[..., 0] - (vector * change[..., 1:]).sum(dim=-1))
        curvature[..., 0, 0] = 2 * (change[..., 0] ** 2 - (change[..., 1:] ** 2).sum(dim=-1))
        mixed = (2 * NEUTRINO_UNIT) * (change[..., :1] * unit - change[..., 1:])
        curvature[..., 0, 1:] = mixed
        curvature[..., 1:, 0] = mixed
    scale = mass * width
    off = (squared - mass**2) / scale
    first = 2 * off / (1 + off**2) / scale
    second = 2 * (1 - off**2) / (1 + off**2) ** 2 / scale**2
    curvature = second[..., None, None] * slope[..., :, None] * slope[..., None, :] + first[..., None, None] * curvature
    return torch.log1p(off**2), first[..., None] * slope, curvature


def _pseudorapidity(momenta: Tensor, length: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the pseudorapidity ``(B, 2)`` of three-momenta, with its gradient and second derivatives."""
    x, y, z = momenta.unbind(dim=-1)
    transverse2 = x**2 + y**2 + TINY
    slope = torch.stack([-z * x / (transverse2 * length), -z * y / (transverse2 * length), 1 / length], dim=-1)
    inverse = 1 / (transverse2 * length)
    bend = 2 / (transverse2**2 * length) + 1 / (transverse2 * length**3)
    curvature = momenta.new_empty(*momenta.shape, 3)
    curvature[..., 0, 0], curvature[..., 1, 1] = -z * (inverse - x**2 * bend), -z * (inverse - y**2 * bend)
    curvature[..., 0, 1] = curvature[..., 1, 0] = z * x * y * bend
    curvature[..., 0, 2] = curvature[..., 2, 0] = -x / length**3
    curvature[..., 1, 2] = curvature[..., 2, 1] = -y / length**3
    curvature[..., 2, 2] = -z / length**3
    return torch.asinh(z / torch.sqrt(transverse2)), slope, curvature
