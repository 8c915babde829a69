"""If two processes need the same output, one makes it, and the other waits and uses it."""

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.cli.samples import ANALYSIS, jets, write_root

from collidekit.files import one_at_a_time

SRC = Path(__file__).parents[2] / "src"


def test_two_trainings_that_share_a_dataset(tmp_path: Path) -> None:
    (tmp_path / "jets.yaml").write_text(ANALYSIS)
    write_root(tmp_path / "train.root", jets(400, seed=1))
    write_root(tmp_path / "test.root", jets(200, seed=2))
    words = [
        sys.executable,
        "-m",
        "collidekit",
        "run",
        "jets.yaml",
        "--files",
        "train.root",
        "--test-files",
        "test.root",
    ]
    environment = {**os.environ, "PYTHONPATH": str(SRC), "OMP_NUM_THREADS": "1", "COLLIDEKIT_OUTPUT": "results"}
    runs = [
        subprocess.Popen(
            [*words, "--learning-rate", rate], cwd=tmp_path, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        for rate in ("0.005", "0.002")
    ]  # fmt: skip
    for run in runs:
        output, _ = run.communicate(timeout=300)
        assert run.returncode == 0, output
    assert len(list((tmp_path / "results/DatasetConstructorTask").rglob("manifest.json"))) == 2  # training and test
    assert len(list((tmp_path / "results/ReportTask").rglob("report.html"))) == 2


def test_a_killed_owner_does_not_keep_the_lock(tmp_path: Path) -> None:
    code = (
        "import time; from pathlib import Path; from collidekit.files import one_at_a_time\n"
        f"with one_at_a_time(Path({str(tmp_path / '.lock')!r})):\n    print('held', flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(SRC)}
    )
    assert owner.stdout
    assert owner.stdout.readline() == "held\n"
    owner.kill()
    owner.wait()
    begun = time.monotonic()
    with one_at_a_time(tmp_path / ".lock"):
        assert time.monotonic() - begun < 5


def test_many_processes_take_turns(tmp_path: Path) -> None:
    """A counter that six processes increment 20 times each loses no step."""
    (tmp_path / "count").write_text("0")
    code = f"""
import time
from pathlib import Path
from collidekit.files import one_at_a_time
count = Path({str(tmp_path / "count")!r})
for _ in range(20):
    with one_at_a_time(Path({str(tmp_path / ".lock")!r})):
        value = int(count.read_text())
        time.sleep(0.001)
        count.write_text(str(value + 1))
"""
    words = [sys.executable, "-c", code]
    turns = [subprocess.Popen(words, env={**os.environ, "PYTHONPATH": str(SRC)}) for _ in range(6)]
    assert [turn.wait(timeout=120) for turn in turns] == [0] * 6
    assert (tmp_path / "count").read_text() == "120"
    assert not (tmp_path / ".lock").exists()
