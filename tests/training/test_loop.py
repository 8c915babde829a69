"""The training loop on toys: same seed same numbers, every setting does what it says, files, errors."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import torch
import toys

from collidekit.dataset.loader import Dataset
from collidekit.errors import CollidekitError
from collidekit.training.checkpoint import load_checkpoint
from collidekit.training.config import TrainingConfig
from collidekit.training.loop import Training


def rows(training: Training, column: str) -> list[float]:
    return [row[column] for row in training.history.epochs]


def test_loss_goes_down_and_the_network_learns(train: Any, dataset: Dataset) -> None:
    done = train(dataset, epochs=5, learning_rate=5e-3)
    assert rows(done, "train_loss")[-1] < rows(done, "train_loss")[0] - 0.05
    assert rows(done, "val_loss")[-1] < rows(done, "val_loss")[0]
    assert rows(done, "val_accuracy")[-1] > 0.65
    assert done.best["loss"] == min(rows(done, "val_loss"))


def test_same_seed_same_loss_curve(train: Any, dataset: Dataset) -> None:
    settings = {"augmentation": "rotation", "model_options": {**toys.SMALL, "dropout": 0.2}}
    first = train(dataset, "a", **settings)
    torch.rand(17)
    again, other = train(dataset, "b", **settings), train(dataset, "c", seed=5, **settings)
    assert first.history.losses == again.history.losses
    assert first.history.losses != other.history.losses
    assert (first.folder / "steps.csv").read_bytes() == (again.folder / "steps.csv").read_bytes()


def test_every_training_row_once_an_epoch(training: Any, dataset: Dataset) -> None:
    """With weights in the loss no row is left out by sampling."""
    ready = training(dataset, loss_weighting=True, epochs=1, batch_size=100)
    seen = [batch.index.clone() for batch in ready.data.training]
    ready.run()
    assert ready.step == len(seen) == -(-ready.data.rows // 100)
    assert rows(ready, "rows") == [sum(map(len, seen))] == [ready.data.rows]
    assert len(set(torch.cat(seen).tolist())) == ready.data.rows == len(dataset) - ready.data.validation_rows


@pytest.mark.parametrize(
    "settings",
    [
        {"mixed_precision": True},
        {"training_precision": "float64"},
        {"training_precision": "bfloat16"},
        {"training_precision": "bfloat16", "ema_decay": 0.9},
        {"gradient_clip": 0.1},
        {"label_smoothing": 0.1},
        {"loss_function": "FocalLoss"},
        {"lr_scheduler": "cosine", "optimizer": "SGD", "learning_rate": 0.05},
        {"model_name": "mlp", "model_options": {"hidden": [8]}},
    ],
    ids=lambda settings: "-".join(str(value) for value in settings.values())[:40],
)
def test_settings_run_and_learn(train: Any, dataset: Dataset, settings: dict[str, Any]) -> None:
    done = train(dataset, epochs=3, **{"learning_rate": 5e-3, **settings})
    assert rows(done, "train_loss")[-1] < rows(done, "train_loss")[0]
    loaded = load_checkpoint(done.folder / "best_model.pt")
    batch = toys.all_rows(dataset).slice(0, 50)
    kept = done._kept().eval()
    with torch.no_grad():
        expected, got = kept(batch).float(), loaded.tagger(batch)
    if loaded.epoch == 3:
        tolerance = 0.1 if settings.get("training_precision") == "bfloat16" else 1e-5
        torch.testing.assert_close(got, expected, rtol=0, atol=tolerance)


def test_float64_is_float64_and_bfloat16_is_scaled_in_float32(training: Any, dataset: Dataset) -> None:
    double = training(dataset, "double", training_precision="float64").tagger
    assert {p.dtype for p in double.state_dict().values()} == {torch.float64}
    half = training(dataset, "half", training_precision="bfloat16").tagger
    assert {p.dtype for p in half.network.state_dict().values()} == {torch.bfloat16}
    full = training(dataset, "full").tagger
    for name, value in full.scaling.state_dict().items():
        assert torch.equal(half.scaling.state_dict()[name], value)


def test_gradient_clipping_bounds_the_step(training: Any, gaussians: Dataset) -> None:
    def moved(folder: str, **settings: Any) -> float:
        ready = training(gaussians, folder, optimizer="SGD", betas=(0.0, 0.9), weight_decay=0.0, learning_rate=1.0,
                         lr_scheduler="constant", **settings)  # fmt: skip
        before = torch.cat([p.detach().flatten().clone() for p in ready.tagger.parameters()])
        ready.model.train()
        ready._set_learning_rate()
        ready._train_step(next(iter(ready.data.training)))
        return float((torch.cat([p.detach().flatten() for p in ready.tagger.parameters()]) - before).norm())

    assert moved("clipped", gradient_clip=0.01) == pytest.approx(0.01, rel=1e-3)
    assert moved("free") > 0.02


def test_average_of_the_weights_is_what_is_validated_and_kept(train: Any, dataset: Dataset) -> None:
    done = train(dataset, ema_decay=0.99, epochs=1)
    best = load_checkpoint(done.folder / "best_model.pt").tagger.state_dict()
    average, last = done.average.model.state_dict(), done.tagger.state_dict()
    for name, value in best.items():
        assert torch.equal(value, average[name])
    assert any(not torch.equal(value, last[name]) for name, value in best.items())
    assert done.validate()[0] == rows(done, "val_loss")[-1]


def test_early_stopping_waits_for_its_patience(
    training: Any, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready, losses = training(dataset, epochs=9, early_stopping=2), [0.5, 0.6, 0.4, 0.4, 0.45, 0.1]
    monkeypatch.setattr(ready, "validate", lambda: (losses[ready.epoch - 1], {"accuracy": 0.5}))
    ready.run()
    assert rows(ready, "val_loss") == losses[:5]
    assert ready.best == {"loss": 0.4, "epoch": 3}
    assert load_checkpoint(ready.folder / "best_model.pt").epoch == 3


def test_overtraining_stop_waits_for_a_slope_that_does_not_fall(
    training: Any, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = training(dataset, epochs=60, overtraining_stop=5)
    losses = [*np.linspace(1, 0.1, 30), *[0.1] * 30]
    monkeypatch.setattr(ready, "_train_epoch", lambda: None)
    monkeypatch.setattr(ready, "validate", lambda: (losses[ready.epoch - 1], {"accuracy": 0.5}))
    ready.run()
    assert len(ready.history.epochs) == 34  # the last five are flat
    rising = training(dataset, "rising", epochs=60, overtraining_stop=5)
    monkeypatch.setattr(rising, "_train_epoch", lambda: None)
    monkeypatch.setattr(rising, "validate", lambda: (1.0 * rising.epoch, {"accuracy": 0.5}))
    rising.run()
    assert len(rising.history.epochs) == 21  # not in the first twenty


def test_n_train_files_takes_so_many_shards(training: Any, dataset: Dataset) -> None:
    assert [shard["rows"] for shard in dataset.manifest.shards] == [500, 500, 200]
    part = Dataset(dataset.manifest, n_files=1, analysis=dataset.analysis)
    ready = training(part, n_train_files=1, loss_weighting=True)
    assert ready.data.rows + ready.data.validation_rows == 500


def test_files_of_a_training(train: Any, dataset: Dataset) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    done = train(dataset)
    names = {path.name for path in done.folder.iterdir()}
    assert names == {"best_model.pt", "last.pt", "model_1.pt", "model_2.pt", "history.csv", "steps.csv", "tensorboard"}
    with (done.folder / "history.csv").open() as file:
        history = list(csv.DictReader(file))
    assert [float(row["val_loss"]) for row in history] == rows(done, "val_loss")
    with (done.folder / "steps.csv").open() as file:
        steps = list(csv.DictReader(file))
    assert [float(row["loss"]) for row in steps] == done.history.losses
    assert [int(row["step"]) for row in steps] == list(range(done.step))
    board = EventAccumulator(str(done.folder / "tensorboard")).Reload()
    assert [event.step for event in board.Scalars("val_loss")] == rows(done, "steps")
    assert [event.value for event in board.Scalars("val_loss")] == pytest.approx(rows(done, "val_loss"))


def test_gradients_that_are_not_finite_are_said(training: Any, dataset: Dataset) -> None:
    clipped = training(dataset, gradient_clip=1.0)
    next(clipped.tagger.network.parameters()).register_hook(lambda gradient: gradient * torch.nan)
    with pytest.raises(CollidekitError, match=r"the norm of the gradients is nan in a step of epoch 1; take a smaller"):
        clipped.run()


def test_a_loss_that_is_not_finite_is_one_clear_error(training: Any, dataset: Dataset) -> None:
    wild = training(dataset, optimizer="SGD", learning_rate=1e30, lr_scheduler="constant")
    with pytest.raises(
        CollidekitError, match=r"loss is .* of epoch 1; take a smaller --learning-rate or set --gradient-clip"
    ):
        wild.run()
    assert not (wild.folder / "best_model.pt").exists()
    assert not (wild.folder / "last.pt").exists()


def test_a_last_step_that_spoils_the_network_is_found_in_validation(training: Any, dataset: Dataset) -> None:
    ready = training(dataset, optimizer="SGD", learning_rate=1e30, lr_scheduler="constant", batch_size=10_000)
    with pytest.raises(CollidekitError, match="validation loss is"):
        ready.run()


def test_a_users_network_trains(train: Any, dataset: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(
        "import torch\nfrom collidekit.models import Network\n\n\nclass Mine(Network):\n"
        "    def __init__(self, inputs, outputs, width=4):\n        super().__init__(inputs, outputs)\n"
        "        self.layers = torch.nn.Sequential(torch.nn.Linear(2, width), torch.nn.ReLU(), torch.nn.Linear(width, outputs))\n\n"
        "    def forward(self, inputs):\n        return self.layers(inputs['jet'])\n"
    )
    done = train(dataset, model_name=str(path), model_options={"width": 9}, learning_rate=1e-2, epochs=3)
    assert rows(done, "train_loss")[-1] < rows(done, "train_loss")[0]
    loaded = load_checkpoint(done.folder / "best_model.pt")
    assert type(loaded.tagger.network).__name__ == "Mine"
    path.write_text(path.read_text().replace("inputs['jet'])", "inputs['jet'])[:, :1]"))
    with pytest.raises(CollidekitError, match=r"returns outputs of shape \(128, 1\) for 128 rows, not 2 for each row"):
        train(dataset, "wrong", model_name=str(path))


def test_torch_compile(train: Any, gaussians: Dataset) -> None:
    if not (shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("torch.compile needs a C++ compiler, and there is none here")
    settings = {"batch_size": 20_000, "epochs": 1, "model_options": {"hidden": [4]}}
    compiled, plain = train(gaussians, "a", use_torch_compile=True, **settings), train(gaussians, "b", **settings)
    assert compiled.history.losses == pytest.approx(plain.history.losses, rel=1e-4)
    assert (
        load_checkpoint(compiled.folder / "best_model.pt").tagger.state_dict().keys()
        == plain.tagger.state_dict().keys()
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train_val_split": 0.999999}, r"train-val-split 0.999999 none of the 1200 rows is in the validation part"),
        ({"train_val_split": 0.000001}, r"none of the 1200 rows is in the training part"),
    ],
)
def test_a_part_without_rows(training: Any, dataset: Dataset, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(CollidekitError, match=message):
        training(dataset, **settings)


def test_a_class_whose_weights_cancel(training: Any, tmp_path: Path) -> None:
    table = toys.toy_table(300)
    table = ak.with_field(table, np.where(ak.to_numpy(table.label) == 1, -1, 1).astype(np.float32), "weight")
    negative = toys.make_dataset(tmp_path, toys.TOY, table)
    with pytest.raises(
        CollidekitError,
        match=r"the weights of class 'signal' in the training set sum to -\d+.*: it must be more than 0",
    ):
        training(negative)


def test_rotation_needs_coordinates(training: Any, gaussians: Dataset) -> None:
    with pytest.raises(CollidekitError, match="rotation: no collection of the analysis has coordinates"):
        training(gaussians, augmentation="rotation")


@pytest.mark.parametrize(
    "settings",
    [
        {"epochs": 0},
        {"betas": (0.9, 1.0)},
        {"optimizer": "Adamm"},
        {"lr_decay_factor": 0},
        {"epoch": 3},
        {"n_train_files": -2},
    ],
)
def test_settings_that_make_no_sense(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        TrainingConfig(**settings)


def test_small_samples_have_more_epochs_where_steps_are_asked_for(
    dataset: Dataset, training: Callable[..., Training]
) -> None:
    steps = training(dataset, "look", batch_size=256).steps_per_epoch
    assert steps > 1
    made = training(dataset, epochs=2, batch_size=256, min_steps=5 * steps + 1)
    assert made.last_epoch == made.number_of_epochs == 6
    assert training(dataset, "other", epochs=9, batch_size=256, min_steps=5 * steps + 1).last_epoch == 9
    made.run()
    assert made.history.epochs[-1]["learning_rate"] == pytest.approx(
        made.config.learning_rate * made.config.lr_decay_factor
    )


def test_epochs_come_one_by_one(training: Any, gaussians: Dataset) -> None:
    """Who consumes them sees each when its checkpoint is there, and may stop between two."""
    ready = training(gaussians, epochs=3)
    epochs = ready.epochs()
    first = next(epochs)
    assert first["epoch"] == 1
    assert (ready.folder / "model_1.pt").exists()
    assert not (ready.folder / "model_2.pt").exists()
    assert [row["epoch"] for row in epochs] == [2, 3]
    assert [row["epoch"] for row in ready.history.epochs] == [1, 2, 3]
