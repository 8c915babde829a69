"""Settings of the network."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from collidekit.analysis.features import Strict
from collidekit.settings import setting

ALIASES = {
    "deepjethlt": "deepjet_hlt",
    "deepjettransformer": "deepjet_transformer",
    "particletransformer": "particle_transformer",
}
"""Names of networks in b-hive, in lower case -> names here; ``DeepJet``, ``ParticleNet`` and ``UParT`` need no alias."""


def _without_alias(name: Any) -> Any:
    return ALIASES.get(name.lower(), name) if isinstance(name, str) else name


class NetworkSettings(Strict):
    """A network and its options."""

    model_name: Annotated[str, BeforeValidator(_without_alias), Field(min_length=1)] = setting(
        "pfn", "network: a name, or a file my_network.py"
    )
    model_options: dict[str, Any] = setting({}, "options of the network as JSON, such as '{\"f\": [64, 64]}'")
