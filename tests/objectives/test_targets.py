"""Losses and scores of targets, against formulas and against loops."""

import math
from itertools import combinations, pairwise

import pytest
import torch
import torch.nn.functional as F
from attrs import evolve

from collidekit.analysis.load import parse_analysis
from collidekit.dataset.batch import Batch, Ragged
from collidekit.models.combinations import combinations as combinations_of
from collidekit.models.heads import regression_head
from collidekit.models.heads.assignment import ParentScores
from collidekit.objectives.targets import CUT, TargetLosses, TargetScores

ANALYSIS, _ = parse_analysis(
    """
classes: {a: x == 0, b: x == 1}
inputs: {tracks: {limit: 9, features: [pt]}}
targets:
  vertex: {collection: tracks, same: v, weight: 1.5}
  origin: {collection: tracks, classes: {p: o == 0, q: o == 1, r: o == 2}, weight: 0.5}
"""
)
COUNTS = [3, 0, 1, 4]
VERTEX = [0, 0, 1, -1, 2, -1, -1, 2]
ORIGIN = [0, 1, 2, -1, 1, 1, 0, -1]
OFFSETS = [0, 3, 3, 4, 8]
PAIRS = [pair for a, b in pairwise(OFFSETS) for pair in combinations(range(a, b), 2)]


def batch(vertex: list[int] = VERTEX, origin: list[int] = ORIGIN) -> Batch:
    targets = torch.tensor([vertex, origin], dtype=torch.int32).T
    zeros = torch.zeros(len(COUNTS), dtype=torch.int64)
    return Batch(
        inputs={"tracks": Ragged(torch.zeros(8, 1), torch.tensor(OFFSETS), 1, targets=targets)},
        labels=zeros, weights=torch.ones(len(COUNTS)), spectators={}, event={}, keys=zeros, processes=zeros,
        source=zeros[:, None].repeat(1, 2), index=zeros,
    )  # fmt: skip


@pytest.fixture
def logits() -> dict[str, torch.Tensor]:
    torch.manual_seed(4)
    return {"origin": torch.randn(8, 3, dtype=torch.float64), "vertex": torch.randn(len(PAIRS), dtype=torch.float64)}


@pytest.fixture
def losses() -> TargetLosses:
    return TargetLosses(ANALYSIS, ANALYSIS.targets)


WEIGHTS = torch.tensor([1.0, 5.0, 0.5, 2.0], dtype=torch.float64)
OF_CONSTITUENTS = [1.0, 1, 1, 0.5, 2, 2, 2, 2]


def test_classes_are_learned_where_they_are_known(logits: dict[str, torch.Tensor], losses: TargetLosses) -> None:
    log_p = logits["origin"].log_softmax(dim=1)
    terms = [-OF_CONSTITUENTS[t] * log_p[t, k] for t, k in enumerate(ORIGIN) if k >= 0]
    torch.testing.assert_close(losses(logits, batch(), WEIGHTS)["origin"], sum(terms) / 6)


def test_pairs_of_one_vertex_in_the_same_row(logits: dict[str, torch.Tensor], losses: TargetLosses) -> None:
    same = [VERTEX[i] == VERTEX[j] >= 0 for i, j in PAIRS]
    assert [pair for pair, one in zip(PAIRS, same, strict=True) if one] == [(0, 1), (4, 7)]
    terms = [
        OF_CONSTITUENTS[i] * F.binary_cross_entropy_with_logits(x, torch.tensor(float(one), dtype=x.dtype))
        for (i, _), x, one in zip(PAIRS, logits["vertex"], same, strict=True)
    ]
    torch.testing.assert_close(losses(logits, batch(), WEIGHTS)["vertex"], sum(terms) / len(PAIRS))


