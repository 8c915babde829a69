"""Measured objects of top pairs: exactly the visible particles without smearing, and the stated resolutions with it."""

import numpy as np
import pytest

from collidekit.simulation import ttbar_objects
from collidekit.simulation.generator import Particles
from collidekit.simulation.grouping import sums
from collidekit.simulation.ttbar_dilepton import select_events
from collidekit.simulation.ttbar_objects import Measured, jet_resolution, measure_top_pairs
from collidekit.simulation.ttbar_process import LEPTONS, generate_top_pairs, select_jets, w_decays

WIDTHS = [
    f"{name}_{part}"
    for name, parts in (("JET", "NOISE STOCHASTIC CONSTANT ANGLE"), ("ELECTRON", "STOCHASTIC CONSTANT"))
    for part in parts.split()
] + ["MUON_CONSTANT", "MUON_SLOPE", "SOFT_RESOLUTION"]
EVENTS = 100


@pytest.fixture(scope="module")
def particles() -> Particles:
    pytest.importorskip("pythia8mc")
    return next(generate_top_pairs(13.0, w_decays(LEPTONS + " 15"), np.random.default_rng(6)))[1]


@pytest.fixture(scope="module")
def exact(particles: Particles) -> Measured:
    """Measured without smearing."""
    with pytest.MonkeyPatch.context() as patch:
        for name in WIDTHS:
            patch.setattr(ttbar_objects, name, 0.0)
        return measure_top_pairs(particles, EVENTS, np.random.default_rng(1))


def visible(particles: Particles) -> Particles:
    seen = particles.visible()
    return seen.select(np.abs(seen.eta) < 4.9)


def test_missing_momentum_balances_what_is_visible(particles: Particles, exact: Measured) -> None:
    seen = visible(particles)
    for axis, column in enumerate((seen.px, seen.py)):
        np.testing.assert_allclose(exact.met[:, axis], -sums(seen.event, column, EVENTS), atol=1e-6)


def test_leptons_and_jets_share_nothing(particles: Particles, exact: Measured) -> None:
    """All visible energy is in a lepton, in a jet or in neither, and never counted twice."""
    seen = visible(particles)
    total = sums(seen.event, seen.energy, EVENTS)
    measured = exact.leptons[..., 0].sum(axis=1) + sums(exact.jets.event, exact.jets.energy, EVENTS)
    assert np.all(measured < total + 1e-6)


def test_leptons_are_stable_ones_with_the_photons_near_them(particles: Particles, exact: Measured) -> None:
    found = exact.lepton_pdg != 0
    assert 0.6 < np.mean(np.all(found, axis=1)) < 0.95, "some Ws end in hadronic taus"
    assert np.all(exact.leptons[~found] == 0)
    assert np.all(np.isin(exact.lepton_pdg[:, 0], (0, -11, -13)))
    assert np.all(np.isin(exact.lepton_pdg[:, 1], (0, 11, 13)))
    stable = particles.select(particles.status > 0)
    for event, slot in np.argwhere(found):
        lepton = exact.leptons[event, slot]
        own = stable.select((stable.event == event) & (stable.pdg == exact.lepton_pdg[event, slot]))
        photons = stable.select((stable.event == event) & (stable.pdg == 22))
        dphi = np.angle(np.exp(1j * (photons.phi - own.phi[:, None])))
        near = np.hypot(photons.eta - own.eta[:, None], dphi) < 0.1  # (candidates, photons)
        dressed = own.energy + (near * photons.energy).sum(axis=1)
        assert np.abs(dressed - lepton[0]).min() < 1e-6


def test_jets_have_the_stated_resolution(
    particles: Particles, exact: Measured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Match jets by their direction, which is not smeared here."""
    monkeypatch.setattr(ttbar_objects, "JET_ANGLE", 0.0)
    pulls = []
    for seed in range(8):
        smeared = measure_top_pairs(particles, EVENTS, np.random.default_rng(seed)).jets
        order, reference = (np.lexsort((jets.eta.round(6), jets.event)) for jets in (smeared, exact.jets))
        np.testing.assert_allclose(smeared.eta[order], exact.jets.eta[reference], atol=1e-5)
        true = exact.jets.pt[reference]
        pulls.append((smeared.pt[order] / true - 1) / jet_resolution(true))
    pull = np.concatenate(pulls)
    assert pull.mean() == pytest.approx(0, abs=4 / np.sqrt(len(pull)))
    assert pull.std() == pytest.approx(1, abs=0.05)


def test_jets_are_in_order_of_falling_pt(particles: Particles) -> None:
    jets = measure_top_pairs(particles, EVENTS, np.random.default_rng(2)).jets
    same = np.diff(jets.event) == 0
    assert np.all(np.diff(jets.event) >= 0)
    assert np.all(np.diff(jets.pt)[same] <= 0)


def test_events_with_fewer_leptons_or_a_jet_on_a_lepton_are_not_selected(exact: Measured) -> None:
    jets = select_jets(exact.jets)
    kept = select_events(exact, jets)
    assert 0.1 < kept.mean() < 0.6
    assert np.all(exact.lepton_pdg[kept] != 0)
    event = int(np.flatnonzero(kept)[0])
    lepton = exact.leptons[event, 0]
    row = int(np.flatnonzero(jets.event == event)[0])
    scale = jets.pt[row] / np.hypot(lepton[1], lepton[2])
    for name, value in zip(("px", "py", "pz"), lepton[1:], strict=True):
        getattr(jets, name)[row] = value * scale
    assert not select_events(exact, jets)[event]
