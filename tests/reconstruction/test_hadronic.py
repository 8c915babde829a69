"""All-hadronic chi-square: every assignment by brute force, and tops that decay exactly."""

from itertools import permutations
from math import factorial

import numpy as np
import pytest
from top_decays import TOP, W, decays, isotropic

from collidekit.errors import CollidekitError
from collidekit.reconstruction.events import Status
from collidekit.reconstruction.four_momenta import mass, with_energy
from collidekit.reconstruction.hadronic import HadronicChiSquare, hadronic_assignments, partition


def hadronic_events(count, extra, seed=1):
    """Jets (b, q, q) of both tops and then softer ones."""
    toy = decays(count, seed=seed, lepton_mass=0.0)
    rng = np.random.default_rng(seed)
    quarks = np.stack([toy.leptons, toy.neutrinos], axis=2)
    jets = np.concatenate([toy.bottoms[:, :, None], quarks], axis=2).reshape(count, 6, 4)
    energy = rng.uniform(20, 60, (count, extra))
    return np.concatenate([jets, with_energy(isotropic(rng, (count, extra)) * energy[..., None], energy)], axis=1)


def as_sets(jets):
    return {(int(b), frozenset((int(q), int(p)))) for b, q, p in jets}


@pytest.mark.parametrize("number", [6, 7, 8, 10])
def test_number_of_assignments(number):
    triplets, pairs = hadronic_assignments(number)
    assert len(pairs) == factorial(number) // factorial(number - 6) // 8
    jets = triplets[pairs].reshape(-1, 6)
    assert (np.diff(np.sort(jets, axis=1), axis=1) > 0).all()
    assert len({frozenset(as_sets(triplets[pair])) for pair in pairs}) == len(pairs)


@pytest.mark.parametrize("top_mass", [172.5, None])
@pytest.mark.parametrize("extra", [0, 1])
def test_smallest_chi_square_one_event_at_a_time(top_mass, extra):
    rng = np.random.default_rng(4)
    jets = hadronic_events(6, extra, seed=2) * rng.normal(1, 0.1, (6, 6 + extra, 1))
    method = HadronicChiSquare(top_mass=top_mass, w_width=8.0, top_width=15.0)
    found = method.reconstruct(jets, np.ones(jets.shape[:2], dtype=bool))
    for event in range(6):

        def chi_square(order, event=event):
            b1, p1, q1, b2, p2, q2 = (jets[event, jet] for jet in order)
            terms = [(mass(p + q) - W) / 8 for p, q in ((p1, q1), (p2, q2))]
            tops = mass(b1 + p1 + q1), mass(b2 + p2 + q2)
            terms += [(tops[0] - tops[1]) / 15] if top_mass is None else [(top - TOP) / 15 for top in tops]
            return sum(term**2 for term in terms)

        orders = permutations(range(6 + extra), 6)
        best = min(orders, key=chi_square)
        assert found.chi_square[event] == pytest.approx(chi_square(best), rel=1e-9)
        assert as_sets(found.jets[event]) == as_sets(np.reshape(best, (2, 3)))


def test_exact_decays_are_found_for_any_order_of_jets():
    jets = hadronic_events(50, 3)
    mask = np.ones((50, 12), dtype=bool)
    jets = np.concatenate([jets, np.full((50, 3, 4), np.nan)], axis=1)
    mask[:, 9:] = False
    order = np.random.default_rng(3).permutation(12)
    found = HadronicChiSquare(most_jets=10).reconstruct(jets[:, order], mask[:, order])
    assert (found.status == Status.SOLVED).all()
    assert found.chi_square.max() < 1e-9
    for event in range(50):
        assert as_sets(order[found.jets[event]]) == as_sets(np.arange(6).reshape(2, 3))


def test_tags_decide_which_jets_are_b():
    jets, mask = hadronic_events(40, 2), np.ones((40, 8), dtype=bool)
    btag = np.tile([5.0, 1, 1, 4, 2, 1, 1, 3], (40, 1))
    found = HadronicChiSquare(tag_threshold=4).reconstruct(jets, mask, btag)
    assert (np.sort(found.jets[:, :, 0], axis=1) == [0, 3]).all()
    wrong = btag[:, [1, 0, 2, 3, 4, 5, 6, 7]]  # a b without a tag, and a q with one
    assert HadronicChiSquare(tag_threshold=4).reconstruct(jets, mask, wrong).chi_square.min() > 1e-9


def test_too_few_tags_or_untagged_jets_are_filled_up():
    bottom, light = partition(np.array([[1.0, np.nan, 3, 2, 9, 0], [5, 5, 5, 5, 5, 4], [1, 2, 3, 4, 5, 6]]), 5)
    assert bottom.tolist()[0] == [False, False, True, False, True, False]
    assert light.tolist()[0] == [True, True, True, True, False, True]
    assert bottom.tolist()[1] == [True] * 5 + [False]
    assert light.tolist()[1] == [False, False, True, True, True, True]
    assert bottom.tolist()[2] == [False] * 4 + [True] * 2


def test_input_without_an_answer():
    jets, mask = hadronic_events(3, 1), np.ones((3, 7), dtype=bool)
    mask[0, :2] = False
    jets[1, 3, 2] = np.nan
    found = HadronicChiSquare().reconstruct(jets, mask)
    assert found.status.tolist() == [Status.TOO_FEW_JETS, Status.NOT_FINITE, Status.SOLVED]
    assert (found.jets[:2] == -1).all()
    assert np.isnan(found.chi_square[:2]).all()
    for wrong in ({"most_jets": 5}, {"w_width": 0.0}, {"top_mass": -1.0}):
        with pytest.raises(CollidekitError, match="hadronic chi-square"):
            HadronicChiSquare(**wrong)
    with pytest.raises(CollidekitError, match="needs b tags"):
        HadronicChiSquare(tag_threshold=1).reconstruct(jets, mask)
    with pytest.raises(CollidekitError, match="do not agree"):
        HadronicChiSquare().reconstruct(jets, mask[:, :5])


def test_the_decays_of_this_file_are_tops():
    jets = hadronic_events(5, 0)
    np.testing.assert_allclose(mass(jets[:, :3].sum(axis=1)), TOP, rtol=1e-9)
