"""Real engines for the tests of the sandbox, with storage of their own, and jobs with small limits."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from collidekit.benchmark.sandbox.bubblewrap import Bubblewrap
from collidekit.benchmark.sandbox.job import Job, JobLimits, Mount, Sandbox
from collidekit.benchmark.sandbox.podman import Podman

ENGINES = ("podman", "bubblewrap", "bubblewrap without cgroups")
_STORAGE = '[storage]\ndriver = "{driver}"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n'
_CONTAINERS = """[containers]
default_ulimits = ["nofile=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
tmp_dir = "{folder}/tmp"
"""


@contextmanager
def podman_storage(folder: Path) -> Iterator[None]:
    """Within the block, podman keeps images and containers in a folder, and works as root in a container, too."""
    for name, text in (
        ("storage.conf", _STORAGE.format(folder=folder, driver="overlay")),
        ("containers.conf", _CONTAINERS.format(folder=folder)),
    ):
        (folder / name).write_text(text)
    names = {"CONTAINERS_STORAGE_CONF": folder / "storage.conf", "CONTAINERS_CONF": folder / "containers.conf"}
    before = {name: os.environ.get(name) for name in names}
    os.environ.update({name: str(path) for name, path in names.items()})
    try:
        yield
    finally:
        for words in (["rm", "--all", "--force", "--time", "0"], ["rmi", "--all", "--force"]):
            subprocess.run(["podman", *words], capture_output=True, timeout=60, check=False)
        subprocess.run(["umount", "--lazy", str(folder / "graph" / "overlay")], capture_output=True, check=False)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def make_engine(name: str) -> Sandbox:
    """An engine, or a skip where it is not installed or cannot start anything here."""
    program = "podman" if name == "podman" else "bwrap"
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    if name == "podman" and "PYTEST_XDIST_WORKER" in os.environ:  # beside a second worker it reaches the time limits
        pytest.skip("podman needs one worker: make test WORKERS=0 TESTS='tests/benchmark/sandbox -k podman'")
    engine: Sandbox = Podman() if name == "podman" else Bubblewrap(cgroups=name == "bubblewrap")
    return engine


def starts_here(engine: Sandbox, folder: Path) -> str:
    """Why an engine cannot start anything here; empty where it can."""
    return engine.run(make_job(folder, "true", walltime=90)).reason


def make_job(
    folder: Path, text: str, mounts: tuple[Mount, ...] = (), environment: dict[str, str] | None = None, **limits: Any
) -> Job:
    """A job of a line of shell with limits that harm nobody; folders are made below the given one."""
    for name in ("output", "submission"):
        (folder / name).mkdir(exist_ok=True)
    features = folder / "features.parquet"
    if not features.exists():
        features.write_bytes(b"features")
    small = {"memory": 64 << 20, "cpus": 1, "processes": 32, "walltime": 10, "output": 4 << 20, "log": 64 << 10}
    return Job(
        ("sh", "-c", text), folder / "output", folder / "log", JobLimits(**{**small, **limits}),
        (Mount(folder / "submission", "/submission"), Mount(features, "/data/features.parquet"), *mounts),
        environment=environment or {},
    )  # fmt: skip


def processes_with(text: str) -> list[int]:
    """Processes of this machine whose command line holds a text, besides this one."""
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit() and int(path.name) != os.getpid():
            try:
                line = (path / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if text in line:
                found.append(int(path.name))
    return found
