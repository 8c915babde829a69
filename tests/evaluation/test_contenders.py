"""Comparisons of several contenders: pairs, different rows, seeds, classes and discriminators."""

from pathlib import Path

import numpy as np
import pytest

from collidekit.analysis.schema import Discriminator
from collidekit.errors import CollidekitError
from collidekit.evaluation.classification.comparison import paired_difference
from collidekit.evaluation.classification.roc_result import measure_discriminator
from collidekit.evaluation.comparison.contenders import Contender, rows_differ, same_classes
from collidekit.evaluation.comparison.curves import measure_contender
from collidekit.evaluation.comparison.differences import compare_curves, significance
from collidekit.evaluation.comparison.page import write_comparison
from collidekit.evaluation.comparison.study import compare
from collidekit.inference.predictions import Predictions

SVSB = {"SvsB": Discriminator(signal=["s"], background=["b"])}
ROWS = 4000


def predictions(noise: float, seed: int = 0, rows: int = ROWS, sample: int = 1, classes: str = "bs") -> Predictions:
    """Return a noisy score of a Gaussian variable; ``sample`` selects the rows."""
    random = np.random.default_rng(sample)
    labels = random.integers(0, 2, rows)
    values = random.normal(2.0 * labels) + np.random.default_rng(100 + seed).normal(0, noise, rows)
    signal = 1 / (1 + np.exp(-2 * values))
    columns = {"s": signal, "b": 1 - signal}
    event = {"event": random.permutation(rows) + 10_000 * sample, "file": np.zeros(rows, int), "row": np.arange(rows)}
    numbered = labels if classes == "bs" else 1 - labels
    return Predictions(
        tuple(classes), np.stack([columns[name] for name in classes], 1), numbered, np.ones(rows), SVSB, event=event
    )


def contender(name: str, *found: Predictions, source: str = "test") -> Contender:
    return Contender(name, found, source=source)


def test_one_run_each_is_the_paired_difference_of_two_results() -> None:
    a, b = predictions(0.2, 1), predictions(1.5, 2)
    made = compare([contender("a", a), contender("b", b)], "toy")
    expected = paired_difference(measure_discriminator(b, "SvsB"), measure_discriminator(a, "SvsB"))
    (found,) = made.differences["SvsB"]
    assert (found.auc.value, found.auc.error) == pytest.approx((expected.auc.value, expected.auc.error))
    for mine, theirs in zip(found.rejections, expected.rejections, strict=True):
        assert (mine.value, mine.error) == pytest.approx((theirs.value, theirs.error))
    assert found.auc.better == "a"
    assert significance(found.auc) < -5


def test_pairs_have_smaller_errors_than_other_rows() -> None:
    a, b = predictions(0.2, 1), predictions(0.3, 2)
    other = predictions(0.3, 2, sample=7)
    pair = compare([contender("a", a), contender("b", b)], "toy")
    apart = compare([contender("a", a), contender("b", other, source="other")], "toy")
    assert not pair.notes
    assert apart.notes[0].startswith("NOT THE SAME ROWS: b")
    assert (pair.differences["SvsB"][0].paired, apart.differences["SvsB"][0].paired) == (True, False)
    assert pair.differences["SvsB"][0].auc.error < 0.5 * apart.differences["SvsB"][0].auc.error


def test_unpaired_errors_are_those_of_repeated_experiments() -> None:
    """The difference of independent test sets fluctuates by its error."""
    pulls = []
    for sample in range(2, 42):
        a, b = predictions(0.5, 1, 800, sample), predictions(0.5, 2, 800, sample + 1000)
        curves = [
            measure_contender(contender(n, p, source=n), "SvsB", i, 60)
            for i, (n, p) in enumerate({"a": a, "b": b}.items())
        ]
        pulls.append(significance(compare_curves(curves[1], curves[0]).auc))
    assert 0.75 < np.std(pulls) < 1.3


