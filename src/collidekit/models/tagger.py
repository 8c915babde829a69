"""A tagger: the scaling of the inputs, the network and its heads, one module, so that all of it travels with the weights."""

from collections.abc import Mapping

from torch import Tensor, nn

from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch, Input
from collidekit.models.heads import ClassesHead, Head, RegressionHead
from collidekit.models.network import Network
from collidekit.models.scaling import Scaling
from collidekit.models.target_heads import TargetHeads


def outputs_of(analysis: Analysis, head: Head) -> int:
    """How many outputs a network must have: those of the head of the classes, and those of each target of rows."""
    return head.outputs + sum(len(target.values) for target in analysis.regressions.values())


class Tagger(nn.Module):
    """Raw units in; ``forward`` gives the raw numbers of the head (N, M), to learn by, ``predict`` its columns (N,).

    ``head`` is that of the classes of rows, which has no outputs where there are none; ``regressions`` are those of targets of
    rows. Where the analysis has targets of constituents and the network can learn them, ``target_heads`` gives their logits;
    else it is None.
    """

    def __init__(self, analysis: Analysis, network: Network, head: Head | None = None) -> None:
        super().__init__()
        self.scaling = Scaling(analysis.inputs)
        self.network = network
        self.head = head or ClassesHead.of(analysis)
        heads = {name: RegressionHead(target) for name, target in analysis.regressions.items()}
        self.regressions: Mapping[str, RegressionHead] = nn.ModuleDict(heads)  # type: ignore[assignment]
        learns = bool(analysis.member_targets) and network.constituent_width > 0
        self.target_heads = TargetHeads(analysis.member_targets, network) if learns else None

    def forward(self, batch: Batch, with_targets: bool = False) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
        """The raw numbers of the head; ``with_targets`` also those of each target that is learned."""
        scaled = self._scaled(batch)
        if not with_targets:
            return self.outputs(scaled)
        if self.target_heads is None:
            return self._split(self.network(scaled))
        found = self.network.embed(scaled)
        raw, targets = self._split(found.outputs)
        return raw, {**targets, **self.target_heads(found, scaled)}

    def predict(self, batch: Batch) -> dict[str, Tensor]:
        """The columns of the heads, (N,) each."""
        raw, targets = self._split(self.network(self._scaled(batch)))
        columns: dict[str, Tensor] = dict(self.head.decode(raw))
        for name, head in self.regressions.items():
            columns |= head.decode(targets[name])
        return columns

    def _scaled(self, batch: Batch) -> dict[str, Input]:
        scaled: dict[str, Input] = self.scaling(batch.inputs)
        parameter = next(self.network.parameters(), None)
        if parameter is not None:  # the network may work in another precision than the scaling
            scaled = {name: entry.to(parameter.device, parameter.dtype) for name, entry in scaled.items()}
        return scaled

    def outputs(self, scaled: dict[str, Input]) -> Tensor:
        """The raw numbers (N, M) of the head for inputs that are scaled already."""
        return self._split(self.network(scaled))[0]

    def _split(self, outputs: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The outputs of the network as raw numbers of the head, and of each target of rows."""
        if not self.regressions:
            raw: Tensor = self.head(outputs)
            return raw, {}
        sizes = [self.head.outputs, *(head.outputs for head in self.regressions.values())]
        first, *others = outputs.split(sizes, dim=1)  # type: ignore[no-untyped-call]
        found = zip(self.regressions.items(), others, strict=True)
        return self.head(first), {name: head(part) for (name, head), part in found}
