"""Histograms of the inputs: bins, defaults, weights, files."""

import numpy as np
import pytest

from collidekit.analysis.features import Feature
from collidekit.errors import CollidekitError
from collidekit.evaluation.report.input_histograms import DEFAULT, INVALID, OVER, UNDER, HistogramAxis, InputHistograms

LENGTH = HistogramAxis.of_feature(Feature(name="d0", unit="mm", default=-0.1), 0, 10, bins=10)


def histograms() -> InputHistograms:
    return InputHistograms(("b", "light"), {"tracks/d0": LENGTH})


def test_every_value_lands_once() -> None:
    found = histograms()
    values = np.array([-5, 0, 0.5, 9.99, 10, 10.01, -0.1, np.nan, np.inf, 3], dtype=np.float32)
    labels = np.array([0] * 9 + [-1])
    found.fill("tracks/d0", values, labels, np.ones(10), np.full(10, 2.0))
    histogram = found["tracks/d0"]
    before, variance = histogram.inside("before")
    np.testing.assert_array_equal(before[0], [2, 0, 0, 0, 0, 0, 0, 0, 0, 2])
    np.testing.assert_array_equal(variance[0], before[0])
    np.testing.assert_array_equal(histogram.inside("after")[1][0], 4 * before[0])
    shares = [histogram.share(slot, "before")[0] * 9 for slot in (UNDER, OVER, DEFAULT, INVALID)]
    np.testing.assert_allclose(shares, [1, 1, 1, 2])
    assert histogram.sums[0].sum() == 9
    assert histogram.sums[0, 1].sum() == 0


def test_chunks_and_workers_add_up(tmp_path) -> None:
    generator = np.random.default_rng(0)
    values, labels, weights = generator.normal(5, 3, 900), generator.integers(0, 2, 900), generator.normal(1, 1, 900)
    whole, first, second = histograms(), histograms(), histograms()
    whole.fill("tracks/d0", values, labels, np.ones(900), weights)
    for part, rows in ((first, slice(0, 300)), (first, slice(300, 500)), (second, slice(500, 900))):
        part.fill("tracks/d0", values[rows], labels[rows], np.ones(900)[rows], weights[rows])
    first.add(second)
    first = InputHistograms.load(first.save(tmp_path / "inputs.npz"))
    np.testing.assert_allclose(first["tracks/d0"].sums, whole["tracks/d0"].sums)
    np.testing.assert_allclose(first["tracks/d0"].squares, whole["tracks/d0"].squares)
    assert first.axes == whole.axes
    assert [path.name for path in tmp_path.iterdir()] == ["inputs.npz"]


def test_integers_and_flags_are_binned_on_whole_numbers() -> None:
    counts = HistogramAxis.of_feature(Feature(name="n", kind="integer"), 0, 25)
    np.testing.assert_array_equal(counts.edges, np.arange(-0.5, 26))
    np.testing.assert_array_equal(counts.slots(np.array([0, 25])), [0, 25])
    wide = HistogramAxis.of_feature(Feature(name="n", kind="integer"), 0, 1000)
    assert wide.bins <= 100
    assert float(np.diff(wide.edges)[0]) == 11  # 1,001 whole numbers
    assert HistogramAxis.of_feature(Feature(name="f", kind="flag"), 0, 0).bins == 2
    constant = HistogramAxis.of_feature(Feature(name="x"), 3, 3)
    assert constant.low < 3 < constant.high


def test_errors(tmp_path) -> None:
    with pytest.raises(CollidekitError, match="did you mean 'tracks/d0'"):
        histograms().fill("tracks/d1", [1], [0], [1], [1])
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"no zip")
    with pytest.raises(CollidekitError, match=r"broken\.npz"):
        InputHistograms.load(broken)
