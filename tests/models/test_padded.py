"""The padded form of a network gives what the ragged one does, whatever the number of empty slots."""

from pathlib import Path
from typing import Any

import pytest
import torch
import toys
from attrs import evolve
from blocks import ANALYSIS, COUNTS, LIMIT, in_slots, make_batch, make_inputs, make_tagger, pad, without
from torch import Tensor

from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Input, Ragged
from collidekit.errors import CollidekitError
from collidekit.export.graph import TaggerGraph
from collidekit.models.network import Embedding, Network
from collidekit.models.registry import NETWORKS

PADDED = sorted(NETWORKS)
EVERY = pytest.mark.parametrize("name", PADDED)
TWO_COLLECTIONS: list[tuple[str, dict[str, Any]]] = [
    ("efn", {"flat": True}),
    ("pcnn", {"per_stage": 1, "units": [8, 8, 16]}),
    ("pcnn", {"per_stage": 3, "units": [16, 16, 16, 24, 24]}),
    ("pcnn", {"units": [32, 32], "dense": []}),
    ("deepjet", {"flat": False}),
    ("deepjet_hlt", {"flat": True}),
    ("deepjet", {"branches": {"charged": [16, 4]}, "recurrent": {"neutral": 7}}),
    ("particlenet_lite", {"fusion": True, "embedding": 8}),
    ("particlenet_lite", {"k": 1, "layers": 2}),
    ("particlenet_lite", {"k": 47}),
    ("particlenet_lite", {"widths": [32, 32, 8], "dense": []}),
    ("lorentznet_small", {"beams": False}),
    ("lorentznet_small", {"first": 3}),
    ("lorentznet_small", {"first": 3, "beams": False, "scalars": ["c_d0", "n_logpt"]}),
    ("lorentznet_small", {"first": 0, "scalars": ["c_d0"], "step": 0.1, "unit": 1.0}),
    ("mlp", {"leading": 3}),
    ("pfn", {"norm": 3.0, "activation": "silu"}),
    ("transformer_small", {"norm": "LayerNorm", "gated": False, "registers": 1}),
]
"""Networks with options that change what they do."""
ONE_COLLECTION: list[tuple[str, dict[str, Any]]] = [
    ("particlenet_lite", {"fusion": True}),
    ("lorentznet_small", {"first": 2}),
]
CASES = [(name, {}, True) for name in PADDED] + [(*case, True) for case in TWO_COLLECTIONS]
CASES += [(name, {}, False) for name in PADDED] + [(*case, False) for case in ONE_COLLECTION]
SHORT = {"charged": [2, 0, 1], "neutral": [0, 1, 1]}
"""Fewer constituents than any network looks for neighbours."""
EMPTY = {"charged": [0, 0], "neutral": [0, 0]}


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    return toys.write_analysis(Path(tmp_path_factory.mktemp("padded")) / "blocks.yaml", ANALYSIS)


def same(found: Embedding, wanted: Embedding, inputs: dict[str, Input]) -> None:
    """The same outputs, rows, and embeddings of constituents where there are some."""
    torch.testing.assert_close(found.outputs, wanted.outputs, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(found.row, wanted.row, rtol=1e-9, atol=1e-9)
    assert list(found.constituents) == list(wanted.constituents)
    for name, block in found.constituents.items():
        entry = inputs[name]
        assert isinstance(entry, Ragged)
        _, mask = in_slots(entry, block.shape[1] - int(entry.counts.max()))
        assert block.shape[:2] == mask.shape
        torch.testing.assert_close(block[mask], wanted.constituents[name], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("name", "options", "two"), CASES)
@torch.no_grad()
def test_the_padded_form_gives_what_embed_does(
    name: str, options: dict[str, Any], two: bool, analysis: Analysis
) -> None:
    """In double precision, with the fewest slots that hold the rows, and with more."""
    known = analysis if two else without(analysis, "neutral")
    network = make_tagger(known, name, options).double().network
    for counts in (COUNTS, SHORT, EMPTY):
        rows = len(counts["charged"])
        inputs = {key: entry.double() if isinstance(entry, Tensor) else entry.to("cpu", torch.float64)
                  for key, entry in make_inputs(known, counts).items()}  # fmt: skip
        wanted = network.embed(inputs)
        assert wanted.outputs.shape == (rows, 2)
        for slots in (1,) if counts is EMPTY else (0, 6):
            same(network.padded(pad(inputs, slots)), wanted, inputs)


@EVERY
@torch.no_grad()
def test_what_stands_in_empty_slots_does_not_matter(name: str, analysis: Analysis) -> None:
    """The graph of a tagger takes raw values, in single precision, and clears what is none."""
    tagger = make_tagger(analysis, name, {})
    graph = TaggerGraph(tagger, analysis)
    inputs = make_inputs(analysis, COUNTS)
    wanted = tagger.predict(make_batch(inputs, len(COUNTS["charged"])))
    first: dict[str, Tensor] = {}
    for padding in (0.0, torch.nan, torch.inf, -9.0, 3e38):
        tensors: list[Tensor] = []
        for entry in inputs.values():
            tensors += in_slots(entry, 3, padding) if isinstance(entry, Ragged) else [entry]
        found = graph.columns(*tensors)
        for column, values in wanted.items():
            torch.testing.assert_close(found[column], values.float(), rtol=1e-5, atol=1e-6)
        first = first or found
        assert all(torch.equal(found[column], first[column]) for column in found)
    assert found["prob_signal"].std() > 1e-4


@EVERY
@torch.no_grad()
def test_constituents_beyond_the_limit_are_left_out(name: str, analysis: Analysis) -> None:
    graph = TaggerGraph(make_tagger(analysis, name, {}), analysis)
    longer = make_inputs(analysis, {"charged": [LIMIT + 5, 2], "neutral": [LIMIT + 9, LIMIT + 1]})
    shorter = {key: entry if isinstance(entry, Tensor) else cut(entry) for key, entry in longer.items()}
    found, wanted = (
        graph.columns(*(part for entry in inputs.values()
                        for part in (in_slots(entry, 0) if isinstance(entry, Ragged) else [entry])))
        for inputs in (longer, shorter)
    )  # fmt: skip
    for column, values in wanted.items():
        torch.testing.assert_close(found[column], values.float(), rtol=1e-5, atol=1e-6)


def cut(entry: Ragged) -> Ragged:
    """The first LIMIT constituents of each row."""
    data, mask = in_slots(entry, 0)
    mask = mask[:, :LIMIT]
    return evolve(entry, data=data[:, :LIMIT][mask], offsets=torch.nn.functional.pad(mask.sum(dim=1).cumsum(0), (1, 0)))


@torch.no_grad()
def test_ties_among_neighbours_are_the_same_in_both_forms(analysis: Analysis) -> None:
    """Coordinates on a coarse grid, some the same, in two collections of which neither fills its slots."""
    network = make_tagger(analysis, "particlenet_lite", {"k": 3}).double().network
    inputs = make_inputs(analysis, COUNTS)
    for key, entry in inputs.items():
        if isinstance(entry, Ragged):
            data = entry.data.double()
            data[:, -2:] = (data[:, -2:] * 3).round()
            inputs[key] = evolve(entry, data=data)
        else:
            inputs[key] = entry.double()
    wanted = network.embed(inputs)
    for slots in (0, 6):
        same(network.padded(pad(inputs, slots)), wanted, inputs)


def test_a_network_without_padded_form_says_so(analysis: Analysis) -> None:
    network = Network(analysis.inputs, 2)
    with pytest.raises(CollidekitError, match="no padded form"):
        network.padded(pad(make_inputs(analysis, COUNTS), 1))
