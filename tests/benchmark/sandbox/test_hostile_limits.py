"""Hostile commands end with one readable reason, and harm nothing."""

import re
import time
from pathlib import Path
from runpy import run_path

import pytest
from sandboxes import make_job, processes_with

from collidekit.benchmark.sandbox.job import Sandbox

HOSTILE = run_path(str(Path(__file__).with_name("hostile.py")))["LIMITS"]
SAME_IN_PODMAN = {
    "threads without end", "fills /dev/shm", "fills the disk with many files", "fills the log at its end", "sleeps for ever", "removes the features",
    "writes a link to the features", "writes a link as a folder", "writes a socket", "makes deep folders",
}  # fmt: skip
"""Variants that take the same way in podman as another command; they run in bubblewrap, which starts faster."""
CASES = [
    *(("podman", what) for what in HOSTILE if what not in SAME_IN_PODMAN),
    *(("bubblewrap", what) for what in HOSTILE),
    *(("bubblewrap without cgroups", what) for what in HOSTILE if not what.startswith(("writes", "removes"))),
]


@pytest.mark.parametrize(("engine", "what"), CASES, indirect=["engine"])
def test_a_hostile_command_ends_with_a_reason(engine: Sandbox, tmp_path: Path, what: str) -> None:
    text, reason = HOSTILE[what]
    endless = "took longer" in reason
    job = make_job(tmp_path, text, walltime=0.5 if endless else 20)
    begin = time.monotonic()
    outcome = engine.run(job)
    assert not outcome.ok
    assert re.search(reason, outcome.reason), (outcome, job.log.read_text()[-500:])
    assert "\n" not in outcome.reason
    assert not outcome.service_fault
    assert not list(job.output.iterdir())
    assert job.log.stat().st_size < (64 << 10) + 200
    assert (tmp_path / "features.parquet").read_bytes() == b"features"
    assert not list((tmp_path / "submission").iterdir())
    if endless:
        assert time.monotonic() - begin < 8


def test_a_daemon_does_not_outlive_its_command(engine: Sandbox, tmp_path: Path) -> None:
    text = "(setsid sh -c 'trap \"\" TERM HUP; sleep 91827; sleep 91827' &) ; setsid sleep 91827 & sleep 0.3"
    job = make_job(tmp_path, text)
    assert engine.run(job).ok
    assert not processes_with("sleep\x0091827")


def test_cancel(engine: Sandbox, tmp_path: Path) -> None:
    asked: list[float] = []

    def canceled() -> bool:
        asked.append(time.monotonic())
        return len(asked) > 1

    begin = time.monotonic()
    outcome = engine.run(make_job(tmp_path, "trap '' TERM; sleep 81726; sleep 81726"), canceled)
    assert outcome.canceled
    assert not outcome.ok
    assert outcome.reason == "the run was canceled"
    assert asked[1] - asked[0] == pytest.approx(1, abs=0.6)
    assert time.monotonic() - asked[1] < 3
    assert time.monotonic() - begin < 7
    assert not processes_with("sleep\x0081726")


def test_a_command_may_end_well_after_sigterm_and_is_late_all_the_same(engine: Sandbox, tmp_path: Path) -> None:
    job = make_job(tmp_path, "trap 'echo saved; exit 0' TERM; while :; do sleep 0.05; done", walltime=1)
    outcome = engine.run(job)
    assert outcome.reason.startswith("the command took longer")
    assert "saved" in job.log.read_text()
