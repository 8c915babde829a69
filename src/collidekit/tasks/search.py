"""SearchTask: search for good settings by trials on the validation set."""

import json
import math
import os
from functools import cached_property
from pathlib import Path
from typing import Any

import law
import luigi
from attrs import evolve

from collidekit.errors import CollidekitError, did_you_mean
from collidekit.outputs.find import JOURNAL
from collidekit.plain_text import literal
from collidekit.sealed import read_sealed
from collidekit.search.measured import Measured
from collidekit.search.names import changes_loss, check_name, number_type
from collidekit.search.space import Space
from collidekit.search.storage import check_storage, without_password
from collidekit.search.study import SearchPlan, open_study
from collidekit.search.trials import TrialRecord, best_trial, records
from collidekit.search.work import work
from collidekit.tasks.base import AnalysisTask, run_with_requirements
from collidekit.tasks.best_analysis import portable
from collidekit.tasks.dataset import DatasetConstructorTask, at_least
from collidekit.tasks.log import writing_to
from collidekit.tasks.search_output import write_search
from collidekit.tasks.search_points import check_choices, check_space, train_and_measure, training_of
from collidekit.tasks.search_workers import run_workers
from collidekit.tasks.seeds import chosen_seeds
from collidekit.tasks.training import TrainingParameters, TrainingTask

SAMPLERS = ("tpe", "random", "grid")
PRUNERS = ("median", "halving", "hyperband")
MOST_POINTS = 1000


