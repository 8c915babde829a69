"""Dense layers of an EdgeConv on all edges, in chunks that stay in the cache of the processor, and their gradient.

Each chunk passes as many steps as batch normalisation allows, which needs all edges before the next step. Only the products
of the later layers are kept for the gradient of an edge; everything else is computed again from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from attrs import frozen
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from collidekit.models.constituent_layers import BatchNorm
from collidekit.models.edge_norm import EdgeNorm, EdgeNormGradient
from collidekit.models.neighbours import Graph
from collidekit.models.workspace import Workspace

CHUNK = 2**18
"""Numbers in a chunk of edges on a CPU: 1 MiB in single precision."""
LARGE_CHUNK = 2**26
"""Numbers in a chunk of edges on other devices."""
SHAPE = 128
"""In half precision, the number of edges is padded to a multiple of this: oneDNN compiles a kernel for each shape."""
WORKSPACE = Workspace()
"""Memory for the products of edges."""


def edge_means(
    own: Tensor, other: Tensor, graph: Graph, norms: Sequence[BatchNorm], weights: Sequence[Tensor]
) -> Tensor:
    """Return means (T, C) over the neighbours j of i of h = ReLU(norm(W ... ReLU(norm(own_i + other_j)))).

    ``own`` and ``other`` (T, C_0), ``norms`` of all layers, ``weights`` (C_l, C_l-1) of all except the first. The layers
    have the same width.
    """
    training = norms[0].training
    factors = [parameter for norm in norms for parameter in (norm.weight, norm.bias)]
    if training or (torch.is_grad_enabled() and any(x.requires_grad for x in (own, other, *factors, *weights))):
        return _EdgeMeans.apply(own, other, graph, norms, *factors, *weights)  # type: ignore[no-any-return, no-untyped-call]
    return _predict(own, other, graph, norms, weights)


@frozen
class _Precision:
    """Precision of products (``product``) and of everything else (``work``)."""

    work: torch.dtype
    product: torch.dtype

    @classmethod
    def of(cls, values: Tensor) -> _Precision:
        kind = values.device.type
        product = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else values.dtype
        return cls(torch.promote_types(values.dtype, torch.float32), product)

    def working(self, edges: Tensor) -> Tensor:
        return edges if self.product == self.work else edges.to(self.work)

    def __call__(self, edges: Tensor) -> Tensor:
        """Return edges (E, C) as factors of a product; in half precision they are padded with zeros."""
        if self.product == self.work:
            return edges
        return nn.functional.pad(edges.to(self.product), (0, 0, 0, -edges.shape[0] % SHAPE))


@frozen
class _Chunk:
    """Edges of constituents ``start`` to ``stop`` that are computed together."""

    start: int
    stop: int
    shape: tuple[int, int, int]  # (stop - start, degree, C)
    neighbours: Tensor  # (E,)

    def of(self, values: Tensor) -> Tensor:
        """Return the values (stop - start, ...) of its constituents from all values (T, ...)."""
        return values.narrow(0, self.start, self.stop - self.start)

    def sums(self, own: Tensor, other: Tensor) -> Tensor:
        """Return own_i + other_j for the edges (E, C)."""
        edges = other.index_select(0, self.neighbours)
        edges.view(self.shape).add_(self.of(own).unsqueeze(1))
        return edges


def _cut(graph: Graph, width: int) -> list[_Chunk]:
    size = CHUNK if graph.neighbours.device.type == "cpu" else LARGE_CHUNK
    runs = [part for run in graph.runs for part in run.cut(size // width)]
    neighbours = graph.neighbours.split([run.last - run.first for run in runs])  # type: ignore[no-untyped-call]
    return [
        _Chunk(run.start, run.stop, (run.stop - run.start, run.degree, width), edges)
        for run, edges in zip(runs, neighbours, strict=True)
    ]


def _predict(
    own: Tensor, other: Tensor, graph: Graph, modules: Sequence[BatchNorm], weights: Sequence[Tensor]
) -> Tensor:
    """Return the means without gradient, with constant batch normalisations and without keeping edges."""
    precision, dtype = _Precision.of(own), own.dtype
    norms = [EdgeNorm(module, precision.work) for module in modules]
    with torch.autocast(own.device.type, enabled=False):
        for norm in norms:
            norm.settle()
        first, *later = norms
        own, other = first(own.to(precision.work)), other.to(precision.work) * first.scale
        scaled = [(weight.t() * norm.scale).to(precision.product) for weight, norm in zip(weights, later, strict=True)]
        means = torch.zeros_like(own)
        for chunk in _cut(graph, own.shape[1]):
            edges = chunk.sums(own, other).relu_()
            for weight, norm in zip(scaled, later, strict=True):
                product = torch.mm(precision(edges), weight)[: edges.shape[0]]
                edges = precision.working(product).add_(norm.shift).relu_()
            torch.mean(edges.view(chunk.shape), 1, out=chunk.of(means))
    return means.to(dtype)


class _EdgeMeans(torch.autograd.Function):
    """Means with gradient; ``parameters`` are weight and bias of each normalisation, then the weights of the layers."""

    @staticmethod
    def forward(
        ctx: Any, own: Tensor, other: Tensor, graph: Graph, modules: Sequence[BatchNorm], *parameters: Tensor
    ) -> Tensor:
        precision, edges, width = _Precision.of(own), graph.edges, own.shape[1]
        norms = [EdgeNorm(module, precision.work) for module in modules]
        places = [WORKSPACE.take(edges, width, precision.product, own.device) for _ in norms[1:]]
        products = [place[:edges] for place in places]
        weights = parameters[2 * len(norms) :]
        layers = _Layers(own.to(precision.work), other.to(precision.work), graph, norms, products, precision)
        with torch.autocast(own.device.type, enabled=False):
            passed, counts = layers.forward(weights)
            degrees, _ = graph.degrees(passed)
            means = norms[-1].of_sums(passed, counts) / degrees.clamp(min=1)
        ctx.save_for_backward(own, other, passed, counts, *weights, *products)
        ctx.kept = graph, norms, precision, places
        return means.to(own.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        graph, norms, precision, places = ctx.kept
        own, other, passed, counts, *rest = ctx.saved_tensors
        weights, products = rest[: len(places)], rest[len(places) :]
        layers = _Layers(own.to(precision.work), other.to(precision.work), graph, norms, products, precision)
        back = [EdgeNormGradient(norm) for norm in norms]
        with torch.autocast(own.device.type, enabled=False):
            degrees, _ = graph.degrees(layers.own)
            each = gradients[0].to(precision.work) / degrees.clamp(
                min=1
            )  # gradient of an edge with positive last ReLU (T, C)
            back[-1].see_sums(each * counts, each * passed)
            of_parts, of_weights = layers.backward(weights, back, each)
        while places:
            WORKSPACE.give(places.pop())
        of_norms = [x for gradient in back for x in (gradient.weight, gradient.bias)]
        return (*(x.to(own.dtype) for x in of_parts), None, None, *of_norms, *of_weights)


class _Layers:
    """All layers of the edges: own and other (T, C), products (E, C) of all layers except the first."""

    def __init__(
        self,
        own: Tensor,
        other: Tensor,
        graph: Graph,
        norms: list[EdgeNorm],
        products: list[Tensor],
        precision: _Precision,
    ) -> None:
        self.own, self.other, self.graph, self.norms, self.precision = own, other, graph, norms, precision
        self.chunks = _cut(graph, own.shape[1])
        sizes = [len(chunk.neighbours) for chunk in self.chunks]
        self.products = [product.split(sizes) for product in products]  # type: ignore[no-untyped-call]

    def _product(self, layer: int, number: int) -> Tensor:
        """Return the product of a layer for a chunk, before batch normalisation."""
        return self.precision.working(self.products[layer - 1][number])

    def _normalised(self) -> tuple[Tensor, Tensor]:
        """Return the parts of the first layer after batch normalisation."""
        norm = self.norms[0]
        return norm(self.own), self.other * norm.scale

    def _hidden(self, layer: int, number: int, normalised: tuple[Tensor, Tensor]) -> Tensor:
        """Return the output of a layer for a chunk."""
        if layer == 0:
            return self.chunks[number].sums(*normalised).relu_()
        return self.norms[layer](self._product(layer, number)).relu_()

    def forward(self, weights: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Compute the products; return their sum over edges with positive last ReLU, and the number of these (T, C)."""
        norms, precision = self.norms, self.precision
        norms[0].see_sums(self.own, self.other, self.graph)
        norms[0].settle()
        normalised = self._normalised()
        for layer, weight in enumerate(weights):
            matrix = weight.t().to(precision.product).contiguous()
            for number, place in enumerate(self.products[layer]):
                _multiply(precision(self._hidden(layer, number, normalised)), matrix, place)
                norms[layer + 1].see(precision.working(place))
            norms[layer + 1].settle()
        passed, counts = torch.zeros_like(self.own), torch.zeros_like(self.own)
        for number, chunk in enumerate(self.chunks):
            product = self._product(len(weights), number)
            output = norms[-1](product)
            torch.sum(
                _through_relu(product, output, torch.empty_like(output)).view(chunk.shape), 1, out=chunk.of(passed)
            )
            torch.sum(output.gt_(0).view(chunk.shape), 1, out=chunk.of(counts))
        return passed, counts

    def backward(
        self, weights: Sequence[Tensor], back: list[EdgeNormGradient], each: Tensor
    ) -> tuple[tuple[Tensor, Tensor], list[Tensor]]:
        """Return the gradients of own and other (T, C) and of the weights, given that of edges with positive last ReLU.

        The gradient of a layer overwrites the product of the next layer: autograd then refuses a second backward pass.
        """
        precision, normalised, last = self.precision, self._normalised(), len(weights)
        ends = _Ends(self.own)
        of_weights = [torch.zeros_like(weight, dtype=precision.work) for weight in weights]
        for layer in range(last, 0, -1):
            back[layer].settle()
            weight = weights[layer - 1].to(precision.product)
            for number, chunk in enumerate(self.chunks):
                edges = self._spread(each, number) if layer == last else self._product(layer + 1, number)
                factor = precision(back[layer](edges, self._product(layer, number)))
                hidden = self._hidden(layer - 1, number, normalised)
                of_weights[layer - 1] += factor.t() @ precision(hidden)
                place = self.products[layer - 1][number]
                _multiply(factor, weight, place)
                edges = precision.working(place)
                _through_relu(edges, hidden, edges)
                if layer == 1:
                    ends.add(edges, chunk)
                else:
                    back[layer - 1].see(edges, self._product(layer - 1, number))
                    if edges is not place:
                        place.copy_(edges)
        return ends.settle(self.other, self.graph, back[0]), of_weights

    def _spread(self, each: Tensor, number: int) -> Tensor:
        """Return the gradient before the last ReLU for the edges of a chunk."""
        chunk = self.chunks[number]
        output = self.norms[-1](self._product(len(self.products), number))
        edges = output.view(chunk.shape)
        _through_relu(chunk.of(each).unsqueeze(1).expand(chunk.shape), edges, edges)
        return output


