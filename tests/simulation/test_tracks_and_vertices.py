"""Helices and vertices with known answers."""

import numpy as np
import pytest

from collidekit.simulation.clustering import Jets
from collidekit.simulation.generator import Particles
from collidekit.simulation.tracks import BEND, Tracks, closest_approach, measure
from collidekit.simulation.vertices import find_vertices, fit


@pytest.mark.parametrize("charge", [1, -1])
@pytest.mark.parametrize("turned", [-0.4, 0.0, 0.02, 0.7])
def test_a_helix_keeps_its_parameters_along_the_way(charge: int, turned: float) -> None:
    """Start at a closest approach with d0, z0, phi; go on along the helix; the same parameters must come out."""
    pt, slope, phi, d0, z0 = 1.3, 0.8, 2.1, 0.4, -3.0
    radius = pt / BEND
    centre = np.array([-d0 * np.sin(phi), d0 * np.cos(phi)]) + charge * radius * np.array([np.sin(phi), -np.cos(phi)])
    now = phi - charge * turned  # positive charges turn clockwise in a field along +z
    place = centre - charge * radius * np.array([np.sin(now), -np.cos(now)])
    vertex = np.array([[*place, z0 + radius * turned * slope]])
    px, py, pz = (np.array([value]) for value in (pt * np.cos(now), pt * np.sin(now), pt * slope))
    found = closest_approach(vertex, px, py, pz, np.array([charge]))
    np.testing.assert_allclose(np.concatenate(found), [d0, z0, phi], atol=1e-9)


def jets(size: int = 1) -> Jets:
    """Jets along x."""
    import awkward as ak

    return Jets(
        np.arange(size), np.full(size, 50.0), np.zeros(size), np.zeros(size), np.full(size, 51.0), ak.Array([[]] * size)
    )


def particles_from(vertex: tuple[float, float, float], px: list[float], py: list[float], pz: list[float]) -> Particles:
    size = len(px)
    zeros = np.zeros(size, dtype=np.int64)
    momenta = [np.array(values, dtype=np.float64) for values in (px, py, pz)]
    energy = np.sqrt(sum(values**2 for values in momenta) + 0.14**2)
    pdg = np.where(np.arange(size) % 2 == 0, 211, -211)
    return Particles(zeros, pdg, zeros + 1, zeros, *momenta, energy, *(np.full(size, v) for v in vertex))


def tracks_from(vertex: tuple[float, float, float], seed: int = 1) -> Tracks:
    truth = particles_from(vertex, [9.0, 12.0, 8.0, 10.0], [1.5, -0.6, -1.0, 0.4], [0.5, -1.0, 1.2, 0.1])
    return measure(np.zeros(4, dtype=np.int64), jets(), truth, truth.pt, np.random.default_rng(seed))


def test_a_vertex_is_found_where_it_is() -> None:
    true = np.array([6.0, 0.3, 0.1])
    pulls, found = [], 0
    for seed in range(60):
        tracks = tracks_from(tuple(true), seed)
        position, covariance, _ = fit(tracks, 1)
        pulls.append((position[0] - true) / np.sqrt(np.diag(covariance[0])))
        found += len(find_vertices(tracks, jets()).lxy)
    assert np.median(np.abs(pulls)) < 1.2, "errors cover"
    assert found > 45


def test_prompt_tracks_make_no_vertex() -> None:
    found = sum(len(find_vertices(tracks_from((0.0, 0.0, 0.0), seed), jets()).lxy) for seed in range(60))
    assert found <= 2


def test_lifetime_sign_is_positive_ahead_of_the_jet_and_negative_behind() -> None:
    ahead, behind = tracks_from((5.0, 0.0, 0.0)), tracks_from((-5.0, 0.0, 0.0))
    assert np.all(ahead.lifetime_signs(jets())[0][np.abs(ahead.d0) > 0.1] > 0)
    assert np.all(behind.lifetime_signs(jets())[0][np.abs(behind.d0) > 0.1] < 0)
