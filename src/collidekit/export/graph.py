"""A tagger as one function of padded tensors, from raw values to columns, for export."""

from collections.abc import Mapping
from copy import deepcopy
from functools import cached_property

import torch
from attrs import evolve
from torch import Tensor, nn

from collidekit.analysis.schema import Analysis, Collection
from collidekit.errors import CollidekitError
from collidekit.models.constituent_layers import ConstituentLinear
from collidekit.models.heads import ClassesHead
from collidekit.models.heads.discriminators import discriminators
from collidekit.models.heads.flow import FlowHead
from collidekit.models.heads.w_mass import padded_momenta
from collidekit.models.padded import FlatLinear, Padded, PaddedInput
from collidekit.models.tagger import Tagger


class TaggerGraph(nn.Module):
    """Module that computes columns from raw values, with a copy of the tagger in evaluation mode and single precision.

    ``forward`` takes tensors in the order of ``input_names``. A collection has ``<name>`` (N, L, C) with features,
    four-momentum and coordinates, and ``<name>_mask`` (N, L), 1 for a constituent and 0 for an empty slot. A flat group
    has ``<name>`` (N, F). A flow has ``noise_<target>`` (N, K, V), standard normal. Constituents come before empty
    slots, in the order of the analysis; those beyond the limit are dropped. The outputs are columns in the order of
    ``output_names``, (N,), or (N, L) for constituents.
    """

    def __init__(self, tagger: Tagger, analysis: Analysis, temperature: float = 1.0) -> None:
        super().__init__()
        self.tagger = _for_export(tagger)
        if isinstance(self.tagger.head, ClassesHead):
            self.tagger.head.temperature = temperature
        self.analysis = analysis
        self.flows = {name: head for name, head in self.tagger.regressions.items() if isinstance(head, FlowHead)}
        _check_names(self.input_names)
        self.eval()

    @property
    def input_names(self) -> list[str]:
        """Return the names of the inputs of ``forward``."""
        names: list[str] = []
        for name, entry in self.analysis.inputs.items():
            names += [name, f"{name}_mask"] if isinstance(entry, Collection) else [name]
        return names + [f"noise_{name}" for name in self.flows]

    @cached_property
    def output_names(self) -> list[str]:
        """Return the names of the columns."""
        return list(self.columns(*self.example(2, 3)))

    @property
    def constituent_outputs(self) -> dict[str, str]:
        """Return the columns with a number for each constituent (N, L), with the name of the collection."""
        heads = self.tagger.target_heads
        return {} if heads is None else heads.constituent_columns

    @property
    def picks(self) -> bool:
        """Return whether the graph chooses neighbours, jets or draws, so that rounding may change the choice."""
        heads = self.tagger.target_heads
        return self.tagger.network.picks or bool(self.flows) or bool(heads and heads.assignments)

    @property
    def ordered_outputs(self) -> frozenset[str]:
        """Return the columns that depend on the order of constituents: numbers of constituents, and positions."""
        positions = (name for name in self.output_names if name.startswith("index_"))
        return frozenset((*self.constituent_outputs, *positions))

    def example(self, rows: int, length: int) -> tuple[Tensor, ...]:
        """Return random inputs of ``forward``, with constituents in all slots."""
        found: list[Tensor] = []
        for entry in self.analysis.inputs.values():
            if isinstance(entry, Collection):
                found += [torch.randn(rows, length, entry.width), torch.ones(rows, length)]
            else:
                found.append(torch.randn(rows, entry.width))
        found += [torch.randn(rows, h.target.draws, len(h.target.values)) for h in self.flows.values()]
        return tuple(found)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.columns(*tensors).values())

    def columns(self, *tensors: Tensor) -> dict[str, Tensor]:
        """Return the outputs of ``forward`` by name."""
        given = dict(zip(self.input_names, tensors, strict=True))
        scaled = self.scaled(given)
        tagger = self.tagger
        embedding = tagger.network.padded(scaled)
        raw, targets = tagger._split(embedding.outputs)
        found: dict[str, Tensor] = dict(tagger.head.decode(raw))
        found |= discriminators(found, self.analysis.discriminators)
        for name, head in tagger.regressions.items():
            if isinstance(head, FlowHead):
                leptons = padded_momenta(scaled, head.target.on_shell) if head.target.on_shell else None
                found |= head.decode_with(targets[name], given[f"noise_{name}"], leptons)
            else:
                found |= head.decode(targets[name])
        if tagger.target_heads is not None:
            found |= tagger.target_heads.padded(embedding, scaled)
        for name, collection in self.constituent_outputs.items():
            found[name] = _as_long(
                found[name], given[f"{collection}_mask"], self.analysis.collections[collection].limit
            )
        return {name: values.float() if values.is_floating_point() else values for name, values in found.items()}

    def scaled(self, given: Mapping[str, Tensor]) -> dict[str, PaddedInput]:
        """Return the inputs of the network: filled, clipped and scaled, with an empty slot at the end of each collection."""
        inputs: dict[str, PaddedInput] = {}
        for name, entry in self.analysis.inputs.items():
            if not isinstance(entry, Collection):
                inputs[name] = given[name]
                continue
            whole = Padded(given[name], given[f"{name}_mask"] > 0, len(entry.features), bool(entry.momenta))
            inputs[name] = whole.leading(entry.limit)
        scaled: dict[str, PaddedInput] = self.tagger.scaling(self.tagger.filling(inputs))
        for name, found in scaled.items():
            if isinstance(found, Padded):  # set empty slots to 0, whatever they contain
                data = torch.where(found.mask[..., None], found.data, torch.zeros_like(found.data))
                scaled[name] = evolve(found, data=data).longer(1)
        return scaled


def _as_long(values: Tensor, given: Tensor, limit: int) -> Tensor:
    """Extend numbers (N, min(L, limit) + 1) to (N, L), the shape of the mask ``given``, with 0 (or -1 for integers)."""
    rest = torch.full_like(given[:, limit:], 0.0 if values.is_floating_point() else -1.0)
    return torch.cat([values[:, :-1], rest.to(values.dtype)], dim=1)


def _check_names(names: list[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise CollidekitError(
            f"the graph would have two inputs named {twice[0]!r}: rename the input of the analysis that ends in '_mask' or begins with "
            "'noise_'"
        )


def _for_export(tagger: Tagger) -> Tagger:
    """Return a copy of a tagger with layers that use only operations of all runtimes."""
    copied = deepcopy(tagger).float().eval().requires_grad_(False)
    for module in list(copied.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.RMSNorm):
                module._modules[name] = PlainRMSNorm(child)
            elif isinstance(child, nn.Linear) and type(child) in (nn.Linear, ConstituentLinear):
                module._modules[name] = _flat(child)
    return copied


def _flat(layer: nn.Linear) -> FlatLinear:
    found = FlatLinear(layer.in_features, layer.out_features, layer.bias is not None).requires_grad_(False)
    found.weight, found.bias = layer.weight, layer.bias
    return found.eval()


class PlainRMSNorm(nn.Module):
    """``nn.RMSNorm`` as multiplications and a mean, because opsets below 23 have no operator for it."""

    def __init__(self, norm: nn.RMSNorm) -> None:
        super().__init__()
        self.weight = norm.weight
        self.eps = torch.finfo(norm.weight.dtype).eps if norm.eps is None else norm.eps

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = x * (x.square().mean(dim=-1, keepdim=True) + self.eps).rsqrt() * self.weight
        return found
