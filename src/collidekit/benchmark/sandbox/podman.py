"""Runs commands in containers of podman, as root or as a user."""

import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import cached_property
from pathlib import Path

from collidekit.benchmark.sandbox.cgroup import make_cgroup, remove_everywhere, sweep_cgroups
from collidekit.benchmark.sandbox.containers import LABEL
from collidekit.benchmark.sandbox.finish import finish
from collidekit.benchmark.sandbox.guard import guarded
from collidekit.benchmark.sandbox.images import Image, ImageError, find_image
from collidekit.benchmark.sandbox.job import Job, Outcome, Probe
from collidekit.benchmark.sandbox.log import CutLog
from collidekit.benchmark.sandbox.outcome import failed_command, failed_service
from collidekit.benchmark.sandbox.outputs import MemoryOutput
from collidekit.benchmark.sandbox.owner import owner_is_gone, owner_tag
from collidekit.benchmark.sandbox.podman_arguments import create_options
from collidekit.benchmark.sandbox.podman_seccomp import podman_filter
from collidekit.benchmark.sandbox.private import refuse_private
from collidekit.benchmark.sandbox.probe import probe
from collidekit.benchmark.sandbox.processes import Init
from collidekit.benchmark.sandbox.readable import readable
from collidekit.benchmark.sandbox.staging import staging_folder, sweep_staging
from collidekit.benchmark.sandbox.system import System, this_system
from collidekit.benchmark.sandbox.system_image import system_image
from collidekit.benchmark.sandbox.watch import GroupWatch, TreeWatch, Watch

PATIENCE = 120
"""Seconds that a command of podman itself may take."""


class EngineError(Exception):
    """Message of podman when it failed."""


class Podman:
    """podman; without an image, a container has the system of this machine, read-only."""

    name = "podman"

    def __init__(self, image: str = "", pull: bool = False, private: tuple[Path, ...] = ()) -> None:
        """``image``: for submissions that name none. ``pull``: fetch images that are not here. ``private``: never mounted."""
        self.image, self.pull, self.private = image, pull, private
        if shutil.which("podman"):
            self.sweep()

    def probe(self) -> Probe:
        """Run small hostile commands in the sandbox and tell which layers hold."""
        return probe(self)

    def run(self, job: Job, canceled: Callable[[], bool] = lambda: False) -> Outcome:
        """Run a command to its end, a limit, or until it is canceled."""
        if shutil.which("podman") is None:
            return failed_service(
                "podman is not installed here (Debian and Ubuntu: apt install podman)", layer="installation"
            )
        refuse_private(job, self.private)
        system = None if job.image or self.image else this_system(self.private)
        try:
            image = (
                system_image("podman", system) if system else find_image("podman", job.image or self.image, self.pull)
            )
        except ImageError as error:
            return failed_command(str(error)) if job.image else failed_service(str(error), layer="image")
        except subprocess.TimeoutExpired:
            return failed_service("podman did not answer in time", layer="image")
        with ExitStack() as stack:
            try:
                return _Container(self, job, image, system, stack).run(canceled)
            except ImageError as error:
                return failed_command(str(error))
            except EngineError as error:
                if "executable file" in str(error) or "no such file or directory" in str(error).lower():
                    return failed_command(f"the command {job.command[0]!r} is not in the image or cannot be started")
                return failed_service(f"podman could not run the container: {error}", layer="start")

    def sweep(self) -> int:
        """Remove the containers of runners that were killed; return how many there were."""
        found = 0
        with suppress(EngineError, ValueError):
            for entry in json.loads(podman("ps", "--all", "--filter", f"label={LABEL}", "--format", "json") or "[]"):
                if owner_is_gone((entry.get("Labels") or {}).get(LABEL, "")):
                    podman("rm", "--force", "--time", "0", entry["Id"])
                    found += 1
        sweep_cgroups(above_all=True)
        sweep_staging()
        return found

    @cached_property
    def makes_groups(self) -> bool:
        """True if a control group may be put above those of containers: podman runs as root and without systemd."""
        if os.geteuid():
            return False
        with suppress(EngineError):
            return podman("info", "--format", "{{.Host.CgroupManager}}").strip() == "cgroupfs"
        return False


