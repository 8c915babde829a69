"""What a network is: inputs in the scale of the training -> outputs; and where networks are found."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from collidekit.analysis.schema import Collection, Group
from collidekit.dataset.batch import Input
from collidekit.errors import CollidekitError, did_you_mean

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


def _networks() -> dict[str, type[Network]]:
    from collidekit.models.mlp import MLP
    from collidekit.models.pfn import PFN

    return {"mlp": MLP, "pfn": PFN}


def find_network(name: str) -> type[Network]:
    """A network by its name, or the one in a user's file: ``my_network.py`` or ``my_network.py:MyNetwork``."""
    known = _networks()
    if name.lower() in known:
        return known[name.lower()]
    path, _, chosen = name.partition(":")
    if path.endswith(".py"):
        return _from_file(Path(path), chosen)
    raise CollidekitError(
        f"there is no network {name!r}{did_you_mean(name.lower(), list(known))}; known are {', '.join(known)}, or a file "
        "my_network.py"
    )


def _from_file(path: Path, chosen: str) -> type[Network]:
    from collidekit.plugins import load_module

    module = load_module(path)
    found = {
        name: value
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, Network) and value.__module__ == module.__name__
    }
    if chosen:
        value = getattr(module, chosen, None)
        if inspect.isclass(value) and issubclass(value, Network):
            return value
        raise CollidekitError(
            f"{path}: there is no network {chosen!r}{did_you_mean(chosen, list(found))}; {_there_are(found)}"
        )
    if len(found) != 1:
        raise CollidekitError(f"{path}: needs one network, or name it as {path}:MyNetwork; {_there_are(found)}")
    return next(iter(found.values()))


def _there_are(found: Mapping[str, Any]) -> str:
    return f"classes that derive from collidekit.models.Network: {', '.join(found) or 'none'}"


def build_network(name: str, inputs: Inputs, outputs: int, options: Mapping[str, Any]) -> Network:
    """The network of a name with options, which are checked against its signature."""
    network = find_network(name)
    signature = inspect.signature(network.__init__)
    known = [key for key in signature.parameters if key not in ("self", "inputs", "outputs")]
    for key in options:
        if key not in known:
            raise CollidekitError(
                f"network {name}: no option {key!r}{did_you_mean(key, known)}; known are {', '.join(known)}"
            )
    try:
        return network(inputs, outputs, **options)
    except CollidekitError as error:
        raise CollidekitError(f"network {name}: {error}") from None
    except Exception as error:
        given = f" with options {dict(options)}" if options else ""
        raise CollidekitError(f"network {name}{given}: {type(error).__name__}: {error}") from error