def test_pairs_with_one_that_is_not_known_are_left_out(logits: dict[str, torch.Tensor], losses: TargetLosses) -> None:
    unknown = batch(vertex=[0, 0, -2, -1, 2, -1, -1, 2])
    one, ones = losses(logits, unknown, WEIGHTS)["vertex"], torch.ones(4, dtype=torch.float64)
    moved = {**logits, "vertex": logits["vertex"] + torch.tensor([0.0, 9, 9, 0, 0, 0, 0, 0, 0])}
    torch.testing.assert_close(losses(moved, unknown, WEIGHTS)["vertex"], one)
    kept = [0, 3, 4, 5, 6, 7, 8]
    same = torch.tensor([float(VERTEX[i] == VERTEX[j] >= 0) for i, j in PAIRS], dtype=torch.float64)
    expected = F.binary_cross_entropy_with_logits(logits["vertex"][kept], same[kept])
    torch.testing.assert_close(losses(logits, unknown, ones)["vertex"], expected)


def test_the_total_has_the_weights_of_the_targets(logits: dict[str, torch.Tensor], losses: TargetLosses) -> None:
    found = losses(logits, batch(), WEIGHTS)
    torch.testing.assert_close(losses.total(found, of_rows=False), 1.5 * found["vertex"] + 0.5 * found["origin"])
    assert losses.total(found, of_rows=True) == losses.total({}, of_rows=False) == 0


def test_nothing_known_is_no_loss_and_no_score(logits: dict[str, torch.Tensor], losses: TargetLosses) -> None:
    nothing = batch(vertex=[-2] * 8, origin=[-1] * 8)
    for values in logits.values():
        values.requires_grad_()
    found = losses(logits, nothing, WEIGHTS)
    losses.total(found, of_rows=False).backward()  # type: ignore[union-attr]
    assert [loss.item() for loss in found.values()] == [0.0, 0.0]
    assert logits["origin"].grad is not None
    assert logits["origin"].grad.abs().sum() == 0
    scores = TargetScores(losses)
    scores.add(logits, nothing, WEIGHTS)
    assert all(math.isnan(value) for value in scores.scores().values())


def test_scores_by_hand(losses: TargetLosses) -> None:
    found = {(0, 1): 1.0, (0, 2): 1.0, (4, 5): 1.0}  # one of two is found, two of three are wrong
    logits = {
        "vertex": torch.tensor([found.get(pair, -1.0) for pair in PAIRS]),
        "origin": F.one_hot(torch.tensor([0, 1, 1, 0, 1, 2, 0, 0]), 3).float(),  # right: 0, 1, 4, 6 of 6 that are known
    }
    scores = TargetScores(losses)
    scores.add(logits, batch(), torch.ones(4))
    result = scores.scores()
    assert result["vertex_efficiency"] == pytest.approx(1 / 2)
    assert result["vertex_purity"] == pytest.approx(1 / 3)
    assert result["origin_accuracy"] == pytest.approx(4 / 6)
    expected = losses(logits, batch(), torch.ones(4))
    assert result["loss_origin"] == pytest.approx(float(expected["origin"]))


def test_scores_count_rows_by_their_event_weights(logits: dict[str, torch.Tensor], losses: TargetLosses) -> None:
    """Not by the weights of the loss; equal event weights change nothing."""

    def scores(events: torch.Tensor, of_loss: torch.Tensor) -> dict[str, float]:
        found = TargetScores(losses)
        found.add(logits, evolve(batch(), weights=events), of_loss)
        return {name: value for name, value in found.scores().items() if not name.startswith("loss_")}

    ones, events = torch.ones(4), torch.tensor([1.0, 5.0, 0.5, -2.0])
    assert scores(3 * ones, ones) == pytest.approx(scores(ones, WEIGHTS), rel=1e-12)
    found = scores(events, ones)
    right = logits["origin"].argmax(dim=1).tolist()
    weights = [1.0, 1, 1, 0.5, -2, -2, -2, -2]
    known = [(w, r == k) for w, r, k in zip(weights, right, ORIGIN, strict=True) if k >= 0]
    assert found["origin_accuracy"] == pytest.approx(sum(w for w, ok in known if ok) / sum(w for w, _ in known))
    true = [weights[i] for i, j in PAIRS if VERTEX[i] == VERTEX[j] >= 0]
    both = [
        weights[i] for (i, j), x in zip(PAIRS, logits["vertex"], strict=True) if VERTEX[i] == VERTEX[j] >= 0 and x > 0
    ]
    assert found["vertex_efficiency"] == pytest.approx(sum(both) / sum(true))


