"""What an attack is told: the parameters that training and prediction share."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from collidekit.analysis.features import Strict, wrong
from collidekit.attacks.factor_file import read_factors
from collidekit.plugins import code_identity, is_known, unknown

ATTACK_NAMES = ("nominal", "noise", "shift", "fgsm", "pgd", "ngm", "jetfool", "optimizer")


def _attack(name: str) -> str:
    if not is_known("attack", name, dict.fromkeys(ATTACK_NAMES)):
        raise wrong(unknown("attack", name, dict.fromkeys(ATTACK_NAMES)))
    return name


class AttackSettings(Strict):
    """An attack and its limits; ``nominal`` is none. Magnitudes are in widths of the features (docs/attacks.md)."""

    attack: Annotated[str, AfterValidator(_attack)] = "nominal"
    attack_magnitude: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    """Largest move of a feature in units of its width; of noise its sigma. For jetfool and optimizer 0 is no limit."""
    attack_iterations: Annotated[int, Field(ge=1, le=2**31 - 1)] = 1
    attack_individual_factors: bool = False
    """The magnitude of each feature times half the distance of its 20th and 80th percentile, in widths."""
    attack_factors: str = ""
    """A JSON or YAML file of factors by feature; a negative one turns the direction of ``shift``."""
    attack_reduce: bool = True
    """Integers, flags and values at their default stay."""
    attack_restrict_impact: Annotated[float, Field(allow_inf_nan=False)] = -1.0
    """Largest move of a value as a share of itself, in raw units; negative for no such limit."""
    attack_overshoot: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.02
    """Of jetfool: each step goes this share beyond the boundary."""
    attack_uncertainty: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """Of optimizer: the uncertainty of a feature, in widths, that distances are measured in."""
    attack_offset: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    """Of noise: its mean, in widths."""
    attack_norm: Literal["linf", "l2"] = "linf"
    """Of pgd: the magnitude limits each feature, or the root of the sum of squares of a row."""
    attack_starts: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    """Of pgd: random starts, of which the worst counts; 0 begins at the row itself."""
    attack_inputs: Literal["all", "constituents", "globals"] = "all"
    attack_space: Literal["features", "momenta"] = "features"
    """Features each for itself; or the momenta of constituents, with all features that follow from them."""

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
