"""A tagger: the scaling of the inputs, the network and its head, one module, so that all of it travels with the weights."""

from torch import Tensor, nn

from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch, Input
from collidekit.models.heads import ClassesHead, Head
from collidekit.models.network import Network
from collidekit.models.scaling import Scaling
from collidekit.models.target_heads import TargetHeads


class Tagger(nn.Module):
    """Raw units in; ``forward`` gives the raw numbers of the head (N, M), to learn by, ``predict`` its columns (N,).

    Where the analysis has targets and the network can learn them, ``target_heads`` gives their logits; else it is None.
    """

    def __init__(self, analysis: Analysis, network: Network, head: Head | None = None) -> None:
        super().__init__()
        self.scaling = Scaling(analysis.inputs)
        self.network = network
        self.head = head or ClassesHead.of(analysis)
        learns = bool(analysis.targets) and network.constituent_width > 0
        self.target_heads = TargetHeads(analysis.targets, network) if learns else None

    def forward(self, batch: Batch, with_targets: bool = False) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
        """The raw numbers; ``with_targets`` also the logits of each target, of which there are none without heads."""
        scaled = self._scaled(batch)
        if not with_targets:
            return self.outputs(scaled)
        if self.target_heads is None:
            return self.outputs(scaled), {}
        found = self.network.embed(scaled)
        raw: Tensor = self.head(found.outputs)
        return raw, self.target_heads(found, scaled)

    def predict(self, batch: Batch) -> dict[str, Tensor]:
        """The columns of the head, (N,) each."""
        return self.head.decode(self.outputs(self._scaled(batch)))

    def _scaled(self, batch: Batch) -> dict[str, Input]:
        scaled: dict[str, Input] = self.scaling(batch.inputs)
        parameter = next(self.network.parameters(), None)
        if parameter is not None:  # the network may work in another precision than the scaling
            scaled = {name: entry.to(parameter.device, parameter.dtype) for name, entry in scaled.items()}
        return scaled

    def outputs(self, scaled: dict[str, Input]) -> Tensor:
        """The raw numbers (N, M) for inputs that are scaled already."""
        raw: Tensor = self.head(self.network(scaled))
        return raw
