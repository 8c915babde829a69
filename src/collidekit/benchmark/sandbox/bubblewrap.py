"""Runs commands in bubblewrap: namespaces of the kernel around the system of this machine; no images, no daemon."""

import os
import secrets
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from attrs import define, field

from collidekit.benchmark.sandbox.bubblewrap_start import Started, StartError, start
from collidekit.benchmark.sandbox.cgroup import Cgroup, make_cgroup, sweep_cgroups
from collidekit.benchmark.sandbox.finish import finish
from collidekit.benchmark.sandbox.job import Job, JobLimits, Outcome, Probe
from collidekit.benchmark.sandbox.log import CutLog
from collidekit.benchmark.sandbox.outcome import failed_command, failed_service
from collidekit.benchmark.sandbox.outputs import MemoryOutput
from collidekit.benchmark.sandbox.private import refuse_private
from collidekit.benchmark.sandbox.probe import LIMITS as PROBE_LIMITS
from collidekit.benchmark.sandbox.probe import probe
from collidekit.benchmark.sandbox.rlimits import keep_to_cpus, process_limits, set_limits
from collidekit.benchmark.sandbox.staging import sweep_staging
from collidekit.benchmark.sandbox.system import this_system
from collidekit.benchmark.sandbox.tmpfs import tmp_size
from collidekit.benchmark.sandbox.watch import GroupWatch, TreeWatch, Watch

_UNPROMISED = {
    "memory": "memory of all processes together: each process is limited, their sum is only checked ten times per second",
    "processes": "processes: counted by user id, and not by control group",
    "cpus": "CPU share: processes are put on some of the CPUs, and may leave them",
}
"""Limits that are not guaranteed without control groups."""


@define
class Bubblewrap:
    """Bubblewrap with a control group where one may be made, else with limits of each process."""

    private: tuple[Path, ...] = ()
    """Files and folders that must never be inside, such as the truth."""
    cgroups: bool = True
    name: str = field(default="bubblewrap", init=False)

    def __attrs_post_init__(self) -> None:
        sweep_staging()
        if self.cgroups:
            sweep_cgroups()

    def probe(self) -> Probe:
        """Run small hostile commands in the sandbox and tell which layers hold."""
        group = make_cgroup("probe", PROBE_LIMITS) if self.cgroups else None
        kept = group.limited if group else ()
        if group:
            group.remove()
        missing = [name for name in _UNPROMISED if name not in kept]
        return probe(self, tuple(_UNPROMISED[name] for name in missing), ("cpu limit",) if "cpus" in missing else ())

    def run(self, job: Job, canceled: Callable[[], bool] = lambda: False) -> Outcome:
        """Run a command to its end, a limit, or until it is canceled."""
        program = shutil.which("bwrap")
        if program is None:
            return failed_service(
                "bubblewrap is not installed here (Debian and Ubuntu: apt install bubblewrap)", layer="installation"
            )
        if job.image:  # no fault of the machine: no other try would end better
            return failed_command(
                f"the sandbox here (bubblewrap) runs no container images; leave {job.image} out, or ask the organiser for podman or docker"
            )
        refuse_private(job, self.private)
        user = None if os.geteuid() else secrets.randbelow(10**9) + 10**9
        with ExitStack() as stack:
            log = stack.enter_context(CutLog(job.log, job.limits.log))
            began = time.monotonic()
            group = make_cgroup(secrets.token_hex(4), job.limits) if self.cgroups else None
            if group:
                stack.callback(_end, group)
            try:
                started = start(program, job, this_system(self.private), user, stack)
            except StartError as error:
                return failed_service(f"bubblewrap could not set up the sandbox: {error}", layer="start")
            watch = _limit(started, job.limits, group, alone=user is not None or _counted_by_namespace())
            waited = time.monotonic() - began
            started.release()
            return finish(
                job,
                started.process,
                started.init,
                MemoryOutput(started.output),
                watch,
                log,
                canceled,
                start_seconds=round(waited, 4),
            )


def _limit(started: Started, limits: JobLimits, group: Cgroup | None, alone: bool) -> Watch:
    """Set the limits of a sandbox whose command waits."""
    process, kept = started.init.process, group.limited if group else ()
    if group:
        group.add(process)
    if "cpus" not in kept:
        keep_to_cpus(process, limits.cpus)
    set_limits(
        process,
        process_limits(limits, tmp_size(limits), alone=alone and "processes" not in kept, memory="memory" not in kept),
    )
    return GroupWatch(group) if group and "memory" in kept else TreeWatch(started.init, limits)


def _counted_by_namespace() -> bool:
    """Return True where processes of a user are counted in each user namespace for itself: Linux 5.14 and later."""
    release = os.uname().release.split(".")
    return [int(part) for part in release[:2] if part.isdigit()] >= [5, 14]


def _end(group: Cgroup) -> None:
    group.kill()
    group.remove()
