"""The ellipse of one neutrino, compared with exact decays, phase space, and the formulas of the paper for one event."""

import numpy as np
import pytest
from top_decays import TOP, W, decays

from collidekit.reconstruction.ellipse import neutrino_ellipse
from collidekit.reconstruction.four_momenta import Floats, mass, mass_squared, with_mass


def distance_to_ellipse(ellipse, point):
    """Distance of a point from the ellipse at the angle that its components give."""
    offset = point - ellipse.centre
    axes = ellipse.cosine, ellipse.sine
    parts = [np.sum(offset * axis, axis=-1) / np.sum(axis**2, axis=-1) for axis in axes]
    return np.linalg.norm(ellipse.at(np.arctan2(parts[1], parts[0])) - point, axis=-1)


@pytest.mark.parametrize("lepton_mass", [0.0, 0.000511, 0.10566, 1.77686])
@pytest.mark.parametrize("bottom_mass", [0.0, 4.8])
def test_true_neutrinos_lie_on_the_ellipse(lepton_mass, bottom_mass):
    toy = decays(2000, seed=3, lepton_mass=lepton_mass, bottom_mass=bottom_mass)
    ellipse = neutrino_ellipse(toy.bottoms, toy.leptons, TOP, W)
    relative = distance_to_ellipse(ellipse, toy.neutrinos[..., 1:]) / toy.neutrinos[..., 0]
    assert np.quantile(relative, 0.999) < 1e-9
    assert relative.max() < 1e-7  # where an ellipse is nearly a point, its angle has few digits


def test_all_points_have_the_masses():
    toy = decays(500, lepton_mass=1.77686)
    ellipse = neutrino_ellipse(toy.bottoms, toy.leptons, TOP, W)
    angles = np.broadcast_to(np.linspace(0, 6, 7), (500, 2, 7))
    neutrino = with_mass(ellipse.at(angles))
    boson = neutrino + toy.leptons[:, :, None]
    np.testing.assert_allclose(mass_squared(boson), W**2, atol=1e-9 * boson[..., 0].max() ** 2)
    np.testing.assert_allclose(mass(boson + toy.bottoms[:, :, None]), TOP, rtol=1e-6)


@pytest.mark.parametrize("lepton_mass", [0.0, 1.77686])
def test_impossible_masses_are_those_outside_phase_space(lepton_mass):
    """In the rest frame of the W the energies of lepton and b are fixed, so m(lb) has a lower and an upper end."""
    toy = decays(4000, seed=4, lepton_mass=lepton_mass)
    bottom = toy.bottoms[:, ::-1]  # of the other top: any m(lb)
    z2 = neutrino_ellipse(bottom, toy.leptons, TOP, W).z2
    e_l, e_b = (W**2 + lepton_mass**2) / (2 * W), (TOP**2 - W**2 - 4.8**2) / (2 * W)
    product = np.sqrt((e_l**2 - lepton_mass**2) * (e_b**2 - 4.8**2))
    ends = lepton_mass**2 + 4.8**2 + 2 * e_l * e_b + 2 * product * np.array([-1, 1])
    squared = mass_squared(bottom + toy.leptons)
    possible = (squared >= ends[0]) & (squared <= ends[1])
    np.testing.assert_array_equal(z2 >= 0, possible)
    assert 0.1 < possible.mean() < 0.9


def paper_ellipse(bottom: Floats, lepton: Floats) -> tuple[Floats, float]:
    """H of arXiv:1305.1878 and Z^2 for one decay, as printed there, for a lepton with mass."""
    p_b, p_l = np.linalg.norm(bottom[1:]), np.linalg.norm(lepton[1:])
    m2_b, m2_l = bottom[0] ** 2 - p_b**2, lepton[0] ** 2 - p_l**2
    c = bottom[1:] @ lepton[1:] / (p_b * p_l)
    s = np.sqrt(1 - c**2)
    beta_b, beta_l = p_b / bottom[0], p_l / lepton[0]
    x0p = -(TOP**2 - W**2 - m2_b) / (2 * bottom[0])
    x0 = -(W**2 - m2_l) / (2 * lepton[0])
    s_x = (x0 * beta_l - p_l * (1 - beta_l**2)) / beta_l**2
    s_y = (x0p / beta_b - c * s_x) / s
    w = (beta_l / beta_b - c) / s
    om2 = w**2 + 1 - beta_l**2
    x1 = s_x - (s_x + w * s_y) / om2
    y1 = s_y - (s_x + w * s_y) * w / om2
    z2 = x1**2 * om2 - (s_y - w * s_x) ** 2 - (W**2 - x0**2 - W**2 * (1 - beta_l**2))
    z = np.sqrt(max(z2, 0))
    tilde = np.array([[z / np.sqrt(om2), 0, x1 - p_l], [w * z / np.sqrt(om2), 0, y1], [0, z, 0]])
    x_axis = lepton[1:] / p_l
    z_axis = np.cross(x_axis, bottom[1:])
    z_axis /= np.linalg.norm(z_axis)
    return np.stack([x_axis, np.cross(z_axis, x_axis), z_axis], axis=1) @ tilde, z2


def test_formulas_of_the_paper_one_event_at_a_time():
    toy = decays(200, seed=5, lepton_mass=1.77686)
    ellipse = neutrino_ellipse(toy.bottoms, toy.leptons, TOP, W)
    for event in range(200):
        matrix, z2 = paper_ellipse(toy.bottoms[event, 0], toy.leptons[event, 0])
        scale = np.abs(matrix).max()
        found = np.stack([ellipse.cosine[event, 0], ellipse.sine[event, 0], ellipse.centre[event, 0]], axis=1)
        assert ellipse.z2[event, 0] == pytest.approx(z2, abs=1e-7 * scale**2)
        np.testing.assert_allclose(found, matrix, atol=1e-6 * scale)


def test_no_ellipse():
    along = with_mass(np.array([[10.0, 5.0, 3.0], [0.0, 0.0, 0.0], [np.nan, 1.0, 1.0]]))
    ellipse = neutrino_ellipse(along * 2, along, TOP, W)
    assert np.isnan(ellipse.z2).all()
    assert np.isnan(ellipse.centre).all()


def test_masses_one_a_decay_and_given_b_masses():
    rng = np.random.default_rng(6)
    tops, bosons = rng.uniform(168, 178, 50), rng.uniform(75, 85, 50)
    for index in range(0, 50, 10):
        toy = decays(1, seed=index, top=tops[index], w=bosons[index], lepton_mass=0.0)
        many = np.repeat(toy.bottoms[:, 0], 50, axis=0), np.repeat(toy.leptons[:, 0], 50, axis=0)
        ellipse = neutrino_ellipse(*many, tops, bosons, massless_lepton=True)
        near = distance_to_ellipse(ellipse, toy.neutrinos[0, 0, 1:]) / toy.neutrinos[0, 0, 0]
        assert near[index] < 1e-9
        assert (np.delete(near, index)[np.isfinite(np.delete(near, index))] > 1e-6).all()
    toy = decays(20, bottom_mass=4.8)
    wrong = with_mass(toy.bottoms[..., 1:], 9.0)
    ellipse = neutrino_ellipse(wrong, toy.leptons, TOP, W, bottom_mass=4.8)
    np.testing.assert_allclose(distance_to_ellipse(ellipse, toy.neutrinos[..., 1:]), 0, atol=1e-6)
