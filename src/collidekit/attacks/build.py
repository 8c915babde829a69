"""Attacks by name, and the attack of given settings."""

from collidekit.analysis.schema import Analysis
from collidekit.attacks.base import Attack
from collidekit.attacks.factors import Percentiles, build_factors
from collidekit.attacks.features import FeatureSpace
from collidekit.attacks.fgsm import FGSM
from collidekit.attacks.jetfool import JetFool
from collidekit.attacks.momenta import MomentumSpace
from collidekit.attacks.ngm import NGM
from collidekit.attacks.noise import Noise
from collidekit.attacks.optimizer import OptimizerAttack
from collidekit.attacks.pgd import PGD
from collidekit.attacks.settings import AttackSettings
from collidekit.attacks.shift import Shift
from collidekit.models.scaling import Scaling
from collidekit.plugins import Kind

ATTACKS: dict[str, type[Attack]] = {
    "noise": Noise,
    "shift": Shift,
    "fgsm": FGSM,
    "pgd": PGD,
    "ngm": NGM,
    "jetfool": JetFool,
    "optimizer": OptimizerAttack,
}
KIND = Kind("attack", Attack, "collidekit.attacks.base.Attack", ATTACKS)


def find_attack(name: str) -> type[Attack]:
    """Return the class of an attack: by name, from a file (``mine.py`` or ``mine.py:MyAttack``), or from a package."""
    found: type[Attack] = KIND.find(name)
    return found


def build_attack(
    settings: AttackSettings, analysis: Analysis, scaling: Scaling, summary: Percentiles | None = None
) -> Attack | None:
    """Return the attack of the settings, None for ``nominal``.

    ``scaling`` has the widths of the features, ``summary`` of the dataset their percentiles.
    """
    if settings.attack == "nominal":
        return None
    analysis.require_classes(f"the attack {settings.attack}")
    if settings.attack_space == "momenta":
        return find_attack(settings.attack)(settings, MomentumSpace(analysis, settings))
    factors = build_factors(analysis, scaling, settings, summary)
    return find_attack(settings.attack)(settings, FeatureSpace(analysis, scaling, settings, factors))
