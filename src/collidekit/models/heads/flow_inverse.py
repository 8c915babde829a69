"""Inverse of the flow of ``FlowHead`` with operations that can be exported, from the networks of the layers of zuko.

Formulas: arXiv:1906.04032, equations 4 to 8 of appendix A.1, with the limits of slopes in zuko.
"""

from math import log

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

SLOPE = 1e-3
"""Smallest slope of an affine transformation, also the limit for the parameters of a spline."""
BOUND = 5.0
"""A spline is the identity beyond this value."""


def draw_with_volume(flow: nn.Module, context: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Return values (N, K, V) of contexts (N, C) and noise (N, K, V), and the logarithm (N, K) of the ratio of volumes."""
    first, *others = flow.transforms  # type: ignore[misc]
    volume = torch.zeros_like(noise[..., 0])
    values = noise
    for layer in reversed(others):
        values, slopes = _layer(layer, context, values)
        volume = volume + slopes.sum(dim=-1)
    shift, scale = _parameters(first.hyper(context)[:, None], first.total).unbind(dim=-1)  # (N, 1, V)
    logarithm = scale / (1 + (scale / log(SLOPE)).abs())
    return (values - shift) / logarithm.exp(), volume + logarithm.sum(dim=-1)


def _layer(layer: nn.Module, context: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """Return the inverse of a layer of splines: the parameters of each pass depend on the values of the pass before."""
    if not hasattr(layer, "passes"):  # one value: no dependence on other values
        return _inverse(_parameters(layer.hyper(context)[:, None], layer.total), values, layer.total)  # type: ignore[operator, arg-type]
    wide = context[:, None].expand(-1, values.shape[1], -1)
    found, slopes = torch.zeros_like(values), torch.zeros_like(values)
    for _ in range(layer.passes):  # type: ignore[arg-type]
        parameters = layer.hyper(torch.cat([found, wide], dim=2))  # type: ignore[operator]
        found, slopes = _inverse(_parameters(parameters, layer.total), values, layer.total)  # type: ignore[arg-type]
    return found, slopes


def _parameters(numbers: Tensor, each: int) -> Tensor:
    """Return numbers (N, K, V P) as (N, K, V, P)."""
    return torch.stack(numbers.split(each, dim=2), dim=2)  # type: ignore[no-untyped-call]


def _inverse(parameters: Tensor, y: Tensor, each: int) -> tuple[Tensor, Tensor]:
    """Return the inverse (N, K, V) of splines and the logarithm of their slope there; parameters (N, K or 1, V, 3 B - 1)."""
    bins = (each + 1) // 3
    widths, heights, slopes = parameters[..., :bins], parameters[..., bins : 2 * bins], parameters[..., 2 * bins :]
    slopes = pad(slopes / (1 + (slopes / log(SLOPE)).abs()), (1, 1)).exp()  # 1 at both ends
    x_low, x_high = _knots(widths)
    y_low, y_high = _knots(heights)
    inside = (y > -BOUND) & (y <= BOUND)
    lower = (y_high[..., :-1] < y[..., None]).to(y.dtype)  # (N, K, V, B - 1), 1 for bins below that of y
    one, zero = torch.ones_like(lower[..., :1]), torch.zeros_like(lower[..., :1])
    here = torch.cat([one, lower], dim=3) - torch.cat([lower, zero], dim=3)  # 1 in the bin of y, 0 in others

    def at(values: Tensor) -> Tensor:
        return (values * here).sum(dim=3)

    x0, y0, d0, d1 = at(x_low), at(y_low), at(slopes[..., :-1]), at(slopes[..., 1:])
    width, height = at(x_high - x_low), at(y_high - y_low)
    above = torch.where(inside, y - y0, torch.zeros_like(y))
    slope = height / width
    bend = d0 + d1 - 2 * slope
    a, b, c = height * (slope - d0) + above * bend, height * d0 - above * bend, -slope * above
    z = 2 * c / (-b - (b.square() - 4 * a * c).clamp(min=0).sqrt())
    between = z * (1 - z)
    steep = slope.square() * (2 * slope * between + d0 * (1 - z).square() + d1 * z.square())
    logarithm = (steep / (slope + bend * between).square()).log()
    return torch.where(inside, x0 + z * width, y), torch.where(inside, logarithm, torch.zeros_like(y))


def _knots(parameters: Tensor) -> tuple[Tensor, Tensor]:
    """Return the lower and the upper edge (..., B) of each bin."""
    sizes = (parameters / (1 + (2 * parameters / log(SLOPE)).abs())).softmax(dim=3)
    upper = BOUND * (2 * sizes.cumsum(dim=3) - 1)
    return torch.cat([torch.full_like(upper[..., :1], -BOUND), upper[..., :-1]], dim=3), upper
