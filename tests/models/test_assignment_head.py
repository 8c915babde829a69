"""The head that assigns constituents to decay products."""

import pytest
import torch

from collidekit.analysis.load import parse_analysis
from collidekit.errors import CollidekitError
from collidekit.models.combinations import combinations
from collidekit.models.heads.assignment import AssignmentHead, ParentScores, best_positions, of_event
from collidekit.models.registry import build_network


def test_more_assignments_than_can_be_searched_are_refused() -> None:
    parents = ", ".join(f"t{k}: {{b: b{k}, q: q{k}, p: p{k}}}" for k in range(4))
    text = f"inputs: {{jets: {{limit: 40, features: [jet_pt]}}}}\ntargets: {{tops: {{collection: jets, parents: {{{parents}}}}}}}"
    analysis = parse_analysis(text, "toy.yaml")[0]
    with pytest.raises(CollidekitError, match="4 parents of jets with a limit of 40 have too many assignments"):
        AssignmentHead(analysis.assignments["tops"], analysis.collections, build_network("pfn", analysis.inputs, 1, {}))
    fewer = parse_analysis(text.replace("40", "12"), "toy.yaml")[0]
    AssignmentHead(fewer.assignments["tops"], fewer.collections, build_network("pfn", fewer.inputs, 1, {}))


@pytest.mark.parametrize(("parents", "limit"), [(2, 36), (3, 19), (4, 16)])
def test_the_largest_limits_are_those_of_the_documentation(parents: int, limit: int) -> None:
    def make(limit: int) -> AssignmentHead:
        slots = ", ".join(f"t{k}: {{b: b{k}, q: q{k}, p: p{k}}}" for k in range(parents))
        text = f"inputs: {{jets: {{limit: {limit}, features: [jet_pt]}}}}\ntargets: {{tops: {{collection: jets, parents: {{{slots}}}}}}}"
        analysis = parse_analysis(text, "toy.yaml")[0]
        network = build_network("pfn", analysis.inputs, 1, {})
        return AssignmentHead(analysis.assignments["tops"], analysis.collections, network)

    make(limit)
    with pytest.raises(CollidekitError, match="too many assignments"):
        make(limit + 1)


def test_the_event_has_the_product_of_the_probabilities_of_its_parents() -> None:
    """Of one-slot parents by hand: over all ways of both, the joint probability sums to 1, and the complete ones to their product."""
    text = "inputs: {jets: {limit: 3, features: [pt]}}\ntargets: {tops: {collection: jets, parents: {t0: {b: i}, t1: {b: j}}}}"
    target = parse_analysis(text)[0].assignments["tops"]
    ways = combinations((3,), ((0,),), ("jets",))
    log_p = [
        torch.tensor([[3.0, 1, 0, -1]]).double().log_softmax(1),
        torch.tensor([[2.9, 0, 1, -2]]).double().log_softmax(1),
    ]
    scores = {f"t{k}": ParentScores(part, ways) for k, part in enumerate(log_p)}
    chosen = best_positions(target, scores)
    columns: dict[str, torch.Tensor] = {}
    for parent, score in scores.items():
        columns |= score.probabilities(parent, score.ways.number(chosen[parent]), score.log_p)
    found = of_event("tops", target, columns)
    joint = torch.outer(log_p[0][0].exp(), log_p[1][0].exp())
    best = (int(chosen["t0"]), int(chosen["t1"]))
    assert best[0] != best[1], "no jet stands twice"
    assert float(found["tops_probability"]) == pytest.approx(float(joint[best]))
    assert float(found["tops_complete_probability"]) == pytest.approx(float(joint[:3, :3].sum()))
