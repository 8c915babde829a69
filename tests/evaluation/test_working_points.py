"""Working points hold on independent samples, and their files contain the same numbers."""

import json

import correctionlib
import numpy as np
import pytest
import yaml
from scipy.stats import norm

from collidekit.analysis.schema import Discriminator
from collidekit.evaluation.classification.working_point_files import write_working_points
from collidekit.evaluation.classification.working_points import working_points
from collidekit.inference.predictions import Predictions

from .conftest import gaussians


def near(value: float) -> object:
    """The JSON parser of correctionlib may lose the last bit of a number."""
    return pytest.approx(value, rel=1e-14)


def predictions_of(scores: np.ndarray, truth: np.ndarray, weights: np.ndarray | None = None) -> Predictions:
    """Return two classes with the given scores in (0, 1) as probability of the signal."""
    return Predictions(
        classes=("qcd", "top"),
        probabilities=np.stack([1 - scores, scores], axis=1),
        labels=truth.astype(int),
        weights=np.ones(len(scores)) if weights is None else weights,
        definitions={"TvsQCD": Discriminator(signal=["top"], background=["qcd"])},
    )


def test_mistag_rate_and_efficiency_hold_on_an_independent_sample() -> None:
    scores, truth = gaussians(40_000, 2.0, seed=0)
    points = working_points(predictions_of(norm.cdf(scores), truth), [0.1, 0.01], [0.5])[0].points
    other_scores, other_truth = gaussians(40_000, 2.0, seed=1)
    for point in points:
        mistag = (norm.cdf(other_scores[~other_truth]) >= point.threshold).mean()
        assert abs(mistag - point.background_efficiency.value) < 4 * np.sqrt(2) * point.background_efficiency.error
        exact = norm.sf(norm.ppf(point.threshold))
        assert abs(point.background_efficiency.value - exact) < 4 * point.background_efficiency.error
    assert points[0].background_efficiency.value == pytest.approx(0.1, abs=1e-4)
    assert points[0].background_efficiency.value <= 0.1
    assert points[2].signal_efficiency.value >= 0.5
    assert points[1].name == "mistag_0.01"


def test_error_is_binomial_and_counts_are_raw() -> None:
    scores, truth = gaussians(4000, 1.0, seed=2)
    point = working_points(predictions_of(norm.cdf(scores), truth), [0.1])[0].points[0]
    assert point.background_efficiency.passed == 200
    assert point.background_efficiency.total == 2000
    assert point.background_efficiency.error == pytest.approx(np.sqrt(0.1 * 0.9 / 2000), rel=1e-6)
    assert point.class_efficiencies["qcd"] == point.background_efficiency
    assert point.class_efficiencies["top"] == point.signal_efficiency


def test_threshold_survives_rounding_to_single_precision() -> None:
    scores, truth = gaussians(4000, 1.0, seed=2)
    scores = norm.cdf(scores).astype(np.float32).astype(np.float64)
    predictions = predictions_of(scores, truth)
    point = working_points(predictions, [0.1])[0].points[0]
    rounded = predictions.discriminator("TvsQCD").astype(np.float32)[~truth]
    assert (rounded >= point.threshold).sum() == point.background_efficiency.passed


def test_what_cannot_be_reached_is_null_with_a_reason(tmp_path) -> None:
    truth = np.arange(400) % 2 == 0
    coarse = np.where(np.arange(400) % 4 < 2, 0.8, 0.2)
    points = working_points(predictions_of(coarse, truth), [0.9, 0.5, 0.1])[0].points
    assert points[0].threshold == points[1].threshold == pytest.approx(0.5)
    assert points[2].threshold is None
    assert "no cut reaches less than 0.5" in points[2].reason

    scores, truth = gaussians(400, 1.0, seed=3)
    found = working_points(predictions_of(norm.cdf(scores), truth), [1e-4])
    assert "too small" in found[0].points[0].reason
    files = write_working_points(tmp_path / "wp", found)
    entry = json.loads(files[0].read_text())["discriminators"]["TvsQCD"]["points"][0]
    assert entry["threshold"] is None
    assert entry["reason"]
    assert list(correctionlib.CorrectionSet.from_file(str(files[2]))) == []


def test_files_agree_and_correctionlib_evaluates_them(flavour, tmp_path) -> None:
    found = working_points(flavour, [0.1, 0.01, 1e-9], [0.7])
    files = write_working_points(tmp_path / "wp", found, "toy")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["wp.json", "wp.yaml", "wp_correctionlib.json"]
    assert json.loads(files[0].read_text()) == yaml.safe_load(files[1].read_text())
    corrections = correctionlib.CorrectionSet.from_file(str(files[2]))
    for entry in found:
        for point in entry.points:
            if point.threshold is None:
                with pytest.raises(IndexError):
                    corrections["threshold"].evaluate(entry.discriminator, point.name)
                continue
            assert corrections["threshold"].evaluate(entry.discriminator, point.name) == near(point.threshold)
            for name, efficiency in point.class_efficiencies.items():
                arguments = (entry.discriminator, point.name, name)
                assert corrections["efficiency"].evaluate(*arguments, "nominal") == near(efficiency.value)
                assert corrections["efficiency"].evaluate(*arguments, "down") == near(efficiency.low)
                assert corrections["efficiency"].evaluate(*arguments, "up") == near(efficiency.high)
