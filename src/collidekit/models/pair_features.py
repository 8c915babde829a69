"""What two particles have in common (Qu, Li, Qian, arXiv 2202.03772, eq. 3), from their momenta."""

import torch
from torch import Tensor

EPSILON = 1e-8
"""Below this kT, z and ΔR (m² in GeV²) count as equal."""
TINY = 1e-20
"""Below this E - |pz| is rounding."""
SQUARE = 1e-30
"""Squares are at least this: the root of 0 has no derivative."""
CHUNK = 1 << 14
"""Pairs that are worked on at a time, so that what is between stays in the processor's cache."""
FEATURES = ("ln kT", "ln z", "ln ΔR", "ln m²")


def pair_features(momenta: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """ln kT, ln z, ln ΔR and ln m² (P, 4) of particles i and j (P,), with px, py, pz, E (T, 4) in GeV.

    kT = min(pT) ΔR, z = min(pT) / (pT + pT), ΔR² = Δy² + Δφ² with the rapidity y, m² = (p + p)². Each is the same for
    (j, i). Inside is double precision: in single, m² of two near particles of 100 GeV would be rounding alone.
    """
    precise = momenta.double() if momenta.device.type != "mps" else momenta.float()
    columns = torch.cat([precise, _directions(precise)], dim=1)
    chunks = zip(torch.split(i, CHUNK), torch.split(j, CHUNK), strict=True)
    wanted = torch.promote_types(momenta.dtype, torch.float32)
    found = [_features(columns.index_select(0, one), columns.index_select(0, two)).to(wanted) for one, two in chunks]
    return torch.cat(found)


def _directions(momenta: Tensor) -> Tensor:
    """Transverse momentum, rapidity and azimuth (T, 3), with finite derivatives even where nothing moves."""
    px, py, pz, energy = momenta.unbind(1)
    squared = px.square() + py.square()
    pt = squared.clamp(min=SQUARE).sqrt()
    rapidity = 0.5 * ((energy + pz).clamp(min=TINY).log() - (energy - pz).clamp(min=TINY).log())
    phi = torch.atan2(py, px + (squared == 0))
    return torch.stack([pt, rapidity, phi], dim=1)


def _features(one: Tensor, two: Tensor) -> Tensor:
    """For columns px, py, pz, E, pT, y, φ (P, 7) of both."""
    delta = one - two
    away = delta[:, 6].abs()
    phi = torch.minimum(away, 2 * torch.pi - away)
    distance = (delta[:, 5].square() + phi.square()).clamp(min=SQUARE).sqrt()
    softer = torch.minimum(one[:, 4], two[:, 4])
    total = one[:, :5] + two[:, :5]
    mass = total[:, 3].square() - total[:, :3].square().sum(dim=1)
    fraction = softer / total[:, 4].clamp(min=EPSILON)
    return torch.stack([softer * distance, fraction, distance, mass], dim=1).clamp(min=EPSILON).log()