def test_the_spread_of_values_counts_event_weights() -> None:
    analysis, _ = parse_analysis("inputs: {ev: {features: [x]}}\ntargets: {e: {values: {energy: y}, unit: GeV}}")
    truth = torch.tensor([[1.0], [2.0], [float("nan")], [4.0]], dtype=torch.float64)
    zeros = torch.zeros(4, dtype=torch.int64)
    rows = Batch(
        inputs={"ev": torch.zeros(4, 1)}, labels=zeros - 1, weights=torch.tensor([1.0, 2.0, 9.0, 0.5]), spectators={}, event={},
        keys=zeros, processes=zeros, source=zeros[:, None].repeat(1, 2), index=zeros, truth={"e": truth},
    )  # fmt: skip
    head = regression_head(analysis.regressions["e"])
    found = TargetScores(TargetLosses(analysis, ["e"], {"e": head}))
    raw = torch.tensor([[0.1], [0.2], [0.3], [0.4]])
    found.add({"e": raw}, rows, torch.ones(4))
    residuals = (head.estimates(raw) - truth).squeeze(1)[[0, 1, 3]]
    expected = ((torch.tensor([1.0, 2.0, 0.5]) * residuals**2).sum() / 3.5) ** 0.5
    assert found.scores()["energy_rms"] == pytest.approx(float(expected))


def test_scores_do_not_depend_on_the_cut_into_batches(logits: dict[str, torch.Tensor], losses: TargetLosses) -> None:
    whole, parts = TargetScores(losses), TargetScores(losses)
    whole.add(logits, batch(), WEIGHTS)
    first = {"origin": logits["origin"][:4], "vertex": logits["vertex"][:3]}
    second = {"origin": logits["origin"][4:], "vertex": logits["vertex"][3:]}
    parts.add(first, batch().slice(0, 3), WEIGHTS[:3])
    parts.add(second, batch().slice(3, 4), WEIGHTS[3:])
    assert parts.scores() == pytest.approx(whole.scores())


ASSIGNMENT, _ = parse_analysis(
    """
inputs: {jets: {limit: 2, features: [pt]}}
targets: {tops: {collection: jets, parents: {t: {b: i}, u: {b: j}}}}
"""
)


def test_a_decay_product_that_is_not_kept_is_a_wrong_one() -> None:
    """Row 0 has both jets, row 1 a true jet that was cut off, row 2 one that is not in the event."""
    zeros = torch.zeros(3, dtype=torch.int64)
    jets = Ragged(
        torch.zeros(6, 1), torch.tensor([0, 2, 4, 6]), 1, targets=torch.tensor([[2], [0]] * 3, dtype=torch.int32)
    )
    rows = Batch(
        inputs={"jets": jets}, labels=zeros - 1, weights=torch.ones(3), spectators={}, event={}, keys=zeros,
        processes=zeros, source=zeros[:, None].repeat(1, 2), index=zeros,
        truth={"tops": torch.tensor([[2.0, 0.0], [1.0, 0.0], [-1.0, 2.0]], dtype=torch.float64)},
    )  # fmt: skip
    losses = TargetLosses(ASSIGNMENT, ["tops"])
    truth, known, _ = losses.kinds["tops"].truth(rows)
    assert truth.tolist() == [[0, 1], [CUT, 1], [-1, 0]]
    assert known.all()
    ways = combinations_of((2,), ((0,),), ("jets",))
    scores = torch.tensor([2.0, 1.0, 0.5]).log_softmax(0).expand(3, 3)
    raw = {"tops": {"t": ParentScores(scores, ways), "u": ParentScores(scores[:, [1, 0, 2]], ways)}}
    loss = losses(raw, rows, torch.ones(3))["tops"]
    t, empty = -scores[0, 0], -scores[0, 2]
    assert float(loss) == pytest.approx(float(2 * t + empty + t + empty - scores[0, 1]) / 3)
    for weights, efficiency in ((torch.ones(3), 0.5), (torch.tensor([3.0, 1.0, 7.0]), 0.75)):
        found = TargetScores(losses)
        found.add(raw, evolve(rows, weights=weights), torch.ones(3))
        assert found.scores()["tops_efficiency"] == efficiency
