"""The dense layers of an EdgeConv on all edges, in chunks that stay in the processor's cache, and their gradient.

Each chunk goes through as many steps as batch normalisation allows: it needs all edges before the next step. Of an edge
only the products of the later layers are kept for the gradient, all else is made again from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from attrs import frozen
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from collidekit.models.constituent_layers import BatchNorm
from collidekit.models.edge_norm import EdgeNorm, EdgeNormGradient
from collidekit.models.neighbours import Graph, Run
from collidekit.models.workspace import Workspace

CHUNK = 2**18
"""Numbers in a chunk of edges on a CPU: 1 MiB in single precision."""
LARGE_CHUNK = 2**26
"""On other devices."""
SHAPE = 128
"""In half precision, edges are filled up to a multiple of it: oneDNN compiles and keeps a kernel for each shape."""

WORKSPACE = Workspace()
"""For the products of edges."""


def edge_means(own: Tensor, other: Tensor, graph: Graph, norms: Sequence[BatchNorm], weights: Sequence[Tensor]) -> Tensor:
    """Means (T, C) over the neighbours j of i of h = ReLU(norm(W ... ReLU(norm(own_i + other_j)))).

    ``own`` and ``other`` (T, C_0), ``norms`` of all layers, ``weights`` (C_l, C_l-1) of all but the first.
    """
    training = norms[0].training
    factors = [parameter for norm in norms for parameter in (norm.weight, norm.bias)]
    if training or (torch.is_grad_enabled() and any(x.requires_grad for x in (own, other, *factors, *weights))):
        return _EdgeMeans.apply(own, other, graph, norms, *factors, *weights)  # type: ignore[no-any-return, no-untyped-call]
    return _predict(own, other, graph, norms, weights)


@frozen
class _Precision:
    """Products are taken in ``product``, all else in ``work``."""

    work: torch.dtype
    product: torch.dtype

    @classmethod
    def of(cls, values: Tensor) -> _Precision:
        kind = values.device.type
        product = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else values.dtype
        return cls(torch.promote_types(values.dtype, torch.float32), product)

    def __call__(self, edges: Tensor) -> Tensor:
        """Edges (E, C) as factors of a product; in half precision there are zeros behind them."""
        if self.product == self.work:
            return edges
        return nn.functional.pad(edges.to(self.product), (0, 0, 0, -len(edges) % SHAPE))


@frozen
class _Layers:
    """What is made again of the edges of a run when it is needed."""

    own: Tensor  # (T, C_0)
    other: Tensor
    graph: Graph
    norms: list[EdgeNorm]
    products: list[Tensor]  # (E, C_l) of all layers but the first
    precision: _Precision
    places: list[Tensor]
    """Of the products in the workspace."""

    def chunks(self) -> Iterator[Run]:
        width = max(len(norm.module.weight) for norm in self.norms)
        size = CHUNK if self.own.device.type == "cpu" else LARGE_CHUNK
        for run in self.graph.runs:
            yield from run.cut(size // width)

    def first(self, run: Run) -> Tensor:
        return _sums(self.own, self.other, self.graph, run)

    def product(self, layer: int, run: Run) -> Tensor:
        return self.products[layer - 1][run.first : run.last].to(self.precision.work)

    def gradient(self, layer: int, run: Run) -> Tensor:
        """On the way back: where the product of the layer above was is the gradient of this one."""
        return self.product(layer + 1, run)

    def normalised(self) -> tuple[Tensor, Tensor]:
        """The parts of the first layer after its batch normalisation."""
        norm = self.norms[0]
        return norm(self.own), self.other * norm.scale

    def hidden(self, layer: int, run: Run, normalised: tuple[Tensor, Tensor]) -> Tensor:
        """What the layer gives (E, C_l)."""
        if layer == 0:
            return _sums(*normalised, self.graph, run).relu_()
        return self.norms[layer](self.product(layer, run)).relu_()


def _sums(own: Tensor, other: Tensor, graph: Graph, run: Run) -> Tensor:
    """own_i + other_j of the edges of a run (E, C)."""
    edges = other.index_select(0, graph.neighbours[run.first : run.last])
    edges.view(-1, run.degree, edges.shape[1]).add_(own[run.start : run.stop, None])
    return edges


def _predict(
    own: Tensor, other: Tensor, graph: Graph, modules: Sequence[BatchNorm], weights: Sequence[Tensor]
) -> Tensor:
    """Without a gradient and with fixed batch normalisations, no edge is kept."""
    precision = _Precision.of(own)
    norms = [EdgeNorm(module, precision.work) for module in modules]
    layers = _Layers(own.to(precision.work), other.to(precision.work), graph, norms, [], precision, [])
    with torch.autocast(own.device.type, enabled=False):
        for norm in norms:
            norm.settle()
        scaled = [
            (weight.t() * norm.scale).to(precision.product) for weight, norm in zip(weights, norms[1:], strict=True)
        ]
        normalised = layers.normalised()
        means = layers.own.new_zeros(len(own), len(norms[-1].scale))
        for run in layers.chunks():
            edges = layers.hidden(0, run, normalised)
            for weight, norm in zip(scaled, norms[1:], strict=True):
                product = torch.mm(precision(edges), weight)[: len(edges)]
                edges = product.to(precision.work).add_(norm.shift).relu_()
            torch.mean(edges.view(-1, run.degree, edges.shape[1]), 1, out=means[run.start : run.stop])
    return means.to(own.dtype)


class _EdgeMeans(torch.autograd.Function):
    """Arguments after ``norms``: their weights and biases in turn, then the weights of the layers."""

    @staticmethod
    def forward(
        ctx: Any, own: Tensor, other: Tensor, graph: Graph, modules: Sequence[BatchNorm], *parameters: Tensor
    ) -> Tensor:
        precision = _Precision.of(own)
        norms = [EdgeNorm(module, precision.work) for module in modules]
        weights = parameters[2 * len(norms) :]
        layers = _Layers(own.to(precision.work), other.to(precision.work), graph, norms, [], precision, [])
        with torch.autocast(own.device.type, enabled=False):
            means = _forward(layers, weights)
        ctx.save_for_backward(own, other, graph.neighbours, *weights, *layers.products)
        ctx.runs, ctx.norms, ctx.precision, ctx.training = graph.runs, norms, precision, modules[0].training
        ctx.places = layers.places
        return means.to(own.dtype)

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        own, other, neighbours, *rest = ctx.saved_tensors
        weights, products = rest[: len(rest) // 2], rest[len(rest) // 2 :]
        precision = ctx.precision
        graph = Graph(neighbours, ctx.runs)
        layers = _Layers(own.to(precision.work), other.to(precision.work), graph, ctx.norms, products, precision, ctx.places)
        back = [EdgeNormGradient(norm, graph.edges, ctx.training) for norm in ctx.norms]
        with torch.autocast(own.device.type, enabled=False):
            parts, of_weights = _backward(layers, weights, back, gradients[0].to(precision.work))
        while layers.places:
            WORKSPACE.give(layers.places.pop())
        of_norms = [x for gradient in back for x in (gradient.weight, gradient.bias)]
        return (*(x.to(own.dtype) for x in parts), None, None, *of_norms, *of_weights)


def _forward(layers: _Layers, weights: Sequence[Tensor]) -> Tensor:
    """The means (T, C); the products of all edges and the normalisations are left in ``layers``."""
    norms, precision = layers.norms, layers.precision
    norms[0].see_sums(layers.own, layers.other, layers.graph)
    norms[0].settle()
    normalised = layers.normalised()
    for layer, weight in enumerate(weights):
        matrix = weight.t().to(precision.product)
        place = WORKSPACE.take(layers.graph.edges, len(weight), precision.product, weight.device)
        layers.places.append(place)
        products = place[: layers.graph.edges]
        for run in layers.chunks():
            edges = precision(layers.hidden(layer, run, normalised))
            part = products[run.first : run.last]
            _multiply(edges, matrix, part)
            norms[layer + 1].see(part.to(precision.work))
        norms[layer + 1].settle()
        layers.products.append(products)
    means = layers.own.new_zeros(len(layers.own), len(norms[-1].scale))
    for run in layers.chunks():
        edges = layers.hidden(len(weights), run, normalised)
        torch.mean(edges.view(-1, run.degree, edges.shape[1]), 1, out=means[run.start : run.stop])
    return means


def _backward(
    layers: _Layers, weights: Sequence[Tensor], back: list[EdgeNormGradient], gradient: Tensor
) -> tuple[tuple[Tensor, Tensor], list[Tensor]]:
    """Gradients of own and other (T, C_0), and of the weights; those of the normalisations are left in ``back``.

    The gradient of a layer takes the place of the product of the layer above: autograd then refuses a second time.
    """
    precision, normalised, last = layers.precision, layers.normalised(), len(weights)
    ends = _Ends(layers)
    of_weights: list[Tensor] = []
    for run in layers.chunks():
        back[last].see(_spread(layers, gradient, run), layers.product(last, run))
    for layer in range(last, 0, -1):
        back[layer].settle()
        weight = weights[layer - 1].to(precision.product)
        of_weight = torch.zeros_like(weight, dtype=precision.work)
        for run in layers.chunks():
            edges = _spread(layers, gradient, run) if layer == last else layers.gradient(layer, run)
            factor = precision(back[layer](edges, layers.product(layer, run)))
            hidden = layers.hidden(layer - 1, run, normalised)
            of_weight += factor.t() @ precision(hidden)
            place = layers.products[layer - 1][run.first : run.last]
            _multiply(factor, weight, place)
            edges = place.to(precision.work)
            _through_relu(edges, hidden, out=edges)
            if layer == 1:
                ends.add(edges, run)
            else:
                if edges is not place:
                    place.copy_(edges)
                back[layer - 1].see(edges, layers.product(layer - 1, run))
        of_weights.insert(0, of_weight)
    return ends.settle(back[0]), of_weights


def _multiply(edges: Tensor, matrix: Tensor, place: Tensor) -> None:
    """Put the product into its place; ``edges`` may have more rows than that."""
    if len(edges) == len(place):
        torch.mm(edges, matrix, out=place)
    else:
        place.copy_(torch.mm(edges, matrix)[: len(place)])


def _through_relu(gradient: Tensor, output: Tensor, out: Tensor) -> Tensor:
    """The gradient where the output of ReLU is positive, else 0."""
    return torch.ops.aten.threshold_backward.grad_input(gradient, output, 0, grad_input=out)  # type: ignore[no-any-return]


def _spread(layers: _Layers, gradient: Tensor, run: Run) -> Tensor:
    """The gradient of the means (T, C) -> that of the last layer's normalised products of a run (E, C)."""
    flat = layers.norms[-1](layers.product(len(layers.products), run))
    output = flat.view(-1, run.degree, flat.shape[1])
    each = gradient[run.start : run.stop, None] / run.degree  # (n, 1, C)
    _through_relu(each.expand_as(output), output, out=output)
    return flat


