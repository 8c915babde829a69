"""Parameters of attacks on test rows (``test_...``), and attack settings from a command line."""

from collections.abc import Mapping, Sequence
from typing import Any

import luigi
from pydantic import ValidationError

from collidekit.attacks.settings import AttackSettings
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.tasks.settings import add_parameters
from collidekit.training.effect import attack_without_effect, check_given, check_magnitude

ATTACK = tuple(AttackSettings.model_fields)
"""Names of the settings of an attack."""


class TestAttack:
    """Parameters ``test_...`` for the settings of an attack on test rows."""


add_parameters(TestAttack, AttackSettings, before="test_", of="for test rows: ")


class TestAttackParameters(TestAttack):
    """Parameters of an attack on test rows, and of its gradient."""

    test_attack_from = luigi.Parameter(
        default="", description="transferred attack: use the gradient of this checkpoint, folder or bundled model"
    )

    @property
    def test_attack_settings(self) -> AttackSettings:
        """Settings of the attack on the test rows."""
        given = {name: getattr(self, f"test_{name}") for name in ATTACK}
        settings = _checked(given, "--test-")
        self.check_attack(settings, {name: value for name, value in given.items() if value is not None})
        return settings

    def check_attack(self, settings: AttackSettings, given: Mapping[str, Any]) -> None:
        """Raise an error for a given setting of the attack that has no effect."""
        check_given(given, attack_without_effect(settings), "--test-")
        check_magnitude(settings, given, "--test-attack")
        if self.test_attack_from and settings.attack == "nominal":
            raise CollidekitError("--test-attack-from: has an effect only with an attack; name one with --test-attack")


def attack_settings(pairs: Sequence[str]) -> AttackSettings:
    """Return attack settings from texts ``name=value`` of a command line."""
    values = {}
    for pair in pairs:
        name, equals, text = (part.strip() for part in pair.partition("="))
        name = name.replace("-", "_")
        if not equals:
            raise CollidekitError(f"--set {pair!r}: write it as name=value, such as --set attack_space=momenta")
        if name not in ATTACK or name in ("attack", "attack_magnitude"):
            known = [key for key in ATTACK if key not in ("attack", "attack_magnitude")]
            close = did_you_mean(name, known) or f"; known are {', '.join(known)}"
            raise CollidekitError(f"--set {pair!r}: there is no parameter {name!r} of an attack{close}")
        values[name] = text
    return _checked(values, "--set ")


def _checked(given: Mapping[str, Any], before: str) -> AttackSettings:
    try:
        return AttackSettings.model_validate({name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        shown = name.replace("_", "-") if before == "--test-" else name
        raise CollidekitError(f"{before}{shown}: {first['msg']}, got {first['input']!r}") from None
