"""The log of a training lists its settings, also those at their default."""

from typing import Any

import toys

from collidekit.analysis.load import parse_analysis
from collidekit.tasks.training_summary import training_summary
from collidekit.training.config import TrainingConfig


def summary(**settings: Any) -> list[str]:
    return training_summary(TrainingConfig(**settings), parse_analysis(toys.TOY)[0])


def test_optimizer_scheduler_and_attack_are_named_with_their_settings() -> None:
    optimizer, scheduler, attack, others = summary()
    assert (
        optimizer
        == "optimizer: AdamW, learning_rate 0.001, betas 0.95,0.999, eps 1e-06, weight_decay 0.01, gradient_clip 0"
    )
    assert scheduler == "scheduler: epoch_lin_decay, lr_decay_factor 0.01"
    assert attack == "attack: none"
    assert others == "other settings: epochs 20, batch_size 1024, seed 123456"


def test_settings_without_an_effect_are_left_out() -> None:
    optimizer, scheduler, attack, others = summary(
        optimizer="SGD", lr_scheduler="inverse_decay", attack="fgsm", attack_magnitude=0.1, ema_decay=0.9
    )
    assert "eps" not in optimizer
    assert scheduler == "scheduler: inverse_decay"
    assert attack.startswith("attack: fgsm, attack_magnitude 0.1")
    assert "adversarial " in attack
    assert "attack_iterations" not in attack
    assert others.endswith("ema_decay 0.9")
