"""Settings of a training without effect: a given setting that has no effect is an error."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from collidekit.analysis.schema import Analysis
from collidekit.attacks.build import find_attack
from collidekit.attacks.settings import ADVERSARIAL, ATTACK_NAMES, AttackSettings
from collidekit.errors import CollidekitError
from collidekit.objectives import OBJECTIVES, find_objective
from collidekit.objectives.disco import DisCoSettings
from collidekit.objectives.relegation import RelegationSettings
from collidekit.training.config import TrainingConfig
from collidekit.training.optimizers import OPTIMIZERS

ITERATING = ("pgd", "ngm", "jetfool", "optimizer")
OF_ATTACKS: dict[str, tuple[str, ...]] = {
    "attack_iterations": ITERATING,
    "attack_overshoot": ("jetfool",),
    "attack_uncertainty": ("optimizer",),
    "attack_offset": ("noise",),
    "attack_norm": ("pgd",),
    "attack_starts": ("pgd",),
}
"""Settings that only some built-in attacks use; a user's attack may use any setting."""
WARMING_UP = ("cosine", "batch_cosine_warmup", "one_cycle")


def attack_without_effect(settings: AttackSettings, attacks: Iterable[str] | None = None) -> dict[str, str]:
    """Return the settings of an attack (or of several) that have no effect, each with the reason."""
    names = tuple(attacks) if attacks is not None else (settings.attack,)
    if set(names) <= {"nominal"}:
        others = [name for name in AttackSettings.model_fields if name != "attack"]
        return dict.fromkeys(others, "acts only with an attack")
    if not set(names) <= set(ATTACK_NAMES):
        return {}
    return {
        name: f"is for the attack{'s' * (len(owners) > 1)} {', '.join(owners)}"
        for name, owners in OF_ATTACKS.items()
        if not set(owners) & set(names)
    }


def check_magnitude(settings: AttackSettings, given: Iterable[str], option: str) -> None:
    """Raise an error if an attack has no magnitude and would therefore change nothing."""
    if settings.attack == "nominal" or "attack_magnitude" in given or not find_attack(settings.attack).needs_magnitude:
        return
    if settings.attack == "noise" and settings.attack_offset:
        return
    if settings.attack_magnitude == 0:
        raise CollidekitError(
            f"{option}: the attack {settings.attack} has magnitude 0 and would change nothing; give {option}-magnitude"
        )


def without_effect(config: TrainingConfig, analysis: Analysis) -> dict[str, str]:
    """Return the settings that have no effect with the other settings of a training, each with the reason."""
    found = attack_without_effect(config)
    if config.attack == "nominal":
        found |= dict.fromkeys(ADVERSARIAL, "acts only with an attack")
    found |= _of("adversarial_share", config.adversarial == "mix", "is for --adversarial mix")
    found |= _of("adversarial_weight", config.adversarial == "trades", "is for --adversarial trades")
    read = find_objective(config.objective).settings
    for name in (*RelegationSettings.model_fields, *DisCoSettings.model_fields):
        owners = [owner for owner, objective in OBJECTIVES.items() if name in objective.settings]
        found |= _of(
            name, name in read, f"is for --objective {' or '.join(filter(None, (', '.join(owners[:-1]), owners[-1])))}"
        )
    found |= _of("focal_gamma", config.loss_function == "FocalLoss", "is for --loss-function FocalLoss")
    accepted = inspect.signature(OPTIMIZERS[str(config.optimizer)].__init__).parameters
    found |= _of("betas", bool({"betas", "momentum"} & set(accepted)), f"is no setting of {config.optimizer}")
    found |= _of("eps", "eps" in accepted, f"is no setting of {config.optimizer}")
    found |= _of("warmup", config.lr_scheduler in WARMING_UP, "is for --lr-scheduler cosine or one_cycle")
    ends = config.lr_scheduler not in ("constant", "inverse_decay")
    found |= _of("lr_decay_factor", ends, "is for schedules other than constant and inverse_decay")
    found |= _of("torch_compile_mode", config.use_torch_compile, "is for --use-torch-compile")
    found |= _of("training_precision", not config.mixed_precision, "cannot be combined with --mixed-precision")
    found |= _of("train_val_split", config.folds <= 2, "has no effect with --folds of 3 or more")
    found |= _of("fold_rule", bool(config.folds), "is for --folds")
    found |= _of("loss_weighting", analysis.kinematics is not None, "needs 'kinematics' in the analysis file")
    return found


def _of(name: str, acts: bool, reason: str) -> dict[str, str]:
    return {} if acts else {name: reason}


def check_given(given: Mapping[str, Any], unused: Mapping[str, str], before: str = "--") -> None:
    """Raise an error for the first given setting that has no effect."""
    for name, value in given.items():
        if name in unused and value is not None and not (name == "loss_weighting" and not value):
            shown = f"{before}{name if ' ' in before else name.replace('_', '-')}"
            raise CollidekitError(f"{shown}: {unused[name]}, so it has no effect here; leave it out")
