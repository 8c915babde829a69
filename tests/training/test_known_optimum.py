"""Toys whose best answer is known: two Gaussians, weights that turn the answer round, sampling against weights in the loss."""

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import toys
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from collidekit.dataset.loader import Dataset, Loader
from collidekit.dataset.parts import Split
from collidekit.inference.predict import predict, predict_dataset
from collidekit.inference.predictions import Predictions
from collidekit.training.checkpoint import load_checkpoint
from collidekit.training.loop import Training
from collidekit.training.prepare import validation_rows


def predictions(done: Training, dataset: Dataset) -> Predictions:
    return predict_dataset(load_checkpoint(done.folder / "best_model.pt"), dataset, allow_training_rows=True)


def test_two_gaussians_are_told_apart_as_well_as_is_possible(train: Any, gaussians: Dataset) -> None:
    done = train(gaussians, epochs=8, batch_size=256, learning_rate=1e-2, lr_scheduler="one_cycle", train_val_split=0.5)
    tagger = load_checkpoint(done.folder / "best_model.pt").tagger
    found = predict(tagger, gaussians.analysis, validation_rows(gaussians, Split(0.5)))
    score, truth, _ = found.task("RvsL")
    rows = len(truth)
    assert rows > 9000

    best_auc = norm.cdf(2 / np.sqrt(2))  # distance 2: the AUC is Phi(d / sqrt 2)
    auc_error = np.sqrt(best_auc * (1 - best_auc) / (rows / 4))  # an upper bound of the variance
    assert roc_auc_score(truth, score) == pytest.approx(best_auc, abs=3 * auc_error)

    def entropy(x: float) -> float:  # the posterior of "right" is 1 / (1 + exp(-2 x))
        return float(norm.pdf(x, 1) * np.log1p(np.exp(-2 * x)))

    best_loss = quad(entropy, -10, 12)[0]
    losses = -np.log(np.where(truth, score, 1 - score))
    assert losses.mean() == pytest.approx(best_loss, abs=4 * losses.std() / np.sqrt(rows))

    x = np.concatenate([b.inputs["point"][:, 0].numpy() for b in validation_rows(gaussians, Split(0.5))])
    middle = np.abs(x) < 2
    assert np.abs(score - 1 / (1 + np.exp(-2 * x)))[middle].mean() < 0.02


def test_event_weights_reach_the_fit(train: Any, tmp_path: Path) -> None:
    """Nine of ten rows say that right is right, and their weight is so small that the tenth decides."""
    table = toys.gaussians_table(4000, 3.0)
    lies = np.arange(4000) % 10 == 0
    label = np.where(lies, 1 - table.label, table.label)
    for heavy, sign in ((1.0, 1), (100.0, -1)):
        changed = ak.with_field(
            ak.with_field(table, label, "label"), np.where(lies, heavy, 1.0).astype(np.float32), "weight"
        )
        dataset = toys.make_dataset(tmp_path / str(heavy), toys.GAUSSIANS, changed)
        done = train(dataset, f"training_{heavy}", epochs=3, learning_rate=1e-2)
        score = predictions(done, dataset).discriminator("RvsL")
        assert sign * (score[table.x > 1.5].mean() - score[table.x < -1.5].mean()) > 0.5


def kinematic(rows: int) -> ak.Array:
    """Classes that differ in x a little and in pt much: unweighted, pt would tell them apart."""
    table = toys.gaussians_table(rows, 1.0, seed=4)
    generator = np.random.default_rng(5)
    label = ak.to_numpy(table.label)
    pt = np.where(
        generator.random(rows) < np.where(label == 1, 0.25, 0.75),
        generator.uniform(0, 1, rows),
        generator.uniform(1, 2, rows),
    )
    return ak.with_field(table, pt.astype(np.float32), "y")


def test_sampling_and_loss_weights_take_the_kinematics_away(train: Any, tmp_path: Path) -> None:
    text = toys.GAUSSIANS + "kinematics: {y: [0, 1, 2], reference: right}\n"
    table = kinematic(8000)
    settings = {"epochs": 8, "batch_size": 128, "learning_rate": 1e-2, "lr_scheduler": "one_cycle"}
    plain = toys.make_dataset(tmp_path / "plain", toys.GAUSSIANS, table)
    dataset = toys.make_dataset(tmp_path / "data", text, table)
    y, label, gap, done = ak.to_numpy(table.y), ak.to_numpy(table.label), {}, {}
    for name, data, weighting in (("none", plain, False), ("sampling", dataset, False), ("loss", dataset, True)):
        done[name] = train(data, name, loss_weighting=weighting, **settings)
        score = predictions(done[name], data).discriminator("RvsL")
        # within a class, where x does not depend on y
        gap[name] = np.mean(
            [score[(y > 1) & (label == k)].mean() - score[(y < 1) & (label == k)].mean() for k in (0, 1)]
        )
    assert gap["none"] > 0.3
    assert abs(gap["sampling"]) < 0.1
    assert abs(gap["loss"]) < 0.1
    assert done["sampling"].data.rows < 0.8 * done["loss"].data.rows
    # both are validated on the same rows with the same weights, and learn the same
    losses = [done[name].history.epochs[-1]["val_loss"] for name in ("sampling", "loss")]
    assert losses[0] == pytest.approx(losses[1], abs=0.025)
    # "left" keeps a third of its rows: all where it is rare, a ninth where it is three times as frequent as "right"
    right = 0.75 * quad(lambda x: norm.pdf(x, 0.5) * np.log1p(np.exp(-x) / 3), -10, 11)[0]
    left = 0.25 * quad(lambda x: norm.pdf(x, -0.5) * np.log1p(np.exp(x) * 3), -11, 10)[0]
    assert losses[1] == pytest.approx(right + left, abs=0.03)


def test_sampled_rows_have_the_reference_shape(training: Any, dataset: Dataset) -> None:
    ready = training(dataset)
    label, pt = [], []
    for epoch in range(1, 20):
        ready.data.training.set_epoch(epoch)
        for batch in ready.data.training:
            label.append(batch.labels.numpy())
            pt.append(batch.spectators["jet_pt"].numpy())
    label, pt = np.concatenate(label), np.concatenate(pt)
    edges = dataset.analysis.kinematics.bins["jet_pt"]
    shapes = [np.histogram(pt[label == k], edges)[0] / (label == k).sum() for k in (0, 1)]
    assert shapes[0] == pytest.approx(shapes[1], abs=0.06)
    raw = toys.all_rows(dataset)
    before = [np.histogram(raw.spectators["jet_pt"][raw.labels == k], edges, density=False)[0] for k in (0, 1)]
    assert np.abs(before[0] / before[0].sum() - before[1] / before[1].sum()).max() > 0.12


def test_weights_have_mean_1_over_the_training_rows(training: Any, dataset: Dataset) -> None:
    ready = training(dataset, loss_weighting=True)
    weights = np.concatenate([ready.data.weighting(batch).numpy() for batch in ready.data.training])
    assert weights.mean() == pytest.approx(1, rel=1e-5)
    assert weights.std() > 0.2


def test_validation_rows_are_those_the_training_never_sees(training: Any, dataset: Dataset) -> None:
    ready = training(dataset, loss_weighting=True, train_val_split=0.7)
    events = [
        {int(e) for b in part for e in b.event["event"]}
        for part in (ready.data.training, validation_rows(dataset, Split(0.7)))
    ]
    assert not events[0] & events[1]
    assert len(events[0]) + len(events[1]) == len(dataset) == sum(len(b) for b in Loader(dataset, 100))
