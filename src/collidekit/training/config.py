"""All settings of a training, validated."""

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
    """Settings of a training, under flat names. All of them are part of the hash of its folder."""

    epochs: AtLeastOne = setting(20, "number of passes over the training set")
    min_steps: Count = setting(0, "smallest number of steps; small training sets get more epochs")
    batch_size: AtLeastOne = setting(1024, "number of rows in a step")
    loss_weighting: bool = setting(False, "kinematic reweighting by weights in the loss instead of sampling")
    n_train_files: Annotated[int, Field(ge=-1, le=LARGEST)] = setting(-1, "number of shards to use; -1: all")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = setting(123456, "random seed")
    early_stopping: Count = setting(0, "stop after this number of epochs without a better one; 0: never")
    overtraining_stop: Count = setting(
        0, "after epoch 20, stop if the last N validation losses have no negative slope; 0: never"
    )
    ema_decay: Share = setting(
        0.0, "decay of the running mean of the weights, which is validated and saved; 0: no running mean"
    )
    augmentation: Annotated[str, BeforeValidator(canonical)] = setting(
        "none", "random changes of training rows, such as rotation or drop=0.1,rotation"
    )
    extend_training: Count = setting(0, "train this number of epochs more than an earlier training")

    @field_validator("n_train_files")
    @classmethod
    def _some_files(cls, value: int) -> int:
        if value == 0:
            raise wrong("0 shards contain no rows; write -1 for all shards")
        return value

    @property
    def identity(self) -> dict[str, Any]:
        """Settings that have an effect, for JSON: those of attacks only if there is an attack."""
        unused = {*(ADVERSARIAL if self.attack == "nominal" else ()), *(() if self.min_steps else ("min_steps",))}
        unused |= {"train_val_split"} if self.folds > 2 else set()
        unused |= set() if self.folds else {"folds", "fold", "fold_rule"}
        return {name: value for name, value in super().identity.items() if name not in unused}