def test_rows_with_the_same_classes_in_the_same_order_are_not_the_same_rows() -> None:
    """Files that are sorted by class have equal labels and weights, but different event numbers."""
    a, b = predictions(0.2), predictions(0.2)
    shifted = Predictions(**{**vars(b), "event": {**b.event, "event": b.event["event"] + 1}})
    assert not rows_differ(contender("a", a), contender("b", b))
    assert "event" in rows_differ(contender("a", a), contender("b", shifted))
    without = [Predictions(**{**vars(p), "event": {k: v for k, v in p.event.items() if k != "event"}}) for p in (a, b)]
    assert "no common event number" in rows_differ(
        contender("a", without[0], source="x"), contender("b", without[1], source="y")
    )
    assert not rows_differ(contender("a", without[0]), contender("b", without[1]))
    assert "rows against" in rows_differ(contender("a", a), contender("b", predictions(0.2, rows=10)))


def test_classes_in_another_order_are_the_same_classes() -> None:
    a, b = predictions(0.4, 1), predictions(0.4, 1, classes="sb")
    one, other = same_classes([contender("a", a), contender("b", b)])
    assert other.first.classes == ("b", "s")
    np.testing.assert_array_equal(one.first.labels, other.first.labels)
    np.testing.assert_allclose(one.first.probabilities, other.first.probabilities)
    unknown = Predictions(**{**vars(b), "labels": np.full(ROWS, -1)})
    assert (same_classes([contender("a", a), contender("b", unknown)])[1].first.labels == -1).all()


def test_other_classes_and_discriminators_are_errors() -> None:
    a = predictions(0.2)
    other = Predictions(**{**vars(a), "classes": ("x", "s"), "definitions": {}})
    with pytest.raises(CollidekitError, match=r"a has the classes b, s, and b has x, s"):
        same_classes([contender("a", a), contender("b", other)])
    turned = Predictions(**{**vars(a), "definitions": {"SvsB": Discriminator(signal=["b"], background=["s"])}})
    with pytest.raises(CollidekitError, match=r"'SvsB' of a \(s against b\) differs from that of b \(b against s\)"):
        same_classes([contender("a", a), contender("b", turned)])


def test_several_seeds_have_a_mean_and_a_band() -> None:
    seeds = [predictions(noise, seed) for seed, noise in enumerate((0.2, 0.9, 1.6))]
    made = compare([contender("one", predictions(0.2, 9)), contender("three", *seeds)], "toy", 50)
    curve = made.curves["SvsB"][1]
    each = [measure_discriminator(p, "SvsB", replicates=50).auc for p in seeds]
    assert curve.auc == pytest.approx(np.mean(each))
    assert curve.auc_spread == pytest.approx(np.std(each, ddof=1))
    assert made.differences["SvsB"][0].auc.error > curve.auc_spread / np.sqrt(3)
    low, high = curve.band
    inside = curve.background[20:180]
    assert (low[20:180] < inside).all()
    assert (inside < high[20:180]).all()
    np.testing.assert_allclose((high - inside[0])[20], curve.background_spread[20])


def test_the_page_names_attacks_in_title_path_and_legend(tmp_path: Path) -> None:
    found = compare(
        [
            contender("net", predictions(0.2)),
            Contender("net, under fgsm 0.1", (predictions(2.0, 3),), "fgsm 0.1", "test"),
        ],
        "toy",
        30,
    )
    page = write_comparison(found, tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.png")) == [
        "roc_SvsB_under_fgsm_0.1_b-tagging.png", "roc_SvsB_under_fgsm_0.1_top-tagging.png",
    ]  # fmt: skip
    text = page.read_text()
    assert "with attacks</title>" in text
    assert "net, under fgsm 0.1" in text


def test_few_rows_and_limits_are_not_compared(tmp_path: Path) -> None:
    a, b = predictions(0.0, rows=12), predictions(0.1, rows=12)
    (found,) = compare([contender("a", a), contender("b", b)], "toy", 30).differences["SvsB"]
    assert found.auc.value is None
    assert "rows are too few" in found.auc.reason
