"""A runner that is killed leaves no process, container or control group behind."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from sandboxes import make_job, processes_with

from collidekit.benchmark.sandbox.cgroup import make_cgroup, sweep_cgroups
from collidekit.benchmark.sandbox.cgroup_places import all_mounts
from collidekit.benchmark.sandbox.job import JobLimits, Sandbox
from collidekit.benchmark.sandbox.podman import Podman, podman
from collidekit.benchmark.sandbox.staging import staging_folder, sweep_staging

RUNNER = """
import sys
sys.path[:0] = {paths!r}
from pathlib import Path
from sandboxes import make_job
from collidekit.benchmark.sandbox.bubblewrap import Bubblewrap
from collidekit.benchmark.sandbox.podman import Podman
engine = Podman() if {name!r} == "podman" else Bubblewrap(cgroups={cgroups!r})
engine.run(make_job(Path({folder!r}), {text!r}, walltime=60))
"""


def start_runner(engine: Sandbox, folder: Path, text: str) -> "subprocess.Popen[bytes]":
    """A process of its own that runs a command in a sandbox."""
    cgroups = getattr(engine, "cgroups", True)
    code = RUNNER.format(paths=sys.path, name=engine.name, cgroups=cgroups, folder=str(folder), text=text)
    return subprocess.Popen([sys.executable, "-c", code], start_new_session=True)


def wait_for(condition: object, seconds: float = 15) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():  # type: ignore[operator]
            return True
        time.sleep(0.05)
    return False


def groups_of(process: int) -> list[Path]:
    """Control groups that a runner made, wherever they are."""
    below = [path for mount in all_mounts() for path in mount.rglob(f"collidekit-*-{process}-*")]
    return [path for path in below if path.name.startswith("collidekit-")]


def test_kill_9_of_the_runner(engine: Sandbox, tmp_path: Path) -> None:
    text = "trap '' TERM INT HUP; (setsid sleep 71625 &); sleep 71625; sleep 71625"
    runner = start_runner(engine, tmp_path, text)
    try:
        assert wait_for(lambda: len(processes_with("sleep\x0071625")) >= 2)
    finally:
        runner.kill()
        runner.wait()
    assert wait_for(lambda: not processes_with("sleep\x0071625"), 5)
    type(engine)()  # sweeps at its start
    if engine.name == "podman":
        assert not podman("ps", "--all", "--quiet").strip()
    assert not groups_of(runner.pid)


@pytest.mark.parametrize("engine", ["podman"], indirect=True)
def test_a_container_whose_guard_is_killed_too_is_swept(engine: Sandbox, tmp_path: Path) -> None:
    runner = start_runner(engine, tmp_path, "sleep 61524")
    guards: list[int] = []
    try:
        assert wait_for(lambda: processes_with("sleep\x0061524"))
        guards = [process for process in processes_with("read -r ended") if _parent(process) == runner.pid]
        assert guards
    finally:
        for process in guards:
            os.kill(process, signal.SIGKILL)
        runner.kill()
        runner.wait()
    time.sleep(0.5)
    assert podman("ps", "--quiet").strip()
    assert isinstance(engine, Podman)
    assert engine.sweep() == 1
    assert not podman("ps", "--all", "--quiet").strip()
    assert not processes_with("sleep\x0061524")
    assert not groups_of(runner.pid)


@pytest.mark.parametrize("engine", ["podman"], indirect=True)
def test_containers_of_living_runners_are_not_swept(engine: Sandbox, tmp_path: Path) -> None:
    assert isinstance(engine, Podman)
    runner = start_runner(engine, tmp_path, "sleep 51423; echo done > /output/predictions.csv")
    try:
        assert wait_for(lambda: processes_with("sleep\x0051423"))
        assert engine.sweep() == 0
        assert processes_with("sleep\x0051423")
    finally:
        runner.kill()
        runner.wait()
    assert wait_for(lambda: not processes_with("sleep\x0051423"), 5)
    engine.sweep()
    assert not groups_of(runner.pid)


def test_leftover_control_groups_are_swept_and_others_are_not(tmp_path: Path) -> None:
    limits = JobLimits(1 << 26, 1, 16, 10, 1 << 20, 1 << 16)
    mine = make_cgroup("mine", limits)
    if mine is None:
        pytest.skip("this process may not make control groups")
    try:
        other = f"from collidekit.benchmark.sandbox.cgroup import *; import os; make_cgroup('dead', {limits!r}); print(os.getpid())"
        code = (
            f"import sys; sys.path[:0] = {sys.path!r}; from collidekit.benchmark.sandbox.job import JobLimits; {other}"
        )
        dead = int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        assert groups_of(dead)
        sweep_cgroups()
        assert not groups_of(dead)
        assert groups_of(os.getpid())
    finally:
        mine.remove()
    assert not groups_of(os.getpid())


def test_nothing_is_left_after_a_run(engine: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    assert engine.run(make_job(tmp_path, "echo 1 > /output/x")).ok
    open_files = os.listdir("/proc/self/fd")
    for _ in range(2):
        shutil.rmtree(tmp_path / "output")
        assert engine.run(make_job(tmp_path, "echo 1 > /output/x")).ok
    assert len(os.listdir("/proc/self/fd")) <= len(open_files)
    assert not list(temporary.iterdir())
    assert not groups_of(os.getpid())


def test_temporary_folders_of_killed_runners_are_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    code = f"import sys; sys.path[:0] = {sys.path!r}; import os, tempfile; tempfile.tempdir = {str(tmp_path)!r}"
    code += "; from collidekit.benchmark.sandbox.staging import staging_folder\nwith staging_folder(): os.kill(os.getpid(), 9)"
    subprocess.run([sys.executable, "-c", code], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    with staging_folder() as mine:
        assert sweep_staging() == 1
        assert list(tmp_path.iterdir()) == [mine]
    assert not list(tmp_path.iterdir())


def _parent(process: int) -> int:
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
