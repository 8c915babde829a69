"""TrainingTask: train a network on a dataset."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import law
import luigi
import torch

from collidekit.analysis.schema import Analysis
from collidekit.analysis.targets import Assignment, Regression
from collidekit.dataset.loader import Dataset
from collidekit.errors import CollidekitError
from collidekit.evaluation.numbers import with_error
from collidekit.models.registry import KIND as NETWORK
from collidekit.objectives import find_objective, may_relegate
from collidekit.objectives.registry import KIND as OBJECTIVE
from collidekit.plain_text import literal
from collidekit.plugins import Kind, code_identity
from collidekit.tasks.base import AnalysisTask, results_folder
from collidekit.tasks.dataset import DatasetConstructorTask, DatasetParameters, at_least
from collidekit.tasks.settings import add_parameters
from collidekit.tasks.state_in_store import StateInStore
from collidekit.tasks.titles import training_title
from collidekit.tasks.training_summary import training_summary
from collidekit.tracking.active import FILE as TRACKING_FILE
from collidekit.tracking.base import Tracking
from collidekit.tracking.registry import find_trackers
from collidekit.training.checkpoint import load_checkpoint, store_temperature
from collidekit.training.choice import training_config
from collidekit.training.config import TrainingConfig
from collidekit.training.effect import check_given, check_magnitude, without_effect
from collidekit.training.fine_tuning import PretrainedWeights, rate_factors
from collidekit.training.look import try_training
from collidekit.training.precision import computes_in_bfloat16
from collidekit.training.ranks import Request, begin, check_ranks, ranks_for, threads_of_rank
from collidekit.training.stopping import newest_whole

if TYPE_CHECKING:
    from collidekit.training.loop import Training


class TrainingSettings:
    """Parameters for the settings of ``TrainingConfig``; missing ones are taken from the analysis file."""


add_parameters(TrainingSettings, TrainingConfig, in_file=True)


class TrainingParameters(TrainingSettings, DatasetParameters):
    """Parameters of all tasks that need a training."""

    training_version = luigi.Parameter(default="v1", description="a name that you choose for the training")
    n_threads = luigi.IntParameter(
        default=4, significant=False, description="threads of torch; at most the number of processors"
    )
    track = law.CSVParameter(
        default=(),
        significant=False,
        description="trackers that record the training: csv, tensorboard, mlflow, wandb, or a file my_tracker.py; default: csv,tensorboard",
    )
    track_files = luigi.BoolParameter(
        default=False,
        significant=False,
        description="also record the model and the tables in MLflow or Weights & Biases",
    )
    track_online = luigi.BoolParameter(
        default=False,
        significant=False,
        description="upload runs of Weights & Biases to its server during the training",
    )

    exclude_index = True

    def training_config(self) -> TrainingConfig:
        """Return the settings: from the command line, else from the analysis file, else the default."""
        at_least("n-threads", self.n_threads, 1)
        given = {name: getattr(self, name) for name in TrainingConfig.model_fields}
        given["betas"] = _numbers(given["betas"]) if given["betas"] is not None else None
        for name in ("model_options", "learning_rate_factors"):
            given[name] = _options(name, given[name])
        config = training_config(self.plan, given)
        self.check_effect(config, {**given, "extend_training": None})
        if config.folds and config.fold_rule == "remainder" and not self.analysis.event:
            raise CollidekitError(
                f"--fold-rule remainder: {self.config} has no event number; add its branch as the last entry of 'event'"
            )
        return config

    def check_effect(self, config: TrainingConfig, given: Mapping[str, Any]) -> None:
        """Raise an error for a given setting that has no effect with the others."""
        check_given(given, without_effect(config, self.analysis))
        recommended = self.analysis.training if given.get("attack") is None else ()
        check_magnitude(
            config, [*(name for name, value in given.items() if value is not None), *recommended], "--attack"
        )

    def left_out(self, **forced: Any) -> dict[str, None]:
        """Return the given settings that have no effect with the settings that this task forces on a training."""
        given = {name: getattr(self, name) for name in TrainingConfig.model_fields}
        given["betas"] = _numbers(given["betas"]) if given["betas"] is not None else None
        for name in ("model_options", "learning_rate_factors"):
            given[name] = _options(name, given[name])
        config = training_config(self.plan, {**given, **forced})
        optional = {name for name in without_effect(config, self.analysis) if given.get(name) is not None}
        return dict.fromkeys(sorted(optional - {"attack"}))


def _options(name: str, value: Any) -> dict[str, Any] | None:
    """Return options as plain dicts and lists; None if there are none."""
    if not isinstance(value, Mapping):
        raise CollidekitError(f"--{name.replace('_', '-')}: {value!r}: write it as JSON, such as '{{\"f\": [64, 64]}}'")
    found: dict[str, Any] = json.loads(json.dumps(dict(value), default=_plain))
    return found or None


def _plain(value: Any) -> Any:
    """Return a plain dict or list from the frozen ones of luigi."""
    return dict(value) if isinstance(value, Mapping) else list(value)


LATER_KEYS = {"focal", "exclusivity", "w_mass", "median_loss"}
"""Keys of targets that change the training and are in the hash only if they are not at their default."""


def _target_weights(analysis: Analysis) -> dict[str, Any]:
    """Return what decides the training of targets: weights; scale, loss and unit of values; symmetries of assignments."""
    found: dict[str, Any] = {}
    for name, target in analysis.targets.items():
        if isinstance(target, Regression):
            found[name] = [target.weight, target.scale, target.loss, target.unit, *target.form]
        elif isinstance(target, Assignment) and (target.symmetries or target.partners):
            found[name] = [target.weight, target.symmetries, target.partners]
        else:
            found[name] = target.weight
        if more := target.model_dump(mode="json", include=LATER_KEYS, exclude_defaults=True):
            found[name] = [found[name], more]
    return found


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise CollidekitError(f"--betas: {text!r} is not two numbers separated by a comma") from None


class TrainingTask(TrainingParameters):
    """Train a network on the training set; keep the epoch with the smallest validation loss."""

    resume_training = luigi.BoolParameter(
        default=True,
        significant=False,
        parsing=luigi.BoolParameter.EXPLICIT_PARSING,
        description="continue from the last checkpoint of an interrupted training; False starts again",
    )
    resume_epoch = luigi.IntParameter(
        default=0, significant=False, description="continue from the checkpoint of this epoch, not from the last one"
    )
    exclude_index = False
    after_epoch: Callable[[Sequence[Mapping[str, float]]], None] | None = None
    """Function that gets the history after each epoch; its error stops the training, which can continue later."""
    shown = True
    """True to print a line for each epoch."""
    keep_epochs = True
    """False to remove the checkpoints of single epochs at the end; ``last.pt`` is enough to continue."""
    _device = "cpu"
    _ranks = 1

    def requires(self) -> dict[str, AnalysisTask]:
        needed = {"dataset": DatasetConstructorTask.req(self)}
        if self.extend_training:
            needed["training"] = TrainingTask.req(self, extend_training=0, resume_epoch=0)
        return needed

    def look_first(self) -> None:
        check_ranks(self.devices, self.nodes)
        find_trackers(self.tracking)
        try_training(self.training_config(), self.analysis, self.requires()["dataset"].first_rows)

    @property
    def tracking(self) -> Tracking:
        names = tuple(dict.fromkeys(str(name) for name in self.track))
        return Tracking(names, training_title(self), results_folder(), self.track_files, self.track_online)

    def identity(self) -> dict[str, Any]:
        config = self.training_config()
        _ = config.split  # raises an error if no fold is given
        settings = config.identity
        if config.from_checkpoint:
            settings["from_checkpoint"] = PretrainedWeights.of(config.from_checkpoint).checksum
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

    def hashed(self) -> dict[str, Any]:
        """Return the identity without settings at their default, so that new settings do not change existing hashes."""
        identity = self.identity()
        usual = TrainingConfig().model_dump(mode="json")
        config = {
            name: value for name, value in identity["config"].items() if name not in usual or value != usual[name]
        }
        return {**identity, "config": config}

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
        torch.set_num_threads(threads_of_rank(self.n_threads, self.devices))
        for name, value in config.model_dump().items():
            self.detail(f"  {name} = {literal(value)}")
        dataset = self.requires()["dataset"].dataset(config.n_train_files)
        start_time = time.monotonic()
        state = StateInStore(self.stored, self.say)
        start = self._checkpoint(state)
        if start is None or start.parent != self.folder:
            self._remove_earlier()
        with ranks_for(Request.of(config, dataset, self.folder, start), self.devices, self.nodes) as ranks:
            self._ranks = ranks.size
            training = Training(config, dataset, self.folder, Display(self.shown), ranks=ranks, tracking=self.tracking)
            begin(training, start)
            if start:
                self.say(f"continuing after epoch {training.epoch - 1} from {literal(start)}")
            self._print_parameters(training)
            self._device = str(training.fabric.device)
            parameters = sum(p.numel() for p in training.tagger.parameters())
            together = f"{ranks.size} ranks on " if ranks.size > 1 else ""
            self.say(
                f"[bold]Training[/bold] {literal(config.model_name)} ({parameters:,} parameters) on "
                f"{training.data.rows:,} rows per epoch, validating on {training.data.validation_rows:,}, "
                f"{together}{training.fabric.device}, {torch.get_num_threads()} threads"
            )

            for line in training_summary(config, self.analysis):
                self.say(f"  {literal(line)}")

            def finish() -> None:
                self.say(
                    f"Training took {time.monotonic() - start_time:,.0f} s; best epoch {training.best['epoch']:.0f}"
                )
                if self.analysis.classes and not may_relegate(training.config.objective):
                    self._calibrate(dataset)

            with state.kept(training):
                training.run(finish, self.after_epoch)
        if not self.keep_epochs:
            self.remove_epochs()
        self.write_provenance()

    def remove_epochs(self) -> None:
        """Remove the checkpoints of single epochs."""
        for checkpoint in self.place.glob("model_*.pt"):
            checkpoint.unlink(missing_ok=True)

    def ran_with(self) -> dict[str, Any]:
        """Return threads, device and ranks, which change the order of sums and so their rounding."""
        ranks = {"ranks": self._ranks} if self._ranks > 1 else {}
        return {"ran with": {"threads": torch.get_num_threads(), "device": self._device, **ranks}}

    def _print_parameters(self, training: "Training") -> None:
        """Print the first weights; with ``--verbose``, also print each parameter and whether it is trained."""
        config = training.config
        recommended = training.analysis.training.get("mixed_precision") and self.mixed_precision is None
        if recommended and not config.mixed_precision and not computes_in_bfloat16():
            self.say(
                "in single precision: this processor has no bfloat16 instructions (--set mixed_precision=true overrides this)"
            )
        if training.start:
            head = "its head" if config.keep_head else "a new head"
            self.say(f"starting with the weights of {literal(training.start.path)} and {head}")
        factors = rate_factors(training.tagger, config.learning_rate_factors)
        for name, parameter in training.tagger.named_parameters():
            size = "x".join(map(str, parameter.shape)) or "1"
            factor = f" at {factors[parameter]:g} of the learning rate" if factors[parameter] != 1 else ""
            self.detail(f"  {name} ({size}) {f'is trained{factor}' if parameter.requires_grad else 'is frozen'}")

    def _calibrate(self, dataset: Dataset) -> None:
        """Fit the temperature and store it in the best model, if this is possible."""
        from collidekit.evaluation.calibration.calibrate import calibrate_on_validation
        from collidekit.evaluation.calibration.temperature_fit import NoTemperatureError

        best = self.folder / "best_model.pt"
        try:
            found = calibrate_on_validation(load_checkpoint(best), dataset)
        except NoTemperatureError as error:
            self.say(f"[yellow]not calibrated: {literal(error)}[/yellow]")
            return
        store_temperature(best, found)
        self.say(f"Temperature {with_error(found.value, found.error)}, fitted to {found.rows:,} validation rows")

    def _checkpoint(self, state: StateInStore) -> Path | None:
        """Return the checkpoint to continue from: of ``--resume-epoch``, the last one, or of the training to extend."""
        if self.resume_epoch and not self.resume_training:
            raise CollidekitError(
                "--resume-training False starts again, and --resume-epoch continues; give only one of them"
            )
        state.begin(continues=self.resume_training and not self.resume_epoch)
        if self.resume_epoch:
            path = self.folder / f"model_{self.resume_epoch}.pt"
            if not path.exists():
                raise CollidekitError(f"{path}: there is no checkpoint of epoch {self.resume_epoch}")
            return path
        if self.resume_training and (newest := newest_whole(self.folder, lambda text: self.say(literal(text)))):
            return newest
        if self.extend_training:
            return Path(self.requires()["training"].folder / "last.pt")
        return None

    def _remove_earlier(self) -> None:
        """Remove the files of an earlier training that this one does not continue."""
        for pattern in ("last.pt", "best_model.pt", "model_*.pt", "history.csv", "steps.csv", TRACKING_FILE):
            for path in self.folder.glob(pattern):
                path.unlink()


def _source(option: str, kind: Kind[Any], name: str) -> str:
    """Return the identity of the code of a user's network or objective with its imports; empty for built-in ones."""
    try:
        return code_identity(kind.what, name) if kind.own(name) else ""
    except CollidekitError as error:
        raise CollidekitError(f"{option}: {error}") from None
