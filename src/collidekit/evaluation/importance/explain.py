"""``collidekit explain``: feature importance of a checkpoint on files, as JSON and plots."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from collidekit.analysis.load import read_analysis
from collidekit.analysis.same_inputs import check_same_inputs
from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.batch import Batch
from collidekit.dataset.trace import Trace, trace
from collidekit.errors import CollidekitError
from collidekit.evaluation.importance.features import SampleImportance, sample_importance
from collidekit.evaluation.importance.gradients import STEPS, Baseline
from collidekit.evaluation.importance.items import Score, find_scores
from collidekit.evaluation.importance.of_targets import TargetImportance, find_targets, target_importance
from collidekit.evaluation.importance.row import ExplainedRow, explain_row
from collidekit.evaluation.look import class_text, look_of
from collidekit.evaluation.plots.explained_row import plot_row
from collidekit.evaluation.plots.importance import plot_importance
from collidekit.files import gathering, write_json
from collidekit.inference.sample_rows import sample_rows
from collidekit.inference.seen import warning_of
from collidekit.models.tagger import Tagger
from collidekit.progress import counting
from collidekit.readers import expand
from collidekit.sealed import write_sealed
from collidekit.shipped import find_analysis
from collidekit.training.checkpoint import find_checkpoint, load_checkpoint

BASELINES: tuple[Baseline, ...] = ("mean", "default")


@dataclass(frozen=True)
class Settings:
    """Numbers of permutations and integration steps, and the baseline of the gradients."""

    scores: Sequence[str] = ()
    rows: int = 2000
    repeats: int = 3
    steps: int = STEPS
    baseline: Baseline = "mean"
    seed: int = 0
    batch_size: int = 512


@dataclass(frozen=True)
class Explained:
    """Results, written files and notes."""

    folder: Path
    samples: list[SampleImportance] = field(default_factory=list)
    targets: list[TargetImportance] = field(default_factory=list)
    rows: list[ExplainedRow] = field(default_factory=list)
    pictures: list[Path] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warning: str = ""
    """Rows that were used in the training of the model; empty if there are none."""


def explain_files(
    checkpoint: str | Path,
    files: Sequence[str],
    folder: Path,
    settings: Settings,
    row: int | None = None,
    member: int = 0,
    analysis: str | None = None,
    allow_training_rows: bool = False,
) -> Explained:
    """Explain a sample of the files, or one row of the only file.

    Rows of the training set are an error, unless ``allow_training_rows``.
    """
    check_settings(settings)
    path = find_checkpoint(checkpoint)
    loaded = load_checkpoint(path)
    if analysis is None:
        plan = loaded.plan()
    else:
        plan = Plan(*read_analysis(find_analysis(analysis)))
        check_same_inputs(path, loaded.analysis, plan.analysis)
    if row is not None:
        plan.analysis.require_classes("the explanation of one row")
    wanted_of(plan.analysis, settings.scores)  # before any work
    with gathering(folder) as staging, look_of(plan.analysis):
        if row is not None:
            found = _trace_row(plan, files, row, member)
            warning = warning_of(loaded, str(checkpoint), found.batch, files, plan.analysis, allow_training_rows)
            made = _explain_row(loaded.tagger, plan, found, staging, settings, row, member)
        else:
            with counting("Reading", "entries") as done:
                batch = sample_rows(plan, files, settings.rows, done)
            warning = warning_of(loaded, str(checkpoint), batch, files, plan.analysis, allow_training_rows)
            made = explain_sample(loaded.tagger, plan.analysis, batch, staging, settings, warning=warning)
    pictures = [folder / picture.name for picture in made.pictures]
    return replace(made, folder=folder, pictures=pictures, warning=warning)


def explain_sample(
    tagger: Tagger,
    analysis: Analysis,
    batch: Batch,
    folder: Path,
    settings: Settings,
    title: str = "",
    warning: str = "",
) -> Explained:
    """Write ``importance.json``, with a ``warning`` if there is one, and ``importance_<score>`` as PNG and PDF.

    ``title`` is the text above the plots.
    """
    scores, names = wanted_of(analysis, settings.scores)
    batches = list(batch.parts(settings.batch_size))
    found: list[SampleImportance] = []
    targets: list[TargetImportance] = []
    notes: list[str] = []
    if scores:
        found, notes = sample_importance(
            tagger, analysis, batches, scores, settings.repeats, settings.steps, settings.baseline, settings.seed
        )
    if names:
        targets, more = target_importance(tagger, analysis, batches, names, settings.repeats, settings.seed)
        notes += more
        if not targets and not found:
            raise CollidekitError(f"no importance can be measured: {'; '.join(notes)}")
    pictures: list[Path] = []
    shown: list[SampleImportance | TargetImportance] = [*found, *targets]
    for one in shown:
        if one.features:
            note = f"{title or analysis.name}, {len(batch):,} rows"
            pictures += plot_importance(folder / f"importance_{one.score}", one, note)
    for result in found:
        if result.completeness is not None and result.completeness > 0.05:
            notes.append(
                f"{result.score}: attributions miss {result.completeness:.0%} of the score difference; use more --steps"
            )
    content = {
        "format": "collidekit importance 1",
        **({"warning": warning} if warning else {}),
        "results": [result.as_dict() for result in found],
        "targets": [result.as_dict() for result in targets],
    }
    write_sealed(folder / "importance.json", content)
    return Explained(folder, samples=found, targets=targets, pictures=pictures, notes=notes)


def wanted_of(analysis: Analysis, names: Sequence[str]) -> tuple[list[Score], list[str]]:
    """Return the scores and the targets of rows to explain; without names the first score and all targets.

    Raises CollidekitError for an unknown name, and if the analysis has neither classes nor targets of rows.
    """
    if not analysis.row_targets:
        analysis.require_classes("feature importance")
    targets = [name for name in names if name in analysis.row_targets]
    others = [name for name in names if name not in targets]
    if not analysis.classes:
        return [], find_targets(analysis, names)
    scores = find_scores(analysis, others) if others or not targets else []
    return scores, targets if names else find_targets(analysis)


def _trace_row(plan: Plan, files: Sequence[str], row: int, member: int) -> Trace:
    paths = expand(list(files))
    if len(paths) != 1:
        raise CollidekitError(f"--row: needs exactly one file, not {len(paths)}")
    return trace(plan, paths[0], row, member)


def _explain_row(
    tagger: Tagger, plan: Plan, found: Trace, folder: Path, settings: Settings, row: int, member: int
) -> Explained:
    """Write ``row_<number>_<score>.json`` and plots."""
    notes = [] if found.selected else [f"{found.path}: row {row} does not pass the selection"]
    explained, pictures = [], []
    steps = max(settings.steps, 2 * STEPS)
    for score in find_scores(plan.analysis, settings.scores):
        result = explain_row(tagger, plan.analysis, found.batch, score, steps, settings.baseline)
        name = f"row_{row}_{score.name}" if not member else f"row_{row}_{member}_{score.name}"
        truth = f", true class {class_text(result.truth)}" if result.truth else ""
        note = f"row {row}{truth}, log odds {result.value:.2f}"
        pictures += plot_row(folder, name, result, note)
        write_json(folder / f"{name}.json", {"file": found.path, "row": row, "member": member, **result.as_dict()})
        explained.append(result)
    return Explained(folder, rows=explained, pictures=pictures, notes=notes)


def check_settings(settings: Settings) -> None:
    """Check the settings before any work; errors name the option."""
    if settings.baseline not in BASELINES:
        raise CollidekitError(f"--baseline: {settings.baseline!r} is unknown; allowed are {', '.join(BASELINES)}")
