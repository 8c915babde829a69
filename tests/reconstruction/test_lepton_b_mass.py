"""The density of m(lb): its closed form, and histograms of truth."""

import numpy as np
import pytest
from top_decays import TOP, W, decays

from collidekit.errors import CollidekitError
from collidekit.reconstruction.four_momenta import mass
from collidekit.reconstruction.lepton_b_mass import (
    MassDensity,
    density_from_truth,
    leading_order_density,
    pair_weights,
)


def test_leading_order_moments():
    """<cos theta*> is -FL / 2, so <m^2> is (mt^2 - mW^2) / 2 (1 - FL / 2)."""
    density = leading_order_density(bins=2000)
    widths, centres = np.diff(density.edges), (density.edges[1:] + density.edges[:-1]) / 2
    left = 2 * W**2 / (TOP**2 + 2 * W**2)
    assert np.sum(density.density * widths) == pytest.approx(1)
    mean = np.sum(density.density * widths * centres**2)
    assert mean == pytest.approx((TOP**2 - W**2) / 2 * (1 - left / 2), rel=1e-4)
    assert density.edges[-1] == pytest.approx(np.sqrt(TOP**2 - W**2))


def test_truth_of_isotropic_decays_is_linear_in_the_mass():
    toy = decays(100_000, bottom_mass=0.0, lepton_mass=0.0)
    end2 = TOP**2 - W**2
    density = density_from_truth(toy.leptons, toy.bottoms, edges=np.linspace(0, np.sqrt(end2), 11))
    expected = np.diff(density.edges**2) / end2 / np.diff(density.edges)
    np.testing.assert_allclose(density.density, expected, atol=6 * np.sqrt(expected.max() / 2e5 / 15))


def test_event_weights_count():
    toy = decays(1000)
    heavy = (mass(toy.leptons + toy.bottoms) > 100).all(axis=1)
    density = density_from_truth(toy.leptons, toy.bottoms, weights=heavy.astype(float))
    assert density(np.array([50.0])) == 0
    assert density(np.array([120.0])) > 0


def test_weights_of_pairings():
    toy = decays(50)
    density = leading_order_density()
    bottoms = np.stack([toy.bottoms, toy.bottoms[:, ::-1]], axis=1)
    found = pair_weights(density, toy.leptons, bottoms)
    for event in range(50):
        for pairing in (0, 1):
            values = [density(mass(toy.leptons[event, i] + bottoms[event, pairing, i])) for i in (0, 1)]
            assert found[event, pairing] == pytest.approx(values[0] * values[1])
    assert (found[:, 0] > 0).mean() > 0.95  # massive b quarks can be a little above the end


def test_outside_and_nan_have_no_density():
    density = MassDensity(np.array([0.0, 10, 20]), np.array([1.0, 3]))
    assert density(np.array([-1.0, 0, 10, 19, 20, np.nan])).tolist() == [0, 0.025, 0.075, 0.075, 0, 0]


@pytest.mark.parametrize(
    ("edges", "values"), [([0, 1, 1], [1, 1]), ([0, 1], [1, 2]), ([0, 1, 2], [-1, 2]), ([0, 1, 2], [0, 0])]
)
def test_histograms_that_are_no_density(edges, values):
    with pytest.raises(CollidekitError, match=r"density of m\(lb\)"):
        MassDensity(np.array(edges, dtype=float), np.array(values, dtype=float))
    with pytest.raises(CollidekitError, match="no true pair"):
        density_from_truth(np.full((3, 2, 4), np.nan), np.full((3, 2, 4), np.nan))
