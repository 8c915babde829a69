"""Runs commands without a sandbox, for submissions that the organiser trusts (``--trust``): limits, but no walls."""

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from attrs import define, field, frozen

from collidekit.benchmark.sandbox.bubblewrap_arguments import environment
from collidekit.benchmark.sandbox.cgroup import Cgroup, make_cgroup, sweep_cgroups
from collidekit.benchmark.sandbox.finish import finish
from collidekit.benchmark.sandbox.job import Job, Outcome, Probe
from collidekit.benchmark.sandbox.log import CutLog
from collidekit.benchmark.sandbox.outcome import failed_command
from collidekit.benchmark.sandbox.outputs import FolderOutput
from collidekit.benchmark.sandbox.private import refuse_private
from collidekit.benchmark.sandbox.probe import LIMITS, LOOKED_AT, probe
from collidekit.benchmark.sandbox.rlimits import keep_to_cpus, process_limits, set_limits
from collidekit.benchmark.sandbox.staging import staging_folder, sweep_staging
from collidekit.benchmark.sandbox.system import this_system
from collidekit.benchmark.sandbox.tmpfs import tmp_size
from collidekit.benchmark.sandbox.watch import GroupWatch, NoWatch, Watch

_GATE = 'read -r go && exec "$@"'
NOT_PROMISED = (
    "files: the command reads and writes all that this user may, also the truth, if it looks for it",
    "network: the command may use it",
    "processes: the command may end others of this user, and may leave some behind where there is no control group",
    "output size: only checked ten times per second",
)


@define
class Trusted:
    """No sandbox: a process of this user with limits of time, memory and log."""

    private: tuple[Path, ...] = ()
    name: str = field(default="trusted", init=False)

    def __attrs_post_init__(self) -> None:
        sweep_cgroups()
        sweep_staging()

    def probe(self) -> Probe:
        """Tell what is limited, and what is not."""
        group = make_cgroup("probe", LIMITS)
        kept = group.limited if group else ()
        if group:
            group.remove()
        layers = {"memory": "memory limit", "processes": "process limit", "cpus": "cpu limit"}
        missing = tuple(layer for name, layer in layers.items() if name not in kept)
        return probe(self, (*NOT_PROMISED, *missing), (*LOOKED_AT, *missing))

    def run(self, job: Job, canceled: Callable[[], bool] = lambda: False) -> Outcome:
        """Run a command to its end, a limit, or until it is canceled."""
        if job.image:
            return failed_command(
                f"there are no container images without a sandbox; leave {job.image} out, or ask the organiser for podman or docker"
            )
        refuse_private(job, self.private)
        with ExitStack() as stack:
            began = time.monotonic()
            log = stack.enter_context(CutLog(job.log, job.limits.log))
            folder = stack.enter_context(staging_folder(job.output.parent))
            group = make_cgroup(secrets.token_hex(4), job.limits)
            process = _start(job, folder)
            tree = _Tree(process, group)
            stack.callback(tree.end)
            _limit(process.pid, job, group)
            watch: Watch = GroupWatch(group) if group and "memory" in group.limited else NoWatch()
            assert process.stdin is not None
            with suppress(BrokenPipeError):
                process.stdin.write(b"go\n")
                process.stdin.close()
            output = FolderOutput(folder, job.limits.output)
            return finish(
                job, process, tree, output, watch, log, canceled, start_seconds=round(time.monotonic() - began, 4)
            )


def outside(job: Job, output: Path, path: str) -> str:
    """Return the path on this machine of a path inside, or the text itself where it is none."""
    for place, source in (("/output", output), *((mount.target, mount.source) for mount in job.mounts)):
        if path == place or path.startswith(f"{place}/"):
            return f"{source.absolute()}{path[len(place) :]}"
    return path


@frozen
class _Tree:
    """The processes of a command without a sandbox: its process group, and its control group where there is one."""

    process: "subprocess.Popen[bytes]"
    group: Cgroup | None

    def signal_all(self, number: int) -> None:
        with suppress(OSError):
            os.killpg(self.process.pid, number)
        if number == signal.SIGKILL and self.group:
            self.group.kill()

    def wait(self, seconds: float) -> bool:
        return True

    def end(self) -> None:
        self.signal_all(signal.SIGKILL)
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        if self.group:
            self.group.remove()


def _start(job: Job, folder: Path) -> "subprocess.Popen[bytes]":
    """Start the command behind a gate: it waits for a line before it begins."""
    inside = environment(job, this_system())
    return subprocess.Popen(
        ["/bin/sh", "-c", _GATE, "sh", *job.command],
        env={name: outside(job, folder, value) for name, value in inside.items()},
        cwd=outside(job, folder, job.directory),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def _limit(process: int, job: Job, group: Cgroup | None) -> None:
    kept = group.limited if group else ()
    if group:
        group.add(process)
    if "cpus" not in kept:
        keep_to_cpus(process, job.limits.cpus)
    set_limits(process, process_limits(job.limits, tmp_size(job.limits), alone=False, memory="memory" not in kept))
