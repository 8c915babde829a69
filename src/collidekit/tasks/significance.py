"""SignificanceTask: ways of learning beside the tuned threshold, over seeds, on the same events."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import law
import numpy as np
from rich.console import Console
from rich.table import Table

from collidekit.analysis.figure_of_merit import FigureOfMerit
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.evaluation.peak_fit import fit_peak
from collidekit.evaluation.plots import (
    plot_masses,
    plot_risk_coverage,
    plot_significance_coverage,
    plot_significance_seeds,
)
from collidekit.evaluation.significance import Judge, Measured
from collidekit.files import read_json, write_json
from collidekit.inference.predictions import Predictions
from collidekit.objectives import OBJECTIVES
from collidekit.simulation.moons import best_of_file
from collidekit.tasks.base import AnalysisTask
from collidekit.tasks.inference import InferenceTask, TestParameters
from collidekit.tasks.relegation_plots import plot_decisions, plot_epochs

THRESHOLD, ARGMAX = "tuned threshold", "most probable"
BY_THRESHOLD = ("classification", "disco")
"""Objectives that refuse nothing: they are judged by a threshold, tuned on the rows that they learned from."""
EFFICIENCY = 0.5
"""Of the signal, at which the sculpting of the background is compared."""
VARIANTS = tuple(name for name in OBJECTIVES if name not in ("classification", "disco"))


class SignificanceTask(TestParameters):
    """Train each variant with each seed; measure the significance of the signal beside that of a tuned threshold."""

    seeds = law.CSVParameter(default=(1, 2, 3), description="train each variant once with each of these seeds")
    variants = law.CSVParameter(
        default=("relegator",), description=f"objectives to compare: {', '.join(VARIANTS)}, disco"
    )
    exclude_index = False

    @property
    def merit(self) -> FigureOfMerit:
        """The figure of merit; an error where the analysis names none."""
        merit = self.analysis.figure_of_merit
        if merit is None:
            raise CollidekitError(
                f"{self.config}: names no figure of merit; add 'figure_of_merit:' to the analysis file"
            )
        return merit

    def objectives(self) -> list[str]:
        """The baseline first, then the variants."""
        for name in self.variants:
            if name not in OBJECTIVES:
                raise CollidekitError(f"--variants: there is no objective {name!r}{did_you_mean(name, OBJECTIVES)}")
        return list(dict.fromkeys(["classification", *map(str, self.variants)]))

    def inference(self, objective: str, seed: int, **more: Any) -> InferenceTask:
        """The predictions of one training."""
        task: InferenceTask = InferenceTask.req(self, objective=objective, seed=seed, seeds=(), checkpoint=(), **more)
        return task

    def requires(self) -> dict[str, AnalysisTask]:
        if not self.test_files:
            raise CollidekitError(f"{self.config}: a significance needs test files; give them with --test-files")
        needed: dict[str, AnalysisTask] = {}
        for seed in self._seeds():
            for objective in reversed(self.objectives()):  # the baseline last: others find a window of no use at once
                needed[f"{objective} {seed}"] = self.inference(objective, seed)
            learned = self.inference("classification", seed).requires()["training"].requires()["dataset"].files()
            for objective in self._by_threshold():
                needed[f"threshold {objective} {seed}"] = self.inference(objective, seed, test_filelist=tuple(learned))
        return needed

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
        }

    def output(self) -> dict[str, law.LocalFileTarget]:
        return {"table": self.target("significance.json"), "run": self.target("run.json")}

    def run(self) -> None:
        needed = self.requires()
        found: dict[str, list[Measured]] = {}
        relegated: dict[str, list[float]] = {}
        sculpting: dict[str, list[tuple[float, float]]] = {}
        first: dict[str, tuple[Judge, Any]] = {}
        for seed in self._seeds():
            for objective in self.objectives():
                judge, name = Judge(needed[f"{objective} {seed}"].predictions(), self.merit), objective
                if objective in BY_THRESHOLD:
                    learned = Judge(needed[f"threshold {objective} {seed}"].predictions(), self.merit)
                    chosen = judge.score() >= learned.best_threshold()
                else:
                    chosen = judge.called()
                    share = judge.yields[judge.relegated()].sum() / judge.yields.sum()
                    relegated.setdefault(objective, []).append(float(share))
                if objective == "classification":
                    name = THRESHOLD
                    found.setdefault("no choice", []).append(judge.measure(judge.everything()))
                    found.setdefault(ARGMAX, []).append(judge.measure(judge.called()))
                found.setdefault(name, []).append(judge.measure(chosen))
                sculpting.setdefault(name, []).append(judge.sculpting(EFFICIENCY))
                first.setdefault(name, (judge, chosen))
        best = best_of_file(self.test_files[0], self.merit)
        content = {
            "seeds": self._seeds(), "best": best, "variable": self.merit.variable, "relegated": relegated, "sculpting": sculpting,
            "variants": {name: [asdict(entry) for entry in entries] for name, entries in found.items()},
        }  # fmt: skip
        self.folder.mkdir(parents=True, exist_ok=True)
        self._draw(first, found, best)
        write_json(self.folder / "significance.json", content)
        Console(soft_wrap=True).print(significance_table(content, self.analysis.name))
        self.say(f"[bold green]Significance[/bold green]: {self.folder}")
        self.write_provenance()

    def _draw(
        self, first: Mapping[str, tuple[Judge, Any]], found: Mapping[str, list[Measured]], best: float | None
    ) -> None:
        note = self.analysis.name
        rows = [
            (name, np.array([entry.value for entry in entries]), np.array([entry.error for entry in entries]))
            for name, entries in found.items() if name != "no choice"
        ]  # fmt: skip
        plot_significance_seeds(self.folder / "seeds", rows, best, note, f"significance {self._measure()}")
        curves, points, risks = [], [], []
        for name, (judge, chosen) in first.items():
            if name == THRESHOLD:
                _, significance, coverage = judge.curve()
                curves.append(("threshold on the score", coverage, significance, np.zeros_like(coverage)))
            measured = found[name][0]
            points.append((name, measured.coverage, measured.value, measured.error))
            risks.append((name, *risk_coverage(judge.predictions)))
            self._draw_choice(name, judge, chosen)
        plot_significance_coverage(
            self.folder / "coverage", curves, points, best, note, f"significance {self._measure()}"
        )
        plot_risk_coverage(self.folder / "risk", risks, note=note)

    def _measure(self) -> str:
        """The formula of the significance, for plots."""
        return r"$S/\sqrt{S+B}$" if self.merit.significance == "simple" else r"$Z_\mathrm{A}$"

    def _draw_choice(self, name: str, judge: Judge, chosen: Any) -> None:
        """Of the first seed: masses, decisions, and the epochs of the training."""
        file, note, limits = name.replace(" ", "_"), f"{self.analysis.name}, {name}", self.merit.limits
        fits = (
            fit_peak(judge.figure, judge.yields, limits),
            fit_peak(judge.figure[chosen], judge.yields[chosen], limits),
        )
        plot_masses(
            self.folder / f"masses_{file}", judge.figure, judge.is_signal, chosen, judge.yields, limits,
            self.analysis.label(self.merit.variable), fits, (judge.measure(judge.everything()), judge.measure(chosen)),
            note=note, measure=self._measure(),
        )  # fmt: skip
        plot_decisions(self.folder, file, judge, chosen, self.analysis, note)
        objective = "classification" if name == THRESHOLD else name
        training = self.inference(objective, self._seeds()[0]).requires()["training"]
        plot_epochs(self.folder / f"epochs_{file}", training.folder / "history.csv", note)

    def content(self) -> dict[str, Any]:
        """What the table shows."""
        content: dict[str, Any] = read_json(self.folder / "significance.json")
        return content


def risk_coverage(predictions: Predictions) -> tuple[Any, Any]:
    """Share of rows kept, and share of these that are wrong, as the least certain rows are left out one by one.

    Certainty is the probability of the most probable class; what is relegated has lost it.
    """
    known = predictions.labels >= 0
    p, weights = predictions.probabilities[known], predictions.weights[known].astype(np.float64)
    order = np.argsort(-p.max(axis=1), kind="stable")
    wrong = (p.argmax(axis=1) != predictions.labels[known])[order]
    kept = np.cumsum(weights[order])
    every = np.unique(np.linspace(0, len(order) - 1, 500).astype(int))[1:]
    return (kept / kept[-1])[every], (np.cumsum(weights[order] * wrong) / kept)[every]


def significance_table(content: Mapping[str, Any], title: str = "") -> Table:
    """Mean over the seeds with their spread, the worst seed, the statistical error of one; the best possible last."""
    seeds, best, sculpting = len(content["seeds"]), content["best"], content["sculpting"]
    table = Table(
        title=f"{title}, {seeds} seed{'s' * (seeds > 1)}",
        title_justify="left",
        box=None,
        padding=(0, 2, 0, 0),
        pad_edge=False,
    )
    table.add_column("choice", no_wrap=True)
    names = ["Z", "spread", "worst", "stat.", "refused", "JSD"]
    for name in [*names, *(["Z/best", "best"] if best else [])]:
        table.add_column(name, justify="right", no_wrap=True)
    for name, entries in content["variants"].items():
        values = np.array([entry["value"] for entry in entries])
        spread = f"{values.std(ddof=1) / max(values.mean(), 1e-12):.1%}" if seeds > 1 else ""
        shares, shapes = content["relegated"].get(name), sculpting.get(name)
        row = [
            name, f"{values.mean():.4g}", spread, f"{values.min():.4g}",
            f"{np.mean([entry['error'] for entry in entries]):.2g}", f"{np.mean(shares):.1%}" if shares else "",
            f"{np.mean([shape[0] for shape in shapes]):.3f}" if shapes else "",
        ]  # fmt: skip
        table.add_row(*row, *([f"{values.mean() / best:.1%}", f"{best:.4g}"] if best else []))
    table.caption = (
        f"Z: significance, mean of the seeds. stat.: error of one, of the simulated rows. JSD: of the background's "
        f"{content['variable']}, at {EFFICIENCY:.0%} of the signal."
    )
    table.caption_justify = "left"
    return table


def significance_task(
    analysis: str, files: Any = (), test_files: Any = (), settings: Mapping[str, Any] | None = None
) -> SignificanceTask:
    """The task of an analysis; settings that are None are left as the analysis recommends them."""
    given = {name: value for name, value in (settings or {}).items() if value is not None}
    return SignificanceTask(config=analysis, filelist=tuple(files), test_filelist=tuple(test_files), **given)
