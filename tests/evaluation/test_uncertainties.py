"""Coverage, width and probability integral transform of uncertainties: exact, too narrow, and weighted."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from collidekit.errors import CollidekitError
from collidekit.evaluation.plots import plot_pit
from collidekit.evaluation.uncertainties import LogDensity, Spreads, measure_densities, measure_uncertainties
from collidekit.inference.predictions import Predictions
from collidekit.inference.uncertainties import Uncertainty

ROWS = 20_000


def predictions(factor: float = 1.0, kind: str = "gaussian", weights: np.ndarray | None = None) -> Predictions:
    """Return normal truth around the estimate with a known standard deviation; the predicted one is ``factor`` times larger."""
    generator = np.random.default_rng(1)
    value, sigma = generator.normal(50, 20, ROWS), generator.uniform(1, 4, ROWS)
    truth = generator.normal(value, sigma)
    truth[:100] = np.nan
    columns = {"sigma": factor * sigma}
    if kind == "quantiles":
        levels = {"q025": 0.025, "q16": 0.16, "q84": 0.84, "q975": 0.975}
        columns = {key: value + factor * sigma * norm.ppf(level) for key, level in levels.items()}
    return Predictions(
        (), np.zeros((ROWS, 0)), np.full(ROWS, -1), np.ones(ROWS) if weights is None else weights, values={"e": value},
        truth={"e": truth}, units={"e": "GeV"}, uncertainties={"e": Uncertainty("t", kind, columns)},  # type: ignore[arg-type]
    )  # fmt: skip


@pytest.mark.parametrize(("kind", "nominal"), [("gaussian", (0.682689, 0.954500)), ("quantiles", (0.68, 0.95))])
def test_right_uncertainties_cover_what_they_say(kind: str, nominal: tuple[float, float]) -> None:
    (found,) = measure_uncertainties(predictions(1.0, kind))
    assert found.rows == ROWS - 100
    for entry, chance in zip(found.intervals, nominal, strict=True):
        assert entry.nominal == pytest.approx(chance, abs=1e-6)
        assert entry.coverage.error == pytest.approx(np.sqrt(chance * (1 - chance) / found.rows), rel=0.03)
        assert abs(entry.coverage.value - chance) < 4 * entry.coverage.error
    assert found.intervals[0].width == pytest.approx(2 * norm.ppf(0.5 + nominal[0] / 2) * 2.5, rel=0.01)
    assert np.sum((np.array(found.pit) - 1) ** 2 / np.square(found.pit_error)) < 50
    assert np.dot(found.pit, np.diff(found.pit_edges)) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["gaussian", "quantiles"])
def test_too_narrow_and_too_wide(kind: str) -> None:
    (narrow,), (wide,) = (measure_uncertainties(predictions(factor, kind)) for factor in (0.5, 2.0))
    z = 1.0 if kind == "gaussian" else norm.ppf(0.84)
    assert narrow.intervals[0].coverage.value == pytest.approx(2 * norm.cdf(0.5 * z) - 1, abs=0.015)
    assert wide.intervals[0].coverage.value == pytest.approx(2 * norm.cdf(2 * z) - 1, abs=0.015)
    assert narrow.pit[0] > 2
    assert wide.pit[0] < 0.5
    middle = len(narrow.pit) // 2
    assert narrow.pit[middle] < 1 < wide.pit[middle]


def test_weights_count() -> None:
    """With weight 3 for rows inside and 1 for others, the coverage is that of three times as many rows inside."""
    plain = predictions()
    value, sigma = plain.values["e"], plain.uncertainties["e"].columns["sigma"]
    inside = np.abs(plain.truth["e"] - value) < sigma
    (found,) = measure_uncertainties(predictions(weights=np.where(inside, 3.0, 1.0)))
    p = inside[100:].mean()
    assert found.intervals[0].coverage.value == pytest.approx(3 * p / (3 * p + 1 - p))
    width = (2 * sigma * np.where(inside, 3.0, 1.0))[100:].sum() / np.where(inside, 3.0, 1.0)[100:].sum()
    assert found.intervals[0].width == pytest.approx(width)
    assert found.pit[10] > 1.2  # the middle of the distribution
    assert np.dot(found.pit, np.diff(found.pit_edges)) == pytest.approx(1.0)


def test_no_truth_and_no_weight_are_errors() -> None:
    with pytest.raises(CollidekitError, match="e: the sum of the weights of rows with known truth is -19900"):
        measure_uncertainties(predictions(weights=np.full(ROWS, -1.0)))
    blind = predictions()
    blind.truth["e"][:] = np.nan
    with pytest.raises(CollidekitError, match="e: the truth is unknown for all rows"):
        measure_uncertainties(blind)


def test_one_row() -> None:
    one = Predictions(
        (), np.zeros((1, 0)), np.full(1, -1), np.ones(1), values={"e": np.array([1.0])}, truth={"e": np.array([1.5])},
        uncertainties={"e": Uncertainty("t", "gaussian", {"sigma": np.array([1.0])})},
    )  # fmt: skip
    (found,) = measure_uncertainties(one)
    assert (found.rows, found.intervals[0].coverage.value, found.intervals[0].width) == (1, 1.0, 2.0)


def test_the_log_density_is_a_weighted_mean() -> None:
    given = Predictions(
        (), np.zeros((4, 0)), np.full(4, -1), np.array([1.0, 3.0, 1.0, 1.0]),
        densities={"t": np.array([2.0, 4.0, np.nan, np.inf]), "none": np.full(4, np.nan)},
    )  # fmt: skip
    (found,) = measure_densities(given)
    assert (found.target, found.rows, found.impossible) == ("t", 3, 1)
    assert found.value == pytest.approx(3.5)
    assert found.error == pytest.approx(np.sqrt(1 * 1.5**2 + 9 * 0.5**2) / 4)
    assert LogDensity(**json.loads(json.dumps(found.as_dict()))) == found


@pytest.mark.parametrize("kind", ["gaussian", "quantiles"])
def test_json_there_and_back(kind: str) -> None:
    (found,) = measure_uncertainties(predictions(1.0, kind))
    assert Spreads.read(json.loads(json.dumps(found.as_dict()))) == found
    assert found.cells()[0][:5] == ("e", "GeV", kind, "19,900", "68.27 %" if kind == "gaussian" else "68 %")


@pytest.mark.parametrize("count", [1, 4])
def test_the_plot(count: int, tmp_path: Path) -> None:
    found = measure_uncertainties(predictions(0.7)) * count
    written = plot_pit(tmp_path / "pit", found, "a toy")
    assert [path.suffix for path in written] == [".png", ".pdf"]
    assert len([axes for axes in written.figure.axes if axes.get_visible()]) == count
