"""GridTask: train at each point of a grid of settings, and compare the points on the validation set."""

import csv
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import law
import luigi
from rich.console import Console

from collidekit.errors import CollidekitError
from collidekit.evaluation.grid.results import Grid, Point, Trained, choose_figure
from collidekit.evaluation.grid.tables import write_csv, write_latex
from collidekit.evaluation.plots import plot_grid
from collidekit.plain_text import literal
from collidekit.sealed import as_written, read_sealed, write_sealed
from collidekit.tasks.base import AnalysisTask, run_with_requirements
from collidekit.tasks.best_analysis import write_best
from collidekit.tasks.grid_points import MOST_POINTS, OPTIONS, parse_over, points_of
from collidekit.tasks.jobs import run_as_jobs
from collidekit.tasks.seeds import chosen_seeds
from collidekit.tasks.send import JobsFailedError
from collidekit.tasks.tables import result_table
from collidekit.tasks.training import TrainingParameters, TrainingTask
from collidekit.training.checkpoint import kept_epoch, load_checkpoint
from collidekit.training.choice import check_network


class GridTask(TrainingParameters):
    """Train at each point of a grid of settings, compared on the validation set; write table, plot and best analysis file."""

    over = luigi.Parameter(
        default="", description="settings and their values: 'epochs=5,10; model_options.width=32,64'"
    )
    seeds = law.CSVParameter(default=(), description="train each point once with each of these random seeds")
    yes = luigi.BoolParameter(default=False, significant=False, description=f"allow more than {MOST_POINTS} trainings")
    exclude_index = False
    draws = True
    failures: Mapping[tuple[int, int], str] = {}
    """Errors of trainings by the numbers of point and seed; with errors, the output stays incomplete."""

    @cached_property
    def values(self) -> dict[str, list[Any]]:
        """Values of each setting."""
        found = parse_over([str(self.over)])
        for name in found:
            if getattr(self, name.partition(".")[0], None) not in (None, {}, 0) and "." not in name:
                raise CollidekitError(
                    f"--{name.replace('_', '-')}: is also given by --over {name}; give only one of them"
                )
        count = len(self._seeds())
        for values in found.values():
            count *= len(values)
        if count > MOST_POINTS and not self.yes:
            raise CollidekitError(
                f"--over: {count:,} trainings exceed the limit of {MOST_POINTS:,}; give fewer values, or --yes to train all"
            )
        return found

    @cached_property
    def points(self) -> list[dict[str, Any]]:
        return points_of(self.values)

    def _seeds(self) -> list[int]:
        """Return the seeds of each point."""
        return chosen_seeds(self, self.seeds)

    @cached_property
    def trainings(self) -> dict[tuple[int, int], TrainingTask]:
        """Training of each point and seed, by their numbers; raises an error for invalid settings."""
        found: dict[tuple[int, int], TrainingTask] = {}
        hashes: dict[str, tuple[int, int]] = {}
        for i, point in enumerate(self.points):
            for s, seed in enumerate(self._seeds()):
                task = found[i, s] = self._training(point, seed)
                other = hashes.setdefault(task.hash, (i, s))
                if other != (i, s):
                    raise CollidekitError(
                        f"--over: the points {self._label(other[0])} and {self._label(i)} are the same training; give only one of them"
                    )
        return found

    def _label(self, number: int) -> str:
        return f"({Point(self.points[number], []).label})"

    def _training(self, point: Mapping[str, Any], seed: int) -> TrainingTask:
        """Return the training of one point; an error in its settings, network or options names the point."""
        flat = {name: value for name, value in point.items() if "." not in name}
        options = {name.partition(".")[2]: value for name, value in point.items() if "." in name}
        try:
            if options:
                base = TrainingTask.req(self, **flat, seed=seed)
                flat[OPTIONS] = law.util.DotDict({**base.training_config().model_options, **options})
            task: TrainingTask = TrainingTask.req(self, **flat, seed=seed)
            check_network(self.analysis, task.training_config())
        except CollidekitError as error:
            raise CollidekitError(f"--over: point ({Point(dict(point), []).label}): {error}") from None
        return task

    def requires(self) -> dict[str, AnalysisTask]:
        return {f"point {i}, seed {s}": task for (i, s), task in self.trainings.items()}

    def look_first(self) -> None:
        _ = self.trainings

    def identity(self) -> dict[str, Any]:
        return {
            "settings": list(self.values),
            "points": [[self.points[i], task.hash] for (i, _), task in self.trainings.items()],
        }

    def versions_in_path(self) -> list[str]:
        return [str(self.dataset_version), str(self.training_version)]

    def output(self) -> dict[str, law.LocalFileTarget]:
        names = {"grid": "grid.json", "csv": "grid.csv", "latex": "grid.tex", "plot": "grid.png", "best": "best.yaml"}
        return {key: self.target(name) for key, name in names.items()} | {"run": self.target("run.json")}

    def make(self) -> None:
        points = [
            Point(
                settings,
                [measure(self.trainings[i, s], seed) for s, seed in self._numbered() if (i, s) not in self.failures],
                {str(seed): self.failures[i, s] for s, seed in self._numbered() if (i, s) in self.failures},
            )
            for i, settings in enumerate(self.points)
        ]
        figure, why = choose_figure(list(self.values), points)
        grid = Grid(points, figure)
        best = points.index(grid.best)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_csv(grid, self.folder / "grid.csv")
        write_latex(grid, self.folder / "grid.tex")
        plot_grid(self.folder / "grid", grid, f"{self.analysis.name}, {len(points)} points, validation set")
        trained = next(s for s, _ in self._numbered() if (best, s) not in self.failures)
        write_best(self.folder / "best.yaml", self, self.trainings[best, trained].training_config(), grid.best.label)
        content = {"figure": figure, "note": why, "best": best, "points": [point.as_dict() for point in points]}
        write_sealed(self.folder / "grid.json", content)
        self.show()
        if not self.failures:
            self.write_provenance()

    def _numbered(self) -> list[tuple[int, int]]:
        return list(enumerate(self._seeds()))

    def read(self) -> tuple[Grid, str]:
        """Return the grid and the note on the compared number from the file."""
        path = self.folder / "grid.json"
        with as_written(path):
            content = read_sealed(path)
            return Grid([Point.read(point) for point in content["points"]], content["figure"]), content["note"]

    def show(self) -> None:
        """Print the table with the best point first, and the paths of the files."""
        grid, note = self.read()
        header, rows = grid.cells()
        title = f"{self.analysis.name}, validation set" + (
            ", mean ± standard deviation over seeds" if len(self._seeds()) > 1 else ""
        )
        Console(soft_wrap=True).print(result_table(header, rows, title, names=len(grid.settings)))
        if note:
            self.say(f"[yellow]{literal(note)}[/yellow]")
        self.say(f"Best point: {literal(grid.best.label)}")
        self.say(f"[bold green]Grid[/bold green]: {literal(self.folder / 'best.yaml')}")


