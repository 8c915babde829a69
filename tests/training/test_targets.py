"""Learning targets of constituents beside the classes: what a training then does, says and leaves."""

import csv
import math
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import torch
import toys
from rich.console import Console

from collidekit.analysis.scope import Plan
from collidekit.dataset.loader import Dataset
from collidekit.inference.predict import predict_dataset, predict_files
from collidekit.training.checkpoint import load_checkpoint
from collidekit.training.config import TrainingConfig
from collidekit.training.display import Display
from collidekit.training.loop import Training
from collidekit.training.seal import content_checksum

PLAIN = """
classes: {one: label == 0, two: label == 1}
inputs:
  tracks: {limit: 20, features: [trk_x, trk_y]}
event: [event]
"""
TARGETS = """
targets:
  side: {collection: tracks, classes: {left: trk_side == 0, right: trk_side == 1}}
  vertex: {collection: tracks, same: trk_vertex, weight: 2}
"""
OPTIONS = {"width": 16, "layers": 1, "heads": 2, "feed_forward": 16, "latent": 16, "head": [16], "registers": 1}
SETTINGS = {"model_name": "transformer", "model_options": OPTIONS, "epochs": 8, "batch_size": 64, "learning_rate": 3e-3}


def table(rows: int) -> ak.Array:
    """Tracks come from a vertex at x = -2, 0 or 2 and have a width of 0.3; ``side`` is the sign of y, where it is known."""
    generator = np.random.default_rng(3)
    counts = generator.poisson(4, rows)
    vertex = generator.integers(-1, 2, counts.sum())
    x, y = 2.0 * vertex + generator.normal(0, 0.3, len(vertex)), generator.normal(0, 1, len(vertex))
    side = np.where(generator.random(len(y)) < 0.3, -1, y > 0)
    lists = {"trk_x": x, "trk_y": y, "trk_side": side, "trk_vertex": vertex + 1}
    return ak.zip(
        {
            "label": generator.integers(0, 2, rows),
            "event": np.arange(rows),
            **{name: ak.unflatten(values, counts) for name, values in lists.items()},
        },
        depth_limit=1,
    )


