"""All solutions of dileptonic top pairs: exact decays, two independent methods, invariances."""

import numpy as np
import pytest
from top_decays import TOP, W, decays

from collidekit.reconstruction.dilepton_solutions import solve_ellipses
from collidekit.reconstruction.events import Status
from collidekit.reconstruction.four_momenta import boost_along_beam, mass
from collidekit.reconstruction.masses import Masses
from collidekit.reconstruction.sonnenschein import solve_quartic


def both_pairings(toy):
    return np.stack([toy.bottoms, toy.bottoms[:, ::-1]], axis=1)


def nearest(solutions, truth):
    """Distance of the nearest solution to true neutrinos (N, 2, 4), relative to their energy."""
    gaps = np.linalg.norm(solutions[..., 1:] - truth[:, None, :, 1:], axis=-1).max(axis=-1)
    return np.where(np.isnan(gaps), np.inf, gaps).min(axis=1) / truth[..., 0].max(axis=1)


@pytest.mark.parametrize("solve", [solve_ellipses, solve_quartic])
@pytest.mark.parametrize("lepton_mass", [0.0, 0.10566, 1.77686])
def test_the_true_neutrinos_are_a_solution(solve, lepton_mass):
    toy = decays(3000, seed=7, lepton_mass=lepton_mass)
    solutions = solve(both_pairings(toy), toy.leptons, toy.met)
    assert (solutions.status[:, 0] == Status.SOLVED).mean() > 0.999
    found = nearest(solutions.neutrinos[:, 0], toy.neutrinos)
    assert np.quantile(found, 0.99) < 1e-9
    assert np.quantile(found, 0.999) < 1e-6


@pytest.mark.parametrize("solve", [solve_ellipses, solve_quartic])
def test_every_solution_has_the_masses_and_the_missing_momentum(solve):
    toy = decays(1000, seed=8)
    bottoms = both_pairings(toy)
    solutions = solve(bottoms, toy.leptons, toy.met)
    bosons = solutions.neutrinos + toy.leptons[:, None, None]
    valid = solutions.valid
    assert np.abs(mass(bosons)[valid] - W).max() < 1e-5
    assert np.abs(mass(bosons + bottoms[:, :, None])[valid] - TOP).max() < 1e-5
    sums = solutions.neutrinos[..., 1:3].sum(axis=-2) - toy.met[:, None, None]
    assert np.abs(sums[valid]).max() < 1e-6
    assert np.isnan(solutions.neutrinos[~valid & (solutions.status != Status.CLOSEST)[..., None]]).all()


def test_ellipses_and_quartic_agree():
    """They agree to 1e-6 of the momenta in all but one of 10,000 solutions, where ellipses touch."""
    toy = decays(10000, seed=9)
    bottoms = both_pairings(toy)
    ellipses = solve_ellipses(bottoms, toy.leptons, toy.met)
    quartic = solve_quartic(bottoms, toy.leptons, toy.met)
    assert (ellipses.valid.sum(axis=-1) != quartic.valid.sum(axis=-1)).mean() < 1e-4
    gaps = np.abs(ellipses.neutrinos[..., :, None, :, 1:] - quartic.neutrinos[..., None, :, :, 1:]).max(axis=(-2, -1))
    gaps = np.where(np.isnan(gaps), np.inf, gaps).min(axis=-1)[ellipses.valid]
    size = np.abs(ellipses.neutrinos[..., 1:]).max(axis=(-2, -1))[ellipses.valid]
    assert (gaps > 1e-6 * size).mean() < 2e-4
    assert np.quantile(gaps / size, 0.99) < 1e-10


def test_wrong_pairings_say_why_there_is_no_solution():
    toy = decays(2000, seed=10)
    solutions = solve_ellipses(both_pairings(toy), toy.leptons, toy.met)
    status = solutions.status
    assert {Status.SOLVED, Status.CLOSEST, Status.IMPOSSIBLE_MASSES} == set(status[:, 1].tolist())
    np.testing.assert_array_equal((solutions.z2 < 0).any(axis=-1), status == Status.IMPOSSIBLE_MASSES)
    np.testing.assert_array_equal(solutions.valid.any(axis=-1), status == Status.SOLVED)
    closest = status == Status.CLOSEST
    sums = solutions.neutrinos[..., 0, :, 1:3].sum(axis=-2) - toy.met[:, None]
    np.testing.assert_allclose(np.hypot(*sums[closest].T), solutions.distance[closest], rtol=1e-6)
    assert (solutions.distance[closest] > 0).all()
    assert (solutions.distance[status == Status.SOLVED] == 0).all()
    none = solve_ellipses(both_pairings(toy), toy.leptons, toy.met, closest=False)
    assert (none.status[closest] == Status.NO_SOLUTION).all()
    assert np.isnan(none.neutrinos[closest]).all()


