"""The parameters of attacks: on the rows of a training, and as ``test_...`` on those that are judged."""

from collections.abc import Mapping, Sequence
from typing import Any

import luigi
from pydantic import ValidationError

from collidekit.attacks.settings import AttackSettings
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.training.effect import attack_without_effect, check_given, check_magnitude

ATTACK: dict[str, tuple[Any, str]] = {
    "attack": (str, "nominal (none), noise, shift, fgsm, pgd, ngm, jetfool or optimizer"),
    "attack_magnitude": (float, "largest move of a feature, in widths of it"),
    "attack_iterations": (int, "steps of pgd, ngm, jetfool and optimizer"),
    "attack_individual_factors": (
        bool,
        "the magnitude times the spread of each feature, from its 20th to 80th percentile",
    ),
    "attack_factors": (str, "a JSON or YAML file with a factor for each feature"),
    "attack_reduce": (bool, "integers, flags and defaults stay"),
    "attack_restrict_impact": (float, "largest move of a value as a share of itself; negative for no such limit"),
    "attack_overshoot": (float, "share that jetfool goes beyond the boundary"),
    "attack_uncertainty": (float, "of a feature, in widths, for optimizer"),
    "attack_offset": (float, "mean of noise, in widths"),
    "attack_norm": (str, "linf or l2, of pgd"),
    "attack_starts": (int, "random starts of pgd; 0 begins at the row itself"),
    "attack_inputs": (str, "all, constituents or globals"),
    "attack_space": (str, "features, each for itself, or momenta with what follows from them"),
}
"""The type and meaning of each; the defaults are those of ``AttackSettings``."""

OPTIONAL = {
    str: luigi.OptionalStrParameter, float: luigi.OptionalFloatParameter, int: luigi.OptionalIntParameter,
    bool: luigi.OptionalBoolParameter,
}  # fmt: skip


class AttackParameters:
    """Of a training; one that is not given is as the analysis file recommends."""


class TestAttackParameters:
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
            raise CollidekitError("--test-attack-from: acts only with an attack; name one with --test-attack")


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


def _give(owner: type, name: str, parameter: Any) -> None:
    setattr(owner, name, parameter)
    parameter.__set_name__(owner, name)


for _name, (_kind, _text) in ATTACK.items():
    _default = AttackSettings.model_fields[_name].default
    _in_file = f"{_text}; default: the analysis file's training, else {_default!r}"
    _give(AttackParameters, _name, OPTIONAL[_kind](default=None, description=_in_file))
    _judged = f"of judged rows: {_text}; default {_default!r}"
    _give(TestAttackParameters, f"test_{_name}", OPTIONAL[_kind](default=None, description=_judged))
