"""Pairings equal those of a loop over all pairs of jets, one event at a time."""

from itertools import permutations

import numpy as np
import pytest
from top_decays import decays

from collidekit.errors import CollidekitError
from collidekit.reconstruction.four_momenta import boost_along_beam, delta_r, mass
from collidekit.reconstruction.jet_selection import allowed_jets, jet_pairs, jets_of_pairs
from collidekit.reconstruction.pairing import best_pair, delta_r_costs, greedy_pair, squared_masses, top_mass_costs


@pytest.mark.parametrize("jets", [2, 3, 5, 8])
@pytest.mark.parametrize("combine", ["sum", "max"])
def test_best_pair_one_event_at_a_time(jets, combine):
    rng = np.random.default_rng(jets)
    costs = rng.integers(0, 40, (300, 2, jets)) + rng.uniform(0, 1, (300, 2, jets))
    costs[rng.uniform(size=costs.shape) < 0.05] = np.nan
    allowed = rng.uniform(size=(300, jets)) < 0.8
    found, values = best_pair(costs, allowed, combine)
    for event in range(300):
        options = {
            pair: (max if combine == "max" else sum)(costs[event, side, jet] for side, jet in enumerate(pair))
            for pair in permutations(np.flatnonzero(allowed[event]).tolist(), 2)
            if not np.isnan([costs[event, side, jet] for side, jet in enumerate(pair)]).any()
        }
        if not options:
            assert found[event].tolist() == [-1, -1]
            assert np.isnan(values[event])
            continue
        assert values[event] == min(options.values())
        assert options[tuple(found[event])] == min(options.values())


@pytest.mark.parametrize("jets", [2, 5])
def test_greedy_pair_one_event_at_a_time(jets):
    rng = np.random.default_rng(jets)
    costs, allowed = rng.uniform(0, 4, (300, 2, jets)), rng.uniform(size=(300, jets)) < 0.8
    found, values = greedy_pair(costs, allowed)
    for event in range(300):
        order = sorted((costs[event, i, j], i, j) for i in (0, 1) for j in np.flatnonzero(allowed[event]))
        if allowed[event].sum() < 2:
            assert found[event].tolist() == [-1, -1]
            continue
        _, lepton, jet = order[0]
        _, _, other = next(entry for entry in order if entry[1] != lepton and entry[2] != jet)
        assert found[event, lepton] == jet
        assert found[event, 1 - lepton] == other
        assert values[event] == pytest.approx(costs[event, lepton, jet] + costs[event, 1 - lepton, other])
    optimal = best_pair(costs, allowed)[1]
    assert np.nanmin(values - optimal) >= 0


def test_costs_one_pair_at_a_time():
    toy = decays(50)
    events = toy.events(3)
    distances, squared = delta_r_costs(events), squared_masses(events.leptons, events.jets)
    tops = top_mass_costs(events, toy.neutrinos, 170.0, 15.0)
    for event in range(50):
        for side in (0, 1):
            for jet in range(5):
                lepton, momentum = events.leptons[event, side], events.jets[event, jet]
                assert distances[event, side, jet] == pytest.approx(delta_r(lepton, momentum))
                assert squared[event, side, jet] == pytest.approx(mass(lepton + momentum) ** 2, rel=1e-6)
                top = mass(lepton + momentum + toy.neutrinos[event, side])
                assert tops[event, side, jet] == pytest.approx(((top - 170) / 15) ** 2, rel=1e-6)


def test_true_neutrinos_give_the_true_pairing():
    toy = decays(500)
    events = toy.events(4)
    found, values = best_pair(top_mass_costs(events, toy.neutrinos), events.mask)
    assert (found == [0, 1]).all()
    assert values.max() < 1e-9


def test_permuted_jets_permute_the_pairing():
    events = decays(200).events(4)
    order = np.array([3, 0, 5, 1, 4, 2])
    for costs in (delta_r_costs(events), squared_masses(events.leptons, events.jets)):
        for pair in (best_pair, greedy_pair):
            found = pair(costs, events.mask)[0]
            permuted = pair(costs[:, :, order], events.mask[:, order])[0]
            np.testing.assert_array_equal(order[permuted], found)


def test_a_boost_along_the_beam_changes_no_pairing():
    events = decays(300).events(3)
    moved = type(events)(
        boost_along_beam(events.leptons, 0.6), boost_along_beam(events.jets, 0.6), events.mask, events.btag, events.met,
        events.event, events.weights,
    )  # fmt: skip
    np.testing.assert_allclose(
        squared_masses(moved.leptons, moved.jets), squared_masses(events.leptons, events.jets), rtol=1e-6, atol=1e-6
    )
    one, other = (best_pair(delta_r_costs(given), given.mask)[0] for given in (events, moved))
    assert (one == other).all(axis=1).mean() > 0.97  # pseudorapidities of massive jets do not shift exactly


def test_rules_for_b_jets():
    events = decays(1).events(3)
    jets = np.array([[[100.0, pt, 0, 0] for pt in (50, 40, 30, 60, 20)]])
    btag = np.array([[1.0, 5, np.nan, 3, 3]])

    def allowed(rule, threshold=None, mask=(True,) * 5):
        given = type(events)(events.leptons, jets, np.array([mask]), btag, events.met, events.event, events.weights)
        return np.flatnonzero(allowed_jets(given, rule, threshold)[0]).tolist()

    assert allowed("all") == [0, 1, 2, 3, 4]
    assert allowed("two_tagged") == [1, 3]  # of equal tags the harder one
    assert allowed("tagged", 3) == [1, 3, 4]
    assert allowed("tagged", 4) == [1, 3]  # topped up with the hardest
    assert allowed("tagged", 9) == [0, 3]
    assert allowed("tagged", 9, (True, False, False, False, False)) == [0]
    assert allowed("two_tagged", None, (True, False, True, False, False)) == [0, 2]
    for rule, threshold in (("tagged", None), ("all", 3.0), ("best", None)):
        with pytest.raises(CollidekitError, match="jets: "):
            allowed(rule, threshold)


def test_all_ordered_pairs():
    allowed = np.array([[True, True, False, True], [True, False, False, False], [False, True, False, True]])
    pairs, exists = jet_pairs(allowed)
    assert pairs.shape == (3, 6, 2)
    assert exists.sum(axis=1).tolist() == [6, 0, 2]
    for event in range(3):
        expected = set(permutations(np.flatnonzero(allowed[event]).tolist(), 2))
        assert {tuple(pair) for pair in pairs[event][exists[event]].tolist()} == expected
    jets = np.arange(48.0).reshape(3, 4, 4)
    np.testing.assert_array_equal(jets_of_pairs(jets, pairs)[2, 0], jets[2, pairs[2, 0]])
