"""What a network is: inputs in the scale of the training -> outputs."""

from collections.abc import Mapping

from torch import Tensor, nn

from collidekit.analysis.schema import Collection, Group
from collidekit.dataset.batch import Input

Inputs = Mapping[str, Collection | Group]


class Network(nn.Module):
    """Base of all networks. A subclass takes the analysis's inputs, the number of outputs and options of its own.

    ``forward`` gets each input scaled, a ``Ragged`` for a collection and a tensor ``(N, F)`` for a group, and returns
    ``(N, outputs)``. The options are keyword arguments with defaults of simple types: they are settable in the command.
    """

    def __init__(self, inputs: Inputs, outputs: int) -> None:
        super().__init__()
        self.collections = [name for name, entry in inputs.items() if isinstance(entry, Collection)]
        self.groups = [name for name, entry in inputs.items() if isinstance(entry, Group)]

    def forward(self, inputs: dict[str, Input]) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no forward")
