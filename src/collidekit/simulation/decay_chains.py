"""Find top quarks and their decay products in Pythia's event records, with one pair per event."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from collidekit.errors import CollidekitError
from collidekit.simulation.generator import BoolArray, FloatArray, IntArray, Particles

DECAYED_TOP, DECAY_PRODUCT, INCOMING, GLUON = 62, 23, 21, 21
"""Pythia's status codes of the last copy of a top, of decay products of a resonance and of incoming partons; PDG ID of the gluon."""


@dataclass(frozen=True, slots=True)
class TopPairs:
    """Rows of the particles in the record of each event; axis 1 is (top, antitop).

    Tops and Ws are the last copies before their decay. `products` of the W are the last copies, too: after photon radiation for
    leptons and neutrinos, and after gluon radiation for quarks. `b` is the first copy from the top decay, `b_radiated` the last one.
    """

    top: IntArray  # (N, 2)
    w: IntArray  # (N, 2)
    b: IntArray  # (N, 2) before gluon radiation
    b_radiated: IntArray  # (N, 2)
    products: IntArray  # (N, 2, 2) of the W: charged lepton and neutrino, or down-type and up-type quark
    products_born: IntArray  # (N, 2, 2) first copies from the W decay
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
    """Return the row of the last copy of each row, (P,). Pythia copies a particle each time it recoils or radiates."""
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
    """Return the rows as (N, 2): particle, antiparticle."""
    return _shaped(rows[np.lexsort((-np.sign(particles.pdg[rows]), particles.event[rows]))], (events, 2))


def _shaped(rows: IntArray, shape: tuple[int, ...]) -> IntArray:
    if len(rows) != np.prod(shape):
        raise CollidekitError(
            f"not every record of {shape[0]} Pythia events has exactly one top pair; use Pythia 8.311 to 8.317"
        )
    return rows.reshape(shape)