def _multiply(edges: Tensor, matrix: Tensor, place: Tensor) -> None:
    """Write the product into ``place``; ``edges`` may have more rows."""
    if edges.shape[0] == place.shape[0]:
        torch.mm(edges, matrix, out=place)
    else:
        place.copy_(torch.mm(edges, matrix)[: len(place)])


def _through_relu(values: Tensor, output: Tensor, out: Tensor) -> Tensor:
    """Return the values where ReLU is positive, else 0; ``output`` is the input or the output of ReLU."""
    return torch.ops.aten.threshold_backward.grad_input(values, output, 0, grad_input=out)  # type: ignore[no-any-return]


class _Ends:
    """Gradient of own_i + other_j, summed over the edges that start at i and over those that end at j.

    The batch normalisation of the first layer is linear in the edges, so these sums of gradients and values are
    sufficient.
    """

    def __init__(self, own: Tensor) -> None:
        self.own = own
        self.leaving, self.coming, self.owners = (torch.zeros_like(own) for _ in range(3))

    def add(self, edges: Tensor, chunk: _Chunk) -> None:
        """Add the gradient of a chunk of edges (E, C); ``owners`` are sums of own_i over the edges that end at j."""
        torch.sum(edges.view(chunk.shape), 1, out=chunk.of(self.leaving))
        self.coming.index_add_(0, chunk.neighbours, edges)
        self.owners.index_add_(0, chunk.neighbours, chunk.of(self.own).unsqueeze(1).expand(chunk.shape).flatten(0, 1))

    def settle(self, other: Tensor, graph: Graph, back: EdgeNormGradient) -> tuple[Tensor, Tensor]:
        """Return the gradients of own and other (T, C)."""
        back.see_sums(self.leaving, self.own * self.leaving + other * self.coming)
        back.settle()
        leaving, coming = graph.degrees(self.own)
        values = leaving * self.own + graph.neighbour_sums(other), self.owners + coming * other
        return back.of_sums(self.leaving, values[0], leaving), back.of_sums(self.coming, values[1], coming)
