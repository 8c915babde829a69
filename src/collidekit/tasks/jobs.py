"""From a task to the jobs of a batch system: one for each dataset, training and prediction, and one for all the rest."""

import luigi
from rich.console import Console

from collidekit.batch.job import Attempt, Job
from collidekit.batch.manager import Manager
from collidekit.batch.report import failure_table
from collidekit.batch.script import job_script, submit_description
from collidekit.batch.site import Site, load_site
from collidekit.errors import CollidekitError
from collidekit.plain_text import literal
from collidekit.tasks.base import AnalysisTask, results_folder
from collidekit.tasks.work import words_of

KINDS = {
    "DatasetConstructorTask": "construction", "TrainingTask": "training", "InferenceTask": "inference",
    "RobustnessTask": "attacks", "ConstructionPartTask": "construction", "PredictionPartTask": "inference",
}  # fmt: skip
"""Tasks that become a job each; all others become one job together, of the kind evaluation."""


def jobs_of(root: AnalysisTask, site: Site) -> list[Job]:
    """Return the jobs that make what is missing for a task, in an order in which each comes after what it needs."""
    jobs: dict[str, Job] = {}

    def visit(task: AnalysisTask) -> tuple[str, ...]:
        """Return the names of the jobs that stand for a task."""
        if task.complete():
            return ()
        family = task.get_task_family()
        name = f"{family}_{task.hash}"
        if name in jobs:
            return (name,)
        needed = luigi.task.flatten(task.requires())  # type: ignore[no-untyped-call]
        needs = tuple(dict.fromkeys(job for other in needed for job in visit(other)))
        if family not in KINDS and task is not root:
            return needs
        kind = KINDS.get(family, "evaluation")
        cores = site.resources_of(kind).cores
        others = {"n_threads": cores} if getattr(task, "n_threads", None) == 4 else {}
        if kind == "construction" and task.coffea_worker == 1 and task.executor == "futures":
            others["coffea_worker"] = cores
        command = ("-m", "collidekit.tasks.work", *words_of(task, **others))
        jobs[name] = Job(name, kind, command, task.folder, needs)
        return (name,)

    visit(root)
    return list(jobs.values())


def run_as_jobs(task: AnalysisTask, system: str, site_name: str, dry_run: bool) -> bool:
    """Run a task as jobs; returns False after a dry run. An error where an output is not there at the end."""
    if not (system or site_name):
        raise CollidekitError("--dry-run: acts only with --on or --site")
    site = load_site(site_name, system)
    jobs = jobs_of(task, site)
    folder = results_folder() / "jobs"
    if dry_run:
        _print_scripts(jobs, site)
        return False
    console = Console(soft_wrap=True)
    manager = Manager(jobs, site, folder, lambda text: console.print(literal(text), highlight=False))
    try:
        done = manager.run()
    finally:
        if manager.failures:
            console.print(failure_table(manager.failures))
    if not done:
        missing = [job.name for job in jobs if not job.complete]
        raise CollidekitError(
            f"{len(missing)} outputs are not there: {', '.join(missing)}; scripts and logs are in {folder}"
        )
    return True


def _print_scripts(jobs: list[Job], site: Site) -> None:
    for job in jobs:
        attempt = Attempt((results_folder() / "jobs" / job.name / "attempt_1").absolute())
        resources = site.resources_of(job.kind)
        print(f"# {attempt.script}\n{job_script(job, site, resources, attempt)}")
        if site.system == "htcondor":
            print(f"# {attempt.folder / 'job.sub'}\n{submit_description(job, site, resources, attempt)}")
