"""ImportanceTask: compute the importance of features of a trained tagger on test rows."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import law
import luigi
import torch

from collidekit.dataset.loader import Dataset, Loader
from collidekit.errors import CollidekitError
from collidekit.evaluation.importance.explain import Settings, check_settings, explain_sample, wanted_of
from collidekit.evaluation.importance.features import SampleImportance
from collidekit.evaluation.importance.of_targets import TargetImportance
from collidekit.evaluation.importance.report import importance_section, target_section
from collidekit.evaluation.report.report import Section
from collidekit.inference.sample_rows import spread_rows
from collidekit.plain_text import literal
from collidekit.sealed import as_written, read_sealed
from collidekit.tasks.inference import PredictionTask
from collidekit.training.checkpoint import load_checkpoint
from collidekit.training.prepare import held_out_rows


class ImportanceTask(PredictionTask):
    """Measure the importance of each feature on rows of the test dataset, by permutation and by gradients."""

    explain_rows = luigi.IntParameter(default=2000, description="number of rows")
    explain_repeats = luigi.IntParameter(default=3, description="number of permutations of each feature")
    scores = law.CSVParameter(
        default=(), description="discriminators, classes or targets of rows; default: every discriminator and target"
    )
    exclude_index = False
    draws = True

    def identity(self) -> dict[str, Any]:
        return {**super().identity(), "settings": vars(self.settings()), "units": self.analysis.units}

    def settings(self) -> Settings:
        default = (*self.analysis.discriminators, *self.analysis.row_targets) if self.analysis.discriminators else ()
        names = tuple(map(str, self.scores)) or default
        if self.explain_rows < 2 or self.explain_repeats < 2:
            option, value = min(("--explain-rows", self.explain_rows), ("--explain-repeats", self.explain_repeats),
                                key=lambda pair: pair[1])  # fmt: skip
            raise CollidekitError(f"{option}: {value} is too few; give at least 2")
        return Settings(names, self.explain_rows, self.explain_repeats)

    def output(self) -> dict[str, law.LocalFileTarget]:
        return {"importance": self.target("importance.json"), "run": self.target("run.json")}

    def look_first(self) -> None:
        if self.requires()["inference"].is_ensemble:
            raise CollidekitError(
                "feature importance needs a single model; leave out --seeds, or name one --fold or --checkpoint"
            )
        if self.test_attack_settings.attack != "nominal":
            raise CollidekitError(
                "--test-attack: feature importance is computed for rows without an attack; leave out one of the two"
            )
        check_settings(self.settings())
        wanted_of(self.analysis, self.settings().scores)

    def make(self) -> None:
        inference = self.requires()["inference"]
        torch.set_num_threads(max(1, min(self.n_threads, torch.get_num_threads())))
        settings = self.settings()
        trainings = inference.trainings()
        loaded = load_checkpoint(trainings["training"].folder if trainings else str(self.checkpoint[0]))
        if "test" in inference.requires():
            dataset: Dataset = inference.requires()["test"].dataset()
            rows = Loader(dataset, 8192)
        else:
            dataset = inference.dataset_task().dataset()
            rows = held_out_rows(dataset, loaded.config.split)
        done = explain_sample(
            loaded.tagger, self.analysis, spread_rows(rows, settings.rows), self.folder, settings, self.title
        )
        for note in done.notes:
            self.say(f"[yellow]{literal(note)}[/yellow]")
        self.say(f"Feature importance: {literal(self.folder / 'importance.json')}")
        self.write_provenance()

    def sections(self) -> list[Section]:
        """Return the sections of the report for scores of classes and for targets."""
        scores, targets = self.read(), self.read_targets()
        found = [importance_section(scores, self._plots(scores))] if scores else []
        return [*found, target_section(targets, self._plots(targets))] if targets else found

    def _plots(self, found: Sequence[SampleImportance | TargetImportance]) -> list[Path]:
        return [self.folder / f"importance_{one.score}.png" for one in found if one.features]

    def read(self) -> list[SampleImportance]:
        """Return the importance for scores from the file."""
        path = self.folder / "importance.json"
        with as_written(path):
            return [SampleImportance.read(entry) for entry in read_sealed(path)["results"]]

    def read_targets(self) -> list[TargetImportance]:
        """Return the importance for targets from the file."""
        path = self.folder / "importance.json"
        with as_written(path):
            return [TargetImportance.read(entry) for entry in read_sealed(path).get("targets", [])]
