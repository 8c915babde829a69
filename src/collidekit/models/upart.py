"""UParT as far as it is public: a particle transformer of several collections (CMS DP-2024/066, DP-2025/081)."""

from collections.abc import Sequence

from collidekit.models.network import Inputs
from collidekit.models.particle_transformer import ParticleTransformer


class UParT(ParticleTransformer):
    """Particle transformer with three blocks and one class block.

    The public notes give no sizes. Width, heads and number of blocks are those of the particle transformer that CMS trained for
    small jets before; they are not checked against the trained model of CMS.
    """

    def __init__(
        self,
        inputs: Inputs,
        outputs: int,
        embedding: Sequence[int] = (128, 128),
        pair_embedding: Sequence[int] = (64, 64, 64),
        heads: int = 8,
        layers: int = 3,
        class_layers: int = 1,
        expansion: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(inputs, outputs, embedding, pair_embedding, heads, layers, class_layers, expansion, dropout)
