"""HTML page of a search: history, importance, parallel coordinates, slices and the cost."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from collidekit.evaluation.grid.results import title
from collidekit.evaluation.report.report import (
    Block,
    Details,
    Facts,
    Pictures,
    ReportContent,
    Section,
    Table,
    Text,
    write_report,
)
from collidekit.search.axes import label
from collidekit.search.importance import FEWEST, FORESTS, importances
from collidekit.search.plots import plot_history, plot_importance, plot_parallel, plot_slices
from collidekit.search.study import SearchPlan
from collidekit.search.table import cells, shown_value, value_text
from collidekit.search.trials import TrialRecord, best_trial

STATES = ("complete", "pruned", "failed", "lost", "running", "waiting")
HOUR = 3600.0


def hours(seconds: float) -> str:
    """Return hours with three digits, from seconds."""
    return f"{seconds / HOUR:.3g}"


def write_page(path: Path, found: Sequence[TrialRecord], plan: SearchPlan, analysis: str, best_file: str) -> Path:
    """Write the page of a search with at least one complete trial."""
    best = best_trial(found, plan.direction)
    assert best is not None
    note = f"{analysis}, validation rows"
    with TemporaryDirectory() as name:
        folder = Path(name)
        plot_history(folder / "history", found, plan, note)
        plot_parallel(folder / "parallel", found, plan, note)
        slices = plot_slices(folder, found, plan, note)
        sections = (
            Section("Best settings", _best(found, plan, best, best_file)),
            Section("History", (Pictures((folder / "history.png",)),)),
            Section("Importance of settings", _importance(folder, found, plan, note)),
            Section("Parallel coordinates", (Pictures((folder / "parallel.png",)), *_parallel_note(plan))),
            Section("Slices", (Pictures(tuple(plot[0] for plot in slices)),)),
            Section("Cost", (_cost(found),)),
            *_failures(found),
            Section("Settings of the search", _how(plan)),
        )
        cpu = sum(trial.cpu_seconds for trial in found)
        headline = {
            f"best {title(plan.metric)}": value_text(best),
            "complete trials": str(sum(trial.state == "complete" for trial in found)),
            "pruned": str(sum(trial.state == "pruned" for trial in found)),
            "CPU hours": hours(cpu),
        }
        subtitle = f"{len(plan.space.parameters)} settings, compared on the validation set; the test set was not read"
        content = ReportContent(f"Search: {analysis}", subtitle, headline, _warnings(found), sections)
        return write_report(path, content)


def _warnings(found: Sequence[TrialRecord]) -> tuple[str, ...]:
    failed = sum(trial.state == "failed" for trial in found)
    return (f"{failed} of {len(found)} trials failed: see Failed trials",) if failed else ()


def _best(found: Sequence[TrialRecord], plan: SearchPlan, best: TrialRecord, best_file: str) -> tuple[Block, ...]:
    header, rows = cells(found, plan)
    facts = {label(one): shown_value(best.settings[one.name]) for one in plan.space}
    several = (
        "The value is the mean over the seeds ± their standard deviation."
        if len(plan.seeds) > 1
        else (
            "One seed for each trial: differences smaller than the spread between seeds are not significant; --seeds 1,2,3 measures it."
        )
    )
    chance = "The best of many trials is partly the best by chance: measure it on the test set."
    return (
        Text(
            f"Trial {best.number}. collidekit run {best_file} trains with these settings and measures on the test set. {chance}"
        ),
        Facts(facts),
        Table(tuple(header), tuple(map(tuple, rows)), f"The best complete trials. {several}"),
    )


def _importance(folder: Path, found: Sequence[TrialRecord], plan: SearchPlan, note: str) -> tuple[Block, ...]:
    measured = importances(found, plan.space, plan.direction)
    if not measured:
        return (Text(f"Not shown: it needs {FEWEST} complete trials with different values."),)
    plot_importance(folder / "importance", measured, plan, note)
    said = (
        f"Fraction of the variance of the value that each setting explains alone (fANOVA, {FORESTS} random forests; the bar is their "
        "mean, the line their standard deviation). It refers to the trials of this search, which are mostly near good values."
    )
    return Pictures((folder / "importance.png",)), Text(said)


def _parallel_note(plan: SearchPlan) -> tuple[Block, ...]:
    return (Text("Pruned trials are dotted and have no value at the end."),) if plan.warmup >= 0 else ()


def _cost(found: Sequence[TrialRecord]) -> Table:
    rows = []
    for state in STATES:
        if some := [trial for trial in found if trial.state == state]:
            cpu, wall = sum(t.cpu_seconds for t in some), sum(t.seconds for t in some)
            rows.append((state, str(len(some)), hours(cpu), hours(wall)))
    rows.append(
        ("all", str(len(found)), hours(sum(t.cpu_seconds for t in found)), hours(sum(t.seconds for t in found)))
    )
    caption = (
        "CPU time of the processes that ran the trials: training, validation and reading. For lost trials it is known up to their last "
        "heartbeat. Trainings that already existed cost nothing."
    )
    return Table(("trials", "number", "CPU hours", "hours"), tuple(rows), caption)


def _failures(found: Sequence[TrialRecord]) -> tuple[Section, ...]:
    rows = []
    for trial in found:
        if trial.state in ("failed", "lost"):
            said = "tried again" if trial.state == "lost" else trial.error
            settings = ", ".join(f"{name} {shown_value(value)}" for name, value in trial.settings.items())
            rows.append((str(trial.number), trial.state, settings, said))
    if not rows:
        return ()
    return (Section("Failed trials", (Table(("trial", "state", "settings", "error"), tuple(rows), names=4),)),)


def _how(plan: SearchPlan) -> tuple[Block, ...]:
    space = "\n".join(f"{name}: {entry}" for name, entry in plan.space.as_dict().items())
    pruning = "none"
    if plan.warmup >= 0:
        pruning = f"worse than the median at the same epoch, after {plan.warmup} epochs; from the first seed"
    facts = {
        "study": plan.name,
        "metric": f"{plan.metric}, {plan.direction}",
        "sampler": plan.sampler,
        "seed of the sampler": str(plan.seed),
        "seeds of the trainings": ", ".join(map(str, plan.seeds)),
        "pruning": pruning,
        "hash of the space": plan.space.hash,
    }
    return Facts(facts), Details("The space", space)
