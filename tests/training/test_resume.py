"""Going on: a training killed at any moment ends like one that nobody disturbed; other epochs; extended trainings."""

import csv
import multiprocessing
import os
import random
import signal
import time
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest
import torch
import toys

from collidekit.dataset.loader import Dataset
from collidekit.errors import CollidekitError
from collidekit.training.checkpoint import load_content, save_checkpoint
from collidekit.training.config import TrainingConfig
from collidekit.training.loop import Training

EVERYTHING = {
    "model_options": {**toys.SMALL, "dropout": 0.2},
    "epochs": 4,
    "batch_size": 32,
    "learning_rate": 3e-3,
    "ema_decay": 0.95,
    "augmentation": "rotation",
    "lr_scheduler": "one_cycle",
    "gradient_clip": 1.0,
    "label_smoothing": 0.05,
}


@pytest.fixture(scope="module")
def processes() -> ForkServerContext:
    """Processes that have imported torch already, so that a kill costs no seconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["toys", "collidekit.training.loop"])
    return context


def start(processes: ForkServerContext, dataset: Dataset, folder: Path, steps: Path) -> Any:
    process = processes.Process(
        target=toys.train_in_process, args=(dataset.manifest.folder, folder, EVERYTHING, steps), daemon=True
    )
    process.start()
    return process


def columns(folder: Path, name: str, *wanted: str) -> list[tuple[str, ...]]:
    with (folder / name).open() as file:
        return [tuple(row[key] for key in wanted) for row in csv.DictReader(file)]


def weights(path: Path) -> dict[str, torch.Tensor]:
    return load_content(path)["tagger"]


def assert_equal(a: Path, b: Path) -> None:
    """Two trainings are the same, bit for bit, but for their times."""
    assert (a / "steps.csv").read_bytes() == (b / "steps.csv").read_bytes()
    numbers = ("epoch", "train_loss", "val_loss", "train_accuracy", "val_accuracy", "learning_rate", "rows", "steps")
    assert columns(a, "history.csv", *numbers) == columns(b, "history.csv", *numbers)
    for name in ("best_model.pt", "last.pt"):
        assert load_content(a / name)["epoch"] == load_content(b / name)["epoch"]
        for key, value in weights(a / name).items():
            assert torch.equal(value, weights(b / name)[key]), f"{name}: {key}"


def board(folder: Path) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return [
        (event.step, event.value)
        for event in EventAccumulator(str(folder / "tensorboard")).Reload().Scalars("val_loss")
    ]


@pytest.fixture(scope="module")
def undisturbed(processes: ForkServerContext, dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    process = start(processes, dataset, folder / "training", folder / "steps")
    process.join(120)
    assert process.exitcode == 0
    return folder / "training"


def test_killed_again_and_again_it_ends_as_if_nothing_had_been(
    processes: ForkServerContext, dataset: Dataset, undisturbed: Path, tmp_path: Path
) -> None:
    total = len((undisturbed.parent / "steps").read_bytes())
    per_epoch = total // EVERYTHING["epochs"]  # type: ignore[operator]
    generator, folder, steps = random.Random(11), tmp_path / "training", tmp_path / "steps"
    steps.touch()
    kills, positions = 0, set()
    while True:
        process = start(processes, dataset, folder, steps)
        end = steps.stat().st_size + generator.randint(2, per_epoch)  # somewhere in this epoch or the next
        while process.is_alive() and steps.stat().st_size < end:
            time.sleep(0.001)
        if not process.is_alive():
            break
        time.sleep(generator.random() * 0.01)
        assert process.pid
        os.kill(process.pid, signal.SIGKILL)
        process.join(30)
        if process.exitcode == 0:  # it was done in that moment
            break
        assert process.exitcode == -signal.SIGKILL
        kills += 1
        positions.add(load_content(folder / "last.pt")["state"]["position"][2] > 0)
    assert process.exitcode == 0
    assert kills >= 4
    assert True in positions, "no kill was within an epoch"
    assert len(steps.read_bytes()) >= total
    assert_equal(folder, undisturbed)
    assert board(folder) == board(undisturbed)
    assert {path.name for path in folder.iterdir()} == {path.name for path in undisturbed.iterdir()}


@pytest.mark.parametrize("epoch", [1, 3])
def test_from_the_checkpoint_of_an_epoch(dataset: Dataset, undisturbed: Path, tmp_path: Path, epoch: int) -> None:
    """The best epoch so far is brought along."""
    for number in range(1, epoch + 1):
        (tmp_path / f"model_{number}.pt").write_bytes((undisturbed / f"model_{number}.pt").read_bytes())
    torch.rand(5)
    again = Training(TrainingConfig(**EVERYTHING), dataset, tmp_path, accelerator="cpu")
    again.resume(tmp_path / f"model_{epoch}.pt")
    assert again.epoch == epoch + 1
    assert load_content(tmp_path / "best_model.pt")["epoch"] == int(again.best["epoch"])
    again.run()
    assert_equal(tmp_path, undisturbed)


def test_killed_between_the_last_checkpoint_and_the_end(train: Any, training: Any, dataset: Dataset) -> None:
    """Nothing is left to train, and all files are there nevertheless."""
    done = train(dataset, "a")
    expected = board(done.folder)
    for leftover in (done.folder / "tensorboard").iterdir():
        leftover.unlink()
    again = training(dataset, "a")
    again.resume(done.folder / "last.pt")
    assert again.run() == done.folder / "best_model.pt"
    assert board(done.folder) == expected
    assert columns(done.folder, "history.csv", "epoch") == [("1",), ("2",)]


def test_resumed_tensorboard_has_each_epoch_once(train: Any, training: Any, dataset: Dataset) -> None:
    done = train(dataset, "a", epochs=3)
    once = board(done.folder)
    again = training(dataset, "a", epochs=3)
    again.resume(done.folder / "model_1.pt")
    again.run()
    assert board(done.folder) == once
    assert len(once) == 3


def extended(training: Any, dataset: Dataset, base: Training, folder: str = "extended", **settings: Any) -> Training:
    more: Training = training(dataset, folder, **{"extend_training": 2, **settings})
    more.extend(base.folder / "last.pt")
    return more


def test_an_extended_training_goes_on_from_the_end(train: Any, training: Any, dataset: Dataset) -> None:
    base = train(dataset, "base")
    before = {path.name: path.read_bytes() for path in base.folder.glob("*.*")}
    more = extended(training, dataset, base)
    assert more.history.losses == base.history.losses
    more.run()
    assert [row["epoch"] for row in more.history.epochs] == [1, 2, 3, 4]
    assert [row["epoch"] for row in more.history.epochs[2:]] == [3, 4]
    rates = [row["learning_rate"] for row in more.history.epochs]
    assert rates[1:] == pytest.approx([1e-5] * 3)  # the floor stays
    assert more.step == 2 * base.step or abs(more.step - 2 * base.step) < 4
    assert {path.name: path.read_bytes() for path in base.folder.glob("*.*")} == before
    assert board(more.folder)[:2] == board(base.folder)


def test_an_extended_training_that_gets_no_better_keeps_the_best_model(
    train: Any, training: Any, dataset: Dataset
) -> None:
    base = train(dataset, "base")
    more = extended(training, dataset, base)
    more.best["loss"] = -1.0  # nothing can be better
    more.run()
    assert load_content(more.folder / "best_model.pt")["epoch"] == int(base.best["epoch"])
    for name, value in weights(base.folder / "best_model.pt").items():
        assert torch.equal(value, weights(more.folder / "best_model.pt")[name])


def test_an_extended_training_is_resumed_like_any_other(train: Any, training: Any, dataset: Dataset) -> None:
    base = train(dataset, "base")
    whole = extended(training, dataset, base, "whole")
    whole.run()
    cut = training(dataset, "whole", extend_training=2)
    cut.resume(whole.folder / "model_3.pt")
    assert cut.last_epoch == 4
    cut.run()
    assert cut.history.losses == whole.history.losses


def test_extending_what_stopped_early_trains_as_many_epochs_as_asked_for(training: Any, dataset: Dataset) -> None:
    settings = {"epochs": 20, "early_stopping": 2}
    base = training(dataset, "base", **settings)
    base.validate = lambda: (float(base.epoch), {"accuracy": 0.5})
    base.run()
    assert len(base.history.epochs) == 3
    more = extended(training, dataset, base, **settings)
    more.validate = lambda: (float(more.epoch), {"accuracy": 0.5})  # type: ignore[method-assign]
    more.run()
    assert len(more.history.epochs) == 5
    assert load_content(more.folder / "best_model.pt")["epoch"] == 1


def test_a_best_model_that_is_gone_is_found_anew(train: Any, training: Any, dataset: Dataset) -> None:
    done = train(dataset, "a", epochs=3)
    for name in ("best_model.pt", "model_1.pt", "model_2.pt"):
        (done.folder / name).unlink()
    state = load_content(done.folder / "last.pt")
    state["state"]["best"]["epoch"] = 1.0
    state["state"]["position"][1] = 3
    save_checkpoint(done.folder / "last.pt", state["tagger"], done.analysis, done.config, 2, state["state"])
    again = training(dataset, "a", epochs=3)
    again.resume(done.folder / "last.pt")
    again.run()
    assert load_content(done.folder / "best_model.pt")["epoch"] == 3


def test_other_settings_are_another_training(train: Any, training: Any, dataset: Dataset, gaussians: Dataset) -> None:
    done = train(dataset, "a")
    with pytest.raises(
        CollidekitError,
        match=r"last.pt: was trained with learning_rate 0.001, not 0.01; this training cannot continue from it",
    ):
        training(dataset, "b", learning_rate=0.01).resume(done.folder / "last.pt")
    with pytest.raises(CollidekitError, match=r"last.pt: was trained with input 'constituents'"):
        training(gaussians, "c").resume(done.folder / "last.pt")
    with pytest.raises(
        CollidekitError, match=r"best_model.pt: contains a model for prediction, not the state of a training"
    ):
        training(dataset, "d").resume(done.folder / "best_model.pt")


def test_relegation_goes_on_exactly(tmp_path: Path) -> None:
    """Its running yields, prior and calibration are part of the state."""
    from collidekit.dataset.construct import construct
    from collidekit.shipped import load_plan
    from collidekit.simulation import simulate
    from collidekit.training.choice import training_config
    from collidekit.training.loop import Training

    file = simulate("moons", tmp_path / "moons.root", 2000, seed=1)
    plan = load_plan("moons")
    dataset = Dataset(construct(plan, [str(file)], tmp_path / "dataset").folder)
    config = training_config(plan, {"epochs": 4})
    whole = Training(config, dataset, tmp_path / "whole")
    whole.run()
    cut = Training(config, dataset, tmp_path / "cut")
    cut.resume(tmp_path / "whole" / "model_2.pt")
    cut.run()
    assert cut.history.losses == whole.history.losses
    assert cut.objective.state() == whole.objective.state()
    for name, value in whole.tagger.state_dict().items():
        assert torch.equal(cut.tagger.state_dict()[name], value)
