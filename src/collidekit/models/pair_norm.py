"""Mean and variance of u_ij = a_i + b_j + W p_ij over all pairs of a row, from sums over constituents only."""

import torch
from attrs import frozen
from torch import Tensor

from collidekit.dataset.transfer import send
from collidekit.models.layers import segment_sum
from collidekit.models.packing import Packing


@frozen
class PairSums:
    """Sums of the p_ij, i != j, in double precision."""

    number: int
    mean: Tensor  # (2,)
    partners: Tensor  # (T, 1) number of partners of each constituent
    rows: Tensor  # (T, 2) sum over j of p_ij - mean
    products: Tensor  # (2, 2) sum over all pairs of (p - mean) (p - mean)^T


def pair_sums(pairs: list[Tensor], packing: Packing) -> PairSums:
    """Return the sums of p (n, L, L, 2) of each block, which are symmetric in i and j and 0 if there is no pair."""
    wide = [pair.double() for pair in pairs]
    counts = packing.counts
    each = torch.repeat_interleave(counts - 1, counts)
    number = int(each.sum())
    partners = send(each, wide[0].device) if wide else each
    rows = torch.cat([block.take(pair.sum(dim=2)) for block, pair in zip(packing.blocks, wide, strict=True)])
    mean = rows.sum(dim=0) / max(number, 1)
    products = sum((pair.flatten(0, 2).T @ pair.flatten(0, 2) for pair in wide), rows.new_zeros(2, 2))
    per_constituent = partners.double()[:, None]
    return PairSums(
        number, mean, per_constituent, rows - per_constituent * mean, products - number * torch.outer(mean, mean)
    )


def mean_and_variance(a: Tensor, b: Tensor, weight: Tensor, sums: PairSums, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance (H,) of u for a, b (T, H), weight (H, 2) and the offsets of the rows; exact, in double precision."""
    a, b, weight, number = a.double(), b.double(), weight.double(), max(sums.number, 1)
    mean_a, mean_b = ((values * sums.partners).sum(dim=0) / number for values in (a, b))
    a, b = a - mean_a, b - mean_b
    squares = (sums.partners * (a * a + b * b)).sum(dim=0)
    across = (segment_sum(a, offsets) * segment_sum(b, offsets)).sum(dim=0) - (a * b).sum(dim=0)
    mixed = ((a + b) * (sums.rows @ weight.T)).sum(dim=0)
    own = ((weight @ sums.products) * weight).sum(dim=1)
    return mean_a + mean_b + weight @ sums.mean, (squares + 2 * across + 2 * mixed + own) / number
