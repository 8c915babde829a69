"""Uncertainties of values in predictions: files, ensembles, and the probability below the truth."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot
from scipy.stats import lognorm, norm

from collidekit.errors import CollidekitError
from collidekit.inference.combination import combine
from collidekit.inference.folds import join_folds
from collidekit.inference.predictions import Predictions
from collidekit.inference.uncertainties import Uncertainty

ROWS = 60
EVENT = {"event": np.arange(ROWS), "file": np.zeros(ROWS, dtype=np.int64), "row": np.arange(ROWS)}
GENERATOR = np.random.default_rng(1)
TRUTH = GENERATOR.normal(100, 10, ROWS)
TRUTH[7] = np.nan


def predictions(value: np.ndarray, uncertainty: Uncertainty, rows: slice = slice(None)) -> Predictions:
    count = len(value[rows])
    columns = {key: column[rows] for key, column in uncertainty.columns.items()}
    pit = None if uncertainty.pit is None else uncertainty.pit[rows]
    return Predictions(
        (), np.zeros((count, 0)), np.full(count, -1), np.ones(count), values={"e": value[rows]}, truth={"e": TRUTH[rows]},
        units={"e": "GeV"}, event={name: numbers[rows] for name, numbers in EVENT.items()},
        uncertainties={"e": Uncertainty("t", uncertainty.estimate, columns, uncertainty.log, pit)},
        densities={"t": np.where(np.isnan(TRUTH), np.nan, 3.0)[rows]} if uncertainty.estimate == "flow" else {},
    )  # fmt: skip


def gaussian(log: bool = False) -> tuple[np.ndarray, Uncertainty]:
    value = GENERATOR.normal(100, 3, ROWS)
    return value, Uncertainty("t", "gaussian", {"sigma": GENERATOR.uniform(5, 15, ROWS)}, log)


def quantiles(estimate: str = "quantiles") -> tuple[np.ndarray, Uncertainty]:
    value = GENERATOR.normal(100, 3, ROWS)
    columns = {"q025": value - 20, "q16": value - 10, "q84": value + 5, "q975": value + 30}
    if estimate == "flow":
        columns = {"mean": value + 1, "mode": value - 1, **columns}
    if estimate == "binned":
        columns = {"median": value + 2, **columns}
    pit = None if estimate == "quantiles" else np.where(np.isnan(TRUTH), np.nan, GENERATOR.uniform(size=ROWS))
    return value, Uncertainty("t", estimate, columns, pit=pit)  # type: ignore[arg-type]


ALL = {"gaussian": gaussian(), "log": gaussian(True)} | {k: quantiles(k) for k in ("quantiles", "binned", "flow")}


@pytest.mark.parametrize("kind", ALL)
def test_there_and_back(kind: str, tmp_path: Path) -> None:
    one = predictions(*ALL[kind])
    path = one.write(tmp_path / "p.parquet")
    again = Predictions.read(path)
    mine, theirs = one.uncertainties["e"], again.uncertainties["e"]
    assert (mine.target, mine.estimate, mine.log, list(mine.columns)) == (
        theirs.target, theirs.estimate, theirs.log, list(theirs.columns),
    )  # fmt: skip
    for key, column in mine.columns.items():
        np.testing.assert_array_equal(theirs.columns[key], column)
        np.testing.assert_array_equal(pq.read_table(path)[f"pred_e_{key}"].to_numpy(), column)
    assert (mine.pit is None) == (theirs.pit is None) == ("pit_e" not in one.columns())
    assert list(again.densities) == list(one.densities)
    with uproot.open(one.write(tmp_path / "p.root")) as file:
        assert set(file["predictions"].keys()) == set(one.columns())


def test_names_that_are_taken() -> None:
    one = predictions(*ALL["flow"])
    columns = Predictions(
        **{**vars(one), "spectators": {"pred_e_q16": EVENT["row"], "nll_t": EVENT["row"], "pit_e": EVENT["row"]}}
    ).columns()
    for name in ("pred_e_q16", "nll_t", "pit_e"):
        np.testing.assert_array_equal(columns[f"spectator_{name}"], EVENT["row"])
        assert columns[name].dtype == np.float64


def test_below_the_truth_of_gaussians() -> None:
    value, found = ALL["gaussian"]
    expected = norm.cdf(TRUTH, value, found.columns["sigma"])
    np.testing.assert_allclose(found.cumulative(value, TRUTH), expected, rtol=1e-12)
    median, of_log = ALL["log"]
    spread = np.arcsinh(of_log.columns["sigma"] / median)
    np.testing.assert_allclose(of_log.cumulative(median, TRUTH), lognorm.cdf(TRUTH, spread, 0, median), rtol=1e-9)
    assert of_log.cumulative(median, np.full(ROWS, -5.0)).tolist() == [0.0] * ROWS
    (chance, low, high), (_, wide_low, _) = of_log.intervals(median)
    np.testing.assert_allclose(high - low, 2 * of_log.columns["sigma"], rtol=1e-9)
    np.testing.assert_allclose(lognorm.cdf(high, spread, 0, median) - lognorm.cdf(low, spread, 0, median), chance)
    np.testing.assert_allclose(lognorm.cdf(wide_low, spread, 0, median), norm.cdf(-2))


def test_below_the_truth_of_quantiles() -> None:
    value, found = np.full(6, 100.0), {"q025": 80.0, "q16": 90.0, "q84": 105.0, "q975": 130.0}
    one = Uncertainty("t", "quantiles", {key: np.full(6, end) for key, end in found.items()})
    truth = np.array([70.0, 85.0, 100.0, 105.0, 200.0, np.nan])
    expected = [0.0125, 0.0925, 0.5, 0.84, 0.9875, np.nan]
    np.testing.assert_allclose(one.cumulative(value, truth), expected)
    assert one.edges() == (0.0, 0.025, 0.16, 0.5, 0.84, 0.975, 1.0)
    intervals = [(round(chance, 6), float(low[0]), float(high[0])) for chance, low, high in one.intervals(value)]
    assert intervals == [(0.68, 90.0, 105.0), (0.95, 80.0, 130.0)]


def test_quantiles_without_a_counterpart() -> None:
    columns = {"q1": np.zeros(3), "q7": np.ones(3), "q8": np.full(3, 2.0)}
    one = Uncertainty("t", "quantiles", columns)
    assert [round(chance, 6) for chance, _, _ in one.intervals(np.full(3, 0.5))] == [0.7]


def test_an_ensemble_of_gaussians_is_their_mixture() -> None:
    members = {"a": predictions(*ALL["gaussian"]), "b": predictions(*gaussian())}
    both = combine(members)
    samples = np.concatenate(
        [np.random.default_rng(2).normal(p.values["e"][:, None], p.uncertainties["e"].columns["sigma"][:, None], (ROWS, 50_000))
         for p in members.values()], axis=1,
    )  # fmt: skip
    np.testing.assert_allclose(both.values["e"], samples.mean(axis=1), atol=0.3)
    np.testing.assert_allclose(both.uncertainties["e"].columns["sigma"], samples.std(axis=1), rtol=0.02)


def test_an_ensemble_of_gaussians_of_the_logarithm() -> None:
    members = {"a": predictions(*ALL["log"]), "b": predictions(*gaussian(True))}
    both = combine(members)
    logs = [np.log(p.values["e"]) for p in members.values()]
    spreads = [np.arcsinh(p.uncertainties["e"].columns["sigma"] / p.values["e"]) for p in members.values()]
    np.testing.assert_allclose(both.values["e"], np.exp(np.mean(logs, axis=0)))
    variance = np.mean(np.square(spreads), axis=0) + np.var(logs, axis=0)
    expected = both.values["e"] * np.sinh(np.sqrt(variance))
    np.testing.assert_allclose(both.uncertainties["e"].columns["sigma"], expected)


@pytest.mark.parametrize("combination", ["mean", "median"])
@pytest.mark.parametrize("kind", ["quantiles", "binned", "flow"])
def test_an_ensemble_of_quantiles_has_their_mean(kind: str, combination: str) -> None:
    members = {name: predictions(*quantiles(kind)) for name in "abc"}
    both = combine(members, combination)  # type: ignore[arg-type]
    reduce = np.mean if combination == "mean" else np.median
    for key in ("q025", "q975"):
        expected = reduce([p.uncertainties["e"].columns[key] for p in members.values()], axis=0)
        np.testing.assert_allclose(both.uncertainties["e"].columns[key], expected)
    assert "mode" not in both.uncertainties["e"].columns
    assert both.densities == {}
    assert both.uncertainties["e"].edges() == (0.0, 0.025, 0.16, 0.5, 0.84, 0.975, 1.0)
    assert np.isnan(both.uncertainties["e"].cumulative(both.values["e"], TRUTH)).sum() == 1


def test_members_that_do_not_count_are_left_out() -> None:
    members = {"a": predictions(*ALL["gaussian"]), "b": predictions(*gaussian())}
    used = np.array([[True] * ROWS, [False] * 30 + [True] * 30])
    both = combine(members, used=used)
    alone, mixed = members["a"].uncertainties["e"].columns["sigma"], both.uncertainties["e"].columns["sigma"]
    np.testing.assert_allclose(mixed[:30], alone[:30])
    np.testing.assert_allclose(mixed[30:], combine(members).uncertainties["e"].columns["sigma"][30:])


def test_members_of_other_forms_are_refused() -> None:
    with pytest.raises(CollidekitError, match=r"'e' is estimated as quantiles .* and as gaussian"):
        combine({"a": predictions(*ALL["gaussian"]), "b": predictions(*ALL["quantiles"])})


@pytest.mark.parametrize("kind", ["gaussian", "flow"])
def test_folds_bring_their_rows_together(kind: str) -> None:
    whole = predictions(*ALL[kind])
    parts = [predictions(*ALL[kind], slice(k, None, 2)) for k in range(2)]
    joined = join_folds(parts, np.arange(ROWS) % 2)
    for key, column in whole.uncertainties["e"].columns.items():
        np.testing.assert_array_equal(joined.uncertainties["e"].columns[key], column)
    for key, column in whole.densities.items():
        np.testing.assert_array_equal(joined.densities[key], column)
