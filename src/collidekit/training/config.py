"""Everything that decides what a training learns, validated."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from collidekit.analysis.features import wrong
from collidekit.attacks.settings import ADVERSARIAL, AdversarialSettings
from collidekit.dataset.parts import SplitSettings
from collidekit.models.settings import NetworkSettings
from collidekit.objectives.settings import ObjectiveSettings
from collidekit.objectives.target_weights import TargetWeightSettings
from collidekit.settings import LARGEST, AtLeastOne, Count, Share, setting
from collidekit.training.augmentations import canonical
from collidekit.training.fine_tuning_settings import FineTuningSettings
from collidekit.training.optimizers import OptimizerSettings
from collidekit.training.precision import PrecisionSettings
from collidekit.training.schedules import ScheduleSettings


class TrainingConfig(
    FineTuningSettings, SplitSettings, AdversarialSettings, ObjectiveSettings, TargetWeightSettings, PrecisionSettings,
    ScheduleSettings, OptimizerSettings, NetworkSettings,
):  # fmt: skip
    """The settings of a training, under flat names. All of them are in the hash of its folder."""

    epochs: AtLeastOne = setting(20, "passes over the training rows")
    min_steps: Count = setting(0, "more epochs where the rows are so few that they make fewer steps")
    batch_size: AtLeastOne = setting(1024, "rows in a step")
    loss_weighting: bool = setting(False, "bring classes to the reference's kinematics in the loss, not by sampling")
    n_train_files: Annotated[int, Field(ge=-1, le=LARGEST)] = setting(-1, "shards to use; -1 is all")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = setting(123456, "decides order, first weights and all that is random")
    early_stopping: Count = setting(0, "stop after so many epochs without a better one; 0 never")
    overtraining_stop: Count = setting(
        0, "stop, after 20 epochs, where the slope of so many last validation losses is not negative; 0 never"
    )
    ema_decay: Share = setting(0.0, "decay of the running mean of the weights, which is validated and kept; 0 for none")
    augmentation: Annotated[str, BeforeValidator(canonical)] = setting(
        "none", "random changes of training rows, such as rotation or drop=0.1,rotation"
    )
    extend_training: Count = setting(0, "train so many epochs more than an earlier training did")

    @field_validator("n_train_files")
    @classmethod
    def _some_files(cls, value: int) -> int:
        if value == 0:
            raise wrong("0 shards are none; write -1 for all")
        return value

    @property
    def identity(self) -> dict[str, Any]:
        """All settings that have an effect, for JSON: those of attacks only where there is one."""
        unused = {*(ADVERSARIAL if self.attack == "nominal" else ()), *(() if self.min_steps else ("min_steps",))}
        unused |= {"train_val_split"} if self.folds > 2 else set()
        unused |= set() if self.folds else {"folds", "fold", "fold_rule"}
        return {name: value for name, value in super().identity.items() if name not in unused}
