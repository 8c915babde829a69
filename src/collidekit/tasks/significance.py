"""SignificanceTask: compare objectives with a tuned threshold on the same events, for several seeds."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import law
import numpy as np
from rich.console import Console
from rich.table import Table

from collidekit.analysis.figure_of_merit import FigureOfMerit
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.evaluation.plots import (
    plot_masses,
    plot_risk_coverage,
    plot_significance_coverage,
    plot_significance_seeds,
)
from collidekit.evaluation.significance.evaluate import Measured, SignificanceEvaluator
from collidekit.evaluation.significance.peak_fit import fit_peak
from collidekit.evaluation.significance.risk_coverage import risk_coverage
from collidekit.objectives import OBJECTIVES, RELEGATING
from collidekit.plain_text import literal
from collidekit.sealed import as_written, read_sealed, write_sealed
from collidekit.simulation.moons import best_of_file
from collidekit.tasks.base import AnalysisTask
from collidekit.tasks.inference import InferenceTask, TestParameters
from collidekit.tasks.relegation_plots import plot_decisions, plot_epochs
from collidekit.tasks.titles import trained

EVERYTHING, ARGMAX, THRESHOLD = "no choice", "most probable", "tuned threshold"
UNTRAINED = (EVERYTHING, ARGMAX)
BY_THRESHOLD = ("classification", "disco")
"""Objectives without relegation: they select by a threshold that is tuned on the training files."""
EFFICIENCY = 0.5
"""Signal efficiency at which the sculpting of the background is compared."""


class SignificanceTask(TestParameters):
    """Train each variant with each seed, and compare the significance of the signal with a tuned threshold."""

    seeds = law.CSVParameter(default=(1, 2, 3), description="train each variant once with each of these random seeds")
    variants = law.CSVParameter(
        default=("relegator",), description=f"objectives to compare: {', '.join(list(OBJECTIVES)[1:])}"
    )
    exclude_index = False
    draws = True

    @property
    def merit(self) -> FigureOfMerit:
        """Figure of merit; raises an error if the analysis has none."""
        merit = self.analysis.figure_of_merit
        if merit is None:
            raise CollidekitError(f"{self.config}: has no figure of merit; add 'figure_of_merit:' to the analysis file")
        return merit

    @cached_property
    def title(self) -> str:
        """Title of the table and of plots."""
        baseline = self.inference("classification", self._seeds()[0])
        return f"{self.analysis.name}, {trained(baseline)} {self.hash}"

    def objectives(self) -> list[str]:
        """Return the baseline, then the variants."""
        for name in self.variants:
            if name not in OBJECTIVES:
                raise CollidekitError(
                    f"--variants: there is no objective {name!r}{did_you_mean(name, list(OBJECTIVES))}"
                )
        return list(dict.fromkeys(["classification", *map(str, self.variants)]))

    def inference(self, objective: str, seed: int, **more: Any) -> InferenceTask:
        """Return the prediction task of one training."""
        fixed = {
            **self.left_out(objective=objective),
            "objective": objective,
            "seed": seed,
            "seeds": (),
            "checkpoint": (),
        }
        task: InferenceTask = InferenceTask.req(self, **fixed, **more)
        return task

    def requires(self) -> dict[str, AnalysisTask]:
        if not self.test_files:
            raise CollidekitError(f"{self.config}: a significance needs test files; give them with --test-files")
        self._check_given()
        needed: dict[str, AnalysisTask] = {}
        for seed in self._seeds():
            for objective in reversed(
                self.objectives()
            ):  # the baseline last, because others detect a useless window at once
                needed[f"{objective} {seed}"] = self.inference(objective, seed)
            training_files = self.inference("classification", seed).requires()["training"].requires()["dataset"].files()
            for objective in self._by_threshold():
                needed[f"threshold {objective} {seed}"] = self.inference(
                    objective, seed, test_filelist=tuple(training_files)
                )
        return needed

    def _check_given(self) -> None:
        """Raise an error for a parameter without effect in all variants."""
        for option, instead in (
            ("objective", "give --variants"), ("seed", "give --seeds"), ("checkpoint", "give --variants"),
            ("test_attack", "'collidekit robustness' attacks rows"),
        ):  # fmt: skip
            if getattr(self, option) not in (None, (), "nominal"):
                raise CollidekitError(f"--{option.replace('_', '-')}: has no meaning here; {instead}")
        if self.all_folds:
            raise CollidekitError("--folds: needs --fold here; name the fold to train")
        nowhere = set.intersection(*(set(self.left_out(objective=name)) for name in self.objectives()))
        if nowhere:
            name = min(nowhere)
            raise CollidekitError(
                f"--{name.replace('_', '-')}: has no effect with any of {', '.join(self.objectives())}; leave it out"
            )

    def _by_threshold(self) -> list[str]:
        return [name for name in self.objectives() if name in BY_THRESHOLD]

    def _seeds(self) -> list[int]:
        try:
            return [int(seed) for seed in self.seeds] or [1]
        except ValueError:
            raise CollidekitError(
                f"--seeds: {','.join(map(str, self.seeds))!r}: write numbers, such as 1,2,3"
            ) from None

    def identity(self) -> dict[str, Any]:
        return {
            "inference": {name: task.hash for name, task in self.requires().items()},
            "figure_of_merit": self.merit.model_dump(mode="json"),
            "units": self.analysis.units,
        }

    def output(self) -> dict[str, law.LocalFileTarget]:
        return {"table": self.target("significance.json"), "run": self.target("run.json")}

    def make(self) -> None:
        needed, seeds = self.requires(), self._seeds()
        choices = [self._choices(needed, seed) for seed in seeds]
        found = {name: [seed[name].measure() for seed in choices] for name in choices[0]}
        trained_names = [name for name in found if name not in UNTRAINED]
        relegating = [name for name in trained_names if name in RELEGATING]
        best = best_of_file(self.test_files[0], self.merit)
        content = {
            "seeds": seeds, "best": best, "variable": self.merit.variable,
            "relegated": {name: [seed[name].relegated_share() for seed in choices] for name in relegating},
            "sculpting": {name: [seed[name].judge.sculpting(EFFICIENCY) for seed in choices] for name in trained_names},
            "variants": {name: [asdict(entry) for entry in entries] for name, entries in found.items()},
        }  # fmt: skip
        self.folder.mkdir(parents=True, exist_ok=True)
        self._compare({name: choices[0][name] for name in trained_names}, found, best)
        for name in trained_names:
            self._draw_choice(name, choices[0][name])
        write_sealed(self.folder / "significance.json", content)
        Console(soft_wrap=True).print(significance_table(content, self.title))
        self.say(f"[bold green]Significance[/bold green]: {literal(self.folder)}")
        self.write_provenance()

    def _choices(self, needed: Mapping[str, Any], seed: int) -> dict[str, "Choice"]:
        """Return the selections with one seed: all rows, the baseline in two ways, and each variant."""
        choices = {}
        for objective in self.objectives():
            judge = SignificanceEvaluator(needed[f"{objective} {seed}"].predictions(), self.merit)
            if objective == "classification":
                choices[EVERYTHING] = Choice(judge, judge.everything())
                choices[ARGMAX] = Choice(judge, judge.called())
            if objective in BY_THRESHOLD:
                on_training = SignificanceEvaluator(needed[f"threshold {objective} {seed}"].predictions(), self.merit)
                choice = Choice(judge, judge.score() >= on_training.best_threshold())
            else:
                choice = Choice(judge, judge.called())
            choices[THRESHOLD if objective == "classification" else objective] = choice
        return choices

    def _compare(
        self, first: Mapping[str, "Choice"], found: Mapping[str, Sequence[Measured]], best: float | None
    ) -> None:
        """Plot all selections: significance of each seed, and against coverage for the first seed."""
        note, measure = self.title, f"significance {self._measure()}"
        rows = [
            (name, np.array([entry.value for entry in entries]), np.array([entry.error for entry in entries]))
            for name, entries in found.items() if name != EVERYTHING
        ]  # fmt: skip
        plot_significance_seeds(self.folder / "seeds", rows, best, note, measure)
        _, significance, coverage = first[THRESHOLD].judge.curve()
        curves = [("threshold on the score", coverage, significance, np.zeros_like(coverage))]
        points = [(name, found[name][0].coverage, found[name][0].value, found[name][0].error) for name in first]
        plot_significance_coverage(self.folder / "coverage", curves, points, best, note, measure)
        risks = [(name, *risk_coverage(choice.judge.predictions)) for name, choice in first.items()]
        plot_risk_coverage(self.folder / "risk", risks, note=note)

    def _measure(self) -> str:
        """Return the formula of the significance for plots."""
        return r"$S/\sqrt{S+B}$" if self.merit.significance == "simple" else r"$Z_\mathrm{A}$"

    def _draw_choice(self, name: str, choice: "Choice") -> None:
        """Plot masses, decisions and the training epochs of the first seed."""
        file, note, limits = name.replace(" ", "_"), f"{self.title}, {name}", self.merit.limits
        judge, chosen = choice.judge, choice.chosen
        fits = (
            fit_peak(judge.figure, judge.yields, limits),
            fit_peak(judge.figure[chosen], judge.yields[chosen], limits),
        )
        plot_masses(
            self.folder / f"masses_{file}", judge.figure, judge.is_signal, chosen, judge.yields, limits,
            self.analysis.label(self.merit.variable), fits, (judge.measure(judge.everything()), choice.measure()),
            note=note, measure=self._measure(),
        )  # fmt: skip
        plot_decisions(self.folder, file, judge, chosen, self.analysis, note)
        objective = "classification" if name == THRESHOLD else name
        inference = self.inference(objective, self._seeds()[0]).requires()
        plot_epochs(self.folder / f"epochs_{file}", inference["training"], inference["test"].dataset(), note)

    def content(self) -> dict[str, Any]:
        """Return the numbers of the table from the file."""
        return read_sealed(self.folder / "significance.json")

    def table(self) -> Table:
        """Return the table of an existing output."""
        content = self.content()
        with as_written(self.folder / "significance.json"):
            return significance_table(content, self.title)


@dataclass(frozen=True)
class Choice:
    """Rows that one training selects, as booleans (N,)."""

    judge: SignificanceEvaluator
    chosen: Any

    def measure(self) -> Measured:
        return self.judge.measure(self.chosen)

    def relegated_share(self) -> float:
        """Return the fraction of all expected events that is relegated."""
        return float(self.judge.yields[self.judge.relegated()].sum() / self.judge.yields.sum())


def significance_table(content: Mapping[str, Any], title: str = "") -> Table:
    """Return a table with mean, spread and worst of the seeds, the statistical error, and the best possible value."""
    seeds, best, sculpting = len(content["seeds"]), content["best"], content["sculpting"]
    title = f"{title}, {seeds} seed{'s' * (seeds > 1)}"
    table = Table(title=literal(title), title_justify="left", box=None, padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("choice", no_wrap=True)
    names = ["Z", "spread", "worst", "stat.", "refused", "JSD"]
    for name in [*names, *(["Z/best", "best"] if best else [])]:
        table.add_column(name, justify="right", no_wrap=True)
    for name, entries in content["variants"].items():
        values = np.array([entry["value"] for entry in entries])
        spread = f"{values.std(ddof=1) / max(values.mean(), 1e-12):.1%}" if seeds > 1 else ""
        shares, shapes = content["relegated"].get(name), sculpting.get(name)
        row = [
            name, f"{'> ' if any(entry.get('limit') for entry in entries) else ''}{values.mean():.4g}", spread, f"{values.min():.4g}",
            f"{np.mean([entry['error'] for entry in entries]):.2g}", f"{np.mean(shares):.1%}" if shares else "",
            _mean_shape(shapes) if shapes else "",
        ]  # fmt: skip
        table.add_row(*row, *([f"{values.mean() / best:.1%}", f"{best:.4g}"] if best else []))
    table.caption = (
        f"Z: significance, mean of the seeds. stat.: statistical error of one seed. JSD: of the background's "
        f"{content['variable']}, at a signal efficiency of {EFFICIENCY:.0%}."
    )
    if any(entry.get("limit") for entries in content["variants"].values() for entry in entries):
        table.caption += " >: lower limit, because for some seed no background row is left in the window."
    table.caption_justify = "left"
    return table


def _mean_shape(shapes: Sequence[Sequence[float | None]]) -> str:
    """Return the mean over the seeds with selected and rejected rows."""
    known = [shape[0] for shape in shapes if shape[0] is not None and np.isfinite(shape[0])]
    return f"{np.mean(known):.3f}" if known else "—"


def significance_task(
    analysis: str, files: Any = (), test_files: Any = (), settings: Mapping[str, Any] | None = None
) -> SignificanceTask:
    """Return the SignificanceTask of an analysis; settings that are None have their default."""
    given = {name: value for name, value in (settings or {}).items() if value is not None}
    return SignificanceTask(config=analysis, filelist=tuple(files), test_filelist=tuple(test_files), **given)
