"""Networks by name. A new network is a file and a line here; a user's network is found by its file or package."""

import inspect
import math
from collections.abc import Mapping
from typing import Any

from collidekit.errors import CollidekitError, did_you_mean
from collidekit.models.cross_attention import CrossAttention
from collidekit.models.deepjet import DeepJet, DeepJetHLT
from collidekit.models.deepjet_transformer import DeepJetTransformer
from collidekit.models.efn import EFN
from collidekit.models.lorentznet import LorentzNet, LorentzNetSmall
from collidekit.models.mlp import MLP
from collidekit.models.network import Inputs, Network
from collidekit.models.pair_transformer import PairTransformer
from collidekit.models.particle_transformer import ParticleTransformer, ParticleTransformerSmall
from collidekit.models.particlenet import ParticleNet, ParticleNetLite
from collidekit.models.pcnn import PCNN
from collidekit.models.pfn import PFN
from collidekit.models.transformer import Transformer, TransformerSmall
from collidekit.models.upart import UParT
from collidekit.plugins import Kind

NETWORKS: dict[str, type[Network]] = {
    "mlp": MLP,
    "pfn": PFN,
    "efn": EFN,
    "pcnn": PCNN,
    "deepjet": DeepJet,
    "deepjet_hlt": DeepJetHLT,
    "deepjet_transformer": DeepJetTransformer,
    "particle_transformer": ParticleTransformer,
    "particle_transformer_small": ParticleTransformerSmall,
    "upart": UParT,
    "particlenet": ParticleNet,
    "particlenet_lite": ParticleNetLite,
    "lorentznet": LorentzNet,
    "lorentznet_small": LorentzNetSmall,
    "pair_transformer": PairTransformer,
    "transformer": Transformer,
    "transformer_small": TransformerSmall,
    "cross_attention": CrossAttention,
}
KIND = Kind("network", Network, "collidekit.models.Network", NETWORKS)

LARGEST = 10_000_000
"""Largest number of an option of a network."""
MOST_LAYERS = 1000
OPTION_KINDS: dict[Any, tuple[tuple[type, ...], str]] = {
    int: ((int,), "a whole number"), float: ((int, float), "a number"), bool: ((bool,), "true or false"),
}  # fmt: skip
"""Annotation of an option -> allowed types of its value, in words."""


def find_network(name: str) -> type[Network]:
    """Return the class of a network: by name, from a file (``my_network.py`` or ``my_network.py:MyNetwork``), or a package."""
    found: type[Network] = KIND.find(name)
    return found


def _check_option(place: str, value: Any, largest: int) -> None:
    """Raise an error for an impossible number, also in lists; NaN would otherwise pass most comparisons."""
    if isinstance(value, list | tuple):
        for entry in value:
            _check_option(place, entry, largest)
    elif isinstance(value, int) and not -1 <= value <= largest:
        raise CollidekitError(f"{place}: {value} is not a number up to {largest:,}")
    elif isinstance(value, float) and not math.isfinite(value):
        raise CollidekitError(f"{place}: must be a finite number, got {value}")


def _check_kind(place: str, value: Any, kind: Any) -> None:
    """Raise an error for a value of another type than the annotation, if that is a number or a flag."""
    if kind not in OPTION_KINDS:
        return
    types, wanted = OPTION_KINDS[kind]
    if not isinstance(value, types) or isinstance(value, bool) != (kind is bool):
        raise CollidekitError(f"{place}: must be {wanted}, got {value!r}")


def build_network(name: str, inputs: Inputs, outputs: int, options: Mapping[str, Any]) -> Network:
    """Return the network of a name with options, which are checked against its signature."""
    network = find_network(name)
    signature = inspect.signature(network.__init__)
    known = [key for key in signature.parameters if key not in ("self", "inputs", "outputs")]
    for key in options:
        if key not in known:
            raise CollidekitError(
                f"network {name}: no option {key!r}{did_you_mean(key, known)}; known are {', '.join(known)}"
            )
        place = f"network {name}: {key}"
        _check_kind(place, options[key], signature.parameters[key].annotation)
        _check_option(place, options[key], MOST_LAYERS if key.endswith("layers") else LARGEST)
    try:
        return network(inputs, outputs, **options)
    except CollidekitError as error:
        raise CollidekitError(f"network {name}: {error}") from None
    except Exception as error:
        given = f" with options {dict(options)}" if options else ""
        raise CollidekitError(f"network {name}{given}: {type(error).__name__}: {error}") from error
