"""Runs commands in containers of docker. Only its command line is tested, not the engine."""

import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from attrs import define, field, frozen

from collidekit.benchmark.sandbox.containers import bind, plain_environment, shared_options
from collidekit.benchmark.sandbox.finish import finish
from collidekit.benchmark.sandbox.guard import guarded
from collidekit.benchmark.sandbox.images import Image, ImageError, find_image
from collidekit.benchmark.sandbox.job import Job, Mount, Outcome, Probe
from collidekit.benchmark.sandbox.log import CutLog
from collidekit.benchmark.sandbox.outcome import failed_command, failed_service
from collidekit.benchmark.sandbox.outputs import FolderOutput
from collidekit.benchmark.sandbox.owner import owner_tag
from collidekit.benchmark.sandbox.private import refuse_private
from collidekit.benchmark.sandbox.probe import probe
from collidekit.benchmark.sandbox.readable import readable
from collidekit.benchmark.sandbox.staging import staging_folder
from collidekit.benchmark.sandbox.watch import NoWatch

NOT_PROMISED = ("output size: only checked ten times per second", "use of CPU and memory: not measured")


@define
class Docker:
    """docker, with an image of the organiser for submissions that name none."""

    image: str
    pull: bool = False
    private: tuple[Path, ...] = ()
    name: str = field(default="docker", init=False)

    def probe(self) -> Probe:
        """Run small hostile commands in the sandbox and tell which layers hold."""
        return probe(self, NOT_PROMISED, ("cpu limit", "files"))

    def run(self, job: Job, canceled: Callable[[], bool] = lambda: False) -> Outcome:
        """Run a command to its end, a limit, or until it is canceled."""
        if shutil.which("docker") is None:
            return failed_service("docker is not installed here", layer="installation")
        if not (job.image or self.image):
            return failed_service("docker needs an image; name one with --image", layer="image")
        refuse_private(job, self.private)
        try:
            image = find_image("docker", job.image or self.image, self.pull)
        except ImageError as error:
            return failed_command(str(error)) if job.image else failed_service(str(error), layer="image")
        except subprocess.TimeoutExpired:
            return failed_service("docker did not answer in time", layer="daemon")
        if image.volumes:
            return failed_command(
                f"the image has the volume {image.volumes[0]}, which could be written without limit; build it without VOLUME"
            )
        with ExitStack() as stack:
            began, name = time.monotonic(), f"collidekit-{secrets.token_hex(8)}"
            log = stack.enter_context(CutLog(job.log, job.limits.log))
            staging = stack.enter_context(staging_folder(job.output.parent))
            output = staging / "output"
            output.mkdir()
            output.chmod(0o777)
            user = os.getuid() or secrets.randbelow(10**9) + 10**9
            words = run_words(job, readable(job.mounts, staging), image, output, name, f"{user}:{user}")
            stack.enter_context(guarded("docker", name))
            stack.callback(_docker, "rm", "--force", "--volumes", name)
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            return finish(
                job, process, _Container(name), FolderOutput(output, job.limits.output), NoWatch(), log, canceled,
                killed_for_memory=lambda: _docker("inspect", "--format", "{{.State.OOMKilled}}", name).strip() == "true",
                digest=image.digest, start_seconds=round(time.monotonic() - began, 3),
            )  # fmt: skip


def run_words(job: Job, mounts: tuple[Mount, ...], image: Image, output: Path, name: str, user: str) -> list[str]:
    """Return the words of ``docker run`` for a job."""
    options = shared_options(job, mounts, user, plain_environment(job, image.path), owner_tag())
    return ["docker", "run", "--name", name, *options, "--mount", bind(output, "/output"), image.identity, *job.command]


@frozen
class _Container:
    """The processes of a container, which end with its first one."""

    name: str

    def signal_all(self, number: int) -> None:
        _docker("kill", "--signal", str(int(number)), self.name)

    def wait(self, seconds: float) -> bool:
        return _docker("inspect", "--format", "{{.State.Running}}", self.name).strip() != "true"


def _docker(*words: str) -> str:
    """Return what a command of docker prints; nothing where it fails."""
    with suppress(OSError, subprocess.TimeoutExpired):
        return subprocess.run(["docker", *words], capture_output=True, text=True, timeout=60, check=False).stdout
    return ""
