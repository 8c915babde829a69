"""Threads that do not spin while other processes are busy."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from collidekit.threads import (
    BUSY,
    QUIET,
    IdleThreads,
    LoadMonitor,
    allowed_cores,
    load_sample,
    missing_cores,
    openmp_library,
    sharing_cores,
)

torch.ones(1)
pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or openmp_library() is None, reason="torch uses no GNU OpenMP here"
)


def threads_now() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


def test_idle_threads_exist_until_they_are_closed() -> None:
    before = threads_now()
    idle = IdleThreads(5)
    assert threads_now() == before + 5  # a thread of Python, which is one of the five, and four others
    idle.close()
    time.sleep(0.2)
    assert threads_now() == before


def test_idle_threads_use_no_time() -> None:
    idle = IdleThreads(len(allowed_cores()) + 1)
    time.sleep(0.2)
    begun = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - begun < 0.1
    idle.close()


def test_missing_cores() -> None:
    """Two threads on two cores, of which another process uses one for 0.8 s of a second."""
    assert missing_cores((0.0, 0.0, 0.0), (1.0, 2.0, 1.2), threads=2, cores=2) == pytest.approx(0.8)
    assert missing_cores((0.0, 0.0, 0.0), (1.0, 1.9, 1.9), threads=2, cores=2) == 0.0
    assert missing_cores((0.0, 0.0, 0.0), (1.0, 3.0, 1.0), threads=2, cores=8) == pytest.approx(-4.0)


def test_a_busy_process_is_seen() -> None:
    cores = allowed_cores()
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        time.sleep(0.3)
        before = load_sample(cores)
        time.sleep(0.7)
        now = load_sample(cores)
    finally:
        process.kill()
        process.wait()
    assert missing_cores(before, now, threads=len(cores), cores=len(cores)) > BUSY


def test_the_monitor_switches_with_hysteresis() -> None:
    monitor = LoadMonitor(2)
    monitor.update((BUSY + QUIET) / 2)
    assert monitor.crowd is None
    monitor.update(BUSY + 0.1)
    assert monitor.crowd is not None
    monitor.update((BUSY + QUIET) / 2)
    assert monitor.crowd is not None
    monitor.update(QUIET / 2)
    assert monitor.crowd is None


def test_results_do_not_depend_on_the_idle_threads() -> None:
    torch.manual_seed(1)
    values = torch.randn(1 << 20)
    plain = values.exp().sum()
    idle = IdleThreads(len(allowed_cores()) + 1)
    assert torch.equal(values.exp().sum(), plain)
    idle.close()


@pytest.mark.parametrize("name", ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT"])
def test_a_policy_of_the_user_wins(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "PASSIVE" if name == "OMP_WAIT_POLICY" else "1000")
    before = threads_now()
    with sharing_cores(2):
        assert threads_now() == before


def test_the_monitor_ends_with_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    before = threads_now()
    with sharing_cores(2):
        assert threads_now() > before
    time.sleep(0.2)
    assert threads_now() == before
