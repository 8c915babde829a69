"""The published scores of top taggers give the published numbers, as the scorer of the benchmark gives them."""

import os
from pathlib import Path

import numpy as np
import pytest
from scoring_toys import binary_plan, metric, score_one, truth_of

PUBLISHED = {"ParticleNet_v2": (0.98477, 1294), "PFN_v0": (0.98208, 890), "TopoDNN_v2": (0.97141, 290)}
"""AUC and 1/eB at a signal efficiency of 0.3."""
SHARED = Path(os.environ.get("COLLIDEKIT_SHARED_DATA", Path(__file__).parents[4] / "shared" / "data"))


@pytest.fixture(scope="module")
def folder() -> Path:
    found = SHARED / "top_tagging" / "published_scores"
    if not found.is_dir():
        pytest.skip(f"the published scores are not here: {found} (set COLLIDEKIT_SHARED_DATA)")
    return found


@pytest.mark.parametrize("tagger", PUBLISHED)
def test_published_numbers(folder: Path, tagger: str) -> None:
    truth = truth_of(np.load(folder / "labels.npy").astype(np.int64))
    plan = binary_plan(metric("auc"), metric("background_rejection", "r30", signal_efficiency=0.3), replicates=10)
    scores = score_one(plan, np.load(folder / f"{tagger}.npy"), truth).metrics
    auc, rejection = PUBLISHED[tagger]
    assert scores["auc"].value == pytest.approx(auc, abs=1e-5)
    assert scores["r30"].value == pytest.approx(rejection, abs=0.6)
    assert scores["auc"].error == pytest.approx(2e-4, rel=0.8)