class SearchTask(TrainingParameters):
    """Search for good settings, compared on the validation set; write a page, a table and the best analysis file."""

    space = luigi.Parameter(description="the space file with settings and their possible values")
    sampler = luigi.Parameter(default="tpe", description="how settings are drawn: tpe (of optuna), random or grid")
    trials = luigi.IntParameter(
        default=0,
        significant=False,
        description="number of trials in the study, including existing ones; default: 20, or all points of a grid",
    )
    seeds = law.CSVParameter(default=(), description="train each trial once with each of these random seeds")
    metric = luigi.Parameter(default="val_loss", description="the column of history.csv to compare, at the best epoch")
    direction = luigi.Parameter(
        default="", description="minimize or maximize; default: depends on the metric, losses are minimized"
    )
    sampler_seed = luigi.IntParameter(default=1, description="random seed of the draws")
    prune = luigi.OptionalBoolParameter(
        default=None,
        description="stop trials that are worse than others at the same epoch; default: yes, except in a grid or if the number of epochs is searched",
    )
    pruner = luigi.Parameter(
        default="median",
        description="how trials are compared: median, halving (successive halving) or hyperband; in the last two, one third of the "
        "trials continues to three times the epochs",
    )
    prune_warmup = luigi.IntParameter(default=0, description="number of epochs before a trial may be stopped")
    study = luigi.Parameter(default="", description="name of the study; default: from the analysis and all settings")
    storage = luigi.Parameter(
        default="",
        significant=False,
        description="a journal file or postgresql://user@host/database; default: a journal file beside the output",
    )
    workers = luigi.IntParameter(
        default=1, significant=False, description="number of processes that train at the same time"
    )
    heartbeat = luigi.FloatParameter(
        default=60.0,
        significant=False,
        description="seconds between heartbeats; a trial without two of them is run again",
    )
    yes = luigi.BoolParameter(
        default=False, significant=False, description=f"allow a grid of more than {MOST_POINTS} points"
    )
    exclude_index = False

    @cached_property
    def searched(self) -> Space:
        """The search space, checked."""
        content = portable(self)
        network = self.training_config().model_name

        def kind_of(name: str, where: str) -> type | None:
            check_name(name, where, content)
            if getattr(self, name, None) not in (None, {}, 0):
                raise CollidekitError(f"{where}: {name}: is also given by --set {name}; give only one of them")
            return number_type(name, content, network)

        return Space.read(Path(str(self.space)), kind_of)

    @cached_property
    def search_plan(self) -> SearchPlan:
        """Settings of the search, checked."""
        self._check_choices()
        space, seeds = self.searched, tuple(chosen_seeds(self, self.seeds))
        points = space.grid_size() if self.sampler == "grid" else 0
        if points > MOST_POINTS and not self.yes:
            raise CollidekitError(
                f"{space.path}: the grid has {points:,} points, more than {MOST_POINTS:,}; give fewer values, or --yes"
            )
        if points and self.trials > points:
            raise CollidekitError(f"--trials: {self.trials} are more than the {points} points of the grid")
        base = TrainingTask.req(self, seed=seeds[0])
        config = base.training_config()
        plan = SearchPlan(
            name=str(self.study),
            storage=str(self.storage),
            space=space,
            fixed={"analysis": self.analysis.name, "dataset": base.requires()["dataset"].hash, "training": base.hash,
                   "settings": json.loads(json.dumps(base.hashed()["config"], default=str))},
            metric=str(self.metric),
            direction=self._direction(),
            sampler=str(self.sampler),
            seed=self.sampler_seed,
            seeds=seeds,
            warmup=self.prune_warmup if self._prunes() else -1,
            trials=self.trials or points or 20,
            heartbeat=self.heartbeat,
            pruner=str(self.pruner),
            epochs=0 if {"epochs", "min_steps"} & set(space.names) or config.min_steps else config.epochs,
        )  # fmt: skip
        if plan.pruner == "hyperband" and plan.warmup >= 0 and not plan.epochs:
            raise CollidekitError(
                "--pruner hyperband: needs a fixed number of epochs, but here epochs are searched or depend on min_steps; give --pruner halving"
            )
        if (changed := changes_loss(space.names)) and "loss" in plan.metric:
            raise CollidekitError(
                f"{space.path}: {plan.metric} cannot be compared between values of {changed}, which change the loss itself; give another "
                "--metric, such as val_accuracy"
            )
        check_space(self, space, config.seed)
        return plan

    def _check_choices(self) -> None:
        if self.sampler not in SAMPLERS:
            raise CollidekitError(f"--sampler: {self.sampler!r} is unknown; give one of {', '.join(SAMPLERS)}")
        if self.direction not in ("", "minimize", "maximize"):
            raise CollidekitError(f"--direction: {self.direction!r} is neither minimize nor maximize")
        at_least("workers", self.workers, 1)
        for name in ("trials", "sampler_seed", "prune_warmup"):
            at_least(name.replace("_", "-"), getattr(self, name), 0)
        if not 0 < self.heartbeat < math.inf:
            raise CollidekitError(f"--heartbeat: {self.heartbeat} is not a positive number of seconds")
        if self.prune_warmup and not self._prunes():
            raise CollidekitError("--prune-warmup: has no effect without --prune; leave it out")
        self._check_pruner()
        if self.storage:
            check_storage(str(self.storage), self.workers)

    def _check_pruner(self) -> None:
        if self.pruner not in PRUNERS:
            close = did_you_mean(str(self.pruner), PRUNERS)
            raise CollidekitError(f"--pruner: {self.pruner!r} is unknown; give one of {', '.join(PRUNERS)}{close}")
        if self.pruner != "median" and not self._prunes():
            raise CollidekitError(
                f"--pruner {self.pruner}: has no effect without --prune; leave it out or give --prune"
            )

    def _prunes(self) -> bool:
        if self.prune is None:
            return self.sampler != "grid" and not {"epochs", "min_steps"} & set(self.searched.names)
        return bool(self.prune)

    def _direction(self) -> str:
        metric = str(self.metric)
        if not metric.startswith("val_"):
            raise CollidekitError(
                f"--metric: {metric!r} is not measured on the validation set; give a column of history.csv that begins with val_"
            )
        if self.direction:
            return str(self.direction)
        if "loss" in metric or metric.endswith("_rms"):
            return "minimize"
        if metric.endswith(("accuracy", "efficiency")):
            return "maximize"
        close = did_you_mean(metric, ["val_loss", "val_accuracy"])
        raise CollidekitError(
            f"--metric {metric}: is neither a loss nor an accuracy{close}; for another column of history.csv, also give --direction"
        )

    def requires(self) -> dict[str, AnalysisTask]:
        return {"dataset": DatasetConstructorTask.req(self)}

    def look_first(self) -> None:
        plan = self.search_plan
        check_storage(plan.storage or str(self.folder / JOURNAL), self.workers)
        DatasetConstructorTask.req(self).look_first()  # errors of the analysis file itself come first
        check_choices(self, plan.space)

    def identity(self) -> dict[str, Any]:
        named = {"study": str(self.study)} if self.study else {}
        named |= {"storage": without_password(str(self.storage))} if self.storage else {}
        return {**self.search_plan.record(), **named}

    def versions_in_path(self) -> list[str]:
        return [str(self.dataset_version), str(self.training_version)]

    def output(self) -> dict[str, law.LocalFileTarget]:
        names = {"search": "search.json", "csv": "trials.csv", "page": "search.html", "best": "best.yaml"}
        return {key: self.target(name) for key, name in names.items()} | {"run": self.target("run.json")}

    def enough(self) -> bool:
        """Return whether the output has as many trials as requested."""
        return self._finished() >= self.search_plan.trials

    def _finished(self) -> int:
        path = self.folder / "search.json"
        return int(read_sealed(path)["finished"]) if path.exists() else 0

    @cached_property
    def full_plan(self) -> SearchPlan:
        """Settings of the search with the name and the storage of the study."""
        plan = self.search_plan
        name = plan.name or f"{self.analysis.name}-{self.hash}"
        return evolve(plan, name=name, storage=plan.storage or str(self.folder / JOURNAL))

    def train(self, settings: dict[str, Any], seed: int, report: Any, shown: bool = True) -> Measured:
        """Train with the settings of a trial."""
        training = training_of(self, settings, seed, self.folder / "analyses")
        return train_and_measure(training, seed, report, shown)

    def run_here(self) -> None:
        """Run trials together with all processes of the same study, then write the results."""
        log = None if self.log_file == law.NO_STR else Path(str(self.log_file))
        with writing_to(log):
            plan = self.full_plan
            self.say(
                f"[bold]Searching[/bold] {len(plan.space.parameters)} settings in {plan.trials} trials, by {plan.metric} "
                f"({plan.direction}), study {literal(plan.name)} in {literal(without_password(plan.storage))}"
            )
            study = open_study(plan)
            if self.workers > 1:
                run_workers(self, self.workers)
            work(study, plan, self.train, lambda text: self.say(f"[cyan]{literal(text)}[/cyan]"))
            self._records = records(study, plan.space)
        super().run_here()

    def make(self) -> None:
        best = best_trial(self._records, self.search_plan.direction)
        if best is None:
            reason = next((trial.error for trial in self._records if trial.error), "none was completed")
            raise CollidekitError(f"no trial of the search was completed; the first error: {reason}")
        write_search(self, self._records, best)
        self.write_provenance()
        self.show(self._records)

    _records: list[TrialRecord]

    def show(self, found: list[TrialRecord]) -> None:
        """Print the best trials and the paths of the files."""
        from rich.console import Console

        from collidekit.search.table import best_table

        Console(soft_wrap=True).print(best_table(found, self.search_plan))
        self.say(f"[bold green]Search[/bold green]: {literal(self.folder / 'search.html')}")
        self.say(f"Best settings: {literal(self.folder / 'best.yaml')}")


def run_search(task: SearchTask) -> None:
    """Continue a search up to the requested number of trials, and write its page."""
    if task.complete():
        plan = task.full_plan
        task.show(records(open_study(plan), plan.space))
        return
    run_with_requirements(task)


def threads_of_each(workers: int) -> int:
    """Return the number of threads for each of several processes on this machine."""
    return max(1, (os.cpu_count() or 1) // workers)
