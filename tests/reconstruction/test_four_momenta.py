"""Conventions of four-momenta, and boosts compared with closed forms."""

import numpy as np
import pytest
from top_decays import isotropic

from collidekit.reconstruction import four_momenta as fm


@pytest.fixture
def momenta():
    rng = np.random.default_rng(1)
    columns = rng.exponential(50, 500), rng.normal(0, 2, 500), rng.uniform(-np.pi, np.pi, 500), rng.exponential(10, 500)
    return columns, fm.from_pt_eta_phi_mass(*columns)


def test_there_and_back(momenta):
    columns, found = momenta
    for function, expected in zip((fm.pt, fm.eta, fm.phi), columns, strict=False):
        np.testing.assert_allclose(function(found), expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(fm.mass_squared(found), columns[3] ** 2, atol=1e-13 * found[:, 0].max() ** 2)
    again = fm.from_pt_eta_phi_energy(*columns[:3], found[:, 0])
    np.testing.assert_allclose(again, found, rtol=1e-15)


def test_energy_is_kept_below_the_momentum():
    found = fm.from_pt_eta_phi_energy(10.0, 0.0, 0.0, 6.0)
    assert found.tolist() == [6, 10, 0, 0]
    assert fm.mass(found) == -8


def test_rest_frame(momenta):
    _, found = momenta
    parent = found + found[::-1]
    rest = fm.to_rest_frame(parent, parent)
    np.testing.assert_allclose(rest[:, 1:], 0, atol=1e-9 * parent[:, :1].max())
    np.testing.assert_allclose(rest[:, 0], fm.mass(parent), rtol=1e-9)
    moved = fm.to_rest_frame(found, parent)
    np.testing.assert_allclose(fm.mass_squared(moved), fm.mass_squared(found), atol=1e-9 * found[:, 0].max() ** 2)
    np.testing.assert_allclose(fm.boost(moved, parent[:, 1:] / parent[:, :1]), found, rtol=1e-6, atol=1e-6)


def test_energy_in_the_rest_frame_is_a_scalar_product(momenta):
    _, found = momenta
    of = found[::-1]
    product = found[:, 0] * of[:, 0] - np.sum(found[:, 1:] * of[:, 1:], axis=1)
    np.testing.assert_allclose(fm.to_rest_frame(found, of)[:, 0], product / fm.mass(of), rtol=1e-6)


def test_boost_along_the_beam_adds_rapidity():
    velocity = np.array([0.0, 0.0, np.tanh(0.7)])
    directions = isotropic(np.random.default_rng(2), (50,))
    momenta = fm.with_mass(directions * 40, 3.0)
    np.testing.assert_allclose(fm.boost(momenta, velocity), fm.boost_along_beam(momenta, 0.7), rtol=1e-12)
    massless = fm.with_mass(directions * 40)
    np.testing.assert_allclose(fm.eta(fm.boost_along_beam(massless, 0.7)), fm.eta(massless) + 0.7, rtol=1e-9, atol=1e-9)


def test_no_rest_frame_for_light():
    light = fm.with_mass(np.array([1.0, 2.0, 3.0]))
    assert np.isnan(fm.to_rest_frame(light, np.array([1.0, 2.0, 0.0, 0.0]))).all()
    assert np.isnan(fm.boost(light, np.array([1.1, 0.0, 0.0]))).all()


def test_angles():
    one = fm.from_pt_eta_phi_mass(1.0, 0.0, 3.1)
    other = fm.from_pt_eta_phi_mass(1.0, 0.3, -3.1)
    difference = 2 * np.pi - 6.2
    assert fm.delta_phi(one, other) == pytest.approx(-difference)
    assert fm.delta_r(one, other) == pytest.approx(np.hypot(difference, 0.3))
    assert fm.wrap_angle(np.array([np.pi, -np.pi, 7.0])).tolist() == pytest.approx([-np.pi, -np.pi, 7 - 2 * np.pi])


def test_the_beam_and_nothing():
    momenta = np.array([[5.0, 0, 0, 5], [5.0, 0, 0, -5], [0, 0, 0, 0], [np.nan, 1, 1, np.nan]])
    assert fm.eta(momenta)[:3].tolist() == [np.inf, -np.inf, 0]
    assert np.isnan(fm.eta(momenta)[3])
    assert np.isnan(fm.mass(momenta)[3])
    assert np.isnan(fm.delta_r(momenta[3], momenta[0]))
