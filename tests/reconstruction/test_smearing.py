"""Smeared ellipses: limits, order of events, and comparison with a loop over events."""

import numpy as np
import pytest
from scipy.stats import kstest
from top_decays import decays

from collidekit.errors import CollidekitError
from collidekit.reconstruction.dilepton_solutions import solve_ellipses
from collidekit.reconstruction.event_random import seeds_from_numbers
from collidekit.reconstruction.four_momenta import mass, with_mass
from collidekit.reconstruction.lepton_b_mass import leading_order_density
from collidekit.reconstruction.masses import Masses
from collidekit.reconstruction.smearing import Resolutions, _w_masses, average_smeared, smear

EXACT = Resolutions(0, 0, 0, 0, 0, 0, 0)


@pytest.fixture(scope="module")
def toy():
    return decays(40, seed=3)


def both(toy):
    return np.stack([toy.bottoms, toy.bottoms[:, ::-1]], axis=1)


def test_without_smearing_it_is_the_smallest_mass(toy):
    seeds = seeds_from_numbers(np.arange(40))
    found = average_smeared(both(toy), toy.leptons, toy.met, seeds, smearings=3, resolutions=EXACT)
    solutions = solve_ellipses(both(toy), toy.leptons, toy.met)
    density = leading_order_density()
    for event in range(40):
        for pairing in (0, 1):
            weight = np.prod([density(mass(toy.leptons[event, i] + both(toy)[event, pairing, i])) for i in (0, 1)])
            valid = solutions.valid[event, pairing]
            assert found.solved[event, pairing] == valid.any()
            assert found.weight[event, pairing] == pytest.approx(weight * valid.any())
            if weight and valid.any():
                options = solutions.neutrinos[event, pairing, valid]
                visible = both(toy)[event, pairing].sum(0) + toy.leptons[event].sum(0)
                best = options[mass(visible + options.sum(axis=1)).argmin()]
                np.testing.assert_allclose(found.neutrinos[event, pairing], best, rtol=1e-6, atol=1e-6)
                assert np.abs(found.spread[event, pairing]).max() < 1e-4


def test_one_event_at_a_time(toy):
    """Average in a loop over smeared copies, with the same random numbers."""
    seeds = seeds_from_numbers(np.arange(40))
    found = average_smeared(both(toy), toy.leptons, toy.met, seeds, smearings=20)
    from collidekit.reconstruction import smearing

    leptons = smearing._smear_leptons(toy.leptons, seeds, 20, Resolutions())
    bottoms = smearing._smear_jets(both(toy), seeds, 20, Resolutions())
    bosons = _w_masses(Masses(), seeds, 20, Resolutions())
    density = leading_order_density()
    for event in (0, 7, 19):
        for pairing in (0, 1):
            weights, momenta = [], []
            for index in range(20):
                lepton, bottom = leptons[event, index], bottoms[event, index, pairing]
                change = (lepton - toy.leptons[event] + bottom - both(toy)[event, pairing]).sum(axis=0)
                ellipses = [
                    smearing.neutrino_ellipse(bottom[[i]], lepton[[i]], 172.5, bosons[event, index, [i]])
                    for i in (0, 1)
                ]
                pairs, known = smearing.intersections(*ellipses, (toy.met[event] - change[1:3])[None])
                if known.any():
                    options = with_mass(pairs[known])
                    best = mass((lepton + bottom).sum(axis=0) + options.sum(axis=1)).argmin()
                    momenta.append(options[best, :, 1:])
                    weights.append(np.prod([density(mass(lepton[i] + bottom[i])) for i in (0, 1)]))
            assert found.weight[event, pairing] == pytest.approx(sum(weights) / 20)
            if sum(weights):
                expected = np.average(momenta, axis=0, weights=weights)
                np.testing.assert_allclose(found.neutrinos[event, pairing, :, 1:], expected, rtol=1e-6, atol=1e-6)


def test_order_and_company_change_nothing(toy):
    seeds = seeds_from_numbers(np.arange(40))
    found = average_smeared(both(toy), toy.leptons, toy.met, seeds, smearings=10)
    order = np.random.default_rng(1).permutation(40)[:17]
    other = average_smeared(both(toy)[order], toy.leptons[order], toy.met[order], seeds[order], smearings=10)
    np.testing.assert_array_equal(other.neutrinos, found.neutrinos[order])
    swapped = average_smeared(both(toy)[:, ::-1], toy.leptons, toy.met, seeds, smearings=10)
    np.testing.assert_array_equal(swapped.weight, found.weight[:, ::-1])


def test_smeared_momenta():
    momentum = with_mass(np.array([30.0, -20.0, 50.0]), 10.0)
    numbers = np.random.default_rng(2).normal(size=(100_000, 3))
    smeared = smear(momentum, 0.1, 0.02, numbers)
    np.testing.assert_allclose(mass(smeared) / smeared[:, 0], mass(momentum) / momentum[0], rtol=1e-9)
    assert smeared[:, 0].std() / momentum[0] == pytest.approx(0.1, rel=0.02)
    unit, before = (v[..., 1:] / np.linalg.norm(v[..., 1:], axis=-1, keepdims=True) for v in (smeared, momentum))
    angles = np.linalg.norm(unit - before, axis=-1)
    assert np.sqrt((angles**2).mean() / 2) == pytest.approx(0.02, rel=0.02)
    np.testing.assert_allclose((unit - before).mean(axis=0), 0, atol=5e-4)


def test_w_masses_follow_a_breit_wigner():
    drawn = _w_masses(Masses(), seeds_from_numbers(np.arange(3000)), 11, Resolutions())[:, 1:]
    assert np.abs(drawn - 80.379).max() <= 15
    scale, square = 80.379 * 2.085, 80.379**2
    ends = [np.arctan(((80.379 + sign * 15) ** 2 - square) / scale) for sign in (-1, 1)]

    def cumulative(value):
        return (np.arctan((value**2 - square) / scale) - ends[0]) / (ends[1] - ends[0])

    assert kstest(drawn.ravel(), cumulative).pvalue > 1e-3


def test_settings_that_cannot_be(toy):
    with pytest.raises(CollidekitError, match="smearings must be at least 1"):
        average_smeared(both(toy), toy.leptons, toy.met, seeds_from_numbers(np.arange(40)), smearings=0)
    with pytest.raises(CollidekitError, match="resolutions: jet_angle"):
        Resolutions(jet_angle=-1)
