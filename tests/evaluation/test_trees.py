"""Boosted trees beside a network: a warning if the network is worse, and none otherwise."""

import numpy as np
import pytest
import torch
import uproot

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.construct import construct
from collidekit.dataset.loader import Dataset, Loader
from collidekit.dataset.parts import Split
from collidekit.errors import CollidekitError
from collidekit.evaluation.classification.trees import compare_with_trees, lost_note, sample_of, thinned
from collidekit.inference.predictions import Predictions

ANALYSIS = """
classes: {a: label == 0, b: label == 1}
inputs: {jet: {features: [x, y, z]}}
discriminators: {BvsA: {signal: b, background: a}}
"""
ROWS = 6000


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("trees")
    random = np.random.default_rng(1)
    label = random.integers(0, 2, ROWS)
    with uproot.recreate(folder / "f.root") as file:
        file["tree"] = {"label": label, **{name: random.normal(label, 1) for name in "xyz"}}
    construct(Plan(*parse_analysis(ANALYSIS)), str(folder / "f.root"), folder / "dataset", progress=False)
    return Dataset(folder / "dataset")


def predicted(dataset: Dataset, noise: float) -> Predictions:
    """Return the best possible probabilities, with noise in the log odds."""
    rows = torch.cat([batch.inputs["jet"] for batch in Loader(dataset, 1000)]).numpy().astype(np.float64)
    labels = np.concatenate([batch.labels.numpy() for batch in Loader(dataset, 1000)])
    odds = rows.sum(axis=1) - 1.5 + noise * np.random.default_rng(2).normal(size=len(rows))
    signal = 1 / (1 + np.exp(-odds))
    definitions = dataset.analysis.discriminators
    return Predictions(("a", "b"), np.stack([1 - signal, signal], axis=1), labels, np.ones(len(rows)), definitions)


def test_a_network_that_loses_is_named_and_a_good_one_is_not(dataset: Dataset) -> None:
    (bad,) = compare_with_trees(dataset, Split(0.85), sample_of(dataset), predicted(dataset, 3))
    assert bad.lost
    assert bad.trees > bad.network + 0.1
    assert 0 < bad.error < 0.02
    assert bad.rows == ROWS
    assert bad.learned_from == pytest.approx(0.85 * ROWS, rel=0.03)
    note = lost_note([bad])
    assert note.startswith(f"THE NETWORK LOSES TO BOOSTED TREES on the same 6,000 rows: BvsA has AUC {bad.network:.3f}")
    few = compare_with_trees(dataset, Split(0.001), sample_of(dataset), predicted(dataset, 3))
    assert few == []  # six rows to learn from are too few to say anything


def test_the_best_possible_network_does_not_lose(dataset: Dataset) -> None:
    """Network and trees are compared on rows that the trees were not trained on."""
    split = Split(0.5)
    validation = Loader(dataset, 1000, split, "validation")
    all_rows = predicted(dataset, 0)
    places = np.concatenate([batch.source[:, 1].numpy() for batch in Loader(dataset, 1000, split, "validation")])
    judged = Predictions(
        all_rows.classes, all_rows.probabilities[places], all_rows.labels[places], all_rows.weights[places],
        all_rows.definitions,
    )  # fmt: skip
    (compared,) = compare_with_trees(dataset, split, thinned(iter(validation), len(judged)), judged)
    assert not compared.lost
    assert lost_note([compared]) == ""
    assert compared.network > compared.trees - 3 * compared.error


def test_rows_of_another_dataset_are_an_error(dataset: Dataset) -> None:
    wrong = predicted(dataset, 0)
    shuffled = Predictions(wrong.classes, wrong.probabilities, wrong.labels[::-1], wrong.weights, wrong.definitions)
    with pytest.raises(CollidekitError, match="differ from those of the predictions"):
        compare_with_trees(dataset, Split(0.85), sample_of(dataset), shuffled)


def test_a_sample_has_the_positions_of_its_rows(dataset: Dataset) -> None:
    labels = np.concatenate([batch.labels.numpy() for batch in Loader(dataset, 1000)])
    taken = list(sample_of(dataset, 500))
    assert 400 < sum(len(places) for places, _ in taken) < 600
    for places, batch in taken:
        assert np.array_equal(batch.labels.numpy(), labels[places])
