"""An interrupted training continues from its store on another machine, bit for bit."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.stores.test_stored_tasks import FILES, elsewhere
from tests.stores.test_stored_tasks import place as place  # noqa: PLC0414 - a fixture

from collidekit.stores.server import server_at
from collidekit.tasks.base import run_with_requirements
from collidekit.tasks.training import TrainingTask
from collidekit.training.checkpoint import load_content

SRC = Path(__file__).parents[2] / "src"
SETTINGS = {"epochs": 6, "seed": 5, "n_threads": 1}
AT_WORK = """
import os, signal, sys, time
from collidekit.stores import sender
from collidekit.tasks.base import run_with_requirements
from collidekit.tasks.training import TrainingTask
from collidekit.training.loop import Training
sender.EVERY = {every}
step = Training._train_step
def slow(self, batch):
    time.sleep(0.05)
    if self.step == {step} and {kill!r}:
        self.after_save.__self__.wait()
        os.kill(os.getpid(), signal.{kill})
    return step(self, batch)
Training._train_step = slow
task = TrainingTask(config="toy.yaml", filelist=("train.root",), epochs=6, seed=5, n_threads=1)
run_with_requirements(task)
"""


def run(every: float, step: int, kill: str, results: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(SRC), "COLLIDEKIT_OUTPUT": results, "OMP_NUM_THREADS": "1"}
    code = AT_WORK.format(every=every, step=step, kill=kill)
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture
def whole(place: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingTask:
    """The training without a break and without a store."""
    task = TrainingTask(**FILES, **SETTINGS)
    run_with_requirements(task)
    shutil.copytree(task.place, place / "whole")
    elsewhere(monkeypatch, "unused")
    return task


def check_same(folder: Path, place: Path) -> None:
    assert (folder / "steps.csv").read_bytes() == (place / "whole" / "steps.csv").read_bytes()
    for name in ("best_model.pt", "last.pt"):
        mine, theirs = load_content(folder / name), load_content(place / "whole" / name)
        assert mine["epoch"] == theirs["epoch"]
        assert mine["tagger"].keys() == theirs["tagger"].keys()
        assert all(torch.equal(mine["tagger"][key], theirs["tagger"][key]) for key in theirs["tagger"])
        assert mine.get("temperature") == theirs.get("temperature")


@pytest.mark.parametrize("kind", ["disk", "root", "s3"])
def test_a_killed_training_goes_on_elsewhere_from_what_was_sent(
    whole: TrainingTask, place: Path, kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    store = request.getfixturevalue(kind)
    server_at.cache_clear()
    monkeypatch.setenv("COLLIDEKIT_STORE", store)
    done = run(0.0, 14, "SIGKILL", str(place / "killed"))
    assert done.returncode == -signal.SIGKILL, done.stderr
    shutil.rmtree(place / "killed")
    elsewhere(monkeypatch, str(place / "there"))
    task = TrainingTask(**FILES, **SETTINGS)
    assert not task.complete()
    run_with_requirements(task)
    assert "Fetched the state after" in " ".join(capsys.readouterr().out.split())
    check_same(task.folder, place)
    assert task.complete()
    assert task.stored
    assert "unfinished" not in server_at(store).names(task.stored.place)


def test_a_signal_sends_the_state_at_the_end(
    whole: TrainingTask, place: Path, disk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLLIDEKIT_STORE", disk)
    done = run(600.0, 14, "SIGTERM", str(place / "stopped"))
    assert done.returncode == 1
    assert "The state is stored in" in " ".join(done.stdout.split())
    assert "stopped by SIGTERM in epoch" in done.stderr
    elsewhere(monkeypatch, str(place / "there"))
    task = TrainingTask(**FILES, **SETTINGS)
    run_with_requirements(task)
    check_same(task.folder, place)


def test_the_state_here_is_taken_where_it_is_further(
    whole: TrainingTask, place: Path, disk: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLLIDEKIT_STORE", disk)
    assert run(600.0, 7, "SIGTERM", str(place / "here")).returncode == 1
    assert run(600.0, 15, "SIGKILL", str(place / "here")).returncode == -signal.SIGKILL
    elsewhere(monkeypatch, str(place / "here"))
    task = TrainingTask(**FILES, **SETTINGS)
    run_with_requirements(task)
    assert "Fetched" not in capsys.readouterr().out
    check_same(task.folder, place)


def test_a_training_that_begins_again_removes_the_state(
    whole: TrainingTask, place: Path, disk: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLLIDEKIT_STORE", disk)
    assert run(600.0, 7, "SIGTERM", str(place / "here")).returncode == 1
    elsewhere(monkeypatch, str(place / "there"))
    task = TrainingTask(**FILES, **SETTINGS, resume_training=False)
    run_with_requirements(task)
    assert "continuing after" not in capsys.readouterr().out
    check_same(task.folder, place)
