"""Learning-rate schedules: factors of the learning rate as functions of the progress, in epochs.

``progress`` runs from 0 to ``epochs``, with fractions within an epoch. Beyond ``epochs`` (extended training) the last factor is kept.
"""

import math
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field

from collidekit.analysis.features import Strict
from collidekit.settings import Share, setting


def constant(progress: float, epochs: int, floor: float, warmup: float) -> float:
    """Return 1."""
    return 1.0


def epoch_lin_decay(progress: float, epochs: int, floor: float, warmup: float) -> float:
    """Return 1, and in the last 30 % of the epochs a linear decay to ``floor`` with one step per epoch."""
    return batch_lin_decay(float(math.floor(progress)), max(epochs - 1, 1), floor, warmup)


def batch_lin_decay(progress: float, epochs: int, floor: float, warmup: float) -> float:
    """Return 1, and in the last 30 % of the epochs a linear decay to ``floor`` with one step per batch."""
    begin = 0.7 * epochs
    share = min(max((progress - begin) / max(epochs - begin, 1e-9), 0.0), 1.0)
    return 1.0 - (1.0 - floor) * share


def cosine(progress: float, epochs: int, floor: float, warmup: float) -> float:
    """Return a linear rise in the fraction ``warmup`` of the training, then a half cosine down to ``floor``."""
    share = min(progress / epochs, 1.0)
    if share < warmup:
        return floor + (1.0 - floor) * share / warmup
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * (share - warmup) / (1.0 - warmup)))


def one_cycle(progress: float, epochs: int, floor: float, warmup: float) -> float:
    """Return a half cosine from 1/25 to 1 in the fraction ``warmup`` (0.3 if it is 0), then one to ``floor`` (1708.07120)."""
    share, top = min(progress / epochs, 1.0), warmup or 0.3
    if share < top:
        return 1.0 / 25 + (1.0 - 1.0 / 25) * 0.5 * (1.0 - math.cos(math.pi * share / top))
    return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * (share - top) / (1.0 - top)))


def inverse_decay(progress: float, epochs: int, floor: float, warmup: float) -> float:
    """Return 1 / (1 + epoch / 30), with epochs counted from 0."""
    return 1.0 / (1.0 + math.floor(progress) / 30.0)


SCHEDULES: dict[str, Callable[[float, int, float, float], float]] = {
    "constant": constant,
    "epoch_lin_decay": epoch_lin_decay,
    "batch_lin_decay": batch_lin_decay,
    "batch_cosine_warmup": cosine,
    "cosine": cosine,
    "one_cycle": one_cycle,
    "inverse_decay": inverse_decay,
}


class ScheduleSettings(Strict):
    """Settings of the learning-rate schedule."""

    lr_scheduler: Literal[tuple(SCHEDULES)] = setting(  # type: ignore[valid-type]
        "epoch_lin_decay",
        "constant, epoch_lin_decay, batch_lin_decay, cosine (batch_cosine_warmup), one_cycle or inverse_decay",
    )
    lr_decay_factor: Annotated[float, Field(gt=0, le=1)] = setting(
        0.01, "ratio of the last to the largest learning rate"
    )
    warmup: Share = setting(0.1, "fraction of the training during which the learning rate rises")
