"""Networks, one in each file, and the tagger, which contains a network and its scaling."""

from collidekit.models.network import Embedding, Network
from collidekit.models.registry import build_network, find_network
from collidekit.models.tagger import Tagger

__all__ = ["Embedding", "Network", "Tagger", "build_network", "find_network"]
