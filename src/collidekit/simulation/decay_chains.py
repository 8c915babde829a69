"""Top quarks and their decays in Pythia's event records: rows of particles, one pair an event."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from collidekit.errors import CollidekitError
from collidekit.simulation.generator import BoolArray, FloatArray, IntArray, Particles

DECAYED_TOP, DECAY_PRODUCT, INCOMING, GLUON = 62, 23, 21, 21
"""Pythia's status codes of the last copy of a top, of what a resonance decays to, and of the incoming partons; the gluon."""


@dataclass(frozen=True, slots=True)
class TopPairs:
    """Rows of the record for each event; axis 1 is (top, antitop).

    Tops and Ws are the last copies before they decay. Products of the W are the last copies, too: after photon radiation for
    leptons and neutrinos, after gluon radiation for quarks. `b` is given as it leaves the top and after radiation.
    """

    top: IntArray  # (N, 2)
    w: IntArray  # (N, 2)
    b: IntArray  # (N, 2) before gluon radiation
    b_radiated: IntArray  # (N, 2)
    products: IntArray  # (N, 2, 2) of the W: charged lepton and neutrino, or down-type and up-type quark
    products_born: IntArray  # (N, 2, 2) as they leave the W
    is_gg: BoolArray  # (N,) whether two gluons made the pair


def find_top_pairs(particles: Particles, events: int) -> TopPairs:
    """Return the rows of the top pair of each of the `events` events of a batch."""
    pdg, status, mother = particles.pdg, np.abs(particles.status), particles.mother
    last = last_copies(particles)
    top = _one_per_sign(np.flatnonzero((np.abs(pdg) == 6) & (status == DECAYED_TOP)), particles, events)

    from_top = (np.abs(pdg[mother]) == 6) & (mother != np.arange(len(pdg)))
    b = _one_per_sign(np.flatnonzero((np.abs(pdg) <= 5) & (status == DECAY_PRODUCT) & from_top), particles, events)
    w = last[_one_per_sign(np.flatnonzero((np.abs(pdg) == 24) & from_top), particles, events)]

    from_w = np.flatnonzero((status == DECAY_PRODUCT) & (np.abs(pdg[mother]) == 24))
    order = np.lexsort((np.abs(pdg[from_w]) % 2 == 0, -np.sign(pdg[mother[from_w]]), particles.event[from_w]))
    products = _shaped(from_w[order], (events, 2, 2))

    incoming = _shaped(np.flatnonzero(particles.status == -INCOMING), (events, 2))
    is_gg = np.all(pdg[incoming] == GLUON, axis=1)
    return TopPairs(top, w, b, last[b], last[products], products, is_gg)


def last_copies(particles: Particles) -> IntArray:
    """Return for each row the row of its last copy, (P,): Pythia copies a particle when it recoils or radiates."""
    pdg, mother = particles.pdg, particles.mother
    rows = np.arange(len(pdg))
    successor = rows.copy()
    copies = np.flatnonzero((pdg[mother] == pdg) & (mother < rows))
    successor[mother[copies[::-1]]] = copies[::-1]  # the first of two
    while True:
        further = successor[successor]
        if np.array_equal(further, successor):
            return successor
        successor = further


def momenta(particles: Particles, rows: IntArray) -> FloatArray:
    """Return four-momenta (..., 4) of the rows, as (E, px, py, pz) in GeV."""
    return np.stack([particles.energy[rows], particles.px[rows], particles.py[rows], particles.pz[rows]], axis=-1)


def _one_per_sign(rows: IntArray, particles: Particles, events: int) -> IntArray:
    """The rows as (N, 2): particle, antiparticle."""
    return _shaped(rows[np.lexsort((-np.sign(particles.pdg[rows]), particles.event[rows]))], (events, 2))


def _shaped(rows: IntArray, shape: tuple[int, ...]) -> IntArray:
    if len(rows) != np.prod(shape):
        raise CollidekitError(
            f"Pythia's records of {shape[0]} events do not hold one top pair each; use Pythia 8.311 to 8.317"
        )
    return rows.reshape(shape)
