"""Ranks as processes: they start and end together, and a training goes on with another number of them."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import rank_cases
import torch
import toys
from torch import nn

from collidekit.dataset.loader import Dataset
from collidekit.errors import CollidekitError
from collidekit.lease import began_at, machine_name
from collidekit.models.constituent_layers import BatchNorm, own_statistics
from collidekit.ranks.group import checksum, running_statistics
from collidekit.training.config import TrainingConfig
from collidekit.training.loop import Training
from collidekit.training.ranks import Request, begin, ranks_for, threads_of_rank

MANY = {"model_name": "pfn", "model_options": toys.SMALL, "epochs": 400, "batch_size": 64, "seed": 3}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return toys.make_dataset(tmp_path_factory.mktemp("ranks"), rank_cases.ANALYSIS, rank_cases.table(720))


def train(config: TrainingConfig, data: Dataset, folder: Path, devices: int, start: Path | None = None) -> Training:
    """A training of so many ranks, which is done."""
    with ranks_for(Request.of(config, data, folder, start), devices, 1) as ranks:
        done = Training(config, data, folder, accelerator="cpu", ranks=ranks)
        begin(done, start)
        done.run()
    return done


def others() -> list[int]:
    """The processes that this one started as ranks."""
    found = subprocess.run(
        ["pgrep", "-P", str(os.getpid()), "-f", "collidekit.training.ranks"], capture_output=True, check=False
    )
    return [int(word) for word in found.stdout.split()]


def test_it_goes_on_with_another_number_of_ranks(data: Dataset, tmp_path: Path) -> None:
    whole = train(rank_cases.config("pfn"), data, tmp_path / "whole", 1)
    train(rank_cases.config("pfn").model_copy(update={"epochs": 1}), data, tmp_path / "half", 2)
    assert not others()
    found = rank_cases.config("pfn").model_copy(update={"epochs": 1, "extend_training": 1})
    alone = train(found, data, tmp_path / "alone", 1, tmp_path / "half" / "last.pt")
    again = train(found, data, tmp_path / "again", 2, tmp_path / "half" / "last.pt")
    np.testing.assert_allclose(alone.history.losses, whole.history.losses, rtol=1e-6)
    np.testing.assert_allclose(again.history.losses, whole.history.losses, rtol=1e-6)
    assert sorted(path.name for path in (tmp_path / "half").glob("*.pt")) == ["best_model.pt", "last.pt", "model_1.pt"]


def test_a_killed_rank_ends_the_training_with_its_reason(data: Dataset, tmp_path: Path) -> None:
    """Within seconds; and from the state that was saved the training goes on."""
    killed: list[float] = []

    def kill() -> None:
        while not (tmp_path / "killed" / "model_1.pt").exists():
            time.sleep(0.05)
        os.kill(others()[0], signal.SIGKILL)
        killed.append(time.monotonic())

    thread = threading.Thread(target=kill)
    thread.start()
    config = TrainingConfig(**MANY)
    with pytest.raises(CollidekitError, match=r"rank 1 was ended by SIGKILL.*goes on from there"):
        train(config, data, tmp_path / "killed", 2)
    thread.join()
    assert time.monotonic() - killed[0] < 20
    assert not others()
    epoch = torch.load(tmp_path / "killed" / "last.pt", weights_only=True)["epoch"]
    assert 1 <= epoch < 400
    rest = config.model_copy(update={"epochs": 400})
    with ranks_for(Request.of(rest, data, tmp_path / "killed", None), 1, 1) as ranks:
        resumed = Training(rest, data, tmp_path / "killed", accelerator="cpu", ranks=ranks)
        begin(resumed, tmp_path / "killed" / "last.pt")
    assert resumed.epoch == epoch + 1


def test_a_signal_to_one_rank_stops_all_of_them(data: Dataset, tmp_path: Path) -> None:
    def stop() -> None:
        while not (tmp_path / "stopped" / "model_1.pt").exists():
            time.sleep(0.05)
        os.kill(others()[0], signal.SIGTERM)

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(CollidekitError, match=r"stopped by a signal to another rank in epoch \d+; the state is saved"):
        train(TrainingConfig(**MANY), data, tmp_path / "stopped", 2)
    thread.join()
    assert not others()


def test_an_error_of_another_rank_is_said(data: Dataset, tmp_path: Path) -> None:
    request = Request.of(rank_cases.config("pfn"), data, tmp_path / "a", None)
    wrong = Request(request.config, request.analysis, str(tmp_path / "none"), request.folder)
    with (
        pytest.raises(CollidekitError, match=r"another rank is gone: rank 1 ended with code 1 \(error: .*none"),
        ranks_for(wrong, 2, 1) as ranks,
    ):
        Training(rank_cases.config("pfn"), data, tmp_path / "a", accelerator="cpu", ranks=ranks).run()
    assert not others()


def test_what_a_killed_first_rank_left_is_removed(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name, began in (("dead", "1"), ("alive", began_at(os.getpid()))):
        folder = tmp_path / f"collidekit_ranks_{name}"
        folder.mkdir()
        leader = {"pid": os.getpid(), "machine": machine_name(), "began": began}
        (folder / "request.json").write_text(json.dumps({"leader": leader}))
    train(rank_cases.config("pfn").model_copy(update={"epochs": 1}), data, tmp_path / "a", 2)
    assert [path.name for path in tmp_path.glob("collidekit_ranks_*")] == ["collidekit_ranks_alive"]


def test_more_ranks_than_processors_are_refused(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(CollidekitError, match=r"--devices 100000: this machine has \d+ processors"):
        train(rank_cases.config("pfn"), data, tmp_path / "a", 100_000)


def test_threads_are_shared_by_the_ranks_of_a_node() -> None:
    processors = os.cpu_count() or 1
    assert threads_of_rank(1000, 2) == max(processors // 2, 1)
    assert threads_of_rank(1, 2) == 1


def test_only_running_statistics_are_averaged() -> None:
    """The sum of three equal numbers, divided by three, may be another number: constants of the scaling must stay as they are."""
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1))
    model.register_buffer("mean", torch.tensor([0.1]))
    found = running_statistics(model)
    assert [x is y for x, y in zip(found, (model[0].running_mean, model[0].running_var), strict=True)] == [True, True]


def test_batch_normalisation_of_a_users_network_is_named() -> None:
    assert own_statistics(nn.Sequential(BatchNorm(2), nn.BatchNorm1d(2))) == ["1"]


def test_other_weights_have_another_checksum() -> None:
    model = nn.Linear(3, 2)
    before = checksum(model.state_dict().values())
    with torch.no_grad():
        model.weight[0, 0] = torch.nextafter(model.weight[0, 0], torch.tensor(9.0))
    assert checksum(model.state_dict().values()) != before


def test_torchrun_starts_the_ranks_of_a_run(tmp_path: Path) -> None:
    """The second process waits for the training, writes nothing and ends well."""
    toys.write_analysis(tmp_path / "case.yaml", rank_cases.ANALYSIS)
    toys.write_table(tmp_path / "train.parquet", rank_cases.table(400))
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "collidekit", "run",
             "case.yaml", "--files", "train.parquet", "--model", "pfn", "--epochs", "1", "--set", "n_threads=1"]  # fmt: skip
    done = subprocess.run(
        [*words, "--devices", "2"], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Training took") == 1
    assert "2 ranks on cpu" in " ".join(done.stdout.split())
    assert len(list((tmp_path / "results").rglob("report.html"))) == 1
    wrong = subprocess.run(
        [*words, "--devices", "3", "--seed", "5"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert wrong.returncode
    assert "torchrun started 2 ranks, but --devices 3" in " ".join(wrong.stderr.split())
