"""Effective settings of a training for its log."""

import json
from typing import Any

from collidekit.analysis.schema import Analysis
from collidekit.attacks.settings import ADVERSARIAL, AttackSettings
from collidekit.training.config import TrainingConfig
from collidekit.training.effect import without_effect
from collidekit.training.optimizers import OptimizerSettings
from collidekit.training.schedules import ScheduleSettings

GROUPS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("optimizer", "optimizer", tuple(OptimizerSettings.model_fields)),
    ("scheduler", "lr_scheduler", tuple(ScheduleSettings.model_fields)),
    ("attack", "attack", (*AttackSettings.model_fields, *ADVERSARIAL)),
)
"""Title of a line, its first setting, and all its settings."""


def training_summary(config: TrainingConfig, analysis: Analysis) -> list[str]:
    """Return lines for optimizer, scheduler and attack, and one line for all other settings not at their default.

    Settings without an effect are left out.
    """
    unused, usual = without_effect(config, analysis), TrainingConfig()
    lines, listed = [], {"model_name"}
    for title, first, names in GROUPS:
        acting = [name for name in dict.fromkeys(names) if name != first and name not in unused]
        values = [f"{name} {_text(getattr(config, name))}" for name in acting]
        chosen = getattr(config, first)
        lines.append(f"{title}: " + ("none" if chosen == "nominal" else ", ".join([str(chosen), *values])))
        listed |= {first, *names}
    others = [
        f"{name} {_text(value)}"
        for name, value in config
        if name not in listed and name not in unused and value != getattr(usual, name)
    ]
    always = [f"epochs {config.epochs}", f"batch_size {config.batch_size}", f"seed {config.seed}"]
    others = [*always, *(text for text in others if text not in always)]
    return [*lines, "other settings: " + ", ".join(others)]


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, dict):
        return json.dumps(value)
    return ",".join(map(_text, value)) if isinstance(value, tuple | list) else str(value)
