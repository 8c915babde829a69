"""RobustnessTask: evaluate nominal and adversarial trainings under attacks; and the same for trained models."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import law
import luigi
import torch
from attrs import evolve
from rich.console import Console

from collidekit.analysis.same_inputs import check_same_inputs
from collidekit.analysis.scope import Plan
from collidekit.attacks.build import ATTACKS
from collidekit.attacks.settings import AttackSettings
from collidekit.dataset.loader import Dataset, Loader
from collidekit.dataset.overlap import overlap_note
from collidekit.errors import CollidekitError
from collidekit.evaluation.robustness.measure import AttackedTagger, AttackPlan, Point, over_seeds
from collidekit.evaluation.robustness.study import Study, robustness_table, run_study, with_seeds
from collidekit.inference.sample_rows import sample_rows, spread_rows
from collidekit.inference.seen import warning_of
from collidekit.plain_text import literal
from collidekit.plugins import is_known, unknown
from collidekit.progress import counting
from collidekit.sealed import as_written, read_as, read_sealed
from collidekit.shipped import load_plan
from collidekit.tasks.base import AnalysisTask
from collidekit.tasks.dataset import DatasetConstructorTask
from collidekit.tasks.inference import TestParameters, overlap_text, require_discriminators
from collidekit.tasks.titles import kind_of, kinds_of, short, trained
from collidekit.tasks.training import TrainingTask
from collidekit.training.checkpoint import Checkpoint, find_checkpoint, load_checkpoint
from collidekit.training.effect import attack_without_effect, check_given

STEPS = {
    "pgd": {"attack_iterations": 20, "attack_starts": 1}, "ngm": {"attack_iterations": 10}, "jetfool": {"attack_iterations": 10},
    "optimizer": {"attack_iterations": 50},
}  # fmt: skip
"""Default iterations and starts of attacks in this study."""
BATCH = 512


def attack_plan(names: Sequence[str], magnitudes: Sequence[float], shared: AttackSettings) -> AttackPlan:
    """Return the attacks with the given names, magnitudes and shared settings."""
    attacks = {}
    for name in names:
        if not is_known("attack", name, ATTACKS):
            raise CollidekitError(f"--attacks: {unknown('attack', name, ATTACKS)}")
        usual = {key: value for key, value in STEPS.get(name, {}).items() if key not in shared.model_fields_set}
        attacks[name] = shared.model_copy(update={**usual, "attack": name})
    return AttackPlan(attacks, magnitudes)


def numbers(texts: Sequence[Any]) -> list[float]:
    """Return magnitudes from texts of a command line."""
    try:
        return [float(text) for text in texts]
    except ValueError:
        given = ",".join(map(str, texts))
        raise CollidekitError(f"--magnitudes: {given!r}: write numbers, such as 0.01,0.02") from None


class RobustnessTask(TestParameters):
    """Train with and without ``--attack``, with each seed; evaluate both under the attacks of ``--attacks``."""

    seeds = law.CSVParameter(default=(1,), description="train once with each of these random seeds")
    attacks = law.CSVParameter(
        default=("noise", "fgsm", "pgd"), description=f"attacks on the test rows: {', '.join(ATTACKS)}"
    )
    magnitudes = law.CSVParameter(
        default=(0.01, 0.02, 0.05, 0.1), description="magnitudes of the attacks, in units of the width of each feature"
    )
    shown_magnitude = luigi.FloatParameter(default=0.05, description="magnitude of the plots of shapes")
    robustness_rows = luigi.IntParameter(default=10_000, description="number of attacked test rows, spread over all")
    exclude_index = False
    draws = True

    def trainings(self) -> list[TrainingTask]:
        """Return the nominal trainings, then the adversarial ones if there is an attack, one for each seed."""
        kinds: list[dict[str, Any]] = [{**self.left_out(attack="nominal"), "attack": "nominal"}]
        if self.training_config().attack != "nominal":
            kinds.append({})
        try:
            seeds = [int(seed) for seed in self.seeds]
        except ValueError:
            raise CollidekitError(
                f"--seeds: {','.join(map(str, self.seeds))!r}: write numbers, such as 1,2,3"
            ) from None
        return [TrainingTask.req(self, seed=seed, **kind) for kind in kinds for seed in seeds]

    def requires(self) -> dict[str, AnalysisTask]:
        self.attack_plan()
        for option in (
            "test_attack",
            "test_attack_magnitude",
            "test_attack_from",
            "checkpoint",
            "calibrated",
            "allow_training_rows",
        ):
            if getattr(self, option):
                raise CollidekitError(
                    f"--{option.replace('_', '-')}: has no meaning here; give --attacks and --magnitudes, and "
                    f"evaluate trained models with 'collidekit robustness'"
                )
        if self.seed is not None:
            raise CollidekitError("--seed: has no meaning here; give --seeds")
        if self.combine != "mean":
            raise CollidekitError(
                "--combine: has no meaning here, because each tagger is evaluated separately; leave it out"
            )
        if not self.test_files:
            raise CollidekitError(f"{self.config}: robustness needs test files; give them with --test-files")
        test = DatasetConstructorTask.req(self, dataset_version=self.test_dataset_version, filelist=self.test_files)
        return {"test": test, **{f"training {i}": task for i, task in enumerate(self.trainings())}}

    def look_first(self) -> None:
        require_discriminators(self)

    def check_attack(self, settings: AttackSettings, given: Mapping[str, Any]) -> None:
        """Raise an error for a given setting that none of ``--attacks`` uses."""
        check_given(given, attack_without_effect(settings, [str(name) for name in self.attacks]), "--test-")

    def attack_plan(self) -> AttackPlan:
        return attack_plan([str(name) for name in self.attacks], numbers(self.magnitudes), self.test_attack_settings)

    def identity(self) -> dict[str, Any]:
        plan = self.attack_plan()
        return {
            "needed": {name: task.hash for name, task in self.requires().items()},
            "attacks": {name: settings.identity for name, settings in plan.attacks.items()},
            "magnitudes": list(plan.magnitudes), "shown": self.shown_magnitude, "rows": self.robustness_rows,
        }  # fmt: skip

    def output(self) -> dict[str, law.LocalFileTarget]:
        return {name: self.target(f"robustness.{name}") for name in ("json", "html")} | {"run": self.target("run.json")}

    def make(self) -> None:
        torch.set_num_threads(max(1, min(self.n_threads, torch.get_num_threads())))
        test: Dataset = self.requires()["test"].dataset()
        tested = [
            AttackedTagger(kind_of(loaded.config), loaded.config.seed, loaded.tagger)
            for loaded in (load_checkpoint(task.folder) for task in self.trainings())
        ]
        trained_on = self.trainings()[0].requires()["dataset"].dataset().manifest.summary["statistics"]
        batches = list(spread_rows(Loader(test, 8192), self.robustness_rows).parts(BATCH))
        warning = overlap_note(self.trainings()[0].requires()["dataset"].dataset().manifest, test.manifest)
        if warning:
            self.say(overlap_text(warning))
        study = Study(
            self.analysis,
            tested,
            batches,
            self.attack_plan(),
            self.shown_magnitude,
            trained_on,
            f"{trained(self)} {self.hash}",
            warning,
        )
        show(run_study(study, self.folder), study.title, list(self.analysis.discriminators))
        self.say(f"[bold green]Robustness[/bold green]: {literal(self.folder / 'robustness.html')}")
        self.write_provenance()

    def points(self) -> list[Point]:
        """Return the results from the file."""
        path = self.folder / "robustness.json"
        with as_written(path):
            return [read_as(Point, entry) for entry in read_sealed(path)["points"]]


def show(points: Sequence[Point], title: str, discriminators: Sequence[str]) -> None:
    """Print a table for each discriminator."""
    console, lines = Console(soft_wrap=True, highlight=False), over_seeds(points)
    for name in discriminators:
        console.print(robustness_table(lines, name, f"{title}, {name}"))


def load_models(names: Sequence[str], layout: str | None = None) -> tuple[list[tuple[Path, Checkpoint]], Plan]:
    """Return the checkpoints of a study, and the analysis that reads the files; raise an error if they do not fit together."""
    loaded: list[tuple[Path, Checkpoint]] = []
    for name in names:
        path = find_checkpoint(name)
        loaded.append((path, load_checkpoint(path)))
        check_same_inputs(path, loaded[-1][1].analysis, loaded[0][1].analysis)
    used = loaded[0][1].plan() if layout is None else load_plan(layout)
    analysis = used.analysis
    if layout is not None:
        check_same_inputs(loaded[0][0], loaded[0][1].analysis, analysis)
    analysis.require_classes("robustness")
    if not analysis.discriminators:
        raise CollidekitError(
            f"{analysis.name}: has no discriminators, so there is no AUC to measure; add 'discriminators:' to the analysis file"
        )
    return loaded, used


def study_of_models(
    names: Sequence[str],
    files: Sequence[str],
    plan: AttackPlan,
    shown: float,
    limit: int,
    layout: str | None = None,
    allow_training_rows: bool = False,
) -> Study:
    """Return a study of checkpoints, folders of trainings or bundled models, on rows of files.

    ``layout`` is another analysis with the same inputs and classes, for files of another layout. Rows of the training
    set of any tagger are an error without ``allow_training_rows``.
    """
    loaded, used = load_models(names, layout)
    analysis = used.analysis
    with counting("Reading", "entries") as done:
        rows = sample_rows(used, files, limit, done)
    warnings = {
        name: warning_of(one, name, rows, files, analysis, allow_training_rows)
        for name, (_, one) in zip(names, loaded, strict=True)
    }
    warning = "; ".join(f"{short(name)}: {text}" if len(names) > 1 else text for name, text in warnings.items() if text)
    if warning:
        Console(soft_wrap=True, highlight=False).print(f"[bold red]{literal(warning)}[/bold red]")
    rows = rows.take(torch.nonzero(rows.labels >= 0).flatten())
    if not len(rows):
        raise CollidekitError(
            "no row of the files is in a class of the analysis, so there is no AUC; give files with truth"
        )
    rows = evolve(rows, index=torch.arange(len(rows)))  # random numbers depend on the position of a row
    kinds = kinds_of([one.config for _, one in loaded])
    tested = with_seeds(
        [AttackedTagger(kind, one.config.seed, one.tagger) for kind, (_, one) in zip(kinds, loaded, strict=True)]
    )
    of = " and ".join(map(short, names)) if len(names) <= 2 else f"{len(names)} models"
    return Study(analysis, tested, list(rows.parts(BATCH)), plan, shown, of=of, warning=warning)
