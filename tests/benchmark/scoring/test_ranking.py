"""The order of the leaderboard: ties within the error, missing values, references, stability."""

import dataclasses
import math
import random
from typing import Any

import numpy as np
import pytest
from scoring_toys import AUC, R30, binary_plan, gaussian_scores, metric, score_one, truth_of

from collidekit.benchmark.definition import Benchmark
from collidekit.benchmark.scoring.board import Board, Entry
from collidekit.benchmark.scoring.ranking import rank
from collidekit.benchmark.scoring.result import Score, Scores
from collidekit.benchmark.scoring.significance import difference
from collidekit.benchmark.scoring.tables import shown_rank

REFERENCE = {"name": "published", "scores": {"auc": 0.855}, "errors": {"auc": 0.001}, "source": "arXiv 0000.00000"}


def benchmark(**content: Any) -> Benchmark:
    sample = {"features": {"path": "f.parquet"}, "truth": {"path": "t.parquet"}}
    known = {
        "benchmark": 1, "name": "toy", "title": "Toy", "classes": ["qcd", "top"], "signal": "top", "background": "qcd",
        "output": {"columns": ["top"]}, "metrics": [AUC, R30], "phases": {"final": {"samples": {"nominal": sample}}},
    }  # fmt: skip
    return Benchmark.model_validate({**known, **content})


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    """Twelve taggers in pairs that differ by little, on the same rows."""
    p, labels = gaussian_scores(4000, 1.5, 1)
    logit = np.log(p / (1 - p))
    plan, truth = (
        binary_plan(metric("auc"), metric("background_rejection", "r30", signal_efficiency=0.3)),
        truth_of(labels),
    )
    generator = np.random.default_rng(5)
    noise = [generator.normal(size=len(p)) for _ in range(12)]
    return [
        Entry(
            f"tagger {k}", k, score_one(plan, logit + (0.35 * (k // 2) + 0.03) * noise[k // 2] + 0.05 * noise[k], truth)
        )
        for k in range(12)
    ]


def test_pairs_that_differ_by_little_are_tied(entries: list[Entry]) -> None:
    board = rank(entries, benchmark())
    values = [row.scores["auc"].value for row in board.rows]
    assert values == sorted(values, reverse=True)
    ranks = [row.rank for row in board.rows]
    assert ranks == sorted(ranks)  # type: ignore[type-var]
    assert len(set(ranks)) >= 4
    assert sum(row.tied for row in board.rows) >= 4
    _check(board)


def _check(board: Board) -> None:
    """What holds for every leaderboard."""
    ranked = [row for row in board.rows if not row.reference]
    for place, row in enumerate(ranked, start=1):
        assert row.rank is not None
        assert ranked[row.rank - 1].rank == row.rank <= place, "the rank is the place of the first entry that has it"
        assert row.tied == (sum(other.rank == row.rank for other in ranked) > 1)
        if place > row.rank:
            assert row.to_leader is not None
            assert not row.to_leader.significant
        elif place > 1:
            above = ranked[ranked[place - 2].rank - 1]  # type: ignore[operator]
            assert above.scores["auc"].value > row.scores["auc"].value
        assert (row.to_above is None) == (place == 1)


def test_the_order_of_entries_does_not_matter(entries: list[Entry]) -> None:
    expected = rank(entries, benchmark())
    shuffled = list(entries)
    for seed in range(5):
        random.Random(seed).shuffle(shuffled)
        assert rank(shuffled, benchmark()) == expected


def test_one_entry_more_below_changes_nothing_above(entries: list[Entry]) -> None:
    ordered = [row.name for row in rank(entries, benchmark()).rows]
    for count in range(1, len(ordered) + 1):
        some = [entry for entry in entries if entry.name in ordered[:count]]
        ranks = {row.name: row.rank for row in rank(some, benchmark()).rows}
        whole = {row.name: row.rank for row in rank(entries, benchmark()).rows}
        assert ranks == {name: whole[name] for name in ordered[:count]}


def test_equal_scores_are_tied(entries: list[Entry]) -> None:
    twin = dataclasses.replace(entries[0], name="another", run=99)
    rows = rank([entries[0], twin], benchmark()).rows
    assert [(row.name, row.rank, row.tied) for row in rows] == [("another", 1, True), ("tagger 0", 1, True)]


def made(value: float, error: float | None = 0.01, limit: bool = False, **others: Any) -> Scores:
    scores = {"auc": Score(value, error, limit=limit), "r30": Score(1.0, 0.1)}
    return Scores(metrics={**scores, **others.pop("metrics", {})}, **others)


def board_of(*scores: Scores, **content: Any) -> Board:
    return rank([Entry(chr(97 + k), k, found) for k, found in enumerate(scores)], benchmark(**content))


def ranks(board: Board) -> list[tuple[str, int | None, bool]]:
    return [(row.name, row.rank, row.tied) for row in board.rows]


def test_a_noisy_first_entry_ties_nobody_but_itself() -> None:
    """c and d differ by 350 standard deviations, and none of them from a."""
    board = board_of(made(0.92, 0.2), made(0.9, 0.0001), made(0.89995, 0.0001), made(0.85, 0.0001), made(0.8, 0.0001))
    assert ranks(board) == [("a", 1, True), ("b", 1, True), ("c", 1, True), ("d", 4, False), ("e", 5, False)]


def test_entries_of_a_rank_never_differ_significantly() -> None:
    generator = np.random.default_rng(1)
    directions = [("auc", "higher"), ("log_loss", "lower")]
    for trial in range(200):
        kind, direction = directions[trial % 2]
        found = [
            made(v, e) for v, e in zip(generator.normal(0.5, 0.1, 12), 10 ** generator.uniform(-4, 0, 12), strict=True)
        ]
        board = board_of(
            *found, metrics=[{"name": "auc", "metric": kind, "direction": direction}, R30],
            output={"columns": ["top"], "minimum": 0, "maximum": 1},
        )  # fmt: skip
        scores = dict(zip("abcdefghijkl", found, strict=True))
        for place, row in enumerate(board.rows):
            for other in board.rows[place + 1 :]:
                assert row.rank is not None
                assert other.rank is not None
                assert row.rank <= other.rank
                apart = difference(scores[row.name], scores[other.name], "auc", direction).significant
                assert not (apart and row.rank == other.rank)


def test_ties_are_with_all_of_the_group() -> None:
    """a, b and c are 1.5 errors apart each: b ties with a, c does not, though it ties with b."""
    error = 0.01 / math.sqrt(2)
    assert ranks(board_of(made(0.9, error), made(0.885, error), made(0.87, error))) == [
        ("a", 1, True),
        ("b", 1, True),
        ("c", 3, False),
    ]


def test_without_replicates_errors_add_up_and_without_errors_the_value_decides() -> None:
    assert ranks(board_of(made(0.9, 0.001), made(0.89, 0.001))) == [("a", 1, False), ("b", 2, False)]
    assert ranks(board_of(made(0.9, 0.01), made(0.88, 0.01))) == [("a", 1, True), ("b", 1, True)]
    unknown = board_of(made(0.9, None), made(0.5, 0.01))
    assert ranks(unknown) == [("a", 1, False), ("b", 2, False)]
    assert [shown_rank(row) for row in unknown.rows] == ["1 (error unknown)", "2"]
    assert unknown.rows[1].to_above is not None
    assert unknown.rows[1].to_above.reason == "the error of a score is not known"
    assert ranks(board_of(made(0.9, None), made(0.9, 0.01))) == [("a", 1, True), ("b", 1, True)]


@pytest.mark.parametrize("rule", ["mean", "median"])
@pytest.mark.parametrize("name", ["auc", "brier", "accuracy"])
def test_what_differs_by_rounding_alone_is_tied(name: str, rule: str) -> None:
    """The same predictions once, three times and seven times, and times 1 - 1e-12."""
    p, labels = gaussian_scores(500, 1.0, 3)
    truth = truth_of(labels, np.random.default_rng(1).gamma(2, 1, 500))
    plan = binary_plan(metric(name), rule=rule, minimum=0, maximum=1)
    tries = {"1": p, "3": np.stack([p] * 3)[:, :, None], "7": np.stack([p] * 7)[:, :, None], "close": p * (1 - 1e-12)}
    entries = [Entry(label, k, score_one(plan, values, truth)) for k, (label, values) in enumerate(tries.items())]
    metrics = [{"name": name, "metric": name, "direction": "lower" if name == "brier" else "higher"}]
    board = rank(entries, benchmark(metrics=metrics, output={"columns": ["top"], "minimum": 0, "maximum": 1}))
    assert [row.rank for row in board.rows] == [1, 1, 1, 1]
    assert all(row.tied for row in board.rows)


def test_without_an_error_rounding_is_a_tie_too() -> None:
    assert ranks(board_of(made(0.9, None), made(0.9 - 1e-16, None)))[1][1] == 1


def test_pairing_uses_the_common_replicates() -> None:
    drawn = np.random.default_rng(1).normal(0.9, 0.01, 50)
    a = made(0.9, 0.01, replicates={"auc": drawn.tolist()})
    b = made(
        0.898, 0.01, replicates={"auc": (drawn[:30] - 0.002 + 1e-4 * np.random.default_rng(2).normal(size=30)).tolist()}
    )
    board = board_of(a, b)
    assert ranks(board) == [("a", 1, False), ("b", 2, False)]
    found = board.rows[1].to_above
    assert found is not None
    assert found.paired
    assert found.value == pytest.approx(0.002)
    assert found.error == pytest.approx(1e-4, rel=0.5)


def test_lower_is_better() -> None:
    metrics = [{"name": "auc", "metric": "log_loss", "direction": "lower"}, R30]
    board = board_of(
        made(0.3, 0.001),
        made(0.2, 0.001),
        made(0.2005, 0.001),
        metrics=metrics,
        output={"columns": ["top"], "minimum": 0, "maximum": 1},
    )
    assert ranks(board) == [("b", 1, True), ("c", 1, True), ("a", 3, False)]
    assert board.rows[2].to_above is not None
    assert board.rows[2].to_above.value == pytest.approx(0.0995)


def test_limits() -> None:
    """A lower limit is better than a value that it exceeds by two errors; below a value it may still be better."""
    above = board_of(made(5000, None, True), made(1200, 100))
    assert ranks(above) == [("a", 1, False), ("b", 2, False)]
    assert ranks(board_of(made(1300, None, True), made(1200, 100))) == [("a", 1, True), ("b", 1, True)]
    assert ranks(board_of(made(1200, 100), made(500, None, True))) == [("a", 1, True), ("b", 1, True)]
    assert ranks(board_of(made(1200, None, True), made(500, None, True))) == [("a", 1, True), ("b", 1, True)]


def test_the_second_metric_orders_equal_values_only() -> None:
    a, b = made(0.9, 0.01, metrics={"r30": Score(10.0, 0.1)}), made(0.9, 0.01, metrics={"r30": Score(20.0, 0.1)})
    assert ranks(board_of(a, b, order=["auc", "r30"])) == [("b", 1, True), ("a", 1, True)]


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        (None, "has no scores"),
        (Scores(metrics={"auc": Score(0.9)}), "has no r30"),
        (Scores(metrics={}), "has no auc"),
        (made(math.nan), "auc is nan"),
        (made(math.inf), "auc is inf"),
        (made(0.99, metrics={"r30": Score(-math.inf)}), "r30 is -inf"),
        (made(0.99, truth="other"), "was scored on other rows than most entries; it has to be scored again"),
    ],
)  # fmt: skip
def test_what_is_missing_is_never_ranked(scores: Scores | None, reason: str) -> None:
    good = [Entry("good", 1, made(0.5)), Entry("fine", 3, made(0.4))]
    board = rank([Entry("bad", 2, scores), *good], benchmark())
    assert [row.name for row in board.rows] == ["good", "fine"]
    assert [(entry.name, entry.reason) for entry in board.unranked] == [("bad", reason)]


def test_withdrawn_entries_are_not_shown() -> None:
    board = rank(
        [Entry("a", 1, made(0.9), withdrawn=True), Entry("b", 2, None, withdrawn=True), Entry("c", 3, made(0.8))],
        benchmark(),
    )
    assert ranks(board) == [("c", 1, False)]
    assert not board.unranked


def test_references_stand_between_the_entries_without_a_rank() -> None:
    references = [
        REFERENCE,
        {**REFERENCE, "name": "best", "scores": {"auc": 0.99}},
        {"name": "other", "scores": {"r30": 9}, "source": "x"},
    ]
    board = board_of(made(0.9), made(0.8), references=references)
    assert [(row.name, row.rank, row.reference) for row in board.rows] == [
        ("best", None, True), ("a", 1, False), ("published", None, True), ("b", 2, False), ("other", None, True),
    ]  # fmt: skip
    assert board.rows[2].source == "arXiv 0000.00000"
    assert board.rows[2].scores["auc"].error == 0.001


def test_an_empty_board() -> None:
    assert rank([], benchmark()).rows == ()


def test_equal_taggers_are_told_apart_as_rarely_as_two_standard_deviations_say() -> None:
    """Two taggers with independent noise on the same jets: beyond two standard deviations in about 5 % of the test sets."""
    plan = binary_plan(metric("auc"), replicates=60)
    apart, trials = 0, 150
    for seed in range(trials):
        p, labels = gaussian_scores(1000, 1.5, 1000 + seed)
        generator = np.random.default_rng(seed)
        logit = np.log(p / (1 - p))
        runs = [score_one(plan, logit + 0.5 * generator.normal(size=len(p)), truth_of(labels)) for _ in range(2)]
        ranked = rank([Entry(str(k), k, found) for k, found in enumerate(runs)], benchmark(metrics=[AUC])).rows
        apart += ranked[1].rank == 2
    assert 0.005 < apart / trials < 0.11, apart
