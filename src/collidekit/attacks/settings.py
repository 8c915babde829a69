"""Settings of attacks, for training and prediction."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from collidekit.analysis.features import Strict, wrong
from collidekit.attacks.factor_file import read_factors
from collidekit.plugins import code_identity, is_known, unknown
from collidekit.settings import AtLeastOne, Count, Finite, NotNegative, Positive, Share, setting

ATTACK_NAMES = ("nominal", "noise", "shift", "fgsm", "pgd", "ngm", "jetfool", "optimizer")


def _attack(name: str) -> str:
    if not is_known("attack", name, dict.fromkeys(ATTACK_NAMES)):
        raise wrong(unknown("attack", name, dict.fromkeys(ATTACK_NAMES)))
    return name


class AttackSettings(Strict):
    """Settings of an attack. Magnitudes are in units of the widths of the features (docs/attacks.md)."""

    attack: Annotated[str, AfterValidator(_attack)] = setting(
        "nominal", f"{', '.join(ATTACK_NAMES)}; nominal: no attack"
    )
    attack_magnitude: NotNegative = setting(
        0.0,
        "largest change of a feature, in widths of the feature; standard deviation of noise; 0 is no limit for jetfool and optimizer",
    )
    attack_iterations: AtLeastOne = setting(1, "steps of pgd, ngm, jetfool and optimizer")
    attack_individual_factors: bool = setting(
        False, "multiply the magnitude by half the distance of the 20th and 80th percentile of each feature"
    )
    attack_factors: str = setting(
        "", "JSON or YAML file with a factor of the magnitude for each feature; a negative factor reverses shift"
    )
    attack_reduce: bool = setting(True, "keep integers, flags and default values constant")
    attack_restrict_impact: Finite = setting(
        -1.0, "largest change of a value, as a fraction of its absolute value; negative: no such limit"
    )
    attack_overshoot: NotNegative = setting(0.02, "fraction by which jetfool goes beyond the boundary in each step")
    attack_uncertainty: Positive = setting(1.0, "uncertainty of a feature for optimizer, in widths of the feature")
    attack_offset: Finite = setting(0.0, "mean of noise, in widths of the feature")
    attack_norm: Literal["linf", "l2"] = setting(
        "linf", "norm of pgd: linf limits each feature, l2 the root of the sum of squares of a row"
    )
    attack_starts: Count = setting(
        0, "random starts of pgd, the one with the largest loss is kept; 0: start at the row itself"
    )
    attack_inputs: Literal["all", "constituents", "globals"] = setting(
        "all", "inputs that change: all, constituents or globals"
    )
    attack_space: Literal["features", "momenta"] = setting(
        "features",
        "features: change each feature separately; momenta: change momenta of constituents and all that follows",
    )

    @property
    def identity(self) -> dict[str, Any]:
        """Settings that have an effect, for JSON: those of attacks only if there is one, with the content of the file of factors
        and of a user's attack."""
        content = self.model_dump(mode="json")
        if self.attack == "nominal":
            return {name: value for name, value in content.items() if name not in AttackSettings.model_fields}
        if self.attack_factors:
            content["attack_factors"] = read_factors(self.attack_factors)
        if self.attack not in ATTACK_NAMES:
            content["attack_code"] = code_identity("attack", self.attack)
        return content


class AdversarialSettings(AttackSettings):
    """Settings of adversarial training."""

    adversarial: Literal["replace", "mix", "trades"] = setting(
        "replace", "training rows: replace all by attacked ones, mix both, or trades"
    )
    adversarial_share: Annotated[float, Field(gt=0, le=1)] = setting(0.5, "fraction of rows that are attacked, for mix")
    adversarial_weight: NotNegative = setting(
        1.0, "weight of the divergence between outputs of nominal and attacked rows, for trades"
    )
    attack_ramp: Share = setting(0.0, "fraction of the training during which the magnitude rises")


ADVERSARIAL = tuple(name for name in AdversarialSettings.model_fields if name not in AttackSettings.model_fields)
"""Settings of adversarial training that are not settings of the attack itself."""
