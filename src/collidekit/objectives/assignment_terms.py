"""Terms of the loss of an assignment: a focal factor of the cross entropy, and a cost for constituents that are used twice."""

from itertools import combinations

import torch
from torch import Tensor

from collidekit.analysis.targets import Assignment
from collidekit.models.heads.assignment import ParentScores, Scores


def focal_cross_entropy(log_p: Tensor, gamma: float) -> Tensor:
    """Return -(1 - p)^gamma ln p (N,) for log-probabilities of the truth (Lin et al., arXiv 1708.02002, eq. 4).

    With gamma 0 it is the cross entropy; a larger gamma reduces the contribution of rows that are already correct.
    """
    if not gamma:
        return -log_p
    wrong = (-torch.expm1(log_p)).clamp(min=torch.finfo(log_p.dtype).tiny)  # the root has no derivative at 0
    return -log_p * wrong**gamma


def used_twice(target: Assignment, scores: Scores) -> Tensor:
    """Return the sum over pairs of parents and constituents j of p_1(j) p_2(j) (N,).

    p(j) is the probability that a parent uses j in one of its slots. For parents whose slots are filled independently, this
    is the expected number of constituents that two of them share; with one slot each it is the probability of this.
    """
    uses = [_uses(target, parent, score) for parent, score in scores.items()]
    shared = [
        (one[name] * other[name]).sum(dim=1) for one, other in combinations(uses, 2) for name in one if name in other
    ]
    return torch.stack(shared).sum(dim=0)


def _uses(target: Assignment, parent: str, score: ParentScores) -> dict[str, Tensor]:
    """Return the probability (N, L) that a parent uses each constituent, for each collection."""
    p = score.log_p.exp()
    found: dict[str, Tensor] = {}
    for slot, name in enumerate(target.parents[parent]):
        collection, size = target.collection_of(parent, name), score.ways.sizes[slot]
        own = p.new_zeros(len(p), size + 1).index_add(1, score.ways.filled[:, slot], p)[:, :size]
        found[collection] = found[collection] + own if collection in found else own
    return found
