"""Submission of jobs of tasks and commands to a batch system."""

import sys
from collections.abc import Mapping, Sequence

from rich.console import Console

from collidekit.batch.job import Attempt, Job
from collidekit.batch.manager import Manager
from collidekit.batch.report import failure_table
from collidekit.batch.script import job_script, submit_description
from collidekit.batch.site import Site, load_site
from collidekit.errors import CollidekitError
from collidekit.plain_text import literal
from collidekit.tasks.base import results_folder


class JobsFailedError(CollidekitError):
    """Error if jobs failed finally; ``reasons`` has the last reason of each job by its name."""

    def __init__(self, message: str, reasons: Mapping[str, str]) -> None:
        super().__init__(message)
        self.reasons = reasons


def chosen_site(system: str | None, site_name: str | None, dry_run: bool) -> Site | None:
    """Return the site of ``--on`` and ``--site``; None without them."""
    if system or site_name:
        return load_site(site_name or "", system or "")
    if dry_run:
        raise CollidekitError("--dry-run: has an effect only with --on or --site; give one of them")
    return None


def send(jobs: Sequence[Job], site: Site, dry_run: bool = False) -> bool:
    """Run jobs and wait for them; return False after a dry run. Raise JobsFailedError if one failed finally."""
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
        raise JobsFailedError(
            f"{len(missing)} outputs are missing: {', '.join(missing)}; scripts and logs are in {folder}",
            {entry["job"]: f"{entry['words']}: {entry['last_line']}" for entry in manager.failures},
        )
    return True


def _print_scripts(jobs: Sequence[Job], site: Site) -> None:
    if not jobs:
        print("No job to send: all outputs exist.", file=sys.stderr)
    for job in jobs:
        attempt = Attempt((results_folder() / "jobs" / job.name / "attempt_1").absolute())
        resources = site.resources_of(job.kind)
        print(f"# {attempt.script}\n{job_script(job, site, resources, attempt)}")
        if site.system == "htcondor":
            print(f"# {attempt.folder / 'job.sub'}\n{submit_description(job, site, resources, attempt)}")
