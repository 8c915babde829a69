"""What a network is: inputs in the scale of the training -> outputs."""

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
    """The outputs of a network, with its embeddings of rows and constituents."""

    outputs: Tensor  # (N, outputs)
    row: Tensor  # (N, row_width)
    constituents: dict[
        str, Tensor
    ]  # collection -> (T, width_of(collection)), padded (N, L, width); only those that have a width


@runtime_checkable
class Attentive(Protocol):
    """A network that can say how much it looks at each constituent, at the place where it makes one row of them.

    ``attention`` gets what ``forward`` gets and returns, for each collection that it looks at, weights (T,) of at least 0,
    in the order of the constituents, averaged over heads and layers. Over all collections of a row they sum to 1, or to
    less where the network looks at something else too, such as a class token or registers.
    """

    def attention(self, inputs: dict[str, Input]) -> dict[str, Tensor]: ...


class Network(nn.Module):
    """Base of all networks. A subclass takes the analysis's inputs, the number of outputs and options of its own.

    ``forward`` gets each input scaled, a ``Ragged`` for a collection and a tensor ``(N, F)`` for a group, and returns
    ``(N, outputs)``. The options are keyword arguments with defaults of simple types: they are settable in the command.

    A network with attention may have ``attention``, see ``Attentive``; ``collidekit explain`` draws it.

    A network whose ``embed`` gives embeddings of constituents, and says how wide they are, can learn targets of constituents.
    Every network that comes with collidekit has ``embed``.
    """

    constituent_width = 0
    """Width of the embeddings of constituents; 0 where the network has none, and so cannot learn targets of constituents."""
    row_width = 0
    """Width of the embedding of a row."""
    target_layers: Sequence[int] = (128, 64, 32)
    """Hidden layers of the head of each target of constituents."""

    picks = False
    """Whether a row depends on a choice between values that may be nearly equal, such as nearest neighbours: then rounding can change it."""

    head: tuple[str, ...] = ("output",)
    """The parts that turn what the network sees into classes. They begin anew in a training that begins from a checkpoint."""

    def __init__(self, inputs: Inputs, outputs: int) -> None:
        super().__init__()
        self.collections = [name for name, entry in inputs.items() if isinstance(entry, Collection)]
        self.groups = [name for name, entry in inputs.items() if isinstance(entry, Group)]

    def forward(self, inputs: dict[str, Input]) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    @property
    def embeds(self) -> bool:
        """Whether ``embed`` says what ``forward`` does: not in a subclass that has its own ``forward`` alone."""
        order = [name for kind in type(self).__mro__ for name in ("embed", "forward") if name in vars(kind)]
        return order[0] == "embed"

    def width_of(self, collection: str) -> int:
        """Return the width of the embedding of a constituent of a collection; 0 where it has none."""
        return self.constituent_width if collection in self.collections else 0

    def embed(self, inputs: dict[str, Input]) -> Embedding:
        """Return the outputs that ``forward`` gives, and the embeddings of rows and constituents."""
        raise NotImplementedError(f"{type(self).__name__} has no embed")

    def padded(self, inputs: dict[str, PaddedInput]) -> Embedding:
        """Return what ``embed`` does of collections as blocks, with embeddings of constituents (N, L, width): the form that is exported.

        It is the form for evaluation, without dropout, made of operations that do not depend on N, L or the values, and gives the
        numbers of ``embed`` whatever the number of empty slots.
        """
        if not self.collections:  # there is nothing to pad
            return Embedding(self.forward(dict(inputs)), inputs[self.groups[0]], {})  # type: ignore[arg-type]
        raise CollidekitError(
            f"network {type(self).__name__} has no padded form, so it cannot be exported; give it a method 'padded', see docs/networks.md"
        )
