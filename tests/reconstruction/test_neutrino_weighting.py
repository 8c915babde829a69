"""Neutrino weighting compared with a loop over the points of the grid, and with exact decays."""

import numpy as np
import pytest
from top_decays import TOP, W, decays

from collidekit.errors import CollidekitError
from collidekit.reconstruction.four_momenta import boost_along_beam, eta, mass
from collidekit.reconstruction.masses import Masses
from collidekit.reconstruction.neutrino_weighting import eta_grid, solve_at_eta, weight_neutrinos


def momenta_at_eta(bottom, lepton, pseudorapidity):
    """Neutrino momenta of one decay: px and py as linear functions of pt, and a quadratic equation for it."""
    cosh, sinh = np.cosh(pseudorapidity), np.sinh(pseudorapidity)
    metric = np.array([1.0, -1, -1, -1])
    m2_b, m2_l = (momentum * metric @ momentum for momentum in (bottom, lepton))
    constants = [(W**2 - m2_l) / 2, (TOP**2 - W**2 - m2_b) / 2 - bottom * metric @ lepton]
    matrix = np.stack([lepton[1:3], bottom[1:3]])
    slopes = [p[0] * cosh - p[3] * sinh for p in (lepton, bottom)]
    # matrix (px, py) = slopes pt - constants
    per_pt, offset = np.linalg.solve(matrix, slopes), np.linalg.solve(matrix, [-c for c in constants])
    found = np.roots([per_pt @ per_pt - 1, 2 * per_pt @ offset, offset @ offset])
    return [
        np.append(offset + per_pt * pt.real, pt.real * sinh)
        for pt in found
        if abs(pt.imag) < 1e-9 * abs(pt) and pt.real > 0
    ]


def test_one_event_at_a_time():
    toy = decays(12, seed=3)
    met = toy.met + np.random.default_rng(1).normal(0, 15, (12, 2))
    bottoms = np.stack([toy.bottoms, toy.bottoms[:, ::-1]], axis=1)
    grid = eta_grid(9, 3.0)
    found = weight_neutrinos(bottoms, toy.leptons, met, grid=grid, resolution=(10.0, 25.0))
    compared = 0
    for event in range(12):
        for pairing in (0, 1):
            best, momenta = -np.inf, None
            sides = [
                [p for point in grid for p in momenta_at_eta(bottoms[event, pairing, i], toy.leptons[event, i], point)]
                for i in (0, 1)
            ]
            for one in sides[0]:
                for other in sides[1]:
                    dx, dy = met[event] - one[:2] - other[:2]
                    weight = -(dx**2) / (2 * 10.0**2) - dy**2 / (2 * 25.0**2)
                    if weight > best:
                        best, momenta = weight, np.stack([one, other])
            if momenta is None:
                assert np.isnan(found.log_weight[event, pairing])
                assert np.isnan(found.neutrinos[event, pairing]).all()
                continue
            compared += 1
            assert found.log_weight[event, pairing] == pytest.approx(best, rel=1e-6, abs=1e-9)
            np.testing.assert_allclose(found.neutrinos[event, pairing, :, 1:], momenta, rtol=1e-5, atol=1e-5)
    assert compared > 12


def test_true_pseudorapidities_give_the_true_neutrinos():
    toy = decays(30, seed=4)
    for event in range(30):
        rows = slice(event, event + 1)
        grid = eta(toy.neutrinos[event])
        found = weight_neutrinos(toy.bottoms[rows, None], toy.leptons[rows], toy.met[rows], grid=grid)
        assert found.log_weight[0, 0] == pytest.approx(0, abs=1e-12)
        np.testing.assert_allclose(found.neutrinos[0, 0], toy.neutrinos[event], rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(found.eta[0, 0], grid)


def test_all_solutions_have_the_masses():
    toy = decays(100, seed=5, lepton_mass=1.77686)
    momenta = solve_at_eta(toy.bottoms[:, :1], toy.leptons[:, :1], eta_grid(), Masses())
    known = np.isfinite(momenta).all(axis=-1)
    neutrino = np.concatenate([np.linalg.norm(momenta, axis=-1)[..., None], momenta], axis=-1)
    bosons = neutrino + toy.leptons[:, :1, None]
    assert known.mean() > 0.2
    assert np.abs(mass(bosons)[known] - W).max() < 1e-5
    assert np.abs(mass(bosons + toy.bottoms[:, :1, None])[known] - TOP).max() < 1e-5


def test_a_grid_that_moves_with_the_boost_gives_the_boosted_neutrinos():
    toy = decays(100, seed=6)
    bottoms = toy.bottoms[:, None]
    still = weight_neutrinos(bottoms, toy.leptons, toy.met)
    moved = weight_neutrinos(
        boost_along_beam(bottoms, 0.5), boost_along_beam(toy.leptons, 0.5), toy.met, grid=eta_grid() + 0.5
    )
    np.testing.assert_allclose(moved.log_weight, still.log_weight, rtol=1e-5, atol=1e-8)
    gaps = np.abs(moved.neutrinos - boost_along_beam(still.neutrinos, 0.5)).max(axis=(1, 2, 3))
    assert np.nanquantile(gaps, 0.98) < 1e-4


@pytest.mark.parametrize("resolution", [(0.0, 20.0), (20.0, np.nan), (-1.0, 1.0)])
def test_resolutions_that_cannot_be(resolution):
    toy = decays(1)
    with pytest.raises(CollidekitError, match="resolution must be two positive numbers"):
        weight_neutrinos(toy.bottoms[:, None], toy.leptons, toy.met, resolution=resolution)
    with pytest.raises(CollidekitError, match="eta grid"):
        eta_grid(0)
