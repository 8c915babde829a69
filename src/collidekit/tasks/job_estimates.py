"""Estimates for a job before it is submitted: memory from ``check``, time from earlier epochs."""

import csv

from collidekit.batch.site import Resources
from collidekit.batch.units import show_memory, show_time
from collidekit.dataset.check import check
from collidekit.dataset.check_estimate import estimate
from collidekit.errors import CollidekitError
from collidekit.tasks.base import AnalysisTask
from collidekit.tasks.dataset import DatasetConstructorTask
from collidekit.tasks.training import TrainingTask

FILES, ROWS = 2, 1000
"""Number of files and rows that are read for an estimate."""


def resource_warning(task: AnalysisTask, resources: Resources) -> str:
    """Return a warning about a resource that is too small for the job of a task; empty if there is none."""
    if isinstance(task, DatasetConstructorTask):
        return _memory(task, resources)
    return _time(task, resources) if isinstance(task, TrainingTask) else ""


def _memory(task: DatasetConstructorTask, resources: Resources) -> str:
    try:
        found = estimate(check(task.plan, task.files()[:FILES], limit=ROWS))
    except CollidekitError:  # the construction reports errors of files
        return ""
    processes = resources.cores if task.coffea_worker == 1 and task.executor == "futures" else task.coffea_worker
    needed = found.construction * processes / 2**20 if found else 0.0
    if needed <= resources.memory:
        return ""
    return (
        f"memory of construction: {show_memory(resources.memory)} is below the estimate of check, {show_memory(needed)} for "
        f"{processes} process{'es' if processes > 1 else ''}; request more memory, or fewer cores"
    )


def _time(task: TrainingTask, resources: Resources) -> str:
    path = task.folder / "history.csv"
    if not path.is_file():
        return ""
    with path.open(newline="", encoding="utf-8") as file:
        longest = max((float(row.get("seconds") or 0) for row in csv.DictReader(file)), default=0.0)
    if longest <= resources.walltime:
        return ""
    return (
        f"walltime of training: {show_time(resources.walltime)} is shorter than an epoch, which took {show_time(round(longest))}; "
        "each job would have to save its state within an epoch and continue in another job"
    )
