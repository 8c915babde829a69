"""Files of a search: search.json, trials.csv, the HTML page and the best analysis file."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import asdict

from collidekit.files import write_text
from collidekit.sealed import write_sealed
from collidekit.search.page import write_page
from collidekit.search.table import shown_value, value_text, write_trials
from collidekit.search.trials import TrialRecord
from collidekit.tasks.best_analysis import write_best
from collidekit.tasks.search_points import training_of

if TYPE_CHECKING:
    from collidekit.tasks.search import SearchTask


def write_search(task: "SearchTask", found: Sequence[TrialRecord], best: TrialRecord) -> None:
    """Write all files of a search except run.json."""
    plan = task.full_plan
    task.folder.mkdir(parents=True, exist_ok=True)
    write_trials(found, plan, task.folder / "trials.csv")
    write_best_analysis(task, best)
    write_page(task.folder / "search.html", found, plan, task.analysis.name, "best.yaml")
    finished = sum(trial.state in ("complete", "pruned", "failed") for trial in found)
    content = {
        "study": plan.name,
        "metric": plan.metric,
        "direction": plan.direction,
        "finished": finished,
        "best": best.number,
        "trials": [asdict(trial) for trial in found],
    }
    write_sealed(task.folder / "search.json", content)


def write_best_analysis(task: "SearchTask", best: TrialRecord) -> None:
    """Write the analysis file of the best trial, with comments on its origin."""
    plan = task.full_plan
    training = training_of(task, best.settings, plan.seeds[0], task.folder / "analyses")
    settings = ", ".join(f"{name} {shown_value(value)}" for name, value in best.settings.items())
    path = task.folder / "best.yaml"
    write_best(path, training, training.training_config(), settings, "The best trial of a search", "trials.csv")
    seeds = f"the seeds {', '.join(map(str, plan.seeds))}" if len(plan.seeds) > 1 else f"the seed {plan.seeds[0]}"
    error = " (mean ± standard deviation)" if best.spread is not None else ""
    head = (
        f"# Study {plan.name}, trial {best.number}: {plan.metric} {value_text(best)}{error} on the validation set, with {seeds}.\n"
        f"# The seed below is {plan.seeds[0]}.\n"
    )
    write_text(path, head + path.read_text(encoding="utf-8"))
