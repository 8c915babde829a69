"""Dask workers as jobs of Slurm, by dask-jobqueue, with the resources and the environment of a site file."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from collidekit.batch.commands import QueueUnavailable
from collidekit.batch.job import tail
from collidekit.batch.script import option_path, prologue, python_of, slurm_options
from collidekit.batch.site import Resources, Site, load_site, profiles
from collidekit.batch.slurm import SlurmQueue
from collidekit.errors import CollidekitError
from collidekit.progress import notice

SECONDS = 120.0
"""Time limit for the submission of all jobs."""


def is_site(scheduler: str) -> bool:
    """Return whether ``--scheduler`` is a site file or profile, not a running scheduler."""
    return scheduler.endswith((".yaml", ".yml")) or scheduler in profiles()


def load_dask_site(name: str) -> Site:
    """Return the site whose Slurm starts Dask workers."""
    site = load_site(name)
    if site.system != "slurm":
        raise CollidekitError(
            f"--scheduler {name}: is a site with {site.system}, but Dask workers need Slurm; use --jobs with --on instead"
        )
    return site


@contextmanager
def dask_scheduler(name: str, workers: int, logs: Path) -> Iterator[str]:
    """Yield the address or file of a Dask scheduler: the given one, or one whose ``workers`` the Slurm of a site starts."""
    if not is_site(name):
        yield name
        return
    site = load_dask_site(name)
    SlurmQueue().check(site.slurm.partition)
    resources = site.resources_of("construction")
    resources = resources.model_copy(update={"cores": min(resources.cores, workers)})
    cluster = _start(site, resources, -(-workers // resources.cores), logs)
    watch = _Watch(cluster, site, logs)
    try:
        yield cluster.scheduler_address
    except CollidekitError as error:
        if watch.reason:
            raise CollidekitError(watch.reason) from OSError(str(error))
        raise
    finally:
        watch.ended.set()
        watch.join()
        cluster.close()


def _start(site: Site, resources: Resources, jobs: int, logs: Path) -> Any:
    """Return a Dask cluster with submitted jobs; each job has a process for every core."""
    try:
        slurm: Any = import_module("dask_jobqueue.slurm")
        from distributed.core import Status
    except ImportError:
        raise CollidekitError(
            f"--scheduler {site.path}: needs two more packages: pip install 'collidekit[dask]'"
        ) from None

    class WorkerJob(slurm.SLURMJob):  # type: ignore[misc]
        refused = ""

        async def start(self) -> None:
            try:
                await super().start()
            except CollidekitError as error:  # this runs in its own thread
                self.refused, self.status = str(error), Status.running

        async def _submit_job(self, script_filename: str) -> str:
            return SlurmQueue().submit(Path(script_filename))

    prefix, python = python_of(site)
    logs.mkdir(parents=True, exist_ok=True)
    options = slurm_options("ck-dask", option_path(logs, "worker-%j.log"), site, resources)
    cluster: Any = slurm.SLURMCluster(
        job_cls=WorkerJob,
        cores=resources.cores,
        processes=resources.cores,
        memory=f"{resources.memory} MiB",
        python=prefix + python,
        job_directives_skip=["#SBATCH"],
        job_extra_directives=options,
        job_script_prologue=prologue(site, resources.model_copy(update={"cores": 1})),
        worker_extra_args=["--lifetime", f"{resources.walltime - site.stop_before_end}s", "--no-dashboard"],
        scheduler_options={"dashboard_address": ":0"},
        silence_logs="critical",
    )
    cluster.scale(jobs=jobs)
    end = time.monotonic() + SECONDS
    while len(cluster.workers) < jobs and time.monotonic() < end:
        time.sleep(0.05)
    refused = [job.refused for job in cluster.workers.values() if job.refused]
    if refused or len(cluster.workers) < jobs:
        cluster.close()
        raise CollidekitError(
            refused[0] if refused else f"sbatch took {len(cluster.workers)} of {jobs} jobs in {SECONDS:.0f} s"
        )
    numbers = ", ".join(job.job_id for job in cluster.workers.values())
    notice(f"{jobs} jobs of Slurm with {resources.cores} Dask workers each: {numbers}; logs are in {logs}")
    return cluster


class _Watch(threading.Thread):
    """Thread that closes the scheduler when no job of the workers is alive; Dask would wait for ever."""

    def __init__(self, cluster: Any, site: Site, logs: Path) -> None:
        super().__init__(daemon=True)
        self.cluster, self.site, self.logs = cluster, site, logs
        self.numbers = [job.job_id for job in cluster.workers.values()]
        self.ended = threading.Event()
        self.reason = ""
        self.start()

    def run(self) -> None:
        lost: set[str] = set()
        while not self.ended.wait(self.site.poll):
            try:
                states = SlurmQueue().states(self.numbers)
            except QueueUnavailable:
                continue
            for number, state in states.items():
                if not state.alive and number not in lost and not self.ended.is_set():
                    lost.add(number)
                    said = tail(self.logs / f"worker-{number}.log")[-1:]
                    self.reason = (
                        f"job {number} of the Dask workers ended ({state.words}); its log ends with {' '.join(said)!r}"
                    )
                    notice(self.reason)
            if len(lost) == len(self.numbers):
                self.reason = f"{self.reason}; no worker is left; run the same command again to continue"
                self.cluster.sync(self.cluster.scheduler.close)
                return
        self.reason = ""
