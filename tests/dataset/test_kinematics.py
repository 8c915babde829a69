"""Reference weighting makes the kinematic shapes of the classes equal, by sampling and by weights."""

from pathlib import Path

import numpy as np
import pytest
from makers import make_dataset, make_plan, write

from collidekit.dataset.batch import Batch
from collidekit.dataset.check import check
from collidekit.dataset.kinematics import kinematic_bin, reference_weights
from collidekit.dataset.loader import Dataset, Loader
from collidekit.dataset.warnings import data_warnings

TEXT = """
classes: {light: label == 0, charm: label == 1, bottom: label == 2}
inputs: {jet: {features: [pt]}}
spectators: [pt]
kinematics: {pt: [0, 10, 20, 30, 40, 60, 100], eta: [-2, 0, 2], reference: bottom}
"""


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Falling, flat and rising pt; forward and backward."""
    generator = np.random.default_rng(0)
    rows = 60_000
    label = generator.integers(0, 3, rows)
    uniform = generator.random(rows)
    pt = 100 * np.choose(label, [uniform**2, uniform, np.sqrt(uniform)])
    eta = np.clip(generator.normal(0.5 * (label - 1), 1, rows), -3, 3)
    return make_dataset(tmp_path_factory.mktemp("kinematics"), TEXT, {"label": label, "pt": pt, "eta": eta})


def shapes(dataset: Dataset, loader: Loader, table: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Sum of weights and of their squares (classes, bins)."""
    sums = np.zeros((2, 3, 12))
    for batch in loader:
        bins, labels = kinematic_bin(batch, dataset.analysis), batch.labels.numpy()
        weights = np.ones(len(batch)) if table is None else table[labels, bins]
        np.add.at(sums[0], (labels, bins), weights)
        np.add.at(sums[1], (labels, bins), weights**2)
    return sums[0], sums[1]


def chi2_per_bin(sums: np.ndarray, squares: np.ndarray, k: int, reference: int = 2) -> float:
    """Of the normalised shapes of a class and the reference, with the errors of the weighted counts."""
    a, b = sums[k], sums[reference]
    error = squares[k] / a.sum() ** 2 + squares[reference] / b.sum() ** 2
    return float((((a / a.sum() - b / b.sum()) ** 2) / error).mean())


def test_shapes_differ_before_and_agree_after(dataset: Dataset) -> None:
    table = reference_weights(dataset.manifest.histogram, 2, tail=0.0)

    def keep(batch: Batch) -> np.ndarray:
        return np.asarray(table[batch.labels.numpy(), kinematic_bin(batch, dataset.analysis)])

    before = shapes(dataset, Loader(dataset, 5000))
    weighted = shapes(dataset, Loader(dataset, 5000), table)
    sampled = shapes(dataset, Loader(dataset, 5000, shuffle=True, seed=3, keep=keep))
    for k in (0, 1):
        assert chi2_per_bin(*before, k) > 100
        assert chi2_per_bin(*weighted, k) < 1e-6  # the weights come from these very rows
        assert chi2_per_bin(*sampled, k) < 2  # a fair draw: 1 on average
    np.testing.assert_allclose(sampled[0][2], before[0][2])  # the reference keeps all its rows


def test_the_tail_decides_less_than_its_share() -> None:
    """The nearly empty bins of a falling class do not thin out all others; the rest keeps the reference's shape."""
    histogram = np.array([[9000.0, 900, 90, 10], [2500, 2500, 2500, 2500]])
    np.testing.assert_allclose(reference_weights(histogram, 1, tail=0.0)[0], [10 / 9000, 10 / 900, 10 / 90, 1])
    np.testing.assert_allclose(reference_weights(histogram, 1, tail=0.05)[0], [0.1, 1, 1, 1])
    np.testing.assert_allclose(reference_weights(histogram, 1)[1], 1)


def test_weights_are_probabilities() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        histogram = generator.exponential(1, (4, 9)) * (generator.random((4, 9)) > 0.3) - 0.05
        weights = reference_weights(histogram, 1)
        assert ((weights >= 0) & (weights <= 1)).all()
        assert np.isfinite(weights).all()


def test_bins(dataset: Dataset, tmp_path: Path) -> None:
    """Two axes, edges belong to the bin above, values beyond to the first or last."""
    pt = [-5.0, 0.0, 9.99, 10.0, 99.0, 100.0, 1e6]
    columns = {"label": np.arange(7) % 3, "pt": np.array(pt), "eta": np.array([0.0, -1, 1, -1, -1, 3, -9])}
    batch = next(iter(Loader(make_dataset(tmp_path, TEXT, columns), 10)))
    assert kinematic_bin(batch, dataset.analysis).tolist() == [1, 0, 1, 2, 10, 11, 10]


def test_rows_without_common_support_are_counted_and_said(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    label = generator.integers(0, 2, 4000)
    pt = np.where(label == 1, generator.uniform(20, 100, 4000), generator.uniform(60, 200, 4000))
    text = """
classes: {bkg: label == 0, sig: label == 1}
inputs: {ev: {features: [pt]}}
kinematics: {pt: [20, 40, 60, 80, 100, 150, 200, 300], reference: sig}
"""
    manifest = make_dataset(tmp_path, text, {"label": label, "pt": pt}).manifest
    without, empty = data_warnings(manifest)
    part, total = int(((label == 0) & (pt < 100)).sum()), int((label == 0).sum())
    assert f"{part:,} of {total:,} rows of class 'bkg' take part" in without
    assert f"the weight of the other {total - part:,} is 0" in without
    assert "pt 100 to 150; pt 150 to 200" in without
    assert "1 of 7 bins hold no row of any class: pt 200 to 300" in empty
    file = write(tmp_path / "again.parquet", {"label": label, "pt": pt})
    said = [problem.text for problem in check(make_plan(text), [str(file)]).warnings]
    assert [f"training: {text}" for text in (without, empty)] == [text for text in said if "kinematics:" in text]


def test_a_class_that_shares_no_bin_with_the_reference_has_no_weight() -> None:
    weights = reference_weights(np.array([[752.0, 0, 0, 735], [0, 756, 757, 0]]), 1)
    assert weights[0].tolist() == [0, 1, 1, 0]  # 1 where it has no rows
    assert weights[1].tolist() == [1, 1, 1, 1]


def test_a_class_that_hardly_shares_a_bin_keeps_its_rows_there_alone() -> None:
    weights = reference_weights(np.array([[752.0, 1, 0, 735], [0, 756, 757, 0]]), 1)
    assert weights[0].tolist() == [0, 1, 1, 0]
