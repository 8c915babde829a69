"""Number of passes of a training step."""

from typing import Any

import pytest

from collidekit.training.config import TrainingConfig
from collidekit.training.trial_steps import _passes


@pytest.mark.parametrize(
    ("settings", "passes"),
    [
        ({}, 1),
        ({"attack": "fgsm"}, 2),
        ({"attack": "fgsm", "attack_iterations": 4, "attack_starts": 3}, 2),  # these settings have no effect
        ({"attack": "pgd", "attack_iterations": 4}, 5),
        ({"attack": "pgd", "attack_iterations": 4, "attack_starts": 1}, 5),
        ({"attack": "pgd", "attack_iterations": 4, "attack_starts": 3}, 1 + 3 * 4 + 3),
        ({"attack": "ngm", "attack_iterations": 4, "attack_starts": 3}, 5),
        ({"attack": "pgd", "attack_iterations": 4, "adversarial": "trades"}, 6),
    ],
)
def test_steps_of_an_attack_are_passes(settings: dict[str, Any], passes: float) -> None:
    assert _passes(TrainingConfig(attack_magnitude=0.1, **settings)) == passes
