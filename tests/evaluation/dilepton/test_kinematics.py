"""Tops and spin of a method agree with the vector package."""

import numpy as np
import vector
from top_pairs import decays

from collidekit.evaluation.dilepton.kinematics import TopPair
from collidekit.reconstruction.four_momenta import from_pt_eta_phi_mass


def as_vector(momenta: np.ndarray) -> "vector.MomentumNumpy4D":
    names = ("E", "px", "py", "pz")
    return vector.array({name: momenta[..., k] for k, name in enumerate(names)})


def test_tops_and_c_hel_by_the_vector_package() -> None:
    truth = decays(200)
    assert truth.leptons is not None
    assert truth.neutrinos is not None
    chance = np.random.default_rng(1)
    bottoms = from_pt_eta_phi_mass(
        chance.uniform(30, 90, (200, 2)), chance.normal(0, 1, (200, 2)), chance.uniform(-3, 3, (200, 2)), 5.0
    )
    found = TopPair.reconstructed(truth.leptons, bottoms, truth.neutrinos)
    parts = [[as_vector(p[:, k]) for p in (truth.leptons, truth.neutrinos, bottoms)] for k in (0, 1)]
    tops = [lepton + neutrino + bottom for lepton, neutrino, bottom in parts]
    assert found.tops is not None
    assert found.pair is not None
    for k in (0, 1):
        for number, name in enumerate(("E", "px", "py", "pz")):
            np.testing.assert_allclose(found.tops[:, k, number], getattr(tops[k], name), rtol=1e-12)
    pair = tops[0] + tops[1]
    np.testing.assert_allclose(found.pair[:, 0], pair.E, rtol=1e-12)
    directions = []
    for k in (0, 1):
        top, lepton = tops[k].boostCM_of_p4(pair), parts[k][0].boostCM_of_p4(pair)
        own = lepton.boostCM_of_p4(top)
        directions.append(np.stack([own.px, own.py, own.pz], axis=1) / np.asarray(own.mag)[:, None])
    assert found.directions is not None
    np.testing.assert_allclose(found.directions.c_hel, np.sum(directions[0] * directions[1], axis=1), atol=1e-9)


def test_a_method_without_neutrinos_has_no_tops() -> None:
    truth = decays(5)
    assert truth.leptons is not None
    found = TopPair.reconstructed(truth.leptons, truth.leptons, np.full((5, 2, 4), np.nan))
    assert (found.tops, found.pair, found.ws, found.neutrinos, found.directions) == (None,) * 5
