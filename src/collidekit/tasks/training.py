"""TrainingTask: a dataset -> a trained tagger."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import law
import luigi
import torch

from collidekit.analysis.schema import Analysis
from collidekit.analysis.targets import Regression
from collidekit.dataset.loader import Dataset
from collidekit.errors import CollidekitError
from collidekit.evaluation.numbers import with_error
from collidekit.models.registry import KIND as NETWORK
from collidekit.objectives import find_objective, may_relegate
from collidekit.objectives.registry import KIND as OBJECTIVE
from collidekit.plain_text import literal
from collidekit.plugins import Kind, code_identity
from collidekit.tasks.attacks import AttackParameters
from collidekit.tasks.base import AnalysisTask
from collidekit.tasks.dataset import DatasetConstructorTask, DatasetParameters, at_least
from collidekit.training.checkpoint import load_checkpoint, store_temperature
from collidekit.training.config import TrainingConfig, computes_in_bfloat16, training_config
from collidekit.training.effect import check_given, check_magnitude, without_effect
from collidekit.training.fine_tuning import Start, rate_factors
from collidekit.training.look import try_training
from collidekit.training.stopping import newest_whole

if TYPE_CHECKING:
    from collidekit.training.loop import Training

_IN_FILE = "; default: the analysis file's training, else "


def _optional(kind: Any, text: str, default: Any) -> Any:
    """A setting that the analysis file may recommend: empty means "as recommended"."""
    return kind(default=None, description=f"{text}{_IN_FILE}{default}")


class OptionalNumbers(luigi.OptionalStrParameter):
    """Numbers with commas between them."""


class TrainingParameters(AttackParameters, DatasetParameters):
    """Parameters of everything that comes from a training."""

    training_version = luigi.Parameter(default="v1", description="a name of yours for the training")
    model_name = _optional(luigi.OptionalStrParameter, "the network: a name, or a file my_network.py", "pfn")
    model_options: Any = luigi.DictParameter(
        default={}, description="options of the network as JSON, such as '{\"f\": [64, 64]}'"
    )
    epochs = _optional(luigi.OptionalIntParameter, "passes over the training rows", 20)
    min_steps = _optional(
        luigi.OptionalIntParameter, "more epochs where the rows are so few that they make fewer steps", 0
    )
    batch_size = _optional(luigi.OptionalIntParameter, "rows in a step", 1024)
    learning_rate = _optional(luigi.OptionalFloatParameter, "the largest learning rate", 0.001)
    optimizer = _optional(luigi.OptionalStrParameter, "AdamW, Adam, SGD ... of torch.optim", "AdamW")
    betas = _optional(OptionalNumbers, "the optimizer's betas, such as 0.95,0.999", "0.95,0.999")
    eps = _optional(luigi.OptionalFloatParameter, "the optimizer's epsilon", 1e-6)
    weight_decay = _optional(luigi.OptionalFloatParameter, "the optimizer's weight decay", 0.01)
    lr_scheduler = _optional(
        luigi.OptionalStrParameter,
        "constant, epoch_lin_decay, batch_lin_decay, cosine (batch_cosine_warmup) or one_cycle",
        "epoch_lin_decay",
    )
    lr_decay_factor = _optional(luigi.OptionalFloatParameter, "last learning rate over the largest", 0.01)
    warmup = _optional(luigi.OptionalFloatParameter, "share of the training in which the learning rate rises", 0.1)
    mixed_precision = _optional(luigi.OptionalBoolParameter, "bfloat16 where it is safe", False)
    training_precision = _optional(luigi.OptionalStrParameter, "float32, float64 or bfloat16", "float32")
    use_torch_compile = _optional(luigi.OptionalBoolParameter, "compile the network", False)
    torch_compile_mode = _optional(luigi.OptionalStrParameter, "default, reduce-overhead or max-autotune", "default")
    objective = _optional(
        luigi.OptionalStrParameter,
        "classification, relegator, relegator_factor, relegator_difference, modified_binary, disco, or a file my_objective.py",
        "classification",
    )
    significance_weight = _optional(luigi.OptionalFloatParameter, "of the significance beside the cross entropy", 3.0)
    significance_warmup = _optional(
        luigi.OptionalFloatParameter, "share of the training after which relegation counts in full", 0.3
    )
    expected_yields = _optional(
        luigi.OptionalBoolParameter, "signal and background from the network's probabilities, not from labels", True
    )
    disco_weight = _optional(luigi.OptionalFloatParameter, "of the distance correlation, for disco", 10.0)
    adversarial = _optional(
        luigi.OptionalStrParameter, "what an attack does to training rows: replace, mix or trades", "replace"
    )
    adversarial_share = _optional(luigi.OptionalFloatParameter, "of the rows that are attacked, for mix", 0.5)
    adversarial_weight = _optional(luigi.OptionalFloatParameter, "of the divergence of the answers, for trades", 1.0)
    attack_ramp = _optional(luigi.OptionalFloatParameter, "share of the training in which the magnitude rises", 0.0)
    loss_function = _optional(luigi.OptionalStrParameter, "CrossEntropyLoss or FocalLoss", "CrossEntropyLoss")
    label_smoothing = _optional(luigi.OptionalFloatParameter, "label smoothing", 0.0)
    focal_gamma = _optional(luigi.OptionalFloatParameter, "gamma of the focal loss", 2.0)
    loss_weighting = _optional(
        luigi.OptionalBoolParameter, "bring classes to the reference's kinematics in the loss, not by sampling", False
    )
    train_val_split = _optional(luigi.OptionalFloatParameter, "share of the rows that is for training", 0.85)
    folds = _optional(
        luigi.OptionalIntParameter, "train one network for each of so many parts of the rows, which it never sees", 0
    )
    fold = _optional(luigi.OptionalIntParameter, "train only for this fold, from 0 on; -1 trains for each", -1)
    n_train_files = _optional(luigi.OptionalIntParameter, "shards to use; -1 is all", -1)
    seed = _optional(luigi.OptionalIntParameter, "decides order, first weights and all that is random", 123456)
    early_stopping = _optional(luigi.OptionalIntParameter, "stop after so many epochs without a better one; 0 never", 0)
    overtraining_stop = _optional(
        luigi.OptionalIntParameter, "stop where the slope of so many last validation losses is not negative; 0 never", 0
    )
    gradient_clip = _optional(luigi.OptionalFloatParameter, "largest norm of the gradient; 0 for none", 0.0)
    ema_decay = _optional(luigi.OptionalFloatParameter, "decay of the running mean of the weights; 0 for none", 0.0)
    augmentation = _optional(
        luigi.OptionalStrParameter, "random changes of training rows, such as rotation or drop=0.1,rotation", "none"
    )
    from_checkpoint = luigi.OptionalStrParameter(
        default=None,
        description="begin with the weights of this checkpoint, folder of a training or model that ships, and a fresh head",
    )
    keep_head = _optional(luigi.OptionalBoolParameter, "keep the head of the checkpoint, too", False)
    freeze = _optional(
        luigi.OptionalStrParameter,
        "patterns of parameters that stay fixed, such as network.phi.*,network.f.0.*",
        "none",
    )
    learning_rate_factors: Any = luigi.DictParameter(
        default={}, description="factors of the learning rate as JSON, such as '{\"network.phi.*\": 0.1}'"
    )
    extend_training = luigi.IntParameter(
        default=0, description="train so many epochs more than an earlier training did"
    )
    n_threads = luigi.IntParameter(
        default=4, significant=False, description="threads of torch; at most the processors here"
    )

    exclude_index = True

    def training_config(self) -> TrainingConfig:
        """The settings: a parameter that is given, else what the analysis file recommends, else the default."""
        at_least("n-threads", self.n_threads, 1)
        given = {name: getattr(self, name) for name in TrainingConfig.model_fields}
        given["betas"] = _numbers(given["betas"]) if given["betas"] is not None else None
        for name in ("model_options", "learning_rate_factors"):
            given[name] = _options(name, given[name])
        config = training_config(self.plan, given)
        self.check_effect(config, {**given, "extend_training": None})
        return config

    def check_effect(self, config: TrainingConfig, given: Mapping[str, Any]) -> None:
        """An error for a setting that is given and that does nothing beside the others."""
        check_given(given, without_effect(config, self.analysis))
        recommended = self.analysis.training if given.get("attack") is None else ()
        check_magnitude(
            config, [*(name for name, value in given.items() if value is not None), *recommended], "--attack"
        )

    def left_out(self, **forced: Any) -> dict[str, None]:
        """The settings that do nothing beside settings that this task itself forces on a training."""
        given = {name: getattr(self, name) for name in TrainingConfig.model_fields}
        given["betas"] = _numbers(given["betas"]) if given["betas"] is not None else None
        for name in ("model_options", "learning_rate_factors"):
            given[name] = _options(name, given[name])
        config = training_config(self.plan, {**given, **forced})
        optional = {name for name in without_effect(config, self.analysis) if given.get(name) is not None}
        return dict.fromkeys(sorted(optional - {"attack"}))


def _options(name: str, value: Any) -> dict[str, Any] | None:
    """Options as plain dicts and lists; None where there are none."""
    if not isinstance(value, Mapping):
        raise CollidekitError(f"--{name.replace('_', '-')}: {value!r}: write it as JSON, such as '{{\"f\": [64, 64]}}'")
    found: dict[str, Any] = json.loads(json.dumps(dict(value), default=_plain))
    return found or None


def _plain(value: Any) -> Any:
    """What luigi makes of JSON: frozen lists and dicts."""
    return dict(value) if isinstance(value, Mapping) else list(value)


def _target_weights(analysis: Analysis) -> dict[str, Any]:
    """How targets are learned: the weight of each, and scale and loss of those of rows."""
    return {
        name: [target.weight, target.scale, target.loss] if isinstance(target, Regression) else target.weight
        for name, target in analysis.targets.items()
    }


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise CollidekitError(f"--betas: {text!r} is not two numbers with a comma between them") from None


class TrainingTask(TrainingParameters):
    """Train a network on the training part of a dataset; keep the epoch with the best validation loss."""

    resume_training = luigi.BoolParameter(
        default=True,
        significant=False,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        description="go on from the last checkpoint of an interrupted training; False begins again",
    )
    resume_epoch = luigi.IntParameter(
        default=0, significant=False, description="go on from the checkpoint of this epoch, not from the last one"
    )
    exclude_index = False
    _device = "cpu"

    def requires(self) -> dict[str, AnalysisTask]:
        needed = {"dataset": DatasetConstructorTask.req(self)}
        if self.extend_training:
            needed["training"] = TrainingTask.req(self, extend_training=0, resume_epoch=0)
        return needed

    def look_first(self) -> None:
        try_training(self.training_config(), self.analysis, self.requires()["dataset"].first_rows)

    def identity(self) -> dict[str, Any]:
        config = self.training_config()
        _ = config.split  # an error where no fold is named
        settings = config.identity
        if config.from_checkpoint:
            settings["from_checkpoint"] = Start.of(config.from_checkpoint).checksum
        extended = {"extends": self.requires()["training"].hash} if self.extend_training else {}
        return {
            **extended,
            "dataset": self.requires()["dataset"].hash,
            "config": settings,
            "class_weights": self.analysis.class_weights,
            **({"figure_of_merit": self._merit()} if find_objective(config.objective).needs_merit else {}),
            **({"target_weights": weights} if (weights := _target_weights(self.analysis)) else {}),
            "network": _source("--model-name", NETWORK, config.model_name),
            **({"objective": code} if (code := _source("--objective", OBJECTIVE, config.objective)) else {}),
        }

    def _merit(self) -> dict[str, Any] | None:
        merit = self.analysis.figure_of_merit
        needed = {"variable", "signal"} if self.training_config().objective == "disco" else None
        return merit.model_dump(mode="json", include=needed) if merit else None

    def versions_in_path(self) -> list[str]:
        return [str(self.dataset_version), str(self.training_version)]

    def output(self) -> dict[str, law.LocalFileTarget]:
        return {
            "training_metrics": self.target("history.csv"),
            "model": self.target("last.pt"),
            "best_model": self.target("best_model.pt"),
            "run": self.target("run.json"),
        }

    def make(self) -> None:
        from collidekit.training.display import Display
        from collidekit.training.loop import Training

        config = self.training_config()
        torch.set_num_threads(max(1, min(self.n_threads, torch.get_num_threads())))
        for name, value in config.model_dump().items():
            self.detail(f"  {name} = {literal(value)}")
        dataset = self.requires()["dataset"].dataset(config.n_train_files)
        begun = time.monotonic()
        start = self._checkpoint()
        if start is None or start.parent != self.folder:
            self._remove_earlier()
        training = Training(config, dataset, self.folder, Display())
        if start:
            (training.resume if start.parent == self.folder else training.extend)(start)
            self.say(f"going on after epoch {training.epoch - 1} from {literal(start)}")
        self._say_what_learns(training)
        self._device = str(training.fabric.device)
        parameters = sum(p.numel() for p in training.tagger.parameters())
        self.say(
            f"[bold]Training[/bold] {literal(config.model_name)} ({parameters:,} parameters) on {training.data.rows:,} rows an epoch, "
            f"validating on {training.data.validation_rows:,}, {training.fabric.device}, {torch.get_num_threads()} threads"
        )
        training.run()
        self.say(f"Training took {time.monotonic() - begun:,.0f} s; best epoch {training.best['epoch']:.0f}")
        if self.analysis.classes and not may_relegate(training.config.objective):
            self._calibrate(dataset)
        self.write_provenance()

    def ran_with(self) -> dict[str, Any]:
        """Sums are rounded in another order with other threads or on another device."""
        return {"ran with": {"threads": torch.get_num_threads(), "device": self._device}}

    def _say_what_learns(self, training: "Training") -> None:
        """Where it begins from; with ``--verbose`` the name of each parameter, for patterns, and what becomes of it."""
        config = training.config
        recommended = training.analysis.training.get("mixed_precision") and self.mixed_precision is None
        if recommended and not config.mixed_precision and not computes_in_bfloat16():
            self.say(
                "in single precision: this processor has no bfloat16 instructions (--set mixed_precision=true overrides this)"
            )
        if training.start:
            head = "its head" if config.keep_head else "a fresh head"
            self.say(f"beginning with the weights of {literal(training.start.path)} and {head}")
        factors = rate_factors(training.tagger, config.learning_rate_factors)
        for name, parameter in training.tagger.named_parameters():
            size = "x".join(map(str, parameter.shape)) or "1"
            factor = f" at {factors[parameter]:g} of the learning rate" if factors[parameter] != 1 else ""
            self.detail(f"  {name} ({size}) {f'learns{factor}' if parameter.requires_grad else 'stays fixed'}")

    def _calibrate(self, dataset: Dataset) -> None:
        """Fit the temperature and store it in the best model, which stays as it is where that cannot be done."""
        from collidekit.evaluation.calibrate import calibrate_on_validation
        from collidekit.evaluation.temperature_fit import NoTemperatureError

        best = self.folder / "best_model.pt"
        try:
            found = calibrate_on_validation(load_checkpoint(best), dataset)
        except NoTemperatureError as error:
            self.say(f"[yellow]not calibrated: {literal(error)}[/yellow]")
            return
        store_temperature(best, found)
        self.say(f"Temperature {with_error(found.value, found.error)}, fitted to {found.rows:,} validation rows")

    def _checkpoint(self) -> Path | None:
        """Where to go on from: the epoch that was asked for, the last state, or the end of the training to extend."""
        if self.resume_epoch:
            if not self.resume_training:
                raise CollidekitError(
                    "--resume-training False begins again, and --resume-epoch goes on: give one of them"
                )
            path = self.folder / f"model_{self.resume_epoch}.pt"
            if not path.exists():
                raise CollidekitError(f"{path}: there is no checkpoint of epoch {self.resume_epoch} to go on from")
            return path
        if self.resume_training and (newest := newest_whole(self.folder, lambda text: self.say(literal(text)))):
            return newest
        if self.extend_training:
            return Path(self.requires()["training"].folder / "last.pt")
        return None

    def _remove_earlier(self) -> None:
        """What an earlier training left here, which is not gone on from, must not be taken for a part of this one."""
        for pattern in ("last.pt", "best_model.pt", "model_*.pt", "history.csv", "steps.csv"):
            for path in self.folder.glob(pattern):
                path.unlink()


def _source(option: str, kind: Kind[Any], name: str) -> str:
    """The code of a user's network or objective and of what it imports: a changed one makes another training."""
    try:
        return code_identity(kind.what, name) if kind.own(name) else ""
    except CollidekitError as error:
        raise CollidekitError(f"{option}: {error}") from None
