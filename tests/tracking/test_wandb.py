"""Runs of the real Weights & Biases, offline: what is on the disk afterwards."""

import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb_server
from tests.tracking.conftest import Make, kill_after, train_in_process, warnings_of

from collidekit.dataset.loader import Dataset
from collidekit.errors import CollidekitError
from collidekit.tracking import Tracking
from collidekit.tracking.registry import find_trackers

wandb = pytest.importorskip("wandb", reason="wandb is not installed")
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


MANY = 100
RUN = "wandb/offline-run-*/*.wandb"


def records(results: Path) -> list[Any]:
    """All records of the only run."""
    from wandb.proto import wandb_internal_pb2

    (path,) = results.glob("wandb/offline-run-*/*.wandb")
    return [wandb_internal_pb2.Record.FromString(data) for data in entries(path.read_bytes())]


def entries(content: bytes) -> Iterator[bytes]:
    """The entries of a log of LevelDB: blocks of 32 kB, pieces with checksum, length and kind (1: whole, 4: last)."""
    place, entry = 7, b""
    while place + 7 <= len(content):
        if 32768 - place % 32768 < 7:
            place += 32768 - place % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", content, place)
        entry += content[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):
            yield entry
            entry = b""


def rows(results: Path) -> list[dict[str, Any]]:
    return [
        {(item.key or item.nested_key[0]): json.loads(item.value_json) for item in record.history.item}
        for record in records(results)
        if record.HasField("history")
    ]


def test_an_offline_run_has_title_settings_and_all_columns(make: Make, tmp_path: Path) -> None:
    training = make("wandb")
    training.run()
    assert not warnings_of(training)
    found = rows(tmp_path / "results")
    assert [row["epoch"] for row in found] == [1, 2, 3]
    assert [row["_step"] for row in found] == [1, 2, 3]
    for row, expected in zip(found, training.history.epochs, strict=True):
        assert {name: row[name] for name in expected} == expected
    run = next(record.run for record in records(tmp_path / "results") if record.HasField("run"))
    assert run.display_name == "toy, mlp v1"
    config = {item.key: json.loads(item.value_json) for item in run.config.update}
    assert config["epochs"] == 3
    assert config["folder"] == "TrainingTask/a"


def test_a_continued_training_has_each_epoch_once(make: Make, tmp_path: Path) -> None:
    done = make("wandb")
    done.run()
    again = make("wandb")
    again.resume(done.folder / "model_1.pt")
    again.run()
    assert not warnings_of(again)
    assert [row["epoch"] for row in rows(tmp_path / "results")] == [1, 2, 3]


def test_if_wandb_cannot_start_again_the_interrupted_run_stays(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = make("wandb")
    done.run()

    def broken(**_: Any) -> None:
        raise OSError("no service")

    monkeypatch.setattr(wandb, "init", broken)
    again = make("wandb")
    again.resume(done.folder / "model_1.pt")
    again.run()
    assert "no service" in warnings_of(again)[0]
    assert [row["epoch"] for row in rows(tmp_path / "results")] == [1, 2, 3]


def test_nothing_private_is_sent(make: Make, tmp_path: Path) -> None:
    """Logs stay on this disk; the rest is what ``wandb sync`` sends."""
    make("wandb").run()
    (run,) = (tmp_path / "results" / "wandb").glob("offline-run-*")
    files = [path for path in run.rglob("*") if path.is_file() and path.parent.name != "logs"]
    assert {path.suffix for path in files} == {".wandb"}
    content = b"".join(path.read_bytes() for path in files)
    for private in (str(tmp_path), str(Path.home()) + "/", "pytest"):
        assert private.encode() not in content, private
    found = records(tmp_path / "results")
    assert {record.run.host for record in found if record.HasField("run")} == {"hidden"}
    assert not any(record.HasField("stats") or record.HasField("output") for record in found)


def test_files_are_kept_with_the_run_when_asked_for(make: Make, tmp_path: Path) -> None:
    make("wandb", files=True).run()
    (run,) = (tmp_path / "results" / "wandb").glob("offline-run-*")
    assert {"best_model.pt", "history.csv", "steps.csv"} <= {path.name for path in (run / "files").iterdir()}


def test_online_without_a_key_is_an_error_and_no_question(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    with pytest.raises(CollidekitError, match="--track-online: wandb has no key"):
        find_trackers(Tracking(("wandb",), online=True))


@pytest.mark.slow
def test_the_run_of_a_killed_training_can_be_synced_and_goes_on(dataset: Dataset, tmp_path: Path) -> None:
    """``wandb sync`` sends all epochs but those of the last moments; after the training has gone on, each epoch once."""
    results, steps = tmp_path / "results", tmp_path / "steps"
    steps.touch()
    folder = results / "TrainingTask" / "a"
    process = train_in_process(dataset, folder, steps, results, "wandb", MANY)
    while process.is_alive() and sum(path.stat().st_size for path in results.glob(RUN)) < 30_000:
        time.sleep(0.01)
    kill_after(0, process, steps)
    done = len(list(folder.glob("model_*.pt")))
    sent = synced(results, tmp_path)
    assert sent == list(range(1, len(sent) + 1))
    assert done - 30 < len(sent) <= done < MANY
    again = train_in_process(dataset, folder, steps, results, "wandb", MANY)
    again.join(400)
    assert again.exitcode == 0
    assert [row["epoch"] for row in rows(results)] == list(range(1, MANY + 1))
    assert synced(results, tmp_path) == list(range(1, MANY + 1))


@pytest.fixture(autouse=True)
def _service(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings in processes of their own start their own service of wandb, as those of users do."""
    for name in [name for name in os.environ if name.startswith("WANDB_SERVICE")]:
        monkeypatch.delenv(name)


def synced(results: Path, home: Path) -> list[int]:
    """The epochs that the real ``wandb sync`` sends of the only run, to a server on this machine."""
    (run,) = {path.parent for path in results.glob(RUN)}
    with wandb_server.running() as server:
        settings = {
            "WANDB_BASE_URL": server.url,
            "WANDB_API_KEY": "a" * 40,
            "WANDB_ERROR_REPORTING": "false",
            "HOME": str(home),
        }
        done = subprocess.run(
            [sys.executable, "-m", "wandb", "sync", "--yes", str(run)], env={**os.environ, **settings}, capture_output=True, cwd=home,
            text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        assert set(server.names) == {"toy a"}
        for marker in run.glob("*.synced"):  # to be sent once more
            marker.unlink()
        return [int(row["epoch"]) for row in server.rows]
