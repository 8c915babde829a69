"""InferenceTask: predict the rows of a dataset with trained taggers."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import law
import luigi
import numpy as np
import torch

from collidekit.analysis.same_inputs import check_same_inputs
from collidekit.attacks.build import build_attack
from collidekit.dataset.batch import Batch
from collidekit.dataset.loader import Dataset, Loader
from collidekit.dataset.manifest import read_manifest
from collidekit.dataset.overlap import is_loud, overlap_note
from collidekit.dataset.parts import Folds
from collidekit.errors import CollidekitError
from collidekit.inference.assembly import NothingToPredictError
from collidekit.inference.calibrated import calibrated, required_temperature
from collidekit.inference.combination import check_combination, combine
from collidekit.inference.ensemble import load_members
from collidekit.inference.file_rows import counted
from collidekit.inference.folds import join_folds
from collidekit.inference.join import join_predictions
from collidekit.inference.predict import predict_each
from collidekit.inference.predictions import Array, Predictions
from collidekit.inference.seen import Refusal, SeenRows, content_of_inputs
from collidekit.models.scaling import Scaling
from collidekit.objectives import may_relegate
from collidekit.outputs.find import UNDER
from collidekit.plain_text import literal
from collidekit.progress import counting
from collidekit.readers import expand
from collidekit.tasks.attacks import TestAttackParameters
from collidekit.tasks.base import AnalysisTask
from collidekit.tasks.dataset import DatasetConstructorTask, remove_outputs_of
from collidekit.tasks.rank_parts import make_by_ranks, number_of_ranks
from collidekit.tasks.titles import attack_mark, title_of
from collidekit.tasks.training import TrainingParameters, TrainingTask
from collidekit.training.checkpoint import Checkpoint, find_checkpoint, load_checkpoint, load_content
from collidekit.training.choice import training_config
from collidekit.training.config import TrainingConfig
from collidekit.training.prepare import held_out_rows
from collidekit.training.ranks import check_ranks

FEWEST = 2048
"""Rows per rank; below this, a single process is faster, because processes take seconds to start."""


class TestParameters(TestAttackParameters, TrainingParameters):
    """Parameters of all tasks that need predictions."""

    test_dataset_version = luigi.Parameter(default="v1", description="a name that you choose for the test dataset")
    test_filelist = law.CSVParameter(
        default=(), description="test files; default: files.test of the analysis file, else the validation rows"
    )
    seeds = law.CSVParameter(
        default=(),
        description="train once with each of these random seeds, such as 1,2,3, and combine the networks to an ensemble",
    )
    checkpoint = law.CSVParameter(
        default=(),
        description="evaluate this checkpoint, folder or bundled model, without training; several are an ensemble",
    )
    combine = luigi.Parameter(default="mean", description="how an ensemble is combined: mean or median")
    allow_training_rows = luigi.BoolParameter(
        default=False,
        description="with --checkpoint: warn about rows of its training set; without this option they are an error",
    )
    calibrated = luigi.BoolParameter(default=False, description="use the temperature that is stored with each model")
    exclude_index = True

    def versions_in_path(self) -> list[str]:
        mark = attack_mark(self.test_attack_settings)
        test = f"{self.test_dataset_version}{UNDER}{mark}" if mark else str(self.test_dataset_version)
        return [str(self.dataset_version), str(self.training_version), test]

    @cached_property
    def all_seeds(self) -> tuple[int, ...]:
        """Seeds of the ensemble, checked; empty for a single training."""
        try:
            seeds = tuple(int(seed) for seed in self.seeds)
        except ValueError:
            raise CollidekitError(
                f"--seeds: {','.join(map(str, self.seeds))!r}: write numbers, such as 1,2,3"
            ) from None
        if seeds and (len(seeds) < 2 or len(set(seeds)) < len(seeds)):
            raise CollidekitError(
                f"--seeds: {','.join(map(str, seeds))!r}: an ensemble needs two or more different seeds"
            )
        if seeds and self.all_folds:
            raise CollidekitError(
                f"--seeds: cannot be used with {len(self.all_folds)} folds; name one with --fold, or give --folds 0"
            )
        if seeds and (self.seed is not None or self.checkpoint):
            raise CollidekitError(
                f"--seeds: cannot be used with --{'checkpoint' if self.checkpoint else 'seed'}; leave out one of the two"
            )
        check_combination(str(self.combine))
        if self.combine != "mean" and not seeds and len(self.checkpoint) < 2 and not self.all_folds:
            raise CollidekitError("--combine: has an effect only with an ensemble; give several --seeds or checkpoints")
        if self.combine != "mean" and self.joins_folds:
            raise CollidekitError(
                "--combine: has an effect only with test files; without them each row is predicted by one fold"
            )
        if self.combine != "mean" and self.chosen_by_number:
            raise CollidekitError(
                "--combine: has no effect with --fold-rule remainder, because each row is predicted by one fold; leave it out"
            )
        self._check_checkpoint()
        return seeds

    @cached_property
    def all_folds(self) -> tuple[int, ...]:
        """Folds to train; empty for a single training."""
        if self.checkpoint or not (config := self._fold_settings).folds or config.fold >= 0:
            return ()
        return tuple(range(config.folds))

    @cached_property
    def _fold_settings(self) -> TrainingConfig:
        names = ("model_name", "from_checkpoint", "folds", "fold", "fold_rule")
        return training_config(self.plan, {name: getattr(self, name) for name in names})

    @property
    def joins_folds(self) -> bool:
        """True if each row of the training files is predicted by the fold that was not trained on it."""
        return bool(self.all_folds) and not self.test_files

    @property
    def chosen_by_number(self) -> bool:
        """True if the event number of each test row decides which fold predicts it."""
        return bool(self.all_folds and self.test_files) and self._fold_settings.fold_rule == "remainder"

    @cached_property
    def members(self) -> dict[str, dict[str, Any]]:
        """Parameters of each member of an ensemble by its name; empty for a single training."""
        seeds, folds = self.all_seeds, self.all_folds
        if seeds:
            return {f"seed {seed}": {"seed": seed, "seeds": ()} for seed in seeds}
        return {f"fold {fold} of {len(folds)}": {"fold": fold} for fold in folds}

    def _check_checkpoint(self) -> None:
        """Raise an error for training settings with ``--checkpoint``, because nothing is trained."""
        if self.allow_training_rows and not self.checkpoint:
            raise CollidekitError(
                "--allow-training-rows: has an effect only with --checkpoint; a training warns about test rows in the training set"
            )
        given = [name for name in TrainingConfig.model_fields if getattr(self, name) not in (None, {}, ())]
        given = [name for name in given if name != "extend_training" or self.extend_training]
        given += [name for name in ("track", "track_files", "track_online") if getattr(self, name)]
        if self.checkpoint and given:
            raise CollidekitError(
                f"--{given[0].replace('_', '-')}: has no effect with --checkpoint, because nothing is trained; leave out one of the two"
            )

    @property
    def is_ensemble(self) -> bool:
        return bool(self.members) or len(self.checkpoint) > 1

    @cached_property
    def test_files(self) -> tuple[str, ...]:
        """Test files; empty if the validation rows are used."""
        if self.test_filelist:
            return tuple(expand(list(self.test_filelist)))
        if not self.analysis.files.test or self.filelist:
            return ()
        from collidekit.tasks.dataset import shipped_files

        return tuple(shipped_files(self, "test"))


class InferenceTask(TestParameters):
    """Predict all rows of the test dataset in the order of the files; several seeds or checkpoints are an ensemble."""

    exclude_index = False
    _seen: SeenRows | None = None
    _joined: Sequence[AnalysisTask] = ()
    """Parts from which the output is made."""

    def requires(self) -> dict[str, AnalysisTask]:
        if self.members:
            return {name: InferenceTask.req(self, combine="mean", **own) for name, own in self.members.items()}
        return {**self.requires_for_rows(), **self.parts}

    @cached_property
    def parts(self) -> dict[str, AnalysisTask]:
        """Tasks that predict one part of the rows each; empty if this task predicts all rows."""
        from collidekit.tasks.parts import PredictionPartTask

        if self.jobs == 1 or self.members:
            return {}
        names = [f"{number}/{self.jobs}" for number in range(1, self.jobs + 1)]
        return {f"part {name}": PredictionPartTask.req(self, part=name) for name in names}

    def requires_for_rows(self) -> dict[str, AnalysisTask]:
        """Return the tasks of the training and the test dataset, if they are needed."""
        needed: dict[str, AnalysisTask] = {} if self.checkpoint else {"training": TrainingTask.req(self)}
        if self.test_files:
            needed["test"] = DatasetConstructorTask.req(
                self, dataset_version=self.test_dataset_version, filelist=self.test_files
            )
        elif self.checkpoint:
            raise CollidekitError(
                f"{self.config}: has no test files to evaluate --checkpoint; give them with --test-files "
                "(--test-filelist in law)"
            )
        return needed

    def look_first(self) -> None:
        """Check that the checkpoints fit the analysis, that there is a temperature, and that the attack can change inputs."""
        check_ranks(self.devices, self.nodes)
        if self.members:
            return
        members = load_members([str(name) for name in self.checkpoint]) if self.checkpoint else {}
        for name, member in members.items():
            check_same_inputs(find_checkpoint(name), member.analysis, self.analysis)
            if self.calibrated:
                required_temperature(member.temperature, name)
        if self.calibrated and not self.analysis.classes:
            raise CollidekitError(f"--calibrated: {self.config} has no classes, so there is no temperature")
        if self.calibrated and not members and may_relegate(objective := self.training_config().objective):
            raise CollidekitError(f"--calibrated: a training with the objective {objective} stores no temperature")
        settings = self.test_attack_settings
        self._gradient_source(members)
        scaling = next(iter(members.values())).tagger.scaling if members else Scaling(self.analysis.inputs)
        build_attack(settings.model_copy(update={"attack_individual_factors": False}), self.analysis, scaling)

    def trainings(self) -> dict[str, TrainingTask]:
        """Return the trainings by the name of the member; empty with ``--checkpoint``."""
        if self.members:
            return {name: task.requires()["training"] for name, task in self.requires().items()}
        return {} if self.checkpoint else {"training": self.requires()["training"]}

    def dataset_task(self) -> DatasetConstructorTask:
        """Return the task of the training dataset, or of the test dataset with ``--checkpoint``."""
        for training in self.trainings().values():
            dataset: DatasetConstructorTask = training.requires()["dataset"]
            return dataset
        return self.requires()["test"]

    def identity(self) -> dict[str, Any]:
        needed = self.requires()
        if self.members:
            return {"members": {name: task.hash for name, task in needed.items()}, "combine": self.combine}
        if self.is_ensemble:
            checkpoints = {str(name): _content_id(str(name)) for name in self.checkpoint}
            taggers: dict[str, Any] = {"checkpoints": checkpoints, "combine": self.combine}
        elif self.checkpoint:
            taggers = {"checkpoint": _content_id(str(self.checkpoint[0]))}
        else:
            taggers = {"training": needed["training"].hash}
        return {
            **taggers,
            "test": needed["test"].hash if "test" in needed else self._held_out(),
            "discriminators": {name: entry.identity for name, entry in self.analysis.discriminators.items()},
            **({"calibrated": self._temperatures()} if self.calibrated else {}),
            **({"allow_training_rows": True} if self.allow_training_rows else {}),
            **self._attack_identity(),
        }

    def _held_out(self) -> str:
        """Return the name of the rows that are predicted without test files."""
        return self.training_config().fold_name or "validation rows"

    def _attack_identity(self) -> dict[str, Any]:
        settings = self.test_attack_settings
        if settings.attack == "nominal":
            return {}
        source = _content_id(str(self.test_attack_from)) if self.test_attack_from else "own"
        return {"attack": settings.identity, "gradient": source}

    def output(self) -> dict[str, law.LocalFileTarget]:
        return {
            "predictions": self.target("predictions.parquet"),
            "output_root": self.target("output.root"),
            "run": self.target("run.json"),
        }

    def make(self) -> None:
        torch.set_num_threads(max(1, min(self.n_threads, torch.get_num_threads())))
        members = self._read_members() if self.members else self._predict_members()
        predictions = next(iter(members.values()))
        if self.joins_folds:
            predictions = join_folds(list(members.values()), self._fold_of_rows(self.dataset_task().dataset()))
        elif self.is_ensemble:
            used = self._used_members()
            predictions = combine(members, check_combination(str(self.combine)), keep_members=used is None, used=used)
        predictions.write(self.folder / "predictions.parquet")
        predictions.write(self.folder / "output.root")
        remove_outputs_of(self._joined)
        how = f" with the {self.combine} of {', '.join(members)}" if self.is_ensemble else ""
        if self.joins_folds:
            how = f", each with the one of {len(members)} networks that was not trained on it"
        elif self.chosen_by_number:
            how = f", each with one of {len(members)} networks, chosen by its event number"
        self.say(f"[bold]Predicted[/bold] {len(predictions):,} rows{how}")
        self.write_provenance()

    def _fold_of_rows(self, dataset: Dataset) -> Array:
        """Return the fold (N,) of each row of a dataset."""
        split = Folds(len(self.all_folds), 0, self._fold_settings.fold_rule)
        return split.folds_of(dataset.column("key"), dataset.event_number)

    def _used_members(self) -> Array | None:
        """Return which members predict each row (M, N); None if all members predict all rows."""
        if not self.chosen_by_number:
            return self._seen.used() if self._seen else None
        first = next(iter(self.requires().values()))
        used: Array = np.arange(len(self.members))[:, None] == self._fold_of_rows(first.requires()["test"].dataset())
        return used

    def _read_members(self) -> dict[str, Predictions]:
        return {name: task.predictions() for name, task in self.requires().items()}

    def _predict_members(self) -> dict[str, Predictions]:
        """Return the predictions of the training, or of each given checkpoint, by name."""
        needed = self.requires_for_rows()
        members = self.checkpoints(needed)
        for name, member in members.items():
            check_same_inputs(find_checkpoint(name), member.analysis, self.analysis)
        if note := self._shared_rows:
            self.say(overlap_text(note))
        rows = self.rows_to_predict(members)
        if "test" not in needed:
            self._print_held_out(next(iter(members.values())).config)
        refuses = bool(self.checkpoint) and not self.allow_training_rows
        refusal = Refusal(rows.dataset.manifest.files) if refuses else None
        seen = self._seen = SeenRows(members, content_of_inputs(rows.dataset.manifest), refusal)
        self._joined = list(self.parts.values()) or self._parts_of_ranks(len(rows.dataset))
        found = join_parts(self._joined, seen) if self._joined else self.predict_rows(members, rows, seen)
        named = dict(zip(members, found, strict=True))
        if not self._shared_rows and (warning := seen.warning()):
            self.say(overlap_text(warning))
        if self.checkpoint:
            for note in seen.notes(str(self.combine)):
                self.say(f"[yellow]{literal(note)}[/yellow]")
        if self.calibrated:
            named = {name: calibrated(rows, members[name].temperature, name) for name, rows in named.items()}
        return named

    def _parts_of_ranks(self, rows: int) -> list[AnalysisTask]:
        """Return the parts that several ranks have predicted; none for a single process or few rows."""
        from collidekit.tasks.parts import PredictionPartTask

        return make_by_ranks(self, PredictionPartTask) if rows >= FEWEST * number_of_ranks(self) else []

    def rows_to_predict(self, members: Mapping[str, Checkpoint]) -> Loader:
        """Return the rows of the test dataset, or without test files the rows that the training held out."""
        needed = self.requires_for_rows()
        if "test" in needed:
            return Loader(needed["test"].dataset(), 1024, threads=1)
        dataset: Dataset = needed["training"].requires()["dataset"].dataset()
        return held_out_rows(dataset, next(iter(members.values())).config.split)

    def predict_rows(self, members: Mapping[str, Checkpoint], rows: Loader, seen: SeenRows) -> list[Predictions]:
        """Return the predictions of each member; ``seen`` records which rows a member was trained on."""
        attack = self._attack(members)
        with counting("Predicting", "rows", None if rows.split else len(rows.places)) as done:
            watched = seen.watch(rows, list(members), self.analysis)
            batches = counted(map(attack, watched) if attack else watched, done)
            return predict_each([member.tagger for member in members.values()], self.analysis, batches)

    def _print_held_out(self, config: TrainingConfig) -> None:
        """Print which rows are predicted without test files."""
        if config.folds:
            self.say(f"no test files: predicting {config.fold_name}, which was held out")
        else:
            self.say("[yellow]no test files: predicting the validation rows, which chose the best epoch[/yellow]")

    def ran_with(self) -> dict[str, Any]:
        return {"overlap": self.overlap_note}

    @property
    def overlap_note(self) -> str:
        """Warning about predicted rows of the training set; empty if there are none."""
        if law.Task.complete(self):
            return str(self.provenance().get("overlap", ""))
        if self.members and not self.test_files:
            return next(filter(None, (task.overlap_note for task in self.requires().values())), "")
        return self._shared_rows or (self._seen.warning() if self._seen else "")

    @cached_property
    def _shared_rows(self) -> str:
        """Warning about test rows that are also in the training dataset."""
        if self.checkpoint or not self.test_files or self.chosen_by_number:
            return ""  # rows that a checkpoint knows are counted during the prediction
        first = next(iter(self.requires().values())) if self.members else self
        return overlap_note(read_manifest(self.dataset_task().folder), read_manifest(first.requires()["test"].folder))

    def _attack(self, members: Mapping[str, Checkpoint]) -> Callable[[Batch], Batch] | None:
        """Return the attack on the rows, with the gradient of the tagger or of ``--test-attack-from``; None without attack."""
        settings = self.test_attack_settings
        if settings.attack == "nominal":
            return None
        source = self._gradient_source(members) or next(iter(members.values()))
        attack = build_attack(
            settings, self.analysis, source.tagger.scaling, self.dataset_task().dataset().manifest.summary["statistics"]
        )
        assert attack is not None
        return partial(attack, source.tagger)

    def _gradient_source(self, members: Mapping[str, Checkpoint]) -> Checkpoint | None:
        """Return the checkpoint of ``--test-attack-from``; None if the tagger itself gives the gradient."""
        if self.test_attack_from:
            path = find_checkpoint(str(self.test_attack_from))
            source = load_checkpoint(path)
            check_same_inputs(path, source.analysis, self.analysis)
            return source
        if len(members) > 1 and self.test_attack_settings.attack != "nominal":
            raise CollidekitError(
                "--test-attack: an ensemble has no gradient; name a checkpoint with --test-attack-from"
            )
        return None

    def _temperatures(self) -> list[Any]:
        """Return the temperatures of the given checkpoints; the identity of a training already decides its own."""
        return [load_content(find_checkpoint(name)).get("temperature") for name in self.checkpoint]

    def checkpoints(self, needed: Mapping[str, AnalysisTask]) -> dict[str, Checkpoint]:
        """Return the trained network, or each given checkpoint, by its name."""
        if self.checkpoint:
            return load_members([str(name) for name in self.checkpoint])
        path = needed["training"].folder / "best_model.pt"
        return {str(path): load_checkpoint(path)}

    def predictions(self) -> Predictions:
        return Predictions.read(self.folder / "predictions.parquet")


def join_parts(parts: Iterable[AnalysisTask], seen: SeenRows) -> list[Predictions]:
    """Join the parts to the predictions of each member, in the order of the rows."""
    found: list[list[Predictions]] = [[] for _ in seen.members]
    for part in parts:
        states = np.load(part.folder / "known.npy", allow_pickle=False)
        if not states.shape[1]:
            continue
        seen.take(states, Predictions.read(part.folder / "predictions_1.parquet").event["file"])
        for number, predictions in enumerate(found, 1):
            predictions.append(Predictions.read(part.folder / f"predictions_{number}.parquet"))
    seen.refuse()
    if not found[0]:
        raise NothingToPredictError("no row passes the selection, so there is nothing to predict")
    return [join_predictions(predictions) for predictions in found]


def _content_id(name: str) -> str:
    """Return a hash of the file of a checkpoint."""
    return hashlib.sha256(find_checkpoint(name).read_bytes()).hexdigest()[:16]


def require_discriminators(task: AnalysisTask) -> None:
    """Raise an error if the analysis has no classes or no discriminators."""
    if not task.analysis.classes:
        raise CollidekitError(
            f"{task.config}: has no classes, so there are no ROC curves and working points; use ResidualTask, AssignmentTask or ReportTask"
        )
    if not task.analysis.discriminators:
        raise CollidekitError(
            f"{task.config}: has no discriminators, so there are no ROC curves and working points; add 'discriminators:' to the analysis file"
        )


class PredictionTask(TestParameters):
    """Base of the tasks that evaluate predictions."""

    exclude_index = True

    def requires(self) -> dict[str, AnalysisTask]:
        return {"inference": InferenceTask.req(self)}

    def identity(self) -> dict[str, Any]:
        return {"inference": self.requires()["inference"].hash}

    @cached_property
    def title(self) -> str:
        """Title of tables, plots and pages: analysis, tagger and attack."""
        return title_of(self.requires()["inference"])

    def predictions(self) -> Predictions:
        return self.requires()["inference"].predictions()  # type: ignore[no-any-return]


def overlap_text(note: str) -> str:
    """Return a note about test rows of the training set in rich's markup."""
    return f"[bold red]{literal(note)}[/bold red]" if is_loud(note) else f"[yellow]{literal(note)}[/yellow]"
