"""Toy top pairs: a truth, and methods that smear it."""

from typing import Any

import numpy as np

from collidekit.evaluation.dilepton.bins import with_limits
from collidekit.evaluation.dilepton.kinematics import TopPair
from collidekit.evaluation.dilepton.sample import Sample
from collidekit.reconstruction.four_momenta import boost, from_pt_eta_phi_mass, with_mass


def decays(count: int, seed: int = 0) -> TopPair:
    """Top pairs whose leptons are isotropic in the rest frames of their tops, without spin correlation."""
    chance = np.random.default_rng(seed)
    tops = from_pt_eta_phi_mass(
        chance.uniform(50, 300, (count, 2)), chance.normal(0, 1, (count, 2)), chance.uniform(-3, 3, (count, 2)), 172.5
    )
    lepton, neutrino = (chance.normal(0, 1, (count, 2, 3)) for _ in range(2))
    velocity = tops[..., 1:] / tops[..., :1]
    leptons, neutrinos = (
        boost(with_mass(40 * p / np.linalg.norm(p, axis=-1, keepdims=True)), velocity) for p in (lepton, neutrino)
    )
    return TopPair(tops, leptons + neutrinos, neutrinos, leptons)


def sample(truth: TopPair, methods: dict[str, TopPair], **given: Any) -> Sample:
    """All jets are right; weights are 1; halves alternate."""
    assert truth.leptons is not None
    count = len(truth.leptons)
    right = np.tile([3, 1], (count, 1))
    content: dict[str, Any] = {
        "weights": np.ones(count), "methods": methods, "positions": dict.fromkeys(methods, right), "true_positions": right,
        "slots": ("top_b", "antitop_b"), "truth": truth, "spin_weights": {}, "odd": np.arange(count) % 2 == 1,
        "mass_limits": (380.0, 500.0, 800.0), "bins": (with_limits("half", "half", np.arange(count) % 2 - 0.5, [0.0]),),
    }  # fmt: skip
    return Sample(**{**content, **given})
