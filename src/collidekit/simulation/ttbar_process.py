"""Top pairs from Pythia: settings of the process, and matching of jets with quarks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from collidekit.errors import CollidekitError
from collidekit.simulation.decay_chains import TopPairs, find_top_pairs
from collidekit.simulation.generator import FloatArray, IntArray, Particles, generate, pseudorapidity
from collidekit.simulation.grouping import padded
from collidekit.simulation.matching import delta_phi, match_unique
from collidekit.simulation.ttbar_objects import MeasuredJets

TOP_PAIRS = ("Top:gg2ttbar = on", "Top:qqbar2ttbar = on")
LEPTONS, QUARKS = "11 13", "1 2 3 4 5"
JET_PT, JET_ETA = 25.0, 2.5
MATCHING_RADIUS = 0.4


def w_decays(products: str, of_antitop: str | None = None) -> tuple[str, ...]:
    """Return Pythia's settings for Ws that decay to `products`; other products may be given for the W of the antitop."""
    if of_antitop is None:
        return ("24:onMode = off", f"24:onIfAny = {products}")
    return ("24:onMode = off", f"24:onPosIfAny = {products}", f"24:onNegIfAny = {of_antitop}")


def generate_top_pairs(
    energy: float, decays: tuple[str, ...], rng: np.random.Generator, process: tuple[str, ...] = TOP_PAIRS
) -> Iterator[tuple[int, Particles, TopPairs]]:
    """Yield batches of `process` at `energy` TeV without end: the number of events, their particles, and the rows of the top pairs."""
    if not 1 <= energy <= 100:
        raise CollidekitError(f"energy={energy:g}: the energy of the collision in TeV must be between 1 and 100")
    settings = (f"Beams:eCM = {1000 * energy:g}", *process, *decays)
    for events, particles in generate(settings, seed=int(rng.integers(2**31))):
        yield events, particles, find_top_pairs(particles, events)


def select_jets(jets: MeasuredJets) -> MeasuredJets:
    """Return the jets with pT > 25 GeV and abs(eta) < 2.5."""
    return jets.select((jets.pt > JET_PT) & (np.abs(jets.eta) < JET_ETA))


def match_jets(jets: MeasuredJets, quarks: FloatArray, limit: int | None = None) -> IntArray:
    """Return the index of the jet in its event for each quark (N, Q), from the four-momenta of the quarks (N, Q, 4).

    It is the nearest jet within 0.4. It is -1 without a jet, for quarks with the same nearest jet, and for jets from index `limit` on.
    """
    events = len(quarks)
    size = int(np.bincount(jets.event, minlength=events).max(initial=0))
    eta, phi = (padded(jets.event, values, events, size, np.inf) for values in (jets.eta, jets.phi))
    quark_eta = pseudorapidity(quarks[..., 1], quarks[..., 2], quarks[..., 3])
    quark_phi = np.arctan2(quarks[..., 2], quarks[..., 1])
    there = np.isfinite(phi)[:, None, :]
    dphi = delta_phi(np.where(there, phi[:, None, :], 0.0), quark_phi[:, :, None])
    distance = np.where(there, np.hypot(eta[:, None, :] - quark_eta[:, :, None], dphi), np.inf)
    jet = match_unique(distance, MATCHING_RADIUS)
    return jet if limit is None else np.where(jet < limit, jet, -1)
