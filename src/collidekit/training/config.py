"""Everything that decides what a training learns, validated."""

import platform
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, ValidationInfo, field_validator

from collidekit.analysis.features import wrong
from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan
from collidekit.attacks.settings import AttackSettings
from collidekit.dataset.parts import FEWEST_FOLDS, MOST_FOLDS, Folds, RowSplit, Split
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.models.registry import KIND as NETWORK
from collidekit.models.registry import build_network
from collidekit.models.tagger import outputs_of
from collidekit.objectives import OBJECTIVES, check_objective, head_of
from collidekit.objectives.classification import LossFunction
from collidekit.plugins import is_known, unknown
from collidekit.training.augmentations import canonical
from collidekit.training.optimizers import OPTIMIZERS
from collidekit.training.schedules import SCHEDULES
from collidekit.trust import check_code, own_code

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1)]
LARGEST = 2**31 - 1
"""Of epochs, rows in a step and other counts: more cannot be meant, and torch counts no further."""
Optimizer = Literal[tuple(OPTIMIZERS)]  # type: ignore[valid-type]
Schedule = Literal[tuple(SCHEDULES)]  # type: ignore[valid-type]


def _objective(name: str) -> str:
    if not is_known("objective", name, OBJECTIVES):
        raise wrong(unknown("objective", name, OBJECTIVES))
    return name


ADVERSARIAL = ("adversarial", "adversarial_share", "adversarial_weight", "attack_ramp")
"""Settings of a training that is attacked, beside those of the attack."""


