"""Maximisation of the likelihood of many events at once."""

from typing import NamedTuple

import torch
from torch import Tensor

from collidekit.reconstruction.likelihood import NEUTRINO_UNIT, Derivatives, FitInput, Likelihood

LARGEST_DAMPING = 1e12
FIRST_DAMPING = 1e-2


class Fit(NamedTuple):
    """The maximum of the likelihood."""

    log_likelihood: Tensor
    """``(B,)``"""
    neutrinos: Tensor
    """``(B, 2, 3)`` in GeV."""
    jet_pulls: Tensor
    """``(B, 2)``: fitted minus measured energy of the jets, in standard deviations."""
    converged: Tensor
    """``(B,)`` bool: True if the expected gain of another step is below the tolerance."""


def fit(likelihood: Likelihood, measured: FitInput, start: Tensor, *, steps: int = 200, tolerance: float = 1e-4) -> Fit:
    """Return the maximum of the likelihood near each start ``(B, 2, 3)``: three-momenta of both neutrinos in GeV.

    All fits run together with Newton steps and exact second derivatives. Each fit has its own damping (Levenberg-Marquardt), so that no
    step decreases the likelihood. Converged fits are removed from the batch.
    """
    count = len(start)
    parameters = torch.cat([start.new_zeros(count, 2), start.reshape(count, 6) / NEUTRINO_UNIT], dim=1)
    damping = start.new_full((count,), FIRST_DAMPING)
    converged = torch.zeros(count, dtype=torch.bool)
    best = likelihood.log_likelihood(parameters, measured)
    active = torch.arange(count)
    here, event = parameters, measured
    known = likelihood.derivatives(here, event)
    for _ in range(steps):
        if not len(active):
            break
        step, gain, downhill = _damped_step(known, damping[active])
        trial = here + step
        next_known = likelihood.derivatives(trial, event)
        better = downhill & (next_known.value <= known.value)
        here = torch.where(better[:, None], trial, here)
        known = Derivatives(
            *(
                torch.where(better.reshape(-1, *[1] * (new.ndim - 1)), new, old)
                for new, old in zip(next_known, known, strict=True)
            )
        )
        changed = torch.where(better, damping[active] * 0.2, damping[active] * 8).clamp(1e-9, LARGEST_DAMPING)
        damping[active], parameters[active], best[active] = changed, here, -known.value
        done = better & (gain < tolerance) & (changed < 1)
        converged[active] = done
        left = ~done & (changed < LARGEST_DAMPING)
        active, here, event = active[left], here[left], event.rows(left)
        known = Derivatives(*(values[left] for values in known))
    return Fit(best, parameters[:, 2:].reshape(count, 2, 3) * NEUTRINO_UNIT, parameters[:, :2], converged)


def _damped_step(known: Derivatives, damping: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the Newton step, its expected gain, and True if the damped second derivatives are positive definite."""
    size = known.curvature.diagonal(dim1=-2, dim2=-1).abs() + 1e-3
    factor, failed = torch.linalg.cholesky_ex(known.curvature + torch.diag_embed(size * damping[:, None]))
    downhill = (failed == 0) & torch.isfinite(known.slope).all(dim=1)
    factor = torch.where(downhill[:, None, None], factor, torch.eye(8, dtype=factor.dtype))
    step = -torch.cholesky_solve(known.slope[..., None], factor)[..., 0]
    gain = -(step * known.slope).sum(dim=1)
    return torch.where(downhill[:, None], step, torch.zeros_like(step)), gain, downhill
