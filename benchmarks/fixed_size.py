"""A particle-flow network with a fixed number of constituents, built from layers that trigger tools can read."""

from copy import deepcopy
from itertools import pairwise

import torch
from torch import Tensor, nn

from collidekit.dataset.batch import Batch, Ragged
from collidekit.errors import CollidekitError
from collidekit.models.heads import ClassesHead
from collidekit.models.pfn import PFN
from collidekit.models.tagger import Tagger


class FixedSizePFN(nn.Module):
    """Network with the logit of one of two classes (N, 1) from k slots (N, F + 1, k) of ``slots_of``.

    It has no mask. The last channel is 1 in a slot with a constituent and 0 in an empty one, and each layer of Phi passes it on. Its
    weights are the biases. So an empty slot is 0 in every layer and does not contribute to the sum. The mean over slots replaces
    the sum; its factor is in the weights of F.
    """

    def __init__(self, tagger: Tagger, slots: int, signal: str) -> None:
        super().__init__()
        network = checked(tagger, signal)
        phi, f = (linear_layers(part) for part in (network.phi[network.collections[0]], network.f))
        last = len(phi) - 1
        with torch.no_grad():
            self.phi = with_relu([per_slot(layer, hands_on=number < last) for number, layer in enumerate(phi)])
            self.mean, self.flatten = nn.AvgPool1d(slots), nn.Flatten()
            self.f = with_relu([linear(f[0].weight * slots / network.norm, f[0].bias), *f[1:]])
            self.output = logit(network.output[0], list(tagger.head.columns).index(f"prob_{signal}"))  # type: ignore[arg-type]
        self.eval().requires_grad_(False)

    def forward(self, slots: Tensor) -> Tensor:
        found: Tensor = self.output(self.f(self.flatten(self.mean(self.phi(slots)))))
        return found


def checked(tagger: Tagger, signal: str = "") -> PFN:
    """Convert the network of a tagger; raise CollidekitError if it cannot have a fixed size."""
    network, head = tagger.network, tagger.head
    if not isinstance(network, PFN):
        raise CollidekitError(f"the network is {type(network).__name__}: only pfn has a form of fixed size")
    if len(network.collections) != 1 or network.groups:
        raise CollidekitError("the network must have one collection of constituents and no flat groups as inputs")
    if type(head) is not ClassesHead or len(head.classes) != 2 or tagger.regressions:
        raise CollidekitError("the tagger must have two classes and no other targets")
    if signal and signal not in head.classes:
        raise CollidekitError(f"the tagger has no class {signal!r}, but {' and '.join(head.classes)}")
    return network


def linear_layers(layers: nn.Module) -> list[nn.Linear]:
    """Return the dense layers of a sequence in which a ReLU follows each of them."""
    kept = [layer for layer in layers.children() if not isinstance(layer, nn.Dropout)]
    if any(not isinstance(layer, nn.ReLU) for layer in kept[1::2]):
        raise CollidekitError(f"the activation is {type(kept[1]).__name__}: train with activation relu")
    return kept[::2]  # type: ignore[return-value]


def with_relu(layers: list[nn.Module]) -> nn.Sequential:
    return nn.Sequential(*(part for layer in layers for part in (layer, nn.ReLU())))


def per_slot(layer: nn.Linear, hands_on: bool) -> nn.Conv1d:
    """Return a dense layer without bias for each slot, whose last input channel is 1 for a constituent; ``hands_on`` also outputs this channel."""
    weight = torch.cat([layer.weight, layer.bias[:, None]], dim=1)  # (O, I + 1)
    if hands_on:
        weight = torch.cat([weight, nn.functional.one_hot(torch.tensor([layer.in_features])).to(weight)])
    found = nn.Conv1d(weight.shape[1], weight.shape[0], kernel_size=1, bias=False)
    found.weight.copy_(weight[:, :, None])
    return found


def linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    found = nn.Linear(weight.shape[1], weight.shape[0])
    found.weight.copy_(weight)
    found.bias.copy_(bias)
    return found


def logit(layer: nn.Module, signal: int) -> nn.Linear:
    """Return the output of class ``signal`` minus the output of the other class: its sigmoid is the probability."""
    assert isinstance(layer, nn.Linear)
    return linear(*(part[signal : signal + 1] - part[1 - signal : 2 - signal] for part in (layer.weight, layer.bias)))


@torch.no_grad()
def slots_of(tagger: Tagger, batch: Batch, slots: int) -> Tensor:
    """Return the leading constituents of raw rows as slots (N, F + 1, k): filled, scaled, with a channel that is 1 for a constituent.

    Missing values are filled and features scaled here in floating point, because fixed-point numbers have no NaN and raw values need more bits.
    """
    scaled = tagger.scaling(tagger.filling(batch.inputs))[checked(tagger).collections[0]]
    assert isinstance(scaled, Ragged)
    values = torch.cat([scaled.values, torch.ones_like(scaled.values[:, :1])], dim=1)  # (T, F + 1)
    return scaled.padded(values, least=slots)[:, :slots].transpose(1, 2).contiguous()


def weights(model: FixedSizePFN) -> list[Tensor]:
    """Return the weights without biases and without the channel of biases, Phi first."""
    phi = [layer for layer in model.phi if isinstance(layer, nn.Conv1d)]
    found = [layer.weight[: following.in_channels - 1, :-1] for layer, following in pairwise(phi)]
    dense = [layer.weight for layer in (*model.f, model.output) if isinstance(layer, nn.Linear)]
    return [*found, phi[-1].weight[:, :-1], *dense]


def multiplications(model: FixedSizePFN, slots: int) -> int:
    """Return the number of multiplications for one row; Phi is computed for each slot."""
    return sum(weight.numel() * (slots if weight.ndim == 3 else 1) for weight in weights(model))


@torch.no_grad()
def largest_number(model: FixedSizePFN, slots: Tensor) -> float:
    """Return the largest absolute input or output of a layer; the range of a format must be larger, or numbers overflow."""
    found = slots
    largest = float(found.abs().max())
    for layer in layers(model):
        found = layer(found)
        largest = max(largest, float(found.abs().max()))
    return largest


@torch.no_grad()
def with_rounded_numbers(model: FixedSizePFN, slots: Tensor, width: int, integer: int) -> Tensor:
    """Return the logits (N, 1) with inputs, weights and results of layers rounded to a format and exact sums, as on a chip.

    Sums are in double precision, which is exact for up to about 24 bits.
    """
    rounded_model = deepcopy(model).double()
    for weight in rounded_model.parameters():
        weight.copy_(rounded(weight, width, integer))
    found = rounded(slots.double(), width, integer)
    for layer in layers(rounded_model):
        found = rounded(layer(found), width, integer)
    return found


def rounded(values: Tensor, width: int, integer: int) -> Tensor:
    """Return the nearest number of ``ap_fixed<width, integer, AP_RND, AP_SAT>``: halves are rounded up, and values out of range are clipped."""
    step, last = 2.0 ** (integer - width), 2.0 ** (width - 1)
    return torch.floor(values / step + 0.5).clamp(-last, last - 1) * step


def layers(model: FixedSizePFN) -> tuple[nn.Module, ...]:
    return (*model.phi, model.mean, model.flatten, *model.f, model.output)
