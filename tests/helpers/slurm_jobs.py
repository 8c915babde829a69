"""Small jobs for a real Slurm, and a manager that watches one of them."""

import time
from collections.abc import Callable
from pathlib import Path

from slurm_cluster import SlurmCluster

from collidekit.batch.job import Job
from collidekit.batch.manager import Manager
from collidekit.batch.site import Site

SITE = Site.model_validate(
    {
        "system": "slurm",
        "poll": "1s",
        "stop_before_end": "10s",
        "resources": {"default": {"memory": "200 MB", "walltime": "10min"}},
    }
)
DONE = "import pathlib; o = pathlib.Path('out'); o.mkdir(exist_ok=True); (o / 'run.json').write_text('{}')"


def manage(
    code: str, site: Site = SITE, watch: Callable[[Manager], None] = lambda m: None, grace: float = 8.0
) -> Manager:
    """Run a piece of Python as the job of a manager; ``watch`` is called between two looks."""
    job = Job("job", "training", ("-c", code), Path("out").absolute())

    def sleep(_: float) -> None:
        watch(manager)
        time.sleep(0.4)

    manager = Manager([job], site, Path("jobs").absolute(), print, grace=grace, sleep=sleep)
    manager.run()
    return manager


def current(manager: Manager) -> str:
    """Return the id of the job of the open attempt, empty where there is none."""
    attempt = manager._open(manager.jobs[0])
    return attempt.job_id if attempt else ""


def state(slurm: SlurmCluster, job: str) -> str:
    """Return the state of a job in squeue."""
    return slurm.run("squeue", "-h", "--states=all", "-o", "%T", f"--jobs={job}", check=False).strip()


def once_running(slurm: SlurmCluster, act: Callable[[str], object]) -> Callable[[Manager], None]:
    """Return a watcher that acts once on the first job, when its program runs."""
    acted: list[str] = []

    def watch(manager: Manager) -> None:
        job = current(manager)
        if job and not acted and state(slurm, job) == "RUNNING" and Path("running").exists():
            acted.append(job)
            act(job)

    return watch
