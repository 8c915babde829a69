"""The parameters of attacks: on the rows of a training, and as ``test_...`` on those that are judged."""

from collections.abc import Mapping, Sequence
from typing import Any

import luigi
from pydantic import ValidationError

from collidekit.attacks.settings import AttackSettings
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.tasks.settings import add_parameters
from collidekit.training.effect import attack_without_effect, check_given, check_magnitude

ATTACK = tuple(AttackSettings.model_fields)
"""The names of the settings of an attack."""


class JudgedAttack:
    """The settings of an attack on rows that are judged, as ``test_...``."""


add_parameters(JudgedAttack, AttackSettings, before="test_", of="of judged rows: ")


class TestAttackParameters(JudgedAttack):
    """Of predictions."""

    test_attack_from = luigi.Parameter(
        default="", description="transfer: the gradient of this checkpoint, folder or model that ships, not one's own"
    )

    @property
    def test_attack_settings(self) -> AttackSettings:
        """What is done to the rows before they are judged."""
        given = {name: getattr(self, f"test_{name}") for name in ATTACK}
        settings = _checked(given, "--test-")
        self.check_attack(settings, {name: value for name, value in given.items() if value is not None})
        return settings

    def check_attack(self, settings: AttackSettings, given: Mapping[str, Any]) -> None:
        """An error for a setting of the attack that is given and does nothing."""
        check_given(given, attack_without_effect(settings), "--test-")
        check_magnitude(settings, given, "--test-attack")
        if self.test_attack_from and settings.attack == "nominal":
            raise CollidekitError("--test-attack-from: has an effect only with an attack; name one with --test-attack")


def attack_settings(pairs: Sequence[str]) -> AttackSettings:
    """Of ``name=value`` pairs, as on a command line."""
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