class _Ends:
    """The gradient of own_i + other_j, summed over the edges that leave i and those that come to j.

    The batch normalisation of the first layer is linear in edges, so that it is enough to know these sums of both, the
    gradient and the value.
    """

    def __init__(self, layers: _Layers) -> None:
        self.layers = layers
        self.leaving, self.coming = torch.zeros_like(layers.own), torch.zeros_like(layers.own)
        self.owners = torch.zeros_like(layers.own)
        """Sums of own_i over the edges that come to j."""

    def add(self, edges: Tensor, run: Run) -> None:
        """The gradient of a run of edges (E, C)."""
        neighbours = self.layers.graph.neighbours[run.first : run.last]
        edges = edges.view(-1, run.degree, edges.shape[1])
        torch.sum(edges, 1, out=self.leaving[run.start : run.stop])
        self.coming.index_add_(0, neighbours, edges.flatten(0, 1))
        own = self.layers.own[run.start : run.stop, None].expand_as(edges)
        self.owners.index_add_(0, neighbours, own.flatten(0, 1))

    def settle(self, back: EdgeNormGradient) -> tuple[Tensor, Tensor]:
        """The gradients of own and other (T, C)."""
        own, other, graph = self.layers.own, self.layers.other, self.layers.graph
        back.sum = self.leaving.sum(0, dtype=torch.float64)
        back.product = (own * self.leaving + other * self.coming).sum(0, dtype=torch.float64)
        back.settle()
        leaving, coming = graph.degrees(own)
        values = leaving * own + graph.neighbour_sums(other), self.owners + coming * other
        return back.of_sums(self.leaving, values[0], leaving), back.of_sums(self.coming, values[1], coming)
