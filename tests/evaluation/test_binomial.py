"""Weighted efficiencies: effective sizes, intervals, bins."""

import numpy as np
import pytest

from collidekit.errors import CollidekitError
from collidekit.evaluation.binomial import effective_size, efficiency
from collidekit.evaluation.classification.efficiency import bin_numbers, efficiency_in_bins, quantile_edges


def test_effective_size() -> None:
    assert effective_size(np.full(70, 0.3)) == pytest.approx(70)
    assert effective_size([1.0, 1.0, 0.0]) == pytest.approx(2)
    assert effective_size(np.array([1.0] * 90 + [-1.0] * 10)) == pytest.approx(64)
    assert effective_size([]) == 0


def test_constant_weights_change_nothing() -> None:
    passed = np.arange(100) < 30
    plain, scaled = efficiency(passed, np.ones(100)), efficiency(passed, np.full(100, 7.0))
    assert plain.value == pytest.approx(0.3)
    assert plain.error == pytest.approx(np.sqrt(0.3 * 0.7 / 100))
    assert (scaled.value, scaled.error, scaled.low, scaled.high) == pytest.approx(
        (plain.value, plain.error, plain.low, plain.high)
    )
    assert plain.effective == pytest.approx(100)


def test_nothing_and_everything_still_have_an_error() -> None:
    nothing, everything = efficiency(np.zeros(50, bool), np.ones(50)), efficiency(np.ones(50, bool), np.ones(50))
    assert (nothing.value, nothing.low) == (0, 0)
    assert nothing.high == pytest.approx(1 / 51)
    assert nothing.error > 0
    assert everything.high == 1
    assert everything.low == pytest.approx(50 / 51)


def test_error_is_the_spread_of_weighted_toys() -> None:
    """Return weights that differ between passing and failing rows, some of them negative."""
    generator = np.random.default_rng(0)
    values, errors = [], []
    for _ in range(400):
        passed = generator.random(500) < 0.2
        found = efficiency(passed, np.where(passed, generator.normal(2, 1.5, 500), generator.normal(1, 0.5, 500)))
        values.append(found.value)
        errors.append(found.error)
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.12)


def test_bins_hold_their_edges_and_leave_out_the_rest() -> None:
    edges = np.array([0.0, 1.0, 2.0])
    found = bin_numbers(np.array([-0.1, 0.0, 1.0, 2.0, 2.1, np.nan]), edges)
    np.testing.assert_array_equal(found, [-1, 0, 1, 1, -1, -1])


def test_bins_add_up_to_the_whole(flavour) -> None:
    binned = efficiency_in_bins(flavour, "BvsL", 0.6, "jet_pt", [0, 30, 60, 1e6])
    b = binned.classes["b"]
    rows = flavour.labels == 0
    assert b.total.sum() == rows.sum()
    assert b.passed.sum() == (flavour.discriminator("BvsL")[rows] >= 0.6).sum()
    assert np.all((b.low <= b.value) & (b.value <= b.high))
    assert len(quantile_edges(flavour.spectators["jet_pt"], 5)) == 6
    with pytest.raises(CollidekitError, match="jet_pt"):
        efficiency_in_bins(flavour, "BvsL", 0.6, "jet_eta", [0, 1])


def test_an_empty_bin_is_nan(flavour) -> None:
    found = efficiency_in_bins(flavour, "BvsL", 0.6, "jet_pt", [0, 10, 60]).classes["b"]
    assert np.isnan(found.value[0])
    assert found.total[0] == 0
