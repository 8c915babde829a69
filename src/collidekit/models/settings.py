"""Which network."""

from typing import Annotated, Any

from pydantic import Field

from collidekit.analysis.features import Strict
from collidekit.settings import setting


class NetworkSettings(Strict):
    """A network and its options."""

    model_name: Annotated[str, Field(min_length=1)] = setting("pfn", "the network: a name, or a file my_network.py")
    model_options: dict[str, Any] = setting({}, "options of the network as JSON, such as '{\"f\": [64, 64]}'")
