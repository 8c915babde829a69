"""Samples with a known result, and published scores if they are available."""

import os
from pathlib import Path

import numpy as np
import pytest

from collidekit.analysis.schema import Discriminator
from collidekit.inference.predictions import Predictions

SHARED = Path(os.environ.get("COLLIDEKIT_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))


def gaussians(rows: int, distance: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return scores and truth of two unit Gaussians at a given ``distance``, with equally many rows."""
    generator = np.random.default_rng(seed)
    truth = np.arange(rows) % 2 == 0
    return generator.normal(size=rows) + distance * truth, truth


@pytest.fixture(scope="session")
def published_scores() -> Path:
    folder = SHARED / "top_tagging" / "published_scores"
    if not folder.is_dir():
        pytest.skip(f"the published scores are not here: {folder} (set COLLIDEKIT_SHARED_DATA)")
    return folder


@pytest.fixture(scope="session")
def flavour() -> Predictions:
    """Return 3,000 rows of three classes with weights of both signs and two spectators."""
    generator = np.random.default_rng(1)
    labels = generator.integers(0, 3, 3000)
    logits = generator.normal(size=(3000, 3))
    logits[np.arange(3000), labels] += 1.5
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Predictions(
        classes=("b", "c", "light"),
        probabilities=probabilities,
        labels=labels,
        weights=np.where(generator.random(3000) < 0.05, -1.0, 1.0),
        definitions={
            "BvsL": Discriminator(signal=["b"], background=["light"]),
            "CvsL": Discriminator(signal=["c"], background=["light"]),
        },
        spectators={"jet_pt": 20 + generator.exponential(50, 3000)},
    )
