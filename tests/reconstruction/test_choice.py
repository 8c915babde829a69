"""The choice of a solution, compared with a loop over the solutions of one event."""

import numpy as np
import pytest
from top_decays import decays

from collidekit.errors import CollidekitError
from collidekit.reconstruction.choice import choose, distances, ttbar_masses
from collidekit.reconstruction.dilepton_solutions import DileptonSolutions, solve_ellipses
from collidekit.reconstruction.events import Status
from collidekit.reconstruction.four_momenta import mass


@pytest.fixture(scope="module")
def solved():
    toy = decays(300, seed=2)
    bottoms = np.stack([toy.bottoms, toy.bottoms[:, ::-1]], axis=1)
    return toy, bottoms, solve_ellipses(bottoms, toy.leptons, toy.met)


def test_smallest_mass_one_event_at_a_time(solved):
    toy, bottoms, solutions = solved
    chosen = choose(solutions, -ttbar_masses(solutions, toy.leptons, bottoms))
    for event in range(300):
        masses = {
            (p, s): mass(bottoms[event, p].sum(0) + toy.leptons[event].sum(0) + solutions.neutrinos[event, p, s].sum(0))
            for p, s in np.argwhere(solutions.valid[event]).tolist()
        }
        best = min(masses, key=lambda key: masses[key])
        assert (chosen.pairing[event], chosen.solution[event]) == best
        assert chosen.score[event] == pytest.approx(-masses[best], rel=1e-9)
    assert (chosen.status == Status.SOLVED).all()


def test_nearest_to_the_truth_is_the_truth(solved):
    toy, _, solutions = solved
    near = distances(solutions, toy.neutrinos)
    chosen = choose(solutions, -near)
    assert (chosen.pairing == 0).mean() > 0.99
    assert np.median(-chosen.score) < 1e-9
    np.testing.assert_allclose(
        chosen.neutrinos[chosen.pairing == 0], toy.neutrinos[chosen.pairing == 0], rtol=1e-4, atol=1e-3
    )


def solutions_of(valid, status):
    valid, status = np.array(valid), np.array(status, dtype=np.int8)
    neutrinos = np.where(valid[..., None, None], 1.0, np.nan) * np.ones((*valid.shape, 2, 4))
    neutrinos[status == Status.CLOSEST, 0] = 2.0
    return DileptonSolutions(neutrinos, valid, status, np.zeros(status.shape), np.zeros((*status.shape, 2)))


def test_exact_solutions_go_first_and_ties_are_broken():
    no, yes = [False] * 4, [True, True, False, False]
    solutions = solutions_of([[no, yes], [no, no], [no, no]], [[1, 0], [3, 1], [2, 3]])
    score = np.array([[5.0, 1], [9, 0], [1, 1]])[..., None]
    tie = np.array([[[0.0, 0, 0, 0], [1, 2, 9, 9]]] * 3)
    chosen = choose(solutions, score, tie)
    assert chosen.pairing.tolist() == [1, 1, 0]
    assert chosen.solution.tolist() == [1, 0, 0]
    assert chosen.status.tolist() == [Status.SOLVED, Status.CLOSEST, Status.NO_SOLUTION]
    assert chosen.neutrinos[:, 0, 0].tolist()[:2] == [1, 2]
    assert np.isnan(chosen.neutrinos[2]).all()
    assert np.isnan(chosen.score[2])


def test_scores_of_nan_are_the_lowest():
    solutions = solutions_of([[[True, True, True, False]]], [[0]])
    assert choose(solutions, np.array([[[np.nan, -5.0, np.nan, 7]]])).solution.tolist() == [1]
    assert choose(solutions, np.full((1, 1, 4), np.nan)).status.tolist() == [Status.SOLVED]
    with pytest.raises(CollidekitError, match="choice: scores have the shape"):
        choose(solutions, np.zeros((1, 1, 3)))
