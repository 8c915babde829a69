"""A results folder of another user: it is used, or there is one clear error; nothing of that user's is removed.

The second user is a real one: the tests need root, to become another user in a process of its own.
"""

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.tasks.conftest import make_place

SRC = Path(__file__).parents[2] / "src"
FIRST, SECOND = 64_001, 64_002
"""Ids of two users without names."""


def as_user(user: int, *words: str, place: Path, mask: int = 0o022, **more: str) -> subprocess.CompletedProcess[str]:
    """Run Python as another user, who can read all files and write where the file system allows it."""
    become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups",
              "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]  # fmt: skip
    home = place / f"home_{user}"
    if not home.exists():
        home.mkdir()
        os.chown(home, user, user)
    environment = {**os.environ, "PYTHONPATH": str(SRC), "HOME": str(home), "MPLCONFIGDIR": str(home), "TMPDIR": str(home),
                   "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1", "COLUMNS": "400", **more}  # fmt: skip
    return subprocess.run(
        [*become, sys.executable, *words], cwd=place, env=environment, capture_output=True, text=True, timeout=300,
        check=False, umask=mask,
    )  # fmt: skip


def can_become_others() -> bool:
    """Return whether another user can run Python here."""
    if not hasattr(os, "getuid") or os.getuid() != 0 or not shutil.which("setpriv"):
        return False
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        done = as_user(SECOND, "-c", "import torch, os; print(os.getuid())", place=Path(name))
    return done.stdout.strip() == str(SECOND)


@pytest.fixture(scope="module", autouse=True)
def _second_user() -> None:
    if not can_become_others():
        pytest.skip("needs root and setpriv, to become another user")


@pytest.fixture
def place() -> Iterator[Path]:
    """Folder that all users can read, with an empty results folder of the first user."""
    with tempfile.TemporaryDirectory(prefix="collidekit-users-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        make_place(folder)
        (folder / "results").mkdir()
        os.chown(folder / "results", FIRST, FIRST)
        yield folder


WORDS = ("run", "toy.yaml", "--files", "train.root", "--test-files", "test.parquet", "--threads", "1")


def run(
    user: int, place: Path, *more: str, mask: int = 0o022, output: str = "results"
) -> subprocess.CompletedProcess[str]:
    return as_user(user, "-m", "collidekit", *WORDS, *more, "--output", output, place=place, mask=mask)


def error_of(done: subprocess.CompletedProcess[str]) -> str:
    """Return the line of a user error, and check that it is the only one."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(lines) == 1
    return lines[0]


def belongings(folder: Path, user: int) -> dict[str, tuple[int, float]]:
    """Return size and modification time of all files of a user."""
    found = {path: path.lstat() for path in folder.rglob("*") if not path.is_dir()}
    return {str(path): (status.st_size, status.st_mtime) for path, status in found.items() if status.st_uid == user}


def test_results_of_another_user_are_read_and_not_written(place: Path) -> None:
    first = run(FIRST, place)
    assert first.returncode == 0, first.stderr
    before = belongings(place / "results", FIRST)
    assert before
    again = run(SECOND, place)
    assert again.returncode == 0, again.stderr
    assert "existing result" in again.stdout
    said = error_of(run(SECOND, place, "--seed", "9"))
    assert "cannot be written" in said
    assert "use your own folder with --output" in said
    assert f"user {FIRST}" in said
    own = run(SECOND, place, "--seed", "9", output=f"home_{SECOND}/results")
    assert own.returncode == 0, own.stderr
    assert belongings(place / "results", FIRST) == before
    assert belongings(place / "results", SECOND) == {}


def test_clean_removes_nothing_of_another_user(place: Path) -> None:
    results = place / "results"
    results.chmod(0o777)
    assert run(FIRST, place, mask=0).returncode == 0
    unused = results / "DatasetConstructorTask" / "toy" / "extra" / "0123456789"
    theirs, mine = unused, unused.with_name("9876543210")
    for folder, user in ((theirs, FIRST), (mine, SECOND)):
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}")
        for path in (folder, *folder.iterdir()):
            os.chown(path, user, user)
            os.utime(path, (time.time() - 7200,) * 2)
    for path in (unused.parent, unused.parent.parent):
        path.chmod(0o777)
    for path in results.rglob("*"):
        os.utime(path, (time.time() - 7200,) * 2)
    before = belongings(results, FIRST)
    done = as_user(SECOND, "-m", "collidekit", "clean", "--remove", "--yes", "--output", "results", place=place)
    assert done.returncode == 0, done.stderr
    assert not mine.exists()
    assert belongings(results, FIRST) == before


KILLED = """
import os, signal
from collidekit.tasks.base import run_with_requirements
from collidekit.tasks.training import TrainingTask
from collidekit.training.loop import Training
step = Training._train_step
def dying(self, batch):
    if self.step == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, batch)
Training._train_step = dying
run_with_requirements(TrainingTask(config="toy.yaml", filelist=("train.root",), n_threads=1))
"""


@pytest.mark.parametrize("mode", [0o777, 0o777 | stat.S_ISVTX], ids=["shared", "each removes their own"])
@pytest.mark.parametrize("mask", [0o022, 0], ids=["writable by its user", "writable by all"])
def test_a_training_that_was_killed_by_another_user(place: Path, mode: int, mask: int) -> None:
    """The second user continues the training, or quickly gets an error."""
    (place / "results").chmod(mode)
    killed = as_user(FIRST, "-c", KILLED, place=place, mask=mask, COLLIDEKIT_OUTPUT="results")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    for folder in (path for path in (place / "results").rglob("*") if path.is_dir() and mask == 0):
        folder.chmod(mode)
    before = belongings(place / "results", FIRST)
    begun = time.monotonic()
    words = (
        "-m",
        "collidekit.tasks.work",
        "TrainingTask",
        "--config",
        "toy.yaml",
        "--filelist",
        "train.root",
        "--n-threads",
        "1",
    )
    done = as_user(SECOND, *words, place=place, COLLIDEKIT_OUTPUT="results")
    after = belongings(place / "results", FIRST)
    if done.returncode == 0:
        assert mask == 0
        assert mode == 0o777
        assert "continuing after epoch 1" in done.stdout
        for name in before.keys() - after.keys():  # what the training that goes on replaces, and its lock
            assert "TrainingTask" in name
    else:
        said = error_of(done)
        assert "use your own folder with --output" in said
        assert after == before
        assert time.monotonic() - begun < 60
