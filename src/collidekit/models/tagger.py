"""A tagger: the scaling of the inputs and the network, one module, so that the scaling travels with the weights."""

from torch import Tensor, nn

from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch, Input
from collidekit.models.network import Network
from collidekit.models.scaling import Scaling


class Tagger(nn.Module):
    """Raw units in, outputs (N, K) out."""

    def __init__(self, analysis: Analysis, network: Network) -> None:
        super().__init__()
        self.scaling = Scaling(analysis.inputs)
        self.network = network

    def forward(self, batch: Batch) -> Tensor:
        scaled = self.scaling(batch.inputs)
        parameter = next(self.network.parameters(), None)
        if parameter is not None:  # the network may work in another precision than the scaling
            scaled = {name: entry.to(parameter.device, parameter.dtype) for name, entry in scaled.items()}
        return self.outputs(scaled)

    def outputs(self, scaled: dict[str, Input]) -> Tensor:
        """The network's outputs (N, K) for inputs that are scaled already."""
        return self.network(scaled)  # type: ignore[no-any-return]
