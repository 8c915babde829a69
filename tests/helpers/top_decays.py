"""Toy decays t -> b W -> b l nu with exact masses: what solvers of neutrinos are tested with."""

from dataclasses import dataclass

import numpy as np

from collidekit.reconstruction.events import DileptonEvents
from collidekit.reconstruction.four_momenta import boost, with_energy

TOP, W = 172.5, 80.379


@dataclass
class Decays:
    """N top pairs; axis 1 is (top, antitop)."""

    tops: np.ndarray
    bottoms: np.ndarray
    leptons: np.ndarray
    neutrinos: np.ndarray

    @property
    def met(self):
        return self.neutrinos[:, :, 1:3].sum(axis=1)

    def events(self, extra_jets=0, seed=1):
        """Events whose jets 0 and 1 are the b of the top and of the antitop; further jets are random and softer."""
        rng = np.random.default_rng(seed)
        count = len(self.tops)
        directions = isotropic(rng, (count, extra_jets))
        energy = rng.uniform(25, 60, (count, extra_jets))
        extra = with_energy(directions * energy[..., None] * 0.98, energy)
        jets = np.concatenate([self.bottoms, extra], axis=1)
        btag = np.concatenate([np.full((count, 2), 5.0), np.ones((count, extra_jets))], axis=1)
        mask = np.ones(jets.shape[:2], dtype=bool)
        return DileptonEvents(self.leptons, jets, mask, btag, self.met, np.arange(count), np.ones(count))


def isotropic(rng, shape):
    vectors = rng.normal(size=(*shape, 3))
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def two_body(rng, parent, mass, first, second):
    """Decay products of parents (..., 4) of a mass, isotropic in the rest frame."""
    momentum = np.sqrt((mass**2 - (first + second) ** 2) * (mass**2 - (first - second) ** 2)) / (2 * mass)
    direction = isotropic(rng, parent.shape[:-1]) * np.expand_dims(momentum, -1)
    velocity = parent[..., 1:] / parent[..., :1]
    one = with_energy(direction, np.sqrt(momentum**2 + first**2))
    two = with_energy(-direction, np.sqrt(momentum**2 + second**2))
    return boost(one, velocity), boost(two, velocity)


def decays(count, seed=1, lepton_mass=0.10566, bottom_mass=4.8, top=TOP, w=W):
    """Top pairs with a spectrum roughly as at the LHC."""
    rng = np.random.default_rng(seed)
    pt = rng.exponential(70, count)[:, None] * isotropic(rng, (count,))[:, :2]
    along = rng.normal(0, 150, (count, 2))
    recoil = rng.normal(0, 20, (count, 2))
    momenta = np.stack([np.c_[pt, along[:, 0]], np.c_[recoil - pt, along[:, 1]]], axis=1)
    tops = with_energy(momenta, np.sqrt((momenta**2).sum(axis=-1) + top**2))
    bottoms, bosons = two_body(rng, tops, top, bottom_mass, w)
    leptons, neutrinos = two_body(rng, bosons, w, lepton_mass, 0.0)
    return Decays(tops, bottoms, leptons, neutrinos)
