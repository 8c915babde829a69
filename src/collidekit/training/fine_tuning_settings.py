"""How a training begins from another one's weights; ``fine_tuning`` does it."""

from typing import Any

from pydantic import ValidationInfo, field_validator

from collidekit.analysis.features import Strict, wrong
from collidekit.settings import Positive, setting


class FineTuningSettings(Strict):
    """The checkpoint to begin from, and what of it learns on."""

    from_checkpoint: str = setting(
        "", "begin with the weights of this checkpoint, folder of a training or model that ships, and a fresh head"
    )
    keep_head: bool = setting(False, "keep the head of the checkpoint, too")
    freeze: tuple[str, ...] = setting((), "patterns of parameters that stay fixed, such as network.phi.*,network.f.0.*")
    learning_rate_factors: dict[str, Positive] = setting(
        {},
        "factors of the learning rate as JSON, such as '{\"network.phi.*\": 0.1}'; those of all that match are multiplied",
    )

    @field_validator("freeze", mode="before")
    @classmethod
    def _patterns(cls, value: Any) -> Any:
        """Names with commas between them, or a list of them; their order means nothing."""
        parts = value.split(",") if isinstance(value, str) else value
        if isinstance(parts, list | tuple) and all(isinstance(part, str) for part in parts):
            return tuple(sorted({part.strip() for part in parts if part.strip()}))
        return value

    @field_validator("keep_head", "freeze")
    @classmethod
    def _of_a_checkpoint(cls, value: Any, info: ValidationInfo) -> Any:
        if value and not info.data.get("from_checkpoint"):
            raise wrong("is for a training that begins from a checkpoint: name one with --from-checkpoint")
        return value
