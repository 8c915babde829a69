"""Construction and prediction by ranks give the bytes of one process; a killed rank stops all, and a new run continues."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import toys
from luigi.task_register import Register
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from collidekit.errors import CollidekitError
from collidekit.ranks.environment import Place, place_of, without_launcher
from collidekit.ranks.group import ONE
from collidekit.tasks import rank_parts
from collidekit.tasks.base import AnalysisTask, run_with_requirements
from collidekit.tasks.dataset import DatasetConstructorTask
from collidekit.tasks.inference import InferenceTask
from collidekit.tasks.work import PartProcess

SRC = Path(__file__).parents[2] / "src"
GIVEN: dict[str, Any] = {"config": "toy.yaml", "filelist": ("train.root",), "epochs": 1, "n_threads": 1}
ROWS = 5000


def children() -> list[int]:
    """Return the processes of parts that this process has started."""
    found = subprocess.run(
        ["pgrep", "-P", str(os.getpid()), "-f", "collidekit.tasks.work"], capture_output=True, check=False
    )
    return [int(word) for word in found.stdout.split()]


def made(task: AnalysisTask) -> AnalysisTask:
    run_with_requirements(task)
    return task


def anew() -> None:
    Register.clear_instance_cache()


def parts_left(results: Path) -> list[Path]:
    return [path for path in results.glob("*PartTask/**/*") if path.is_file()]


@pytest.fixture
def predicted(place: Path) -> bytes:
    """Return the predictions of a single process, and remove them."""
    toys.write_table(place / "large.root", toys.toy_table(ROWS, seed=3))
    task = made(InferenceTask(**GIVEN, test_filelist=("large.root",)))
    content = (task.folder / "predictions.parquet").read_bytes()
    shutil.rmtree(task.folder)
    anew()
    return content


def test_shards_of_two_ranks_are_those_of_one_process(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(3):
        toys.write_table(place / f"file_{number}.root", toys.toy_table(80 + 90 * number, seed=number))
    monkeypatch.setattr("collidekit.tasks.dataset.SMALLEST", 0)
    settings: dict[str, Any] = {"config": "toy.yaml", "filelist": ("file_*.root",), "chunk_size": 120}
    one = made(DatasetConstructorTask(**settings)).folder
    anew()
    monkeypatch.setenv("COLLIDEKIT_OUTPUT", str(place / "others"))
    two = made(DatasetConstructorTask(**settings, devices=2)).folder
    assert two != one
    assert two.name == one.name
    names = [path.name for path in sorted(one.glob("shard_*.arrow"))]
    assert len(names) == 5
    for name in [*names, "manifest.json"]:
        assert (two / name).read_bytes() == (one / name).read_bytes()
    assert parts_left(place / "others") == []


def test_a_killed_rank_ends_the_prediction_and_the_command_goes_on(place: Path, predicted: bytes) -> None:
    task = InferenceTask(**GIVEN, test_filelist=("large.root",), devices=2)

    def kill() -> None:
        while len(children()) < 2:
            time.sleep(0.02)
        os.kill(children()[1], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    begun = time.monotonic()
    with pytest.raises(
        CollidekitError, match=r"part \d/2 of a prediction was ended by SIGKILL .*the same command continues"
    ):
        run_with_requirements(task)
    thread.join()
    assert time.monotonic() - begun < 60
    assert children() == []
    anew()
    again = made(InferenceTask(**GIVEN, test_filelist=("large.root",), devices=2))
    assert (again.folder / "predictions.parquet").read_bytes() == predicted
    assert parts_left(place / "results") == []


def test_torchrun_predicts_by_its_ranks(place: Path, predicted: bytes) -> None:
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "collidekit", "run",
             "toy.yaml", "--files", "train.root", "--test-files", "large.root", "--epochs", "1", "--threads", "1"]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(SRC), "MPLBACKEND": "Agg"}
    done = subprocess.run(words, cwd=place, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("2 ranks make one part each") == 1  # both datasets are there already
    (path,) = (place / "results" / "InferenceTask").rglob("predictions.parquet")
    assert path.read_bytes() == predicted
    assert parts_left(place / "results") == []


def test_a_checkpoint_is_predicted_by_ranks(place: Path, predicted: bytes) -> None:
    model = next((place / "results" / "TrainingTask").rglob("best_model.pt"))
    common: dict[str, Any] = {
        "config": "toy.yaml",
        "checkpoint": (str(model),),
        "test_filelist": ("large.root",),
        "n_threads": 1,
    }
    one = made(InferenceTask(**common)).folder / "predictions.parquet"
    content = one.read_bytes()
    shutil.rmtree(one.parent)
    anew()
    assert (made(InferenceTask(**common, devices=2)).folder / "predictions.parquet").read_bytes() == content


def test_little_work_is_left_to_one_process(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PartProcess, "__init__", lambda *words: pytest.fail("a process was started"))
    monkeypatch.setattr("collidekit.tasks.training.ranks_for", lambda *given: nullcontext(ONE))
    assert made(InferenceTask(**GIVEN, test_filelist=("test.parquet",), devices=2)).complete()


def test_too_many_ranks_are_refused_before_anything_is_made(place: Path) -> None:
    with pytest.raises(CollidekitError, match=r"--devices 100000: this machine has"):
        DatasetConstructorTask(config="toy.yaml", filelist=("train.root",), devices=100_000).complete()
    assert not (place / "results").exists()


def test_a_part_ends_with_the_process_that_started_it(place: Path) -> None:
    code = (
        "import sys, time; from collidekit.tasks.work import PartProcess\n"
        "part = PartProcess(['ConstructionPartTask', '--config', 'toy.yaml', '--filelist', 'fifo.root'])\n"
        "print(part.process.pid, flush=True); time.sleep(60)"
    )
    os.mkfifo(place / "fifo.root")
    parent = subprocess.Popen(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(SRC)}, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    part = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    end = time.monotonic() + 60
    while Path(f"/proc/{part}").exists() and "zombie" not in Path(f"/proc/{part}/status").read_text():
        assert time.monotonic() < end
        time.sleep(0.1)


def rank(number: int) -> Place:
    return Place(number, 2, number, 2, "torchrun")


class Ranks:
    """Two ranks, started like by a launcher, with parts that are not tasks."""

    place = rank(0)

    def __init__(self, monkeypatch: pytest.MonkeyPatch, commands: list[list[str]]) -> None:
        self.store = TCPStore("localhost", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=20))
        self.commands = commands

        def begin(part: PartProcess, words: list[str], device: int | None = None) -> None:
            part.words, part.device = ["PredictionPartTask", "--part", words[0]], device
            part.log = (Path.cwd() / f"log_{words[0][0]}").open("w+b")
            part.process = subprocess.Popen([sys.executable, "-c", words[1]], stdout=part.log, stderr=part.log)

        monkeypatch.setattr(PartProcess, "__init__", begin)

    def other(self) -> threading.Thread:
        thread = threading.Thread(target=rank_parts.share_of_rank, args=(self.commands, self.store, rank(1)))
        thread.start()
        return thread

    def announce(self, content: dict[str, Any]) -> Any:
        return self.store

    def lead(self) -> None:
        rank_parts._lead(self, self.commands)  # type: ignore[arg-type]


def test_the_first_rank_waits_for_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code = "import time; time.sleep({}); open({!r}, 'w').close()"
    ranks = Ranks(monkeypatch, [[f"{number}/3", code.format(number / 4, f"done_{number}")] for number in (1, 2, 3)])
    thread = ranks.other()
    ranks.lead()
    thread.join()
    assert sorted(path.name for path in tmp_path.glob("done_*")) == ["done_1", "done_2", "done_3"]


def test_an_error_of_another_rank_ends_the_first_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ranks = Ranks(
        monkeypatch, [["1/2", "import time; time.sleep(100)"], ["2/2", "raise SystemExit('error: no space')"]]
    )
    thread = ranks.other()
    begun = time.monotonic()
    with pytest.raises(CollidekitError, match="rank 1 of 2: no space"):
        ranks.lead()
    thread.join()
    assert time.monotonic() - begun < 30


def test_a_silent_rank_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(rank_parts, "SILENT", 1.0)
    ranks = Ranks(monkeypatch, [["1/2", "import time; time.sleep(100)"], ["2/2", "pass"]])
    with pytest.raises(CollidekitError, match=r"another rank is gone: rank 1 sent no heartbeat for 1 s; finished work"):
        ranks.lead()


def test_an_error_of_the_first_rank_ends_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ranks = Ranks(
        monkeypatch, [["1/2", "raise SystemExit('error: bad file')"], ["2/2", "import time; time.sleep(100)"]]
    )
    thread = ranks.other()
    with pytest.raises(CollidekitError, match="bad file"):
        ranks.lead()
    thread.join(30)
    assert not thread.is_alive()


@pytest.mark.parametrize(
    "environment",
    [
        {"TORCHELASTIC_RUN_ID": "x", "RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"},
        {"SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1", "SLURM_LOCALID": "1"},
    ],
)
def test_a_process_of_a_part_is_no_rank(environment: dict[str, str]) -> None:
    assert place_of(environment) is not None
    assert place_of(without_launcher(environment)) is None
