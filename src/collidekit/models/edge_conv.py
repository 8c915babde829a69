"""EdgeConv, the block of ParticleNet (Qu, Gouskos, arXiv 1902.08570, section 3.1)."""

import torch
from torch import Tensor, nn

from collidekit.models.constituent_layers import BatchNorm, ConstituentLinear, scale_and_shift
from collidekit.models.edge_means import edge_means
from collidekit.models.layers import whole_blocks
from collidekit.models.neighbours import Graph, PaddedNeighbours
from collidekit.models.padded import flat_linear


class EdgeConv(nn.Module):
    """EdgeConv: x_i' = ReLU(S x_i + mean_j h(x_i, x_j - x_i)) over the neighbours j of i.

    h are dense layers of the same size, each with batch normalisation over all edges of the batch and ReLU; S is a dense
    layer with batch normalisation over all constituents, or the identity if the width does not change. Without neighbours
    the mean is 0.

    The first layer is W (x_i, x_j - x_i) = (W1 - W2) x_i + W2 x_j: two products per constituent and a sum per edge.
    """

    def __init__(self, width: int, size: int, layers: int) -> None:
        super().__init__()
        inputs = [2 * width, *[size] * (layers - 1)]
        self.layers = nn.ModuleList([nn.Linear(before, size, bias=False) for before in inputs])
        self.norms = nn.ModuleList([BatchNorm(size) for _ in inputs])
        self.shortcut = nn.Sequential()
        if width != size:
            self.shortcut = nn.Sequential(ConstituentLinear(width, size, bias=False), BatchNorm(size))

    def forward(self, values: Tensor, graph: Graph) -> Tensor:
        """Return (T, size) for constituents (T, F) and the graph of their neighbours."""
        weights: list[Tensor] = [layer.weight for layer in self.layers]  # type: ignore[misc]
        first, *later = weights
        centre, difference = first.chunk(2, dim=1)
        with torch.autocast(values.device.type, enabled=False):  # few operations, and full precision for the next steps
            own = _linear(values, centre - difference)  # (T, C)
            other = _linear(values, difference)
            shortcut = self.shortcut(values)
        means = edge_means(own, other, graph, list(self.norms), later)  # type: ignore[arg-type]
        return torch.relu(shortcut + means)

    def padded(self, values: Tensor, neighbours: PaddedNeighbours) -> Tensor:
        """Return (N, L, size) for the constituents of a block (N, L, F)."""
        weights: list[Tensor] = [layer.weight for layer in self.layers]  # type: ignore[misc]
        folded = [(weight, *scale_and_shift(norm)) for weight, norm in zip(weights, self.norms, strict=True)]  # type: ignore[arg-type]
        weight, scale, shift = folded[0]
        centre, difference = (weight * scale[:, None]).chunk(2, dim=1)
        own = flat_linear(values, centre - difference, shift)
        edges = torch.relu(own[:, :, None] + neighbours.take(flat_linear(values, difference)))  # (N, L, k, C)
        for weight, scale, shift in folded[1:]:
            edges = torch.relu(flat_linear(edges, weight * scale[:, None], shift))
        return torch.relu(self.shortcut(values) + neighbours.mean(edges))


def _linear(values: Tensor, weight: Tensor) -> Tensor:
    filled, _ = whole_blocks(values, torch.zeros(1, dtype=torch.int64, device=values.device))
    return nn.functional.linear(filled, weight)[: len(values)]
