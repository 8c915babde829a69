"""The focal factor and the cost of constituents used twice: by loops over all ways, by hand, and as gradients."""

from itertools import product

import pytest
import torch

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Batch, Ragged
from collidekit.errors import CollidekitError
from collidekit.models.combinations import combinations
from collidekit.models.heads.assignment import ParentScores, Scores
from collidekit.objectives.assignment_terms import focal_cross_entropy, used_twice
from collidekit.objectives.targets import TargetLosses

JETS, LEPTONS, ROWS = 4, 2, 3


def analysis(extra: str = "") -> Analysis:
    """Parents t and u take two jets each, which may be exchanged in t; v takes a jet and a lepton."""
    return parse_analysis(f"""
inputs: {{jets: {{limit: {JETS}, features: [pt]}}, leptons: {{limit: {LEPTONS}, features: [lpt]}}}}
targets:
  tops:
    collection: jets
    parents:
      t: {{q1: i, q2: j}}
      u: {{q1: k, q2: l}}
      v: {{b: m, lep: {{index: n, collection: leptons}}}}
    symmetries: [[t.q1, t.q2]]
    {extra}
""")[0]


def scores(chosen: Analysis, seed: int = 1) -> Scores:
    """Log-probabilities of all ways, of which one is impossible in each row."""
    torch.manual_seed(seed)
    target = chosen.assignments["tops"]
    found = {}
    for parent, slots in target.parents.items():
        names = [target.collection_of(parent, slot) for slot in slots]
        sizes = tuple(JETS if name == "jets" else LEPTONS for name in names)
        ways = combinations(sizes, tuple(tuple(group) for group in target.alike(parent)), tuple(names))
        raw = torch.randn(ROWS, len(ways.filled), dtype=torch.float64)
        raw[:, 1] = -torch.inf
        found[parent] = ParentScores(raw.log_softmax(dim=1), ways)
    return found


def test_used_twice_by_a_loop_over_all_ways() -> None:
    chosen = analysis("exclusivity: 1")
    target, raw = chosen.assignments["tops"], scores(chosen)
    expected = torch.zeros(ROWS, dtype=torch.float64)
    for one, other in (("t", "u"), ("t", "v"), ("u", "v")):
        a, b = raw[one], raw[other]
        for x, y in product(range(len(a.ways.filled)), range(len(b.ways.filled))):
            shared = 0
            for i, (r, j) in product(a.ways.filled[x].tolist(), enumerate(b.ways.filled[y].tolist())):
                jets = list(target.parents[other])[r] != "lep"
                shared += int(i == j < JETS and jets)
            expected += shared * a.log_p[:, x].exp() * b.log_p[:, y].exp()
    assert expected.min() > 0.5
    torch.testing.assert_close(used_twice(target, raw), expected)


def test_two_parents_that_want_the_same_jet_for_sure() -> None:
    chosen, _ = parse_analysis("""
inputs: {jets: {limit: 3, features: [pt]}}
targets: {tops: {collection: jets, parents: {t: {b: i}, u: {b: j}}, exclusivity: 2}}
""")
    ways = combinations((3,), ((0,),), ("jets",))

    def scores_of(*p: float) -> ParentScores:
        return ParentScores(torch.tensor([p], dtype=torch.float64).log(), ways)

    target = chosen.assignments["tops"]
    assert float(used_twice(target, {"t": scores_of(1, 0, 0, 0), "u": scores_of(1, 0, 0, 0)})) == 1
    assert float(used_twice(target, {"t": scores_of(1, 0, 0, 0), "u": scores_of(0, 1, 0, 0)})) == 0
    assert float(used_twice(target, {"t": scores_of(0, 0, 0, 1), "u": scores_of(0, 0, 0, 1)})) == 0  # both empty
    half = used_twice(target, {"t": scores_of(0.5, 0.5, 0, 0), "u": scores_of(0.2, 0.2, 0.6, 0)})
    assert float(half) == pytest.approx(0.2)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_focal_cross_entropy_and_its_derivative(gamma: float) -> None:
    p = torch.tensor([1e-6, 0.1, 0.5, 0.9, 0.999999], dtype=torch.float64)
    log_p = p.log().requires_grad_()
    found = focal_cross_entropy(log_p, gamma)
    torch.testing.assert_close(found.detach(), -((1 - p) ** gamma) * p.log())
    found.sum().backward()  # d/d ln p = p d/dp
    slope = gamma * (1 - p) ** (gamma - 1) * p * p.log() - (1 - p) ** gamma
    torch.testing.assert_close(log_p.grad, slope, rtol=1e-6, atol=1e-12)
    certain = torch.zeros(1, requires_grad=True)
    focal_cross_entropy(certain, gamma).sum().backward()
    assert certain.grad is not None
    assert abs(float(certain.grad)) < 1e-15


