"""Temperature scaling and calibration error, on toys with known temperature and calibration error."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from collidekit.analysis.schema import Discriminator
from collidekit.errors import CollidekitError
from collidekit.evaluation.calibration.calibrate import temperature_of
from collidekit.evaluation.calibration.reliability import (
    at_temperature,
    calibration_numbers,
    known_rows,
    measure_calibration,
    reliability,
)
from collidekit.evaluation.calibration.report import calibration_section
from collidekit.evaluation.calibration.temperature_fit import NoTemperatureError, fit_temperature
from collidekit.evaluation.classification.roc_result import measure_discriminator
from collidekit.evaluation.plots.reliability import plot_reliabilities
from collidekit.inference.calibrated import calibrated
from collidekit.inference.predictions import Predictions
from collidekit.models.temperature import Temperature, log_probabilities, tempered

CLASSES = ("b", "c", "light")


def toy(rows: int, temperature: float = 1.0, seed: int = 0, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return outputs (N, K) that are ``temperature`` times those from which the labels (N,) are drawn."""
    generator = np.random.default_rng(seed)
    true = generator.normal(0, 2, (rows, classes))
    p = np.exp(true) / np.exp(true).sum(axis=1, keepdims=True)
    labels = (p.cumsum(axis=1) < generator.random((rows, 1))).sum(axis=1).clip(max=classes - 1)
    return true * temperature, labels


def toy_predictions(rows: int, temperature: float = 1.0, seed: int = 0, dtype: type = np.float64) -> Predictions:
    outputs, labels = toy(rows, temperature, seed)
    p = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    return Predictions(
        classes=CLASSES,
        probabilities=(p / p.sum(axis=1, keepdims=True)).astype(dtype),
        labels=labels,
        weights=np.ones(rows, dtype=np.float32),
        definitions={"BvsL": Discriminator(signal=["b"], background=["light"])},
    )


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_of_a_toy_is_found_within_its_error(temperature: float) -> None:
    found = fit_temperature(*toy(20_000, temperature, seed=3))
    assert abs(found.value - temperature) < 3 * found.error
    assert found.error < 0.03 * temperature
    assert found.rows == 20_000


@pytest.mark.parametrize("weighted", [False, True])
def test_the_error_is_the_spread_of_the_fit(weighted: bool) -> None:
    pulls = []
    for seed in range(150):
        outputs, labels = toy(600, 1.7, seed)
        weights = np.random.default_rng(seed).uniform(0.1, 3, 600) if weighted else None
        found = fit_temperature(outputs, labels, weights)
        pulls.append((found.value - 1.7) / found.error)
    assert abs(np.mean(pulls)) < 0.3
    assert 0.85 < np.std(pulls) < 1.15


def test_the_scale_of_the_weights_says_nothing() -> None:
    outputs, labels = toy(2000, 1.5)
    one, many = (fit_temperature(outputs, labels, np.full(2000, w)) for w in (1.0, 1000.0))
    assert one.value == pytest.approx(many.value)
    assert one.error == pytest.approx(many.error)


def test_without_weights_the_error_is_that_of_the_curvature() -> None:
    outputs, labels = toy(50_000)
    found = fit_temperature(outputs, labels)
    beta = 1 / found.value

    def loss(b: float) -> float:
        z = b * outputs
        return float((np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(z)), labels]).sum())

    curvature = (loss(beta + 1e-3) - 2 * loss(beta) + loss(beta - 1e-3)) / 1e-6
    assert found.error == pytest.approx(found.value**2 / np.sqrt(curvature), rel=0.05)


def test_rows_with_weight_two_count_as_two_rows() -> None:
    outputs, labels = toy(1000, 1.3)
    weights = np.where(np.arange(1000) < 300, 2.0, 1.0)
    twice = np.concatenate([np.arange(1000), np.arange(300)])
    expected = fit_temperature(outputs[twice], labels[twice]).value
    assert fit_temperature(outputs, labels, weights).value == pytest.approx(expected)


def test_outputs_and_their_probabilities_give_the_same_temperature() -> None:
    outputs, labels = toy(3000, 4.0)
    p = toy_predictions(3000, 4.0, dtype=np.float32).probabilities
    direct, indirect = fit_temperature(outputs, labels), fit_temperature(log_probabilities(p), labels)
    assert indirect.value == pytest.approx(direct.value, rel=1e-4)


