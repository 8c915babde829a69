"""Combinations of networks, heads and layouts: each one gives the numbers of the ragged tagger, or is refused with a reason."""

import re
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
from matrix import OBJECTIVES, TARGETS, constituents_wanted, make_rows, make_tagger

from collidekit.errors import CollidekitError
from collidekit.export.agreement import difference, scales_of_columns
from collidekit.export.cases import generic_arrays
from collidekit.export.expected import expected, noise_of
from collidekit.export.graph import TaggerGraph
from collidekit.export.layouts import LAYOUTS, find_layout
from collidekit.export.layouts.base import Layout
from collidekit.export.session import open_session, run_layout
from collidekit.models.registry import NETWORKS
from collidekit.objectives.registry import OBJECTIVES as ALL_OBJECTIVES

OPTIONS = {"athena": {"sequence.leptons": "electrons"}}
SOME = ("classification", "relegator", "value standard", "gaussian log", "quantiles robust", "binned", "flow standard",
        "assignment", "origin", "vertex", "no classes", "all")  # fmt: skip
"""One of each kind of head."""
COMBINATIONS = [
    *((network, head, "generic") for network in NETWORKS for head in ("classification", "all")),
    *(("pfn", head, "generic") for head in TARGETS if head not in ("classification", "all")),
    *(
        ("transformer_small" if head == "assignment" else "pfn", head, layout)
        for layout in LAYOUTS
        for head in SOME
        if layout != "generic"
    ),
]
COMBINATIONS += [
    (network, "classification", layout)
    for network in NETWORKS
    for layout in LAYOUTS
    if layout != "nuflows" and (network, "classification", layout) not in COMBINATIONS
]
NO_CLASSES = "needs class probabilities, and this analysis has no classes"
ASSIGNS = "target 'tops' assigns constituents, and the contract has no output for this"
NOISE = "target 'neutrinos' is a flow, which needs random numbers, and the contract has no input for them"
SIX = "needs a target with six values"
NO_EMBEDDING = "has no embedding of the jets, so it cannot assign them"
REFUSED = {
    ("pcnn", "all", "generic"): NO_EMBEDDING,
    **{("pfn", "no classes", layout): NO_CLASSES for layout in ("athena", "cmssw", "cmssw_upart")},
    **{("pfn", "all", layout): ASSIGNS for layout in ("athena", "cmssw", "cmssw_upart")},
    **{("transformer_small", "assignment", layout): ASSIGNS for layout in ("athena", "cmssw", "cmssw_upart")},
    **{("pfn", "flow standard", layout): NOISE for layout in LAYOUTS if layout not in ("generic", "triton", "nuflows")},
    **{("pfn", head, "nuflows"): SIX for head in ("classification", "relegator", "origin", "vertex")},
    ("transformer_small", "assignment", "nuflows"): SIX,
}
"""Every refused combination, with its message."""


def make_layout(network: str, head: str, layout: str) -> tuple[Layout, Any]:
    tagger, analysis = make_tagger(network, head, coordinates=layout != "nuflows")
    return find_layout(layout)(TaggerGraph(tagger, analysis), "toy", OPTIONS.get(layout)), tagger


@pytest.mark.parametrize(
    ("network", "head", "layout"),
    sorted(COMBINATIONS, key=lambda one: one[:2]),
    ids=lambda text: text.replace(" ", "_"),
)
def test_a_combination_gives_the_numbers_of_the_tagger_or_says_why_not(network: str, head: str, layout: str) -> None:
    reason = REFUSED.get((network, head, layout))
    if reason is None:
        made, tagger = make_layout(network, head, layout)
        is_generic = type(made).forward is Layout.forward and made.opset == Layout.opset  # then the graphs are the same
        check_numbers(made, tagger, generic_graph(network, head) if is_generic else None)
        return
    with pytest.raises(CollidekitError, match=re.escape(reason)) as error:
        make_layout(network, head, layout)
    assert "\n" not in str(error.value)


@lru_cache(maxsize=1)
def generic_graph(network: str, head: str) -> bytes:
    return bytes(make_layout(network, head, "generic")[0].to_onnx().SerializeToString())


def check_numbers(layout: Layout, tagger: Any, graph: bytes | None = None) -> None:
    analysis = layout.graph.analysis
    rows = make_rows(analysis)
    session = open_session(graph or layout.to_onnx().SerializeToString())
    wanted = expected(tagger, layout.graph, rows, analysis)
    names = [name for name in wanted if name not in layout.graph.constituent_outputs]
    assert names
    assert all(np.isfinite(wanted[name]).all() for name in names)
    values = {name: wanted[f"pred_{name}"] for name in analysis.units_of_values if f"pred_{name}" in wanted}
    scales = scales_of_columns(names, values)
    members = constituents_wanted(tagger, analysis, rows) if layout.graph.constituent_outputs else {}
    compared = set()
    for chosen in (rows, rows[4:5]) if layout.batched else (rows,):
        start = 0 if chosen is rows else 4
        generic = generic_arrays(chosen, analysis, noise_of(layout.graph, chosen, analysis))
        found = run_layout(session, layout, generic)
        compared |= set(found)
        for name, numbers in found.items():
            if name in members:
                for i, row in enumerate(members[name][start : start + len(chosen)]):
                    np.testing.assert_allclose(numbers[i, : len(row)], row, rtol=1e-5, atol=1e-6, err_msg=name)
                continue
            own = wanted[name][start : start + len(chosen)]
            assert numbers.shape == own.shape, name
            off = difference(name, own, numbers, scales.get(name, 1.0))
            assert off.largest < 1e-5, f"{name}: {off}"
            assert not name.startswith("index_") or (numbers == own).all(), name
    if layout.batched:
        nothing = generic_arrays([], analysis, noise_of(layout.graph, rows[:0], analysis))
        assert {values.shape[0] for values in run_layout(session, layout, nothing).values()} == {0}
    assert compared or (layout.name == "nuflows" and layout.graph.flows), "two calls differ, nothing else may"


def test_every_objective_and_network_is_in_the_matrix() -> None:
    assert set(OBJECTIVES) == set(ALL_OBJECTIVES)
    assert {network for network, *_ in COMBINATIONS} == set(NETWORKS)
    assert {layout for *_, layout in COMBINATIONS} == set(LAYOUTS)
    pairs = {(network, layout) for network, head, layout in COMBINATIONS if head == "classification"}
    assert pairs >= {(network, layout) for network in NETWORKS for layout in LAYOUTS if layout != "nuflows"}
    assert len(COMBINATIONS) == len(set(COMBINATIONS))
    assert set(REFUSED) <= set(COMBINATIONS)