def rows() -> Batch:
    zeros = torch.zeros(ROWS, dtype=torch.int64)

    def ragged(size: int) -> Ragged:
        place = torch.arange(size, dtype=torch.int32).repeat(ROWS)[:, None]
        return Ragged(torch.zeros(ROWS * size, 1), torch.arange(ROWS + 1) * size, 1, targets=place)

    truth = torch.tensor([[2, 3, 0, 1, 3, 0], [0, 1, 2, 3, -1, 1], [3, 2, 1, 0, 0, 1]], dtype=torch.float64)
    return Batch(
        inputs={"jets": ragged(JETS), "leptons": ragged(LEPTONS)}, labels=zeros - 1, weights=torch.ones(ROWS),
        spectators={}, event={}, keys=zeros, processes=zeros, source=zeros[:, None].repeat(1, 2), index=zeros,
        truth={"tops": truth},
    )  # fmt: skip


def loss(extra: str = "", weights: torch.Tensor | None = None) -> torch.Tensor:
    chosen = analysis(extra)
    given = torch.ones(ROWS, dtype=torch.float64) if weights is None else weights
    return TargetLosses(chosen, ["tops"])({"tops": scores(chosen)}, rows(), given)["tops"]


def test_the_loss_has_both_terms_with_the_weights_of_rows() -> None:
    weights = torch.tensor([1.0, 3.0, 0.5], dtype=torch.float64)
    raw = scores(analysis())
    positions = {"t": rows().truth["tops"][:, :2], "u": rows().truth["tops"][:, 2:4], "v": rows().truth["tops"][:, 4:]}
    log_p = {
        name: raw[name].log_p.gather(1, raw[name].ways.number(at.long())[:, None])[:, 0]
        for name, at in positions.items()
    }
    plain = -sum(log_p.values())  # type: ignore[operator]
    focal = -sum((1 - value.exp()) ** 2 * value for value in log_p.values())  # type: ignore[operator]
    cost = used_twice(analysis().assignments["tops"], raw)
    torch.testing.assert_close(loss("", weights), (weights * plain).sum() / ROWS)
    torch.testing.assert_close(loss("focal: 2", weights), (weights * focal).sum() / ROWS)
    both = loss("focal: 2\n    exclusivity: 0.3", weights)
    torch.testing.assert_close(both, (weights * (focal + 0.3 * cost)).sum() / ROWS)


def test_zero_is_as_before() -> None:
    explicit = analysis("focal: 0\n    exclusivity: 0")
    assert torch.equal(loss("focal: 0\n    exclusivity: 0"), loss())
    assert explicit.fingerprint == analysis().fingerprint == analysis("focal: 1").fingerprint
    assert explicit.model_dump(exclude_defaults=True) == analysis().model_dump(exclude_defaults=True)


def test_the_cost_pulls_two_parents_apart() -> None:
    """Descending the cost alone from nearly the same wish, the parents end with different jets."""
    chosen, _ = parse_analysis("""
inputs: {jets: {limit: 2, features: [pt]}}
targets: {tops: {collection: jets, parents: {t: {b: i}, u: {b: j}}, exclusivity: 1}}
""")
    ways = combinations((2,), ((0,),), ("jets",))
    wish = torch.tensor([[0.1, 0.0, -9.0], [0.0, 0.1, -9.0]], requires_grad=True)
    for _ in range(200):
        t, u = (ParentScores(part[None].log_softmax(dim=1), ways) for part in wish)
        (gradient,) = torch.autograd.grad(used_twice(chosen.assignments["tops"], {"t": t, "u": u}).sum(), wish)
        wish = (wish - gradient).detach().requires_grad_()
    assert wish.softmax(dim=1)[0, 0] > 0.95
    assert wish.softmax(dim=1)[1, 1] > 0.95


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("parents: {t: {b: i, q: k}}, exclusivity: 1", "no two parents are filled from one collection"),
        ("parents: {t: {b: i}, u: {b: {index: j, collection: leptons}}}, exclusivity: 1", "no two parents are filled"),
        ("parents: {t: {b: i}}, focal: -1", "focal"),
        ("parents: {t: {b: i}}, focal: .inf", "focal"),
    ],
)
def test_what_cannot_be_meant_is_an_error(target: str, message: str) -> None:
    with pytest.raises(CollidekitError, match=message):
        parse_analysis(f"""
inputs: {{jets: {{limit: 2, features: [pt]}}, leptons: {{limit: 2, features: [lpt]}}}}
targets: {{tops: {{collection: jets, {target}}}}}
""")
