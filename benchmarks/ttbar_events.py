"""Toy top pairs with smeared jets and missing momentum, for benchmarks of reconstruction."""

import math
from typing import Any

import numpy as np

from collidekit.reconstruction import four_momenta as fm
from collidekit.reconstruction.events import DileptonEvents

TOP, W = 172.5, 80.379


def mass(momentum: Any) -> float:
    return math.sqrt(max(momentum[0] ** 2 - momentum[1] ** 2 - momentum[2] ** 2 - momentum[3] ** 2, 0.0))


def decay(rng: Any, parent: Any, mass: float, first: float, second: float) -> tuple[Any, Any]:
    """Return isotropic two-body decays of momenta ``(N, 4)``."""
    momentum = math.sqrt((mass**2 - (first + second) ** 2) * (mass**2 - (first - second) ** 2)) / (2 * mass)
    direction = rng.normal(size=(len(parent), 3))
    direction *= momentum / np.linalg.norm(direction, axis=1, keepdims=True)
    velocity = parent[:, 1:] / parent[:, :1]
    return fm.boost(fm.with_mass(direction, first), velocity), fm.boost(fm.with_mass(-direction, second), velocity)


def toy_events(count: int, seed: int = 1) -> tuple[DileptonEvents, Any]:
    """Return dileptonic events with two to eight jets in random order, and the true neutrinos."""
    rng = np.random.default_rng(seed)
    transverse = rng.exponential(70, (count, 1)) * np.exp(2j * np.pi * rng.uniform(size=(count, 1)))
    transverse = np.concatenate([transverse.real, transverse.imag], axis=1)
    sides = []
    for sign in (1, -1):
        vector = np.concatenate([sign * transverse + rng.normal(0, 20, (count, 2)), rng.normal(0, 150, (count, 1))], 1)
        bottom, boson = decay(rng, fm.with_mass(vector, TOP), TOP, 4.8, W)
        sides.append((bottom, *decay(rng, boson, W, 0.10566, 0.0)))
    bottoms, leptons, neutrinos = (np.stack(parts, axis=1) for parts in zip(*sides, strict=True))
    energy = bottoms[..., :1]
    bottoms = bottoms * np.maximum(1 + rng.normal(size=energy.shape) * np.hypot(0.8 / np.sqrt(energy), 0.05), 0.2)
    met = neutrinos[..., 1:3].sum(axis=1) + rng.normal(0, 15, (count, 2))
    other = fm.from_pt_eta_phi_mass(
        25 + rng.exponential(25, (count, 6)),
        rng.normal(0, 1.2, (count, 6)),
        rng.uniform(-np.pi, np.pi, (count, 6)),
        5.0,
    )
    jets = np.concatenate([bottoms, other], axis=1)
    mask = np.arange(8) < rng.integers(2, 9, (count, 1))
    btag = np.where(np.arange(8) < 2, rng.integers(2, 6, (count, 8)), rng.integers(1, 3, (count, 8))).astype(float)
    order = np.argsort(rng.uniform(size=(count, 8)), axis=1)
    jets = np.take_along_axis(jets, order[..., None], axis=1)
    mask, btag = (np.take_along_axis(values, order, axis=1) for values in (mask, btag))
    return DileptonEvents(leptons, jets, mask, btag, met, np.arange(count), np.ones(count)), neutrinos
