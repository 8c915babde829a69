"""The scorer of the ROB demo, written independently, and ours."""

import numpy as np
import pytest
from scoring_toys import binary_plan, gaussian_scores, metric, rob_scores, score_one, truth_of

ROWS = 20_000


@pytest.fixture(scope="module")
def ensemble() -> tuple[np.ndarray, np.ndarray]:
    """Nine trainings (9, N) of which one failed, and labels."""
    clean, labels = gaussian_scores(ROWS, 2.5, 1)
    generator = np.random.default_rng(2)
    logit = np.log(clean / (1 - clean))
    runs = [logit + generator.normal(scale=0.3, size=ROWS) for _ in range(8)]
    return np.array([*runs, generator.normal(size=ROWS) + 0.1 * labels]), labels


@pytest.mark.parametrize(("point", "target"), [(225, 0.5), (125, 0.3), (175, 0.4)])
@pytest.mark.parametrize("outliers", ["rob", "none"])
def test_the_demo_is_reproduced(
    ensemble: tuple[np.ndarray, np.ndarray], point: int, target: float, outliers: str
) -> None:
    runs, labels = ensemble
    plan = binary_plan(
        metric("background_rejection", "bg_reject", signal_efficiency=target, interpolation="linear"),
        metric("auc"),
        outliers=outliers,
        replicates=20,
    )
    scores = score_one(plan, runs[:, :, None], truth_of(labels))
    reject, reject_std, auc, auc_std = rob_scores(runs, labels, point, outliers == "rob")
    assert scores.metrics["bg_reject"].value == pytest.approx(reject, rel=1e-9)
    assert scores.metrics["bg_reject"].spread == pytest.approx(reject_std, rel=1e-9)
    assert scores.metrics["auc"].value == pytest.approx(auc, rel=1e-12)
    assert scores.metrics["auc"].spread == pytest.approx(auc_std, rel=1e-9)
    assert (8 in scores.runs_left_out) == (outliers == "rob")


def test_without_interpolation_the_difference_is_a_fraction_of_one_background_row(
    ensemble: tuple[np.ndarray, np.ndarray],
) -> None:
    """The demo interpolates eB between points; ours is that of the tightest threshold that reaches the efficiency."""
    runs, labels = ensemble
    background = int((labels == 0).sum())
    for target, point in ((0.3, 125), (0.5, 225)):
        plan = binary_plan(metric("background_rejection", "r", signal_efficiency=target), replicates=2)
        for run in runs:
            ours = 1 / score_one(plan, run, truth_of(labels)).metrics["r"].value
            demo = 1 / rob_scores([run], labels, point, False)[0]
            gap = round((demo - ours) * background, 6)
            # at this very efficiency the demo takes the last point of a vertical step, ours the first one
            assert 0 <= gap <= 3, (target, gap)
