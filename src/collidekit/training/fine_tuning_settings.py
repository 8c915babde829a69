"""Settings of fine-tuning; ``fine_tuning`` implements it."""

from typing import Any

from pydantic import ValidationInfo, field_validator

from collidekit.analysis.features import Strict, wrong
from collidekit.settings import Positive, setting


class FineTuningSettings(Strict):
    """The checkpoint to start from, and which parts of it are trained further."""

    from_checkpoint: str = setting(
        "", "start with the weights of this checkpoint, folder of a training or bundled model, and a new head"
    )
    keep_head: bool = setting(False, "keep the head of the checkpoint, too")
    freeze: tuple[str, ...] = setting((), "patterns of names of frozen parameters, such as network.phi.*,network.f.0.*")
    learning_rate_factors: dict[str, Positive] = setting(
        {},
        "factors of the learning rate as JSON, such as '{\"network.phi.*\": 0.1}'; factors of all matching patterns are multiplied",
    )

    @field_validator("freeze", mode="before")
    @classmethod
    def _patterns(cls, value: Any) -> Any:
        """Parse patterns from a text with commas or from a list; the order has no effect."""
        parts = value.split(",") if isinstance(value, str) else value
        if isinstance(parts, list | tuple) and all(isinstance(part, str) for part in parts):
            return tuple(sorted({part.strip() for part in parts if part.strip()}))
        return value

    @field_validator("keep_head", "freeze")
    @classmethod
    def _of_a_checkpoint(cls, value: Any, info: ValidationInfo) -> Any:
        if value and not info.data.get("from_checkpoint"):
            raise wrong("is for a training that starts from a checkpoint: give one with --from-checkpoint")
        return value