def test_what_cannot_be_calibrated_is_said() -> None:
    outputs, labels = toy(500)
    with pytest.raises(NoTemperatureError, match="nearly all of these 500 rows are predicted correctly"):
        fit_temperature(100 * np.eye(3)[labels], labels)
    with pytest.raises(NoTemperatureError, match="contain no information on the classes"):
        fit_temperature(-outputs, labels)
    with pytest.raises(CollidekitError, match="no row has a known class"):
        fit_temperature(outputs, np.full(500, -1))
    with pytest.raises(CollidekitError, match="weights is 0"):
        fit_temperature(outputs, labels, np.zeros(500))


def test_probabilities_that_are_zero_in_single_precision_stay_finite() -> None:
    p = np.array([[1.0, 0.0], [0.5, 0.5]], dtype=np.float32)
    warm = tempered(p, 2.0)
    assert np.isfinite(warm).all()
    assert warm.dtype == np.float32
    assert np.allclose(warm.sum(axis=1), 1)


def test_a_temperature_is_taken_away_by_its_inverse() -> None:
    p = toy_predictions(200).probabilities
    assert np.allclose(tempered(tempered(p, 1.7), 1 / 1.7), p, atol=1e-12)
    kept = p * np.linspace(0.1, 1, len(p))[:, None]  # relegation has the rest
    assert np.allclose(tempered(kept, 2.0), tempered(p, 2.0) * kept.sum(axis=1, keepdims=True))


def test_ranking_and_auc_of_two_classes_do_not_change() -> None:
    before = toy_predictions(3000, 2.0)
    after = calibrated(before, temperature_of(before, "rows"), "model")
    scores = [predictions.discriminator("BvsL") for predictions in (before, after)]
    assert np.array_equal(np.argsort(scores[0], kind="stable"), np.argsort(scores[1], kind="stable"))
    assert not np.allclose(*scores)
    aucs = [measure_discriminator(predictions, "BvsL", replicates=2).auc for predictions in (before, after)]
    assert aucs[0] == aucs[1]
    assert np.array_equal(before.probabilities.argmax(axis=1), after.probabilities.argmax(axis=1))


def test_the_ranking_holds_in_single_precision() -> None:
    before = toy_predictions(3000, 2.0, dtype=np.float32)
    after = calibrated(before, temperature_of(before, "rows"), "model")
    aucs = [measure_discriminator(predictions, "BvsL", replicates=2).auc for predictions in (before, after)]
    assert aucs[0] == pytest.approx(aucs[1], abs=1e-6)
    assert after.temperature == pytest.approx(2.0, rel=0.1)


def test_a_model_without_temperature_says_how_to_get_one() -> None:
    with pytest.raises(CollidekitError, match=r"best\.pt: has no temperature; fit one with 'collidekit calibrate"):
        calibrated(toy_predictions(10), None, "best.pt")


def sure_but_wrong(rows: int = 1000) -> Predictions:
    """With confidence 0.8 and accuracy 0.6, the calibration error is exactly 0.2."""
    labels = np.where(np.arange(rows) % 10 < 6, 0, 1)
    p = np.tile([0.8, 0.2], (rows, 1))
    return Predictions(classes=("a", "b"), probabilities=p, labels=labels, weights=np.ones(rows))


def test_a_known_calibration_error() -> None:
    numbers = calibration_numbers(known_rows(sure_but_wrong()))
    assert numbers.calibration_error == pytest.approx(0.2)
    assert numbers.calibration_error_error == pytest.approx(np.sqrt(0.6 * 0.4 / 1000), rel=0.2)
    assert numbers.class_errors == pytest.approx({"a": 0.2, "b": 0.2})
    assert numbers.brier == pytest.approx(0.6 * 2 * 0.2**2 + 0.4 * 2 * 0.8**2)
    assert numbers.log_loss == pytest.approx(-0.6 * np.log(0.8) - 0.4 * np.log(0.2))


