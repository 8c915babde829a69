"""Base of networks: scaled inputs -> outputs."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from attrs import frozen
from torch import Tensor, nn

from collidekit.analysis.schema import Collection, Group
from collidekit.dataset.batch import Input
from collidekit.errors import CollidekitError
from collidekit.models.padded import PaddedInput

Inputs = Mapping[str, Collection | Group]


@frozen
class Embedding:
    """Outputs of a network, with its embeddings of rows and constituents."""

    outputs: Tensor  # (N, outputs)
    row: Tensor  # (N, row_width)
    constituents: dict[
        str, Tensor
    ]  # collection -> (T, width_of(collection)), padded (N, L, width); only collections with a width


@runtime_checkable
class Attentive(Protocol):
    """Network with attention weights of the constituents, at the layer that combines them into one row.

    ``attention`` has the arguments of ``forward`` and returns for each collection weights (T,) of at least 0,
    in the order of the constituents, averaged over heads and layers. Over all collections of a row they sum to 1, or to
    less if the network also attends to something else, such as a class token or registers.
    """

    def attention(self, inputs: dict[str, Input]) -> dict[str, Tensor]: ...


class Network(nn.Module):
    """Base of all networks. A subclass takes the inputs of the analysis, the number of outputs and its own options.

    ``forward`` gets each input scaled, a ``Ragged`` for a collection and a tensor ``(N, F)`` for a group, and returns
    ``(N, outputs)``. The options are keyword arguments with defaults of simple types: the command can set them.

    A network can have a method ``attention``, see ``Attentive``; ``collidekit explain`` draws its output.

    A network whose ``embed`` returns embeddings of constituents, and that sets their width, can learn targets of constituents.
    Every network of collidekit has ``embed``.
    """

    constituent_width = 0
    """Width of the embeddings of constituents; 0: no embeddings, so targets of constituents cannot be learned."""
    row_width = 0
    """Width of the embedding of a row."""
    target_layers: Sequence[int] = (128, 64, 32)
    """Hidden layers of the head of each target of constituents."""

    picks = False
    """True if the network selects between values that may be nearly equal, such as nearest neighbours, so that rounding matters."""

    head: tuple[str, ...] = ("output",)
    """Names of the parts that compute the classes. They get new weights in a training that starts from a checkpoint."""

    def __init__(self, inputs: Inputs, outputs: int) -> None:
        super().__init__()
        self.collections = [name for name, entry in inputs.items() if isinstance(entry, Collection)]
        self.groups = [name for name, entry in inputs.items() if isinstance(entry, Group)]

    def forward(self, inputs: dict[str, Input]) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    @property
    def embeds(self) -> bool:
        """True if ``embed`` computes the same as ``forward``: False for a subclass that overrides only ``forward``."""
        order = [name for kind in type(self).__mro__ for name in ("embed", "forward") if name in vars(kind)]
        return order[0] == "embed"

    def width_of(self, collection: str) -> int:
        """Return the width of the embedding of a constituent of a collection; 0 if it has none."""
        return self.constituent_width if collection in self.collections else 0

    def embed(self, inputs: dict[str, Input]) -> Embedding:
        """Return the outputs of ``forward``, and the embeddings of rows and constituents."""
        raise NotImplementedError(f"{type(self).__name__} has no embed")

    def padded(self, inputs: dict[str, PaddedInput]) -> Embedding:
        """Return the output of ``embed`` for padded collections, with embeddings of constituents (N, L, width), for the export.

        This is the form for evaluation, without dropout. Its operations do not depend on N, L or the values. The result equals
        ``embed`` for any number of empty slots.
        """
        if not self.collections:  # there is nothing to pad
            return Embedding(self.forward(dict(inputs)), inputs[self.groups[0]], {})  # type: ignore[arg-type]
        raise CollidekitError(
            f"network {type(self).__name__} has no padded form, so it cannot be exported; give it a method 'padded', see docs/networks.md"
        )
