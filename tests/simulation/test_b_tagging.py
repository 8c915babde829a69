"""The parametrised b tagger: stated efficiencies, order of working points and flavours, and draws that reproduce them."""

import numpy as np
import pytest

from collidekit.simulation.b_tagging import EFFICIENCIES, tag, tagging_efficiency


def test_efficiencies_at_60_gev_are_the_stated_ones() -> None:
    flavour = np.array([5, 4, 0])
    found = tagging_efficiency(flavour, np.full(3, 60.0))
    np.testing.assert_allclose(found, [EFFICIENCIES[5], EFFICIENCIES[4], EFFICIENCIES[0]], rtol=1e-12)


def test_odds_follow_the_stated_powers_of_pt() -> None:
    pt = np.array([30.0, 150.0, 800.0])
    for flavour, expected in ((5, [0.5**0.6, 2**0.6, 2**0.6 / 2]), (0, [1, 1.5**0.7, 8**0.7])):
        efficiency = tagging_efficiency(np.full(3, flavour), pt)
        at_60 = tagging_efficiency(np.array([flavour]), np.array([60.0]))
        odds = efficiency / (1 - efficiency) / (at_60 / (1 - at_60))
        np.testing.assert_allclose(odds, np.tile(np.array(expected)[:, None], 4), rtol=1e-9)


def test_order_of_working_points_and_flavours_up_to_1_tev() -> None:
    pt = np.geomspace(15, 1000, 200)
    b, c, light = (tagging_efficiency(np.full(200, flavour), pt) for flavour in (5, 4, 0))
    assert np.all((b > c) & (c > light))
    for efficiency in (b, c, light):
        assert np.all(np.diff(efficiency, axis=1) < 0)
        assert np.all((efficiency > 0) & (efficiency < 1))


@pytest.mark.parametrize("flavour", [5, 4, 0])
def test_quantiles_reproduce_the_efficiencies(flavour: int) -> None:
    jets = 200_000
    pt = np.random.default_rng(1).uniform(25, 300, jets)
    quantile = tag(np.full(jets, flavour), pt, np.random.default_rng(2))
    assert set(np.unique(quantile)) == {1, 2, 3, 4, 5}
    expected = tagging_efficiency(np.full(jets, flavour), pt)
    for i in range(4):
        for low, high in ((25, 60), (60, 150), (150, 300)):
            rows = (pt >= low) & (pt < high)
            mean = expected[rows, i].mean()
            assert np.mean(quantile[rows] >= i + 2) == pytest.approx(mean, abs=4.5 * np.sqrt(mean / rows.sum()))