class _Container:
    """One command in a container."""

    def __init__(self, engine: Podman, job: Job, image: Image, system: System | None, stack: ExitStack) -> None:
        self.job, self.image, self.system, self.stack = job, image, system, stack
        self.user = None if os.geteuid() else secrets.randbelow(10**9) + 10**9
        self.name = f"collidekit-{secrets.token_hex(8)}"
        self.group = make_cgroup(self.name[-16:], job.limits, above_all=True) if engine.makes_groups else None

    def run(self, canceled: Callable[[], bool]) -> Outcome:
        began = time.monotonic()
        if self.group:
            self.stack.callback(remove_everywhere, self.group)
        log = self.stack.enter_context(CutLog(self.job.log, self.job.limits.log))
        self.stack.enter_context(guarded("podman", self.name, "--time", "0"))
        self.stack.callback(self._remove)
        init, output = self._create()
        watch: Watch = GroupWatch(self.group) if self.group else TreeWatch(init, self.job.limits)
        process = subprocess.Popen(
            ["podman", "start", "--attach", "--sig-proxy=false", self.name],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        self.stack.callback(process.stdout.close if process.stdout else lambda: None)
        waited = time.monotonic() - began
        return finish(
            self.job, process, init, MemoryOutput(output), watch, log, canceled,
            killed_for_memory=self._killed_for_memory, digest="" if self.system else self.image.digest, start_seconds=round(waited, 3),
        )  # fmt: skip

    def _create(self) -> tuple[Init, int]:
        """Make the container up to the point where only the command is missing; return its first process and its output folder."""
        staging = self.stack.enter_context(staging_folder())
        mounts = self.job.mounts if self.user is None else readable(self.job.mounts, staging)
        parent = f"/{next(iter(self.group.folders.values())).name}" if self.group else ""
        options = create_options(
            self.job,
            mounts,
            self.image,
            self.system,
            user=self.user,
            owner=owner_tag(),
            seccomp=podman_filter(staging),
            parent=parent,
        )
        podman("create", "--name", self.name, *options, self.image.identity, *self.job.command)
        podman("init", self.name)
        try:
            init = self.stack.enter_context(Init(int(podman("inspect", "--format", "{{.State.Pid}}", self.name))))
        except (OSError, ValueError) as error:
            raise EngineError(f"the container ended before its command began ({error})") from None
        output, tmp = self._open(init, "output"), self._open(init, "tmp")
        for folder in (output, tmp):
            with suppress(PermissionError):  # as a user; the mode is right then unless the image has such a folder
                os.fchmod(folder, 0o1777)
        return init, output

    def _open(self, init: Init, name: str) -> int:
        """Return an open folder at the top of the container; an image may have a link there, which would lead out of it."""
        try:
            folder = os.open(
                f"/proc/{init.process}/root/{name}", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            )
        except NotADirectoryError:
            raise ImageError(f"the image has something else than a folder at /{name}") from None
        except OSError as error:
            raise EngineError(f"the container has no folder /{name} ({error.strerror})") from None
        self.stack.callback(os.close, folder)
        return folder

    def _killed_for_memory(self) -> bool:
        with suppress(EngineError):
            return podman("inspect", "--format", "{{.State.OOMKilled}}", self.name).strip() == "true"
        return False

    def _remove(self) -> None:
        with suppress(EngineError):
            podman("rm", "--force", "--time", "0", self.name)


def podman(*words: str) -> str:
    """Return what a command of podman prints; an ``EngineError`` where it fails."""
    try:
        done = subprocess.run(
            ["podman", *words], capture_output=True, text=True, timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(str(error)[:300]) from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "level=warning" not in line]
        raise EngineError(" ".join(" ".join(lines).split())[-500:])
    return done.stdout
