"""Control groups: version 1 as it is here, version 2 with copies of its files."""

import os
from pathlib import Path

import pytest

from collidekit.benchmark.sandbox import cgroup_places
from collidekit.benchmark.sandbox.cgroup import Usage, make_cgroup
from collidekit.benchmark.sandbox.cgroup_places import find_place
from collidekit.benchmark.sandbox.job import JobLimits
from collidekit.benchmark.sandbox.owner import owner_is_gone, owner_tag

LIMITS = JobLimits(memory=64 << 20, cpus=1.5, processes=32, walltime=10, output=1 << 20, log=1 << 16)


@pytest.fixture
def version_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hierarchy of version 2, as a user's service with delegation sees it; returns the folder beside that of this process."""
    beside = tmp_path / "user.slice" / "worker.service"
    (beside / "runner").mkdir(parents=True)
    for folder in (tmp_path, beside):
        (folder / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
        (folder / "cgroup.subtree_control").write_text("cpu memory pids\n")
    monkeypatch.setattr(cgroup_places, "_mounts", lambda: {"": tmp_path})
    monkeypatch.setattr(cgroup_places, "_own", lambda: {"": "/user.slice/worker.service/runner"})
    return beside


def test_version_2(version_2: Path) -> None:
    group = make_cgroup("test", LIMITS)
    assert group is not None
    assert group.limited == ("memory", "processes", "cpus")
    (folder,) = set(group.folders.values())
    assert folder.parent == version_2
    read = {path.name: path.read_text() for path in folder.iterdir()}
    assert read == {"memory.max": str(64 << 20), "memory.swap.max": "0", "pids.max": "32", "cpu.max": "150000 100000"}
    (folder / "memory.peak").write_text("12345\n")
    (folder / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 1\n")
    (folder / "memory.events").write_text("low 0\noom 3\noom_kill 1\n")
    (folder / "pids.events").write_text("max 2\n")
    assert group.usage() == Usage(2.5, 12345, 1, 2)
    group.add(4321)
    assert (folder / "cgroup.procs").read_text() == "4321"


def test_a_folder_can_be_named(version_2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = tmp_path / "named"
    named.mkdir()
    monkeypatch.setenv(cgroup_places.FOLDER, str(named))
    assert find_place() is None  # nothing is handed down there
    (named / "cgroup.subtree_control").write_text("memory pids\n")
    place = find_place()
    assert place is not None
    assert (place.version, place.folders) == (2, {"memory": named, "pids": named})


def test_without_delegation_there_is_no_group(version_2: Path) -> None:
    (version_2 / "cgroup.subtree_control").write_text("\n")
    assert find_place() is None
    assert make_cgroup("test", LIMITS) is None


def test_where_nothing_is_mounted_there_is_no_group(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroup_places, "_lines", list)
    assert find_place() is None
    assert make_cgroup("test", LIMITS) is None


def test_owners() -> None:
    mine = owner_tag()
    boot, table, process, began = mine.split("-")
    assert int(process) == os.getpid()
    assert not owner_is_gone(mine)
    assert owner_is_gone(f"{boot}-{table}-{process}-{int(began) + 1}")
    assert owner_is_gone(f"{'0' * 12}-{table}-{process}-{began}")
    assert not owner_is_gone(f"{boot}-1-{process}-1"), "a process of another container"
    for text in ("", "x", "a-b-c-d", "collidekit"):
        assert not owner_is_gone(text)