def measure(task: TrainingTask, seed: int) -> Trained:
    """Return the results of the best epoch of a training, its number of parameters and its CPU time."""
    checkpoint = load_checkpoint(task.folder / "best_model.pt")
    path = task.folder / "history.csv"
    with as_written(path), path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
        kept = kept_epoch(task.folder, rows)
        figures = {name: float(kept[name]) for name in kept if name.startswith("val_") and kept[name] not in (None, "")}
        seconds = sum(float(row["cpu_seconds"]) for row in rows)
    parameters = sum(p.numel() for p in checkpoint.tagger.parameters() if p.requires_grad)
    return Trained(seed, str(task.folder), checkpoint.epoch, figures, parameters, seconds)


def run_grid(task: GridTask) -> None:
    """Run the missing trainings one by one; if one fails, print its error and continue with the others."""
    if task.complete():
        task.show()
        return
    failures: dict[tuple[int, int], str] = {}
    total = len(task.trainings)
    for number, ((i, s), training) in enumerate(task.trainings.items(), 1):
        label = Point(task.points[i], []).label
        if training.complete():
            task.say(f"[dim]{number} of {total}: {literal(label)} (existing training)[/dim]")
            continue
        run_with_requirements(training.requires()["dataset"])
        task.say(
            f"[bold cyan]{number} of {total}[/bold cyan]: {literal(label)}, seed {training.training_config().seed}"
        )
        try:
            run_with_requirements(training)
        except (CollidekitError, RuntimeError, MemoryError) as error:
            failures[i, s] = " ".join(str(error).split())[:400] or type(error).__name__
            task.say(f"[bold red]failed[/bold red]: {literal(failures[i, s])}")
    finish_grid(task, failures)


def run_grid_as_jobs(task: GridTask, system: str | None, site_name: str | None, dry_run: bool) -> bool:
    """Run the trainings as jobs if a batch system is named; return False after a dry run.

    If some trainings failed, write the table of the others and raise an error.
    """
    try:
        return run_as_jobs(task, system, site_name, dry_run)
    except JobsFailedError as error:
        missing = {key: training for key, training in task.trainings.items() if not training.complete()}
        if not missing:  # the job of the table failed
            raise
        names = {key: f"TrainingTask_{training.hash}" for key, training in missing.items()}
        finish_grid(task, {key: error.reasons.get(name, str(error)) for key, name in names.items()})
        raise


def finish_grid(task: GridTask, failures: dict[tuple[int, int], str]) -> None:
    """Write the table of all complete trainings; raise an error if some failed."""
    total = len(task.trainings)
    if len(failures) == total:
        raise CollidekitError(f"all {total} trainings of the grid failed; the first: {failures[next(iter(failures))]}")
    task.failures = failures
    task.run()
    if failures:
        raise CollidekitError(
            f"{len(failures)} of {total} trainings failed (see above); the table contains the others; run the same command to repeat the failed ones"
        )
