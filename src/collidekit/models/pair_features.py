"""Features of pairs of particles from their momenta (Qu, Li, Qian, arXiv 2202.03772, eq. 3)."""

import torch
from torch import Tensor

EPSILON = 1e-8
"""Lower limit of kT, z, ΔR and of m² in GeV²."""
TINY = 1e-20
"""Lower limit of E - |pz|; smaller values are rounding errors."""
SQUARE = 1e-30
"""Lower limit of squares, because the root has no derivative at 0."""
CHUNK = 1 << 14
"""Number of pairs that are computed at a time, so that intermediate results fit into the cache of the processor."""
FEATURES = ("ln kT", "ln z", "ln ΔR", "ln m²")


def pair_features(momenta: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """Return ln kT, ln z, ln ΔR and ln m² (P, 4) of particles i and j (P,), with px, py, pz, E (T, 4) in GeV.

    kT = min(pT) ΔR, z = min(pT) / (pT + pT), ΔR² = Δy² + Δφ² with the rapidity y, m² = (p + p)². They are the same for
    (j, i). Computed in double precision: in single precision, m² of two close particles of 100 GeV is mostly rounding error.
    """
    precise = _precise(momenta)
    columns = torch.cat([precise, _directions(precise)], dim=1)
    chunks = zip(torch.split(i, CHUNK), torch.split(j, CHUNK), strict=True)
    wanted = torch.promote_types(momenta.dtype, torch.float32)
    found = [_features(columns.index_select(0, one), columns.index_select(0, two)).to(wanted) for one, two in chunks]
    return torch.cat(found)


def padded_pair_features(one: Tensor, two: Tensor) -> Tensor:
    """Return the features (N, L, M, 4) of ``pair_features`` for all pairs of particles of two blocks (N, L, 4), (N, M, 4)."""
    return pair_features_of(one[:, :, None], two[:, None])


def pair_features_of(one: Tensor, two: Tensor) -> Tensor:
    """Return the features (..., 4) of ``pair_features`` for particles with momenta (..., 4), whose shapes broadcast.

    The operations can be exported. Runtimes have no arctangent in double precision, so the difference in azimuth is
    computed from cross and dot product in double precision; only the arctangent of their ratio and the logarithms have the precision
    of the result.
    """
    wanted = torch.promote_types(one.dtype, torch.float32)
    a, b = _precise(one), _precise(two)
    softer = torch.minimum(_pt(a), _pt(b))
    distance = ((_rapidity(a) - _rapidity(b)).square() + _between(a, b, wanted).square()).clamp(min=SQUARE).sqrt()
    fraction = softer / (_pt(a) + _pt(b)).clamp(min=EPSILON)
    total = a + b
    mass = total[..., 3].square() - total[..., :3].square().sum(dim=-1)
    found = torch.stack([softer * distance, fraction, distance, mass], dim=-1)
    return found.clamp(min=EPSILON).to(wanted).log()


def _precise(momenta: Tensor) -> Tensor:
    """Return momenta in double precision, if the device supports it."""
    return momenta.double() if momenta.device.type != "mps" else momenta.float()


def _pt(momenta: Tensor) -> Tensor:
    """Return transverse momenta (...) of momenta (..., 4), with finite derivatives also at 0."""
    return momenta[..., :2].square().sum(dim=-1).clamp(min=SQUARE).sqrt()


def _rapidity(momenta: Tensor) -> Tensor:
    """Return rapidities (...) of momenta (..., 4)."""
    pz, energy = momenta[..., 2], momenta[..., 3]
    return 0.5 * ((energy + pz).clamp(min=TINY).log() - (energy - pz).clamp(min=TINY).log())


def _between(one: Tensor, two: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the difference in azimuth (...) in [0, pi], in double precision, with an arctangent of ``dtype``."""
    (x1, y1), (x2, y2) = _transverse(one), _transverse(two)
    across, along = (x1 * y2 - y1 * x2).abs(), x1 * x2 + y1 * y2
    size = along.abs()
    ratio = torch.minimum(across, size) / torch.maximum(across, size).clamp(min=SQUARE)
    angle = ratio.to(dtype).atan().to(ratio)  # up to pi / 4
    angle = torch.where(across > size, torch.pi / 2 - angle, angle)
    return torch.where(along < 0, torch.pi - angle, angle)


def _transverse(momenta: Tensor) -> tuple[Tensor, Tensor]:
    """Return px and py (...); the azimuth is 0 for a transverse momentum of 0."""
    px, py = momenta[..., 0], momenta[..., 1]
    return px + (px.square() + py.square() == 0).to(px.dtype), py


def _directions(momenta: Tensor) -> Tensor:
    """Return transverse momentum, rapidity and azimuth (T, 3), with finite derivatives also at 0."""
    x, y = _transverse(momenta)
    return torch.stack([_pt(momenta), _rapidity(momenta), torch.atan2(y, x)], dim=1)


def _features(one: Tensor, two: Tensor) -> Tensor:
    """Return the features of pairs from columns px, py, pz, E, pT, y, φ (P, 7) of both particles."""
    delta = one - two
    away = delta[:, 6].abs()
    phi = torch.minimum(away, 2 * torch.pi - away)
    distance = (delta[:, 5].square() + phi.square()).clamp(min=SQUARE).sqrt()
    softer = torch.minimum(one[:, 4], two[:, 4])
    total = one[:, :5] + two[:, :5]
    mass = total[:, 3].square() - total[:, :3].square().sum(dim=1)
    fraction = softer / total[:, 4].clamp(min=EPSILON)
    return torch.stack([softer * distance, fraction, distance, mass], dim=1).clamp(min=EPSILON).log()