class TrainingConfig(AttackSettings):
    """The settings of a training. All of them are in the hash of its folder."""

    model_name: Annotated[str, Field(min_length=1)] = "pfn"
    model_options: dict[str, Any] = {}  # noqa: RUF012
    epochs: Annotated[int, Field(ge=1, le=LARGEST)] = 20
    min_steps: Annotated[int, Field(ge=0, le=LARGEST)] = 0
    """More epochs where there are so few rows that these would be fewer steps."""
    batch_size: Annotated[int, Field(ge=1, le=LARGEST)] = 1024
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
    objective: Annotated[str, AfterValidator(_objective)] = "classification"
    """What is learned: classes, classes and a significance, or classes apart from a mass; see docs/relegation.md."""
    significance_weight: Positive = 3.0
    """Of the significance beside the relegated cross entropy."""
    significance_warmup: Share = 0.3
    """Share of the training after which relegation counts in full; in its first half the classes learn alone."""
    expected_yields: bool = True
    """Signal and background from the network's own probabilities, not from counted labels."""
    disco_weight: NotNegative = 10.0
    """Of the squared distance correlation with the figure of merit, for the objective ``disco``."""
    adversarial: Literal["replace", "mix", "trades"] = "replace"
    """What an attack does to a training: takes the place of the rows, of a share of them, or must not change the answer."""
    adversarial_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Of the rows that are attacked, for ``mix``."""
    adversarial_weight: NotNegative = 1.0
    """Of the divergence of the answers, for ``trades``."""
    attack_ramp: Share = 0.0
    """Share of the training in which the magnitude rises from 0."""
    loss_function: LossFunction = "CrossEntropyLoss"
    label_smoothing: Share = 0.0
    focal_gamma: NotNegative = 2.0
    loss_weighting: bool = False
    train_val_split: Annotated[float, Field(gt=0, lt=1)] = 0.85
    folds: Annotated[int, Field(ge=0, le=MOST_FOLDS)] = 0
    """Train one network for each of so many parts, which it never sees; 0 for the split by ``train_val_split``."""
    fold: Annotated[int, Field(ge=-1, lt=MOST_FOLDS)] = -1
    """The part that is for test; the next one is for validation, the others are for training. -1 for each in turn."""
    n_train_files: Annotated[int, Field(ge=-1, le=LARGEST)] = -1
    """Shards to use; -1 for all."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 123456
    early_stopping: Annotated[int, Field(ge=0, le=LARGEST)] = 0
    """Stop after this many epochs without a better validation loss; 0 never."""
    overtraining_stop: Annotated[int, Field(ge=0, le=LARGEST)] = 0
    """Stop, after 20 epochs, where the slope of so many last validation losses is not negative; 0 never."""
    gradient_clip: NotNegative = 0.0
    """Largest norm of the gradient; 0 for no limit."""
    ema_decay: Share = 0.0
    """Decay of the running mean of the weights that is validated and kept; 0 for none."""
    augmentation: Annotated[str, BeforeValidator(canonical)] = "none"
    """Random changes of the training rows with their strengths, as in ``drop=0.1,rotation``."""
    from_checkpoint: str = ""
    """Begin with the weights and the scaling of this checkpoint and a fresh head; see docs/training.md."""
    keep_head: bool = False
    freeze: tuple[str, ...] = ()
    """Patterns of the names of parameters that stay as they are."""
    learning_rate_factors: dict[str, Positive] = {}  # noqa: RUF012
    """Factors of the learning rate by patterns of names; those of all that match are multiplied."""
    extend_training: Annotated[int, Field(ge=0, le=LARGEST)] = 0
    """Epochs to go on for after the end of the training with these settings; the learning rate stays at its last value."""

    @field_validator("freeze", mode="before")
    @classmethod
    def _patterns(cls, value: Any) -> Any:
        """Names with commas between them, or a list of them; their order means nothing."""
        parts = value.split(",") if isinstance(value, str) else value
        if isinstance(parts, list | tuple) and all(isinstance(part, str) for part in parts):
            return tuple(sorted({part.strip() for part in parts if part.strip()}))
        return value

    @field_validator("n_train_files")
    @classmethod
    def _some_files(cls, value: int) -> int:
        if value == 0:
            raise wrong("0 shards are none; write -1 for all")
        return value

    @field_validator("folds")
    @classmethod
    def _enough_folds(cls, value: int) -> int:
        if 0 < value < FEWEST_FOLDS:
            raise wrong(f"one fold is for test and one for validation: give at least {FEWEST_FOLDS}, or 0 for no folds")
        return value

    @field_validator("fold")
    @classmethod
    def _one_of_the_folds(cls, value: int, info: ValidationInfo) -> int:
        folds = info.data.get("folds", MOST_FOLDS)
        if value >= 0 and not folds:
            raise wrong("is one of several folds: say of how many with --folds")
        if value >= folds > 0:
            raise wrong(f"must be from 0 to {folds - 1} with --folds {folds}")
        return value

    @field_validator("keep_head", "freeze")
    @classmethod
    def _of_a_checkpoint(cls, value: Any, info: ValidationInfo) -> Any:
        if value and not info.data.get("from_checkpoint"):
            raise wrong("is for a training that begins from a checkpoint: name one with --from-checkpoint")
        return value

    @property
    def identity(self) -> dict[str, Any]:
        """All settings that have an effect, for JSON: those of attacks only where there is one."""
        unused = {*(ADVERSARIAL if self.attack == "nominal" else ()), *(() if self.min_steps else ("min_steps",))}
        unused |= {"train_val_split"} if self.folds else {"folds", "fold"}
        return {name: value for name, value in super().identity.items() if name not in unused}

    @property
    def split(self) -> RowSplit:
        """Which rows are for training, validation and test."""
        if not self.folds:
            return Split(self.train_val_split)
        if self.fold < 0:
            raise CollidekitError(
                f"--folds {self.folds}: a training learns one fold: name it with --fold, from 0 to {self.folds - 1}; "
                "'collidekit run' trains all of them"
            )
        return Folds(self.folds, self.fold)

    @property
    def fold_name(self) -> str:
        """``fold 2 of 5``; empty where there are no folds."""
        return f"fold {self.fold} of {self.folds}" if self.folds else ""

    @property
    def precision(self) -> str:
        """As Lightning Fabric names it."""
        if self.mixed_precision:
            return "bf16-mixed"
        return {"float32": "32-true", "float64": "64-true", "bfloat16": "bf16-true"}[self.training_precision]


