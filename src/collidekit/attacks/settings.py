"""What an attack is told: the parameters that training and prediction share."""

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
    """An attack and its limits; ``nominal`` is none. Magnitudes are in widths of the features (docs/attacks.md)."""

    attack: Annotated[str, AfterValidator(_attack)] = setting("nominal", f"{', '.join(ATTACK_NAMES)}; nominal is none")
    attack_magnitude: NotNegative = setting(
        0.0, "largest move of a feature, in widths of it; of noise its sigma; for jetfool and optimizer 0 is no limit"
    )
    attack_iterations: AtLeastOne = setting(1, "steps of pgd, ngm, jetfool and optimizer")
    attack_individual_factors: bool = setting(
        False, "the magnitude times the spread of each feature, from its 20th to 80th percentile"
    )
    attack_factors: str = setting(
        "", "a JSON or YAML file with a factor for each feature; a negative one turns the direction of shift"
    )
    attack_reduce: bool = setting(True, "integers, flags and defaults stay")
    attack_restrict_impact: Finite = setting(
        -1.0, "largest move of a value as a share of itself, in raw units; negative for no such limit"
    )
    attack_overshoot: NotNegative = setting(0.02, "share that jetfool goes beyond the boundary in each step")
    attack_uncertainty: Positive = setting(1.0, "of a feature, in widths, that optimizer measures distances in")
    attack_offset: Finite = setting(0.0, "mean of noise, in widths")
    attack_norm: Literal["linf", "l2"] = setting(
        "linf", "linf or l2, of pgd: the magnitude limits each feature, or the root of the sum of squares of a row"
    )
    attack_starts: Count = setting(0, "random starts of pgd, of which the worst counts; 0 begins at the row itself")
    attack_inputs: Literal["all", "constituents", "globals"] = setting("all", "all, constituents or globals")
    attack_space: Literal["features", "momenta"] = setting(
        "features", "features, each for itself, or momenta of constituents with all that follows from them"
    )

    @property
    def identity(self) -> dict[str, Any]:
        """All that has an effect, for JSON: settings of attacks only where there is one; contents of a file of factors, and
        of a user's attack."""
        content = self.model_dump(mode="json")
        if self.attack == "nominal":
            return {name: value for name, value in content.items() if name not in AttackSettings.model_fields}
        if self.attack_factors:
            content["attack_factors"] = read_factors(self.attack_factors)
        if self.attack not in ATTACK_NAMES:
            content["attack_code"] = code_identity("attack", self.attack)
        return content


class AdversarialSettings(AttackSettings):
    """What an attack does to a training."""

    adversarial: Literal["replace", "mix", "trades"] = setting(
        "replace", "what an attack does to training rows: replace, mix or trades"
    )
    adversarial_share: Annotated[float, Field(gt=0, le=1)] = setting(0.5, "of the rows that are attacked, for mix")
    adversarial_weight: NotNegative = setting(1.0, "of the divergence of the answers, for trades")
    attack_ramp: Share = setting(0.0, "share of the training in which the magnitude rises")


ADVERSARIAL = tuple(name for name in AdversarialSettings.model_fields if name not in AttackSettings.model_fields)
"""Settings of a training that is attacked, beside those of the attack."""
