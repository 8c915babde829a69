"""The scores of fixed predictions: where one of them changes, SCORER_VERSION must change, too."""

import numpy as np
import pytest
from scoring_toys import binary_plan, metric, score_one, truth_of

from collidekit.benchmark.scoring.version import SCORER_VERSION

EXPECTED: dict[str, dict[str, tuple[float, float]]] = {
    "2": {
        "auc": (0.7845740269108527, 0.022465845276290208),
        "r50": (5.881672046573901, 2.833744235947708),
        "accuracy": (0.6421340573187052, 0.025426723971243317),
        "log_loss": (0.5114247498784327, 0.022100948986973297),
        "brier": (0.3659061763485339, 0.018921368871153237),
        "calibration_error": (0.18418239633481354, 0.02234731545860023),
        "mean_auc": (0.6034996872447916, 0.014761427314411366),
        "mean_ratio": (0.6131806295710045, 0.01647214229567458),
        "auc_light": (0.7266910914475216, 0.02629117083364809),
    }
}


def found() -> dict[str, tuple[float, float]]:
    """Value and error of each metric for numbers that need no random generator."""
    rows = np.arange(400)
    labels = (rows * 7) % 2
    p = np.clip(0.5 + 0.3 * (labels - 0.5) + 0.35 * np.sin(rows * 1.7), 0.01, 0.99)
    plan = binary_plan(
        metric("auc"), metric("background_rejection", "r50", signal_efficiency=0.5), metric("accuracy"), metric("log_loss"),
        metric("brier"), metric("calibration_error"),
    )  # fmt: skip
    weights = 1 + 0.5 * np.cos(rows)
    scores = score_one(plan, p, truth_of(labels, weights)).metrics
    of_three = ("b", "c", "light")
    several = binary_plan(
        metric("mean_auc"), metric("mean_auc", "mean_ratio", score="ratio"), metric("auc", "auc_light"),
        columns=of_three, classes=of_three, signal="light", background="",
    )  # fmt: skip
    third = np.round(0.4 * np.cos(rows * 0.9) ** 2, 2)
    columns = np.column_stack(
        [np.round((1 - third) * (1 - p), 2), third, 1 - third - np.round((1 - third) * (1 - p), 2)]
    )
    kinds = np.where(rows % 5 == 0, 1, 2 * labels)
    scores |= score_one(several, np.stack([columns, columns[:, [1, 0, 2]]]), truth_of(kinds, weights)).metrics
    return {name: (score.value, score.error or 0.0) for name, score in scores.items()}


def test_the_scores_are_those_of_this_version() -> None:
    assert SCORER_VERSION in EXPECTED, "write down the numbers of the new version, which follow"
    assert found() == {name: pytest.approx(numbers, rel=1e-9) for name, numbers in EXPECTED[SCORER_VERSION].items()}
