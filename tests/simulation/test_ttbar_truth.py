"""Truth of generated top pairs: momentum conservation, quantum numbers, and spin correlation from weights."""

from dataclasses import replace

import numpy as np
import pytest

from collidekit.errors import CollidekitError
from collidekit.reconstruction import four_momenta as fm
from collidekit.reconstruction.spin import DecayDirections, decay_directions, spin_marker
from collidekit.reconstruction.spin_weights import leading_order_correlation, spin_weights
from collidekit.simulation.decay_chains import TopPairs, find_top_pairs, last_copies, momenta
from collidekit.simulation.generator import Particles
from collidekit.simulation.ttbar_process import LEPTONS, generate_top_pairs, w_decays

PARTONS_ONLY = ("HadronLevel:all = off", "PartonLevel:MPI = off")
BATCHES = 20


@pytest.fixture(scope="module")
def batches() -> list[tuple[Particles, TopPairs]]:
    """2,000 dileptonic top pairs at parton level."""
    pytest.importorskip("pythia8mc")
    source = generate_top_pairs(13.0, (*w_decays(LEPTONS), *PARTONS_ONLY), np.random.default_rng(1))
    return [next(source)[1:] for _ in range(BATCHES)]


def all_of(batches: list[tuple[Particles, TopPairs]], rows: str) -> np.ndarray:
    return np.concatenate([momenta(particles, getattr(pairs, rows)) for particles, pairs in batches])


def test_rows_are_what_they_are_called(batches: list[tuple[Particles, TopPairs]]) -> None:
    for particles, pairs in batches:
        pdg, event = particles.pdg, particles.event
        assert np.all(pdg[pairs.top] == [6, -6])
        assert np.all(pdg[pairs.w] == [24, -24])
        for b in (pairs.b, pairs.b_radiated):
            assert np.all(np.isin(pdg[b], (5, 3, 1)) == [True, False])
            assert np.mean(pdg[b] == [5, -5]) > 0.98, "a few tops decay to s or d"
        lepton, neutrino = pdg[pairs.products[..., 0]], pdg[pairs.products[..., 1]]
        assert np.all(np.isin(lepton, (-11, -13)) == [True, False])
        np.testing.assert_array_equal(lepton + neutrino, np.broadcast_to([1, -1], lepton.shape))
        for rows in (pairs.top, pairs.w, pairs.b, pairs.products[..., 0], pairs.products[..., 1]):
            np.testing.assert_array_equal(event[rows], np.arange(len(rows))[:, None] + [0, 0])
        assert np.all(particles.status[pairs.products] > 0), "leptons and neutrinos are final"


def test_momentum_is_conserved(batches: list[tuple[Particles, TopPairs]]) -> None:
    top, w, products = all_of(batches, "top"), all_of(batches, "w"), all_of(batches, "products")
    np.testing.assert_allclose(w, all_of(batches, "products_born").sum(axis=2), atol=1e-4)
    to_photons = (w - products.sum(axis=2))[..., 0] / w[..., 0]
    assert to_photons.min() > -1e-6
    assert np.mean(to_photons < 1e-6) > 0.5, "most leptons do not radiate"
    assert np.quantile(to_photons, 0.9) < 0.03
    to_gluons = (top - w - all_of(batches, "b_radiated"))[..., 0] / top[..., 0]
    assert to_gluons.min() > -1e-6
    assert np.median(to_gluons) < 0.1
    before = fm.mass(w + all_of(batches, "b")) / fm.mass(top)  # the W has recoiled, the b has not
    assert before.max() < 1 + 1e-6
    assert np.quantile(before, 0.1) > 0.96
    assert np.median(before) > 0.995
    np.testing.assert_allclose(fm.mass(top).mean(), 172.9, atol=1.0)
    np.testing.assert_allclose(np.median(fm.mass(w)), 80.4, atol=0.3)


def test_the_pair_is_what_the_incoming_partons_made(batches: list[tuple[Particles, TopPairs]]) -> None:
    """Without radiation tops carry the momentum of the incoming partons: the hard process, status -22."""
    for particles, pairs in batches[:3]:
        incoming = np.flatnonzero(particles.status == -21).reshape(-1, 2)
        hard = np.flatnonzero((particles.status == -22) & (np.abs(particles.pdg) == 6)).reshape(-1, 2)
        np.testing.assert_allclose(momenta(particles, incoming).sum(1), momenta(particles, hard).sum(1), atol=1e-4)
        partons = particles.pdg[incoming]
        np.testing.assert_array_equal(pairs.is_gg, np.all(partons == 21, axis=1))
        assert np.all(pairs.is_gg | (partons.sum(axis=1) == 0))
    assert 0.8 < np.mean(np.concatenate([pairs.is_gg for _, pairs in batches])) < 0.92


@pytest.fixture(scope="module")
def spins(batches: list[tuple[Particles, TopPairs]]) -> tuple[DecayDirections, np.ndarray]:
    top, leptons = all_of(batches, "top"), all_of(batches, "products")[..., 0, :]
    is_gg = np.concatenate([pairs.is_gg for _, pairs in batches])
    return decay_directions(top[:, 0], top[:, 1], leptons[:, 0], leptons[:, 1]), is_gg


def test_pythia_has_no_spin_correlation(spins: tuple[DecayDirections, np.ndarray]) -> None:
    directions, _ = spins
    for cosine in (directions.c_hel, directions.c_han):
        mean, error = (value / 3 for value in spin_marker(cosine))
        assert error < 0.015
        assert abs(mean) < 4 * error
    for lepton in (directions.plus, directions.minus):  # nor any polarisation
        along = np.einsum("nij,nj->ni", directions.basis, lepton)
        np.testing.assert_allclose(along.mean(axis=0), 0, atol=4 / np.sqrt(3 * len(along)))


@pytest.mark.parametrize("kind", ["sm", "singlet", "none"])
def test_weights_close(spins: tuple[DecayDirections, np.ndarray], kind: str) -> None:
    directions, is_gg = spins
    c = leading_order_correlation(directions.beta, directions.cos_theta, is_gg)
    injected = {"sm": np.trace(c, axis1=1, axis2=2).mean() / 3, "singlet": -1.0, "none": 0.0}[kind]
    assert kind != "sm" or -0.3 < injected < -0.1
    weights = spin_weights(directions, is_gg, kind)  # type: ignore[arg-type]
    d, error = spin_marker(directions.c_hel, weights)
    assert error < 0.05
    assert abs(d - injected) < 4 * error
    assert weights.min() >= 0


def test_the_last_copy() -> None:
    """A chain 1 -> 2 -> 4 of one particle, and another particle beside it."""
    zero = np.zeros(5)
    pdg, mother = np.array([90, 24, 24, 5, 24]), np.array([0, 0, 1, 1, 2])
    particles = Particles(np.zeros(5, dtype=np.int64), pdg, pdg, mother, zero, zero, zero, zero, zero, zero, zero)
    assert last_copies(particles).tolist() == [0, 4, 4, 3, 4]


def test_records_without_a_pair_are_refused(batches: list[tuple[Particles, TopPairs]]) -> None:
    particles, _ = batches[0]
    with pytest.raises(CollidekitError, match="has exactly one top pair"):
        find_top_pairs(replace(particles, pdg=np.where(np.abs(particles.pdg) == 6, 21, particles.pdg)), 100)
