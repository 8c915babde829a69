"""The head that assigns constituents to decay products."""

import pytest

from collidekit.analysis.load import parse_analysis
from collidekit.errors import CollidekitError
from collidekit.models.heads.assignment import AssignmentHead
from collidekit.models.registry import build_network


def test_more_assignments_than_can_be_searched_are_refused() -> None:
    parents = ", ".join(f"t{k}: {{b: b{k}, q: q{k}, p: p{k}}}" for k in range(4))
    text = f"inputs: {{jets: {{limit: 40, features: [jet_pt]}}}}\ntargets: {{tops: {{collection: jets, parents: {{{parents}}}}}}}"
    analysis = parse_analysis(text, "toy.yaml")[0]
    with pytest.raises(CollidekitError, match="4 parents of jets with a limit of 40 have too many assignments"):
        AssignmentHead(analysis.assignments["tops"], analysis.collections, build_network("pfn", analysis.inputs, 1, {}))
    fewer = parse_analysis(text.replace("40", "12"), "toy.yaml")[0]
    AssignmentHead(fewer.assignments["tops"], fewer.collections, build_network("pfn", fewer.inputs, 1, {}))
