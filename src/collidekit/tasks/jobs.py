"""Batch jobs of a task: one for each dataset, training and prediction, and one for all other tasks."""

import sys
from collections.abc import Callable

import law
import luigi

from collidekit.batch.job import Job
from collidekit.batch.site import Resources, Site
from collidekit.tasks.base import AnalysisTask
from collidekit.tasks.job_estimates import resource_warning
from collidekit.tasks.send import chosen_site, send
from collidekit.tasks.work import words_of

KINDS = {
    "DatasetConstructorTask": "construction", "TrainingTask": "training", "SearchTask": "training", "InferenceTask": "inference",
    "RobustnessTask": "attacks", "ConstructionPartTask": "construction", "PredictionPartTask": "inference",
}  # fmt: skip
"""Tasks that become separate jobs, with the kind of job; all others become one job of the kind evaluation."""


def jobs_of(root: AnalysisTask, site: Site) -> list[Job]:
    """Return the jobs for the missing outputs of a task; each job is after the jobs that it needs."""
    return list(_jobs_and_tasks(root, site)[0].values())


def _jobs_and_tasks(root: AnalysisTask, site: Site) -> tuple[dict[str, Job], list[AnalysisTask]]:
    """Return the jobs by name, and the tasks that they run."""
    jobs: dict[str, Job] = {}
    tasks: list[AnalysisTask] = []
    wanted = luigi.task.flatten(root.requires()) if isinstance(root, law.WrapperTask) else [root]  # type: ignore[no-untyped-call]

    def visit(task: AnalysisTask) -> tuple[str, ...]:
        """Return the names of the jobs of a task."""
        if task.complete():
            return ()
        family = task.get_task_family()
        names = _names(task)
        if names[0] in jobs:
            return names
        needed = luigi.task.flatten(task.requires())  # type: ignore[no-untyped-call]
        needs = tuple(dict.fromkeys(job for other in needed for job in visit(other)))
        if family not in KINDS and task not in wanted:
            return needs
        kind = KINDS.get(family, "evaluation")
        command = ("-m", "collidekit.tasks.work", *words_of(task, **_for_jobs(task, site.resources_of(kind))))
        done = task.complete if family == "SearchTask" else _in_store(task)
        tasks.append(task)
        jobs.update({name: Job(name, kind, command, task.place, needs, done) for name in names})
        return names

    for task in wanted:
        visit(task)
    return jobs, tasks


def _in_store(task: AnalysisTask) -> Callable[[], bool] | None:
    """Return a function that checks whether the output is in the store of the task; None without a store."""
    stored = task.stored
    return (lambda: stored.complete) if stored else None


def _names(task: AnalysisTask) -> tuple[str, ...]:
    """Return the names of the jobs of a task: one, or one for each worker of a search."""
    name = f"{task.get_task_family()}_{task.hash}"
    if task.get_task_family() != "SearchTask":
        return (name,)
    return tuple(f"{name}_worker_{number}" for number in range(1, task.workers + 1))


def _for_jobs(task: AnalysisTask, resources: Resources) -> dict[str, object]:
    """Return the parameters that are different in a job: as many threads and processes as it has cores.

    Jobs without training have at most as many ranks as GPUs; constructions divide their cores among workers.
    """
    cores = resources.cores
    others: dict[str, object] = {"n_threads": cores} if getattr(task, "n_threads", None) == 4 else {}
    if KINDS.get(task.get_task_family()) == "construction" and task.coffea_worker == 1 and task.executor == "futures":
        others["coffea_worker"] = cores
    if KINDS.get(task.get_task_family()) in ("construction", "inference") and task.devices > 1:
        predicts = KINDS[task.get_task_family()] == "inference"
        others["devices"] = min(task.devices, resources.gpus) if predicts and resources.gpus > 1 else 0
    if task.get_task_family() == "SearchTask":
        others["workers"] = 1
    return others


def run_as_jobs(task: AnalysisTask, system: str | None, site_name: str | None, dry_run: bool = False) -> bool:
    """Run a task as jobs if a batch system or a site is named; return False after a dry run.

    Raises JobsFailedError if an output is missing at the end.
    """
    site = chosen_site(system, site_name, dry_run)
    if site is None:
        return True
    jobs, tasks = _jobs_and_tasks(task, site)
    for one in tasks:
        if warning := resource_warning(one, site.resources_of(KINDS.get(one.get_task_family(), "evaluation"))):
            print(f"{site.path}: {warning}", file=sys.stderr)
    return send(list(jobs.values()), site, dry_run)