def training_config(plan: Plan, given: Mapping[str, Any]) -> TrainingConfig:
    """The settings: one that is given and not None, else what the analysis file recommends for the network, else the default.

    In fine-tuning, the network and those of its options that are not given are the checkpoint's.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    place, recommended = _recommended(plan.analysis, chosen.get("model_name") or _of_checkpoint(chosen))
    if recommended.get("mixed_precision") and "mixed_precision" not in chosen and not computes_in_bfloat16():
        recommended = {**recommended, "mixed_precision": False}  # it would be several times slower
    if "epochs" in chosen:  # who names a number of epochs means it
        recommended = {name: value for name, value in recommended.items() if name != "min_steps"}
    try:
        config = TrainingConfig.model_validate({**recommended, **chosen})
    except ValidationError as error:
        first = error.errors()[0]
        name, known = str(first["loc"][0]), list(TrainingConfig.model_fields)
        where = f"{plan.lines.at((*place, name))}: {'.'.join(place)}.{name}"
        if name not in known:
            close = did_you_mean(name, known)
            raise CollidekitError(f"{where}: unknown key{close}; allowed are {', '.join(known)}") from None
        shown = f"--{name.replace('_', '-')}" if name in chosen else where
        raise CollidekitError(f"{shown}: {first['msg']}, got {first['input']!r}") from None
    if config.from_checkpoint:
        config = _of_its_checkpoint(config, chosen)
    own_code(config.model_name, config.objective, config.attack)
    return config


def computes_in_bfloat16() -> bool:
    """Return whether there is a GPU, or the processor has instructions for bfloat16 (other ones emulate it)."""
    if torch.cuda.is_available() or platform.machine() not in ("x86_64", "AMD64"):
        return True
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def _recommended(analysis: Analysis, network: str | None) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Where the analysis file recommends settings for a network, and which.

    A network without a recipe gets those of ``training`` but for the network's options, which are another network's.
    """
    usual = analysis.training.get("model_name", TrainingConfig.model_fields["model_name"].default)
    if network in (None, usual):
        return ("training",), analysis.training
    if network in analysis.recipes:
        return ("recipes", network), analysis.recipes[network]
    return ("training",), {name: value for name, value in analysis.training.items() if name != "model_options"}


def _of_checkpoint(chosen: Mapping[str, Any]) -> str | None:
    """The network of the checkpoint to begin from."""
    from collidekit.training.fine_tuning import Start

    return Start.of(chosen["from_checkpoint"]).config.model_name if chosen.get("from_checkpoint") else None


def _of_its_checkpoint(config: TrainingConfig, chosen: Mapping[str, Any]) -> TrainingConfig:
    from collidekit.training.fine_tuning import Start

    start = Start.of(config.from_checkpoint)
    theirs = start.config
    if "model_name" not in chosen:
        check_code(start.path, "network", NETWORK.own(theirs.model_name), start.code.get("network"))
    name = chosen.get("model_name", theirs.model_name)
    options = theirs.model_options if name == theirs.model_name else {}
    return config.model_copy(
        update={"model_name": name, "model_options": {**options, **chosen.get("model_options", {})}}
    )


def check_recommended(plan: Plan) -> None:
    """An error where the analysis file recommends a setting, a network or an option of it that there is not."""
    for given in ({}, *({"model_name": network} for network in plan.analysis.recipes)):
        check_network(plan.analysis, training_config(plan, given))


def check_network(analysis: Analysis, config: TrainingConfig) -> None:
    """An error where there is no such network, or where the checkpoint to begin from does not fit: before any other work."""
    outputs = outputs_of(analysis, head_of(config.objective, analysis))
    network = build_network(config.model_name, analysis.inputs, outputs, config.model_options)
    check_objective(config.objective, analysis)
    if config.from_checkpoint:
        from collidekit.training.fine_tuning import check_start

        check_start(config, analysis, network)
