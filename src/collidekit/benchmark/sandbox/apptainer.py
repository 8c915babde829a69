"""Runs commands in containers of apptainer. Only its command line is tested, not the engine."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from attrs import define, field, frozen

from collidekit.benchmark.sandbox.containers import bind, plain_environment
from collidekit.benchmark.sandbox.finish import finish
from collidekit.benchmark.sandbox.job import Job, Mount, Outcome, Probe
from collidekit.benchmark.sandbox.log import CutLog
from collidekit.benchmark.sandbox.outcome import failed_command, failed_service
from collidekit.benchmark.sandbox.outputs import FolderOutput
from collidekit.benchmark.sandbox.private import refuse_private
from collidekit.benchmark.sandbox.probe import probe
from collidekit.benchmark.sandbox.readable import readable
from collidekit.benchmark.sandbox.staging import staging_folder
from collidekit.benchmark.sandbox.watch import NoWatch

NOT_PROMISED = (
    "network: apptainer takes it away only as root, or where its administrator allows '--network none'; the probe looks whether it is gone",
    "memory, processes, CPU: limited only with cgroup version 2; the probe tries them",
    "output size: only checked ten times per second",
    "use of CPU and memory: not measured",
)


@define
class Apptainer:
    """apptainer, with an image file (.sif) of the organiser; participants cannot name images."""

    image: str
    private: tuple[Path, ...] = ()
    name: str = field(default="apptainer", init=False)

    def probe(self) -> Probe:
        """Run small hostile commands in the sandbox and tell which layers hold."""
        return probe(self, NOT_PROMISED, ("cpu limit", "system calls"))

    def run(self, job: Job, canceled: Callable[[], bool] = lambda: False) -> Outcome:
        """Run a command to its end, a limit, or until it is canceled."""
        program = shutil.which("apptainer")
        if program is None:
            return failed_service("apptainer is not installed here", layer="installation")
        if job.image:
            return failed_command(f"apptainer runs the image of the organiser only, and not {job.image}")
        if not self.image or not Path(self.image).exists():
            return failed_service(
                f"{self.image or 'no image'}: apptainer needs an image file; name one with --image", layer="image"
            )
        refuse_private(job, self.private)
        with ExitStack() as stack:
            began = time.monotonic()
            log = stack.enter_context(CutLog(job.log, job.limits.log))
            staging = stack.enter_context(staging_folder(job.output.parent))
            output = staging / "output"
            output.mkdir()
            output.chmod(0o777)
            process = subprocess.Popen(
                exec_words(program, job, readable(job.mounts, staging), self.image, output),
                env={"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"},
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            tree = _Group(process)
            stack.callback(tree.signal_all, signal.SIGKILL)
            started = round(time.monotonic() - began, 3)
            return finish(
                job,
                process,
                tree,
                FolderOutput(output, job.limits.output),
                NoWatch(),
                log,
                canceled,
                start_seconds=started,
            )


def exec_words(program: str, job: Job, mounts: tuple[Mount, ...], image: str, output: Path) -> list[str]:
    """Return the words of ``apptainer exec`` for a job."""
    limits = job.limits
    found = [
        program, "--quiet", "exec", "--containall", "--cleanenv", "--no-home", "--no-privs", "--no-init", "--net", "--network", "none",
        "--memory", str(limits.memory), "--memory-swap", str(limits.memory), "--cpus", f"{limits.cpus:g}",
        "--pids-limit", str(limits.processes), "--pwd", job.directory,
    ]  # fmt: skip
    for mount in mounts:
        found += ["--mount", bind(mount.source, mount.target, "ro")]
    found += ["--mount", bind(output, "/output")]
    for name, value in plain_environment(job, "").items():
        found += ["--env", f"{name}={value}"]
    return [*found, image, *job.command]


@frozen
class _Group:
    """The process group of apptainer; its pid namespace ends with its first process."""

    process: "subprocess.Popen[bytes]"

    def signal_all(self, number: int) -> None:
        with suppress(OSError):
            os.killpg(self.process.pid, number)

    def wait(self, seconds: float) -> bool:
        return True