@pytest.fixture(scope="module")
def with_targets(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return toys.make_dataset(tmp_path_factory.mktemp("targets"), PLAIN + TARGETS, table(900))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return toys.make_dataset(tmp_path_factory.mktemp("plain"), PLAIN, table(900))


def test_what_can_be_learned_is_learned(training: Any, with_targets: Dataset) -> None:
    ready = training(with_targets, **SETTINGS)
    console = Console(record=True, width=200, file=(ready.folder / "said").open("w"))
    ready.display = Display(console=console)
    ready.run()
    first, last = ready.history.epochs[0], ready.history.epochs[-1]
    assert last["val_side_accuracy"] > 0.97
    assert min(last["val_vertex_efficiency"], last["val_vertex_purity"]) > 0.8  # 1/3 by chance
    for name in ("side", "vertex"):
        assert last[f"train_loss_{name}"] < first[f"train_loss_{name}"] / 2
        assert last[f"val_loss_{name}"] < 0.3
    with (ready.folder / "history.csv").open() as file:
        written = list(csv.DictReader(file))[-1]
    assert {name: float(value) for name, value in written.items()} == pytest.approx(last)
    assert f"side accuracy {last['val_side_accuracy']:.1%}, vertex efficiency" in console.export_text()


def test_the_step_follows_the_weighted_sum(training: Any, with_targets: Dataset) -> None:
    """The gradients are those of class loss + 1 side + 2 vertex; what is reported as the loss is that of the classes."""
    ready = training(with_targets, **{**SETTINGS, "optimizer": "SGD", "betas": (0.0, 0.9), "weight_decay": 0.0})
    ready.model.train()
    ready._set_learning_rate()
    batch = next(iter(ready.data.training))
    outputs, logits = ready.tagger(batch, with_targets=True)
    weights = ready.data.weighting(batch)
    classes = ready.objective.loss(outputs, batch, weights)
    others = ready.targets(logits, batch, weights)
    parameters = list(ready.tagger.parameters())
    gradients = torch.autograd.grad(classes + others["side"] + 2 * others["vertex"], parameters)
    before = [p.detach().clone() for p in parameters]
    loss, _, parts, _ = ready._train_step(batch).read()
    assert loss == pytest.approx(classes.item())
    assert parts == pytest.approx({name: value.item() for name, value in others.items()})
    rate = ready.optimizer.param_groups[0]["lr"]
    for parameter, old, gradient in zip(parameters, before, gradients, strict=True):
        torch.testing.assert_close(parameter.detach(), old - rate * gradient)


def test_the_best_epoch_is_that_of_the_classes(train: Any, with_targets: Dataset) -> None:
    done = train(with_targets, **{**SETTINGS, "epochs": 3})
    losses = [row["val_loss"] for row in done.history.epochs]
    assert done.best["epoch"] == 1 + losses.index(min(losses))
    assert all(abs(loss - math.log(2)) < 0.1 for loss in losses)  # the classes cannot be told apart


def test_resumed_losses_are_those_of_an_undisturbed_training(training: Any, with_targets: Dataset) -> None:
    settings = {**SETTINGS, "epochs": 2, "ema_decay": 0.9}
    whole = training(with_targets, "whole", **settings)
    whole.run()
    part = training(with_targets, "part", **settings, save_seconds=0.0)
    part._train_epoch()
    part.save("last.pt")
    again = training(with_targets, "again", **settings)
    again.resume(part.folder / "last.pt")
    again.run()
    assert again.history.losses == whole.history.losses
    names = [name for name in whole.history.epochs[0] if "side" in name or "vertex" in name]
    assert len(names) == 7
    for mine, theirs in zip(again.history.epochs, whole.history.epochs, strict=True):
        assert [mine[name] for name in names] == [theirs[name] for name in names]


def test_prediction_needs_no_truth_and_gives_classes_alone(train: Any, with_targets: Dataset, tmp_path: Path) -> None:
    done = train(with_targets, **{**SETTINGS, "epochs": 1})
    checkpoint = load_checkpoint(done.folder / "best_model.pt")
    assert checkpoint.tagger.target_heads is not None
    known = predict_dataset(checkpoint, with_targets, allow_training_rows=True)
    assert known.probabilities.shape == (900, 2)
    data = table(900)[["event", "trk_x", "trk_y"]]
    file = toys.write_table(tmp_path / "data.parquet", data)
    blind, _ = predict_files(checkpoint, Plan(checkpoint.analysis), str(file), allow_training_rows=True)
    np.testing.assert_allclose(blind.probabilities, known.probabilities, atol=1e-6)


@pytest.mark.parametrize("network", ["pfn", "deepjet"])
def test_other_networks_learn_them_too(train: Any, with_targets: Dataset, network: str) -> None:
    options = {"pfn": {"phi": [32, 32], "f": [32]}, "deepjet": {"branches": {"tracks": [32, 16]}, "dense": [16]}}
    done = train(with_targets, **{**SETTINGS, "model_name": network, "model_options": options[network]})
    assert done.history.epochs[-1]["val_side_accuracy"] > 0.9


def test_a_checkpoint_of_a_network_that_did_not_learn_them_yet(
    train: Any, with_targets: Dataset, tmp_path: Path
) -> None:
    """Earlier versions learned targets of constituents with three networks only: their weights have no such heads."""
    done = train(with_targets, **{**SETTINGS, "model_name": "pfn", "model_options": toys.SMALL, "epochs": 1})
    content = torch.load(done.folder / "best_model.pt", weights_only=True)
    content["tagger"] = {name: x for name, x in content["tagger"].items() if not name.startswith("target_heads.")}
    content["checksum"] = content_checksum(content)
    torch.save(content, tmp_path / "old.pt")
    old = load_checkpoint(tmp_path / "old.pt")
    assert old.tagger.target_heads is None
    known = predict_dataset(load_checkpoint(done.folder / "best_model.pt"), with_targets, allow_training_rows=True)
    assert np.array_equal(
        predict_dataset(old, with_targets, allow_training_rows=True).probabilities, known.probabilities
    )


def test_a_network_that_cannot_learn_them_trains_without_and_says_so_once(
    with_targets: Dataset, plain: Dataset, tmp_path: Path
) -> None:
    said = {}
    for name, dataset in (("targets", with_targets), ("plain", plain)):
        small = {"stem": 4, "units": [4], "dense": [4], "dropout": 0.0}
        config = TrainingConfig(model_name="pcnn", model_options=small, epochs=2, batch_size=128)
        console = Console(record=True, width=200, file=(tmp_path / name).open("w"))
        done = Training(config, dataset, tmp_path / f"{name}_training", Display(console=console), accelerator="cpu")
        done.run()
        said[name] = (console.export_text(), done.history.losses, list(done.history.epochs[0]))
    assert (
        said["targets"][0].count("network pcnn has no embedding of these constituents and does not learn side, vertex")
        == 1
    )
    assert "constituents" not in said["plain"][0]
    assert said["targets"][1:] == said["plain"][1:]


@pytest.mark.parametrize("settings", [{"mixed_precision": True}, {"training_precision": "bfloat16"}])
def test_in_half_precision(train: Any, with_targets: Dataset, settings: dict[str, Any]) -> None:
    done = train(with_targets, **{**SETTINGS, "epochs": 2}, **settings)
    assert all(math.isfinite(value) for value in done.history.epochs[-1].values())
    assert done.history.epochs[-1]["val_side_accuracy"] > 0.6


LEARNED = {**SETTINGS, "epochs": 2, "target_weights": "learned"}


def test_learned_weights_go_on_exactly(training: Any, with_targets: Dataset) -> None:
    whole = training(with_targets, "whole", **LEARNED)
    begun = whole.learned_weights.weights()
    whole.run()
    part = training(with_targets, "part", **LEARNED, save_seconds=0.0)
    part._train_epoch()
    part.save("last.pt")
    again = training(with_targets, "again", **LEARNED)
    again.resume(part.folder / "last.pt")
    again.run()
    assert again.history.losses == whole.history.losses
    names = [f"target_weight_{name}" for name in ("classes", "side", "vertex")]
    for mine, theirs in zip(again.history.epochs, whole.history.epochs, strict=True):
        assert [mine[name] for name in names] == [theirs[name] for name in names]
        assert mine["val_loss"] == theirs["val_loss"]
    ended = [whole.history.epochs[-1][name] for name in names]
    assert ended == list(whole.learned_weights.weights().values())
    assert begun == pytest.approx({"classes": 1.0, "side": 1.0, "vertex": 2.0})
    assert all(abs(end / begin - 1) > 0.01 for end, begin in zip(ended, begun.values(), strict=True))


def test_learned_weights_are_in_the_loss_and_move_towards_their_optimum(training: Any, with_targets: Dataset) -> None:
    ready = training(with_targets, **{**LEARNED, "optimizer": "SGD", "betas": (0.0, 0.9), "weight_decay": 0.0})
    ready.model.train()
    ready._set_learning_rate()
    batch = next(iter(ready.data.training))
    outputs, logits = ready.tagger(batch, with_targets=True)
    rows = ready.data.weighting(batch)
    classes = ready.objective.loss(outputs, batch, rows).item()
    others = {name: value.item() for name, value in ready.targets(logits, batch, rows).items()}
    loss, *_ = ready._train_step(batch).read()
    assert loss == pytest.approx(classes)  # w = 1: ln w is 0
    rate = 10 * ready.optimizer.param_groups[0]["lr"]
    expected = {
        "classes": classes,
        "side": others["side"],
        "vertex": 2 * others["vertex"],
    }  # d/d ln w of w L - ln(w) / 2
    for (name, begin), end in zip(
        {"classes": 1, "side": 1, "vertex": 2}.items(), ready.learned_weights.weights().values(), strict=True
    ):
        assert math.log(end / begin) == pytest.approx(-rate * (expected[name] - 0.5), rel=1e-3, abs=1e-6)


def test_fixed_weights_are_no_parameters(training: Any, with_targets: Dataset) -> None:
    ready = training(with_targets, **SETTINGS)
    assert ready.learned_weights is None
    held = sum(len(group["params"]) for group in ready.optimizer.param_groups)
    assert held == len(list(ready.tagger.parameters()))
