"""Likelihood of a dileptonic top pair with transfer functions, maximised over jet energies and neutrinos, in batches."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import grad_and_value, jacfwd, vmap

from collidekit.errors import CollidekitError

NEUTRINO_UNIT = 20.0
"""GeV. Neutrino momenta are parameters in this unit, so that all parameters move by about 1."""
LARGEST_DAMPING = 1e12


@dataclass(frozen=True)
class Likelihood:
    """Terms of the likelihood; energies in GeV.

    * Each jet: its energy follows a Gaussian around the true one; its direction and its ratio of mass to energy are exact.
    * Missing transverse momentum: a Gaussian in x and in y around the sum of both neutrinos.
    * m(l nu) and m(l nu b): relativistic Breit-Wigner distributions of the squared mass.
    * Pseudorapidity of each neutrino: a Gaussian around 0.72 eta_l - 0.018 eta_l^3. Without it, all solutions of the
      ellipses are equally likely, and so are both pairings.
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

    def log_likelihood(self, parameters: Tensor, event: "FitInput") -> Tensor:
        """Return the log-likelihood of one event; ``parameters (8,)`` are two pulls of jets and two neutrinos."""
        energies = event.bottoms[:, 0]
        resolution = torch.sqrt(self.jet_stochastic**2 * energies + (self.jet_constant * energies) ** 2)
        scale = 1 + parameters[:2] * resolution / energies
        neutrinos = parameters[2:].reshape(2, 3) * NEUTRINO_UNIT
        length = torch.sqrt((neutrinos**2).sum(dim=-1) + 1e-12)
        momenta = torch.cat([length[:, None], neutrinos], dim=-1)
        bosons = event.leptons + momenta
        tops = bosons + event.bottoms * scale[:, None]
        gap = (event.met - neutrinos[:, :2].sum(dim=0)) / self.met_resolution
        gauss = -0.5 * (parameters[:2] ** 2).sum() - torch.log(resolution).sum() - 0.5 * (gap**2).sum()
        gauss = gauss - 2 * math.log(self.met_resolution) - 2 * math.log(2 * math.pi)
        shapes = _breit_wigner(bosons, self.w, self.w_width) + _breit_wigner(tops, self.top, self.top_width)
        transverse = torch.sqrt((neutrinos[:, :2] ** 2).sum(dim=-1) + 1e-12)
        lepton_eta = torch.asinh(event.leptons[:, 3] / event.leptons[:, 1:3].norm(dim=-1))
        expected = 0.72 * lepton_eta - 0.018 * lepton_eta**3
        pull = (torch.asinh(neutrinos[:, 2] / transverse) - expected) / self.eta_width
        prior = -0.5 * (pull**2).sum() - 2 * math.log(self.eta_width) - math.log(2 * math.pi)
        # a negative energy of a jet has no likelihood; the slope leads back
        return gauss + shapes + prior - 1e6 * torch.relu(0.01 - scale).sum()


class FitInput(NamedTuple):
    """Measured quantities of B fits (or of one, without the first axis), in double precision and GeV."""

    leptons: Tensor
    """``(B, 2, 4)``"""
    bottoms: Tensor
    """``(B, 2, 4)``"""
    met: Tensor
    """``(B, 2)``"""


class Fit(NamedTuple):
    """The maximum of the likelihood."""

    log_likelihood: Tensor
    """``(B,)``"""
    neutrinos: Tensor
    """``(B, 2, 3)``"""
    jet_pulls: Tensor
    """``(B, 2)``: fitted minus measured energy of the jets, in standard deviations."""
    converged: Tensor
    """``(B,)`` bool: True where the expected gain of a further step is below the tolerance."""


def _breit_wigner(momenta: Tensor, mass: float, width: float) -> Tensor:
    squared = momenta[:, 0] ** 2 - (momenta[:, 1:] ** 2).sum(dim=-1)
    scale = mass * width
    return (-math.log(math.pi * scale) - torch.log1p(((squared - mass**2) / scale) ** 2)).sum()


def fit(likelihood: Likelihood, measured: FitInput, start: Tensor, *, steps: int = 100, tolerance: float = 1e-3) -> Fit:
    """Return the maximum of the likelihood near each start ``(B, 2, 3)``: three-momenta of both neutrinos in GeV.

    All fits go on together: Newton steps with exact second derivatives, damped for each fit by its own amount
    (Levenberg-Marquardt) so that no step loses likelihood. Converged fits leave the batch.
    """

    def loss(parameters: Tensor, *event: Tensor) -> Tensor:
        return -likelihood.log_likelihood(parameters, FitInput(*event))

    derivatives = vmap(grad_and_value(loss))

    def slope_twice(parameters: Tensor, *event: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        slope, value = grad_and_value(loss)(parameters, *event)
        return slope, (slope, value)

    curvatures: Callable[..., tuple[Tensor, tuple[Tensor, Tensor]]] = vmap(jacfwd(slope_twice, has_aux=True))
    count = len(start)
    parameters = torch.cat([torch.zeros(count, 2, dtype=torch.float64), start.reshape(count, 6) / NEUTRINO_UNIT], dim=1)
    damping = torch.full((count,), 1e-2, dtype=torch.float64)
    converged = torch.zeros(count, dtype=torch.bool)
    active = torch.arange(count)
    for _ in range(steps):
        if not len(active):
            break
        event = [values[active] for values in measured]
        here = parameters[active]
        curvature, (slope, value) = curvatures(here, *event)
        step, gain, known = _damped_step(curvature, slope, damping[active])
        trial = here + step
        _, trial_value = derivatives(trial, *event)
        better = known & (trial_value <= value)
        parameters[active] = torch.where(better[:, None], trial, here)
        changed = torch.where(better, damping[active] * 0.2, damping[active] * 8).clamp(1e-9, LARGEST_DAMPING)
        damping[active] = changed
        done = better & (gain < tolerance) & (changed < 1)
        converged[active] = done
        active = active[~done & (changed < LARGEST_DAMPING)]
    _, value = derivatives(parameters, *measured) if count else (start, start.new_zeros(0))
    return Fit(-value, parameters[:, 2:].reshape(count, 2, 3) * NEUTRINO_UNIT, parameters[:, :2], converged)


def _damped_step(curvature: Tensor, slope: Tensor, damping: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Newton step, its expected gain, and True where the damped second derivatives are positive definite."""
    size = curvature.diagonal(dim1=-2, dim2=-1).abs() + 1e-3
    factor, failed = torch.linalg.cholesky_ex(curvature + torch.diag_embed(size * damping[:, None]))
    known = (failed == 0) & torch.isfinite(slope).all(dim=1)
    factor = torch.where(known[:, None, None], factor, torch.eye(slope.shape[1], dtype=slope.dtype))
    step = -torch.cholesky_solve(slope[..., None], factor)[..., 0]
    gain = -(step * slope).sum(dim=1)
    return torch.where(known[:, None], step, 0.0), gain, known
