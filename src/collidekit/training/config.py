"""Everything that decides what a training learns, validated."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from collidekit.analysis.features import Strict
from collidekit.analysis.scope import Plan
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.models.registry import build_network
from collidekit.objectives.classification import LossFunction
from collidekit.training.optimizers import OPTIMIZERS
from collidekit.training.schedules import SCHEDULES

Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, lt=1)]
Optimizer = Literal[tuple(OPTIMIZERS)]  # type: ignore[valid-type]
Schedule = Literal[tuple(SCHEDULES)]  # type: ignore[valid-type]


class TrainingConfig(Strict):
    """The settings of a training. All of them are in the hash of its folder."""

    model_name: str = "pfn"
    model_options: dict[str, Any] = {}  # noqa: RUF012
    epochs: Annotated[int, Field(ge=1)] = 20
    batch_size: Annotated[int, Field(ge=1)] = 1024
    learning_rate: Positive = 1e-3
    optimizer: Optimizer = "AdamW"  # type: ignore[valid-type]
    betas: tuple[Share, Share] = (0.95, 0.999)
    eps: Positive = 1e-6
    weight_decay: NotNegative = 0.01
    lr_scheduler: Schedule = "epoch_lin_decay"  # type: ignore[valid-type]
    lr_decay_factor: Annotated[float, Field(gt=0, le=1)] = 0.01
    warmup: Share = 0.1
    mixed_precision: bool = False
    training_precision: Literal["float32", "float64", "bfloat16"] = "float32"
    use_torch_compile: bool = False
    torch_compile_mode: Literal["default", "reduce-overhead", "max-autotune"] = "default"
    loss_function: LossFunction = "CrossEntropyLoss"
    label_smoothing: Share = 0.0
    focal_gamma: NotNegative = 2.0
    loss_weighting: bool = False
    train_val_split: Annotated[float, Field(gt=0, lt=1)] = 0.85
    n_train_files: Annotated[int, Field(ge=-1)] = -1
    seed: int = 123456
    early_stopping: Annotated[int, Field(ge=0)] = 0
    """Stop after this many epochs without a better validation loss; 0 never."""
    gradient_clip: NotNegative = 0.0
    """Largest norm of the gradient; 0 for no limit."""
    ema_decay: Share = 0.0
    """Decay of the running mean of the weights that is validated and kept; 0 for none."""
    augmentation: Literal["none", "rotation"] = "none"
    extend_training: Annotated[int, Field(ge=0)] = 0
    """Epochs to go on for after the end of the training with these settings; the learning rate stays at its last value."""

    @property
    def precision(self) -> str:
        """As Lightning Fabric names it."""
        if self.mixed_precision:
            return "bf16-mixed"
        return {"float32": "32-true", "float64": "64-true", "bfloat16": "bf16-true"}[self.training_precision]


def training_config(plan: Plan, given: Mapping[str, Any]) -> TrainingConfig:
    """The settings: one that is given and not None, else what the analysis file recommends, else the default."""
    chosen = {name: value for name, value in given.items() if value is not None}
    try:
        return TrainingConfig.model_validate({**plan.analysis.training, **chosen})
    except ValidationError as error:
        first = error.errors()[0]
        name, known = str(first["loc"][0]), list(TrainingConfig.model_fields)
        place = f"{plan.lines.at(('training', name))}: training.{name}"
        if name not in known:
            close = did_you_mean(name, known)
            raise CollidekitError(f"{place}: unknown key{close}; allowed are {', '.join(known)}") from None
        shown = f"--{name.replace('_', '-')}" if name in chosen else place
        raise CollidekitError(f"{shown}: {first['msg']}, got {first['input']!r}") from None


def check_recommended(plan: Plan) -> None:
    """An error where the analysis file recommends a setting, a network or an option of it that there is not."""
    config = training_config(plan, {})
    build_network(config.model_name, plan.analysis.inputs, len(plan.analysis.classes), config.model_options)