def test_its_temperature_makes_it_honest() -> None:
    """With the same probability in all rows, the best fit gives 0.6, at T = ln 4 / ln 1.5."""
    found = temperature_of(sure_but_wrong(), "rows")
    assert found.value == pytest.approx(np.log(4) / np.log(1.5))
    result = measure_calibration(sure_but_wrong(), found)
    assert result.after is not None
    assert result.after.calibration_error == pytest.approx(0, abs=1e-9)
    assert result.log_loss_change == pytest.approx(result.after.log_loss - result.before.log_loss)
    assert result.log_loss_change < -3 * result.log_loss_change_error


def test_exact_probabilities_show_what_is_expected_of_them() -> None:
    numbers = calibration_numbers(known_rows(toy_predictions(4000)))
    assert numbers.calibration_error < numbers.calibration_error_expected + 3 * numbers.calibration_error_error
    assert 0 < numbers.calibration_error_expected < 0.03
    sure = calibration_numbers(known_rows(toy_predictions(4000, 3.0)))
    assert sure.calibration_error > sure.calibration_error_expected + 5 * sure.calibration_error_error


def test_scaling_mends_a_toy_that_is_too_sure() -> None:
    predictions = toy_predictions(6000, 3.0)
    result = measure_calibration(predictions, temperature_of(toy_predictions(6000, 3.0, seed=9), "other rows"))
    assert result.after is not None
    assert result.after.log_loss < result.before.log_loss
    assert result.after.brier < result.before.brier
    assert result.after.calibration_error < 0.2 * result.before.calibration_error


def test_points_of_the_reliability_plot() -> None:
    points = reliability(known_rows(sure_but_wrong()), "a")
    filled = np.flatnonzero(np.isfinite(points.predicted))
    assert filled.tolist() == [12]  # 0.8 of 15 bins
    assert points.predicted[12] == pytest.approx(0.8)
    assert points.true.value[12] == pytest.approx(0.6)
    assert points.true.low[12] < 0.6 < points.true.high[12]
    assert points.share[12] == pytest.approx(1)


def test_rows_of_unknown_class_are_left_out() -> None:
    predictions = toy_predictions(500)
    unknown = replace(predictions, labels=np.where(np.arange(500) < 100, -1, predictions.labels))
    assert measure_calibration(unknown, None).rows == 400
    with pytest.raises(CollidekitError, match="no row has a known class"):
        measure_calibration(replace(predictions, labels=np.full(500, -1)), None)


def test_plots_of_each_class_and_of_one_of_two(tmp_path: Path) -> None:
    predictions = toy_predictions(500, 2.0)
    written = plot_reliabilities(tmp_path, predictions, temperature_of(predictions, "rows"))
    assert {path.name for path in written} == {
        f"reliability_{name}.{end}" for name in CLASSES for end in ("png", "pdf")
    }
    two = plot_reliabilities(tmp_path / "two", sure_but_wrong())
    assert {path.name for path in two} == {"reliability_b.png", "reliability_b.pdf"}


def test_the_section_says_what_a_probability_means() -> None:
    predictions = toy_predictions(500, 2.0)
    result = measure_calibration(predictions, temperature_of(predictions, "rows"))
    plain, weighted = (calibration_section(result, (), w) for w in (False, True))
    assert "composition of the training files" in plain.blocks[0].text
    assert "in a sample with this composition" in weighted.blocks[0].text
    table = next(block for block in plain.blocks if block.kind == "table")
    assert table.header == ("", "before", "after")
    assert {"temperature", "log loss", "Brier score", "calibration error"} <= {row[0] for row in table.rows}


def test_a_broken_temperature_in_a_file_is_said() -> None:
    good = Temperature(1.2, 0.1, 100, "validation rows")
    assert Temperature.read(good.as_dict(), "x.pt") == good
    assert Temperature.read(None, "x.pt") is None
    for broken in ({}, {**good.as_dict(), "value": 0}, {**good.as_dict(), "value": "hot"}, [1]):
        with pytest.raises(CollidekitError, match=r"x\.pt: its temperature cannot be read"):
            Temperature.read(broken, "x.pt")


def test_at_temperature_one_nothing_changes() -> None:
    predictions = toy_predictions(100)
    assert np.allclose(at_temperature(predictions, 1.0).probabilities, predictions.probabilities, atol=1e-14)