def test_a_boost_along_the_beam_boosts_the_solutions():
    toy = decays(1000, seed=11)
    bottoms = both_pairings(toy)
    still = solve_ellipses(bottoms, toy.leptons, toy.met)
    moved = solve_ellipses(boost_along_beam(bottoms, 0.8), boost_along_beam(toy.leptons, 0.8), toy.met)
    assert (still.status == moved.status).mean() > 0.999
    same = still.valid.sum(axis=-1) == moved.valid.sum(axis=-1)
    assert same.mean() > 0.999
    expected = np.nansum(boost_along_beam(still.neutrinos, 0.8), axis=2)[same & (still.status == Status.SOLVED)]
    found = np.nansum(moved.neutrinos, axis=2)[same & (still.status == Status.SOLVED)]
    gaps = np.abs(found - expected).max(axis=(-2, -1)) / expected[..., 0].max(axis=-1)
    assert np.quantile(gaps, 0.99) < 1e-8
    closest = (still.status == Status.CLOSEST) & (moved.status == Status.CLOSEST)
    np.testing.assert_allclose(moved.distance[closest], still.distance[closest], rtol=1e-5, atol=1e-5)


def test_events_do_not_depend_on_their_neighbours():
    toy = decays(50, seed=12)
    bottoms = both_pairings(toy)
    together = solve_ellipses(bottoms, toy.leptons, toy.met)
    for event in range(0, 50, 7):
        rows = slice(event, event + 1)
        alone = solve_ellipses(bottoms[rows], toy.leptons[rows], toy.met[rows])
        np.testing.assert_array_equal(alone.neutrinos, together.neutrinos[rows])
    mixed = bottoms.copy()
    mixed[::3] = np.nan
    other = solve_ellipses(mixed, toy.leptons, toy.met)
    assert (other.status[::3] == Status.NOT_FINITE).all()
    np.testing.assert_array_equal(
        np.delete(other.neutrinos, np.s_[::3], 0), np.delete(together.neutrinos, np.s_[::3], 0)
    )


@pytest.mark.parametrize("solve", [solve_ellipses, solve_quartic])
def test_masses_one_an_event(solve):
    parts = [decays(20, seed=seed, top=170.0 + seed, w=79.0 + seed) for seed in range(4)]
    bottoms = np.concatenate([both_pairings(toy) for toy in parts])
    leptons, met, truth = (
        np.concatenate([getattr(toy, name) for toy in parts]) for name in ("leptons", "met", "neutrinos")
    )
    masses = Masses(top=np.repeat(170.0 + np.arange(4), 20), w=np.repeat(79.0 + np.arange(4), 20))
    assert np.quantile(nearest(solve(bottoms, leptons, met, masses).neutrinos[:, 0], truth), 0.95) < 1e-8
    light = Masses(masses.top, masses.w, bottom=4.8)
    assert np.quantile(nearest(solve(bottoms, leptons, met, light).neutrinos[:, 0], truth), 0.95) < 1e-8


@pytest.mark.parametrize("solve", [solve_ellipses, solve_quartic])
def test_odd_input(solve):
    """Jets with negative mass are massless; events with NaN, zero momentum or no missing momentum have a result or a status."""
    toy = decays(6, seed=13)
    bottoms = both_pairings(toy)
    light = bottoms.copy()
    light[..., 0] = np.linalg.norm(light[..., 1:], axis=-1)
    negative = light.copy()
    negative[..., 0] *= 0.9
    one, other = (solve(jets, toy.leptons, toy.met) for jets in (light, negative))
    np.testing.assert_allclose(one.neutrinos, other.neutrinos, rtol=1e-6)
    nothing = bottoms.copy()
    nothing[0] = 0
    assert (solve(nothing, toy.leptons, toy.met).status[0] == Status.NOT_FINITE).all()
    still = solve(bottoms, toy.leptons, np.zeros((6, 2)))
    assert not (still.status == Status.NOT_FINITE).any()
    empty = solve(bottoms[:0], toy.leptons[:0], toy.met[:0])
    assert empty.neutrinos.shape == (0, 2, 4, 2, 4)
    assert solve(bottoms[:, :0], toy.leptons, toy.met).neutrinos.shape == (6, 0, 4, 2, 4)
