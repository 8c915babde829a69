"""CompareTask: compare a training with attacks on its rows, other runs and taggers in the files."""

import hashlib
from functools import cached_property
from pathlib import Path
from typing import Any

import law
import luigi
from rich.console import Console

from collidekit.attacks.build import ATTACKS
from collidekit.errors import CollidekitError
from collidekit.evaluation.comparison.page import write_comparison
from collidekit.plugins import is_known, unknown
from collidekit.tasks.base import AnalysisTask, results_folder
from collidekit.tasks.compare_runs import compare_runs, show_comparison
from collidekit.tasks.compared_runs import Run, RunFinder
from collidekit.tasks.compared_taggers import F_C, check_f_c
from collidekit.tasks.inference import InferenceTask, TestParameters, require_discriminators


class CompareTask(TestParameters):
    """Compare a tagger on the test rows with itself under attacks, with other runs, and with taggers in the files."""

    under = law.CSVParameter(
        default=(), description="attacks on the same rows with their magnitudes, such as fgsm:0.05,noise:0.05"
    )
    runs = law.CSVParameter(
        default=(),
        description="other runs: folders of reports or trainings, the first letters of hashes, or .parquet files",
    )
    names = law.CSVParameter(
        default=(), description="a name for each curve: this tagger, then those of --under, then those of --runs"
    )
    taggers = law.CSVParameter(
        default=(), description="scores in the files: BRANCH or NAME=EXPRESSION; see collidekit compare"
    )
    f_c = luigi.FloatParameter(
        default=F_C, description="fraction of c jets in the discriminant of a tagger with pb, pc and pu"
    )
    replicates = luigi.IntParameter(default=200, description="number of bootstrap replicates")
    exclude_index = False
    draws = True

    @cached_property
    def attacks(self) -> dict[str, dict[str, Any]]:
        """Parameters of the predictions under each attack, by the text of the attack."""
        found = {}
        for text in map(str, self.under):
            name, _, magnitude = text.partition(":")
            if not is_known("attack", name, ATTACKS):
                raise CollidekitError(f"--under: {unknown('attack', name, ATTACKS)}")
            try:
                found[text] = {"test_attack": name, "test_attack_magnitude": float(magnitude)}
            except ValueError:
                raise CollidekitError(f"--under: {text!r}: write attack and magnitude, such as {name}:0.05") from None
        return found

    def requires(self) -> dict[str, AnalysisTask]:
        return {
            "inference": InferenceTask.req(self),
            **{f"under {text}": InferenceTask.req(self, **given) for text, given in self.attacks.items()},
        }

    def look_first(self) -> None:
        require_discriminators(self)
        curves = 1 + len(self.under) + len(self.runs)
        if curves + len(self.taggers) < 2:
            raise CollidekitError("CompareTask: there is only one curve; give --under, --runs or --taggers")
        if self.names and len(self.names) != curves:
            raise CollidekitError(f"--names: {len(self.names)} given for {curves} curves; give one for each")
        check_f_c(self.f_c)
        _ = self.others

    @cached_property
    def others(self) -> list[Run]:
        """Runs of ``--runs``."""
        finder = RunFinder(results_folder())
        return [run for name in self.runs for run in finder.find(str(name))]

    def identity(self) -> dict[str, Any]:
        return {
            "compared": [task.hash for task in self.requires().values()],
            "runs": [_content_id(run.folder) for run in self.others],
            "names": [str(name) for name in self.names],
            "taggers": [str(tagger) for tagger in self.taggers],
            "f_c": self.f_c,
            "replicates": self.replicates,
            **({"efficiencies": self.analysis.efficiencies} if self.analysis.efficiencies else {}),
        }

    def output(self) -> dict[str, law.LocalFileTarget]:
        return {name: self.target(f"comparison.{name}") for name in ("html", "json")} | {"run": self.target("run.json")}

    def make(self) -> None:
        finder = RunFinder(results_folder())
        own = [run for task in self.requires().values() for run in finder.find(str(task.folder))]
        texts = [str(tagger) for tagger in self.taggers]
        found = compare_runs(
            [*own, *self.others],
            list(map(str, self.names)),
            texts,
            self.f_c,
            self.replicates,
            self.analysis.efficiencies,
        )
        show_comparison(found, write_comparison(found, self.folder), Console())
        self.write_provenance()


def _content_id(place: Path) -> str:
    """Return an identity of predictions: the hash of their output, or of the file."""
    return place.name if place.is_dir() else hashlib.sha256(place.read_bytes()).hexdigest()[:16]
