"""The graph of every network in onnxruntime gives what the tagger predicts, for any number of rows and slots."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toys
from attrs import evolve
from blocks import ANALYSIS, COUNTS, LIMIT, in_slots, make_batch, make_inputs, make_tagger, without
from torch import Tensor

from collidekit.analysis.schema import Analysis
from collidekit.dataset.batch import Input, Ragged
from collidekit.export.graph import TaggerGraph
from collidekit.export.layouts.base import Layout
from collidekit.export.onnx_file import to_onnx
from collidekit.models import Tagger
from collidekit.models.registry import NETWORKS

pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

NAMES = sorted(NETWORKS)
OPTIONS: dict[str, dict[str, Any]] = {
    "mlp": {"leading": 3},
    "efn": {"flat": True},
    "lorentznet": {"scalars": ["c_d0"]},
    "lorentznet_small": {"first": 3, "beams": False},
    "particlenet_lite": {"fusion": True, "k": 7},
}
"""Analyses that together cover all inputs and most branches of the code."""
LENGTHS = (0, 1, 2, 3, 7, 8, 16, 17, LIMIT, LIMIT + 5)
"""Numbers of slots, also around the numbers of neighbours of both networks that use neighbours, 7 and 16."""
CHECKS = {"IsNaN", "Where", "Shape"}


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    return toys.write_analysis(Path(tmp_path_factory.mktemp("onnx")) / "blocks.yaml", ANALYSIS)


def export(tagger: Tagger, analysis: Analysis, opset: int = 17) -> Any:
    """The ONNX model of the generic layout."""
    layout = Layout(TaggerGraph(tagger, analysis), "network").eval()
    example = layout.example(3, 7)
    return to_onnx(layout, example, layout.input_names, layout.output_names, layout.axes, opset)


def session(model: Any) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(model.SerializeToString(), options)


def run(loaded: Any, analysis: Analysis, inputs: dict[str, Input], slots: int, padding: float) -> dict[str, Any]:
    """The columns of the graph for ragged inputs, brought into slots."""
    given: dict[str, Tensor] = {}
    for name, entry in inputs.items():
        if isinstance(entry, Ragged):
            given[name], mask = in_slots(entry, slots, padding)
            given[f"{name}_mask"] = mask.float()
        else:
            given[name] = entry
    taken = {entry.name for entry in loaded.get_inputs()}
    outputs = loaded.run(None, {name: values.numpy() for name, values in given.items() if name in taken})
    return dict(zip((entry.name for entry in loaded.get_outputs()), outputs, strict=True))


def within_limit(inputs: dict[str, Input]) -> dict[str, Input]:
    """What the analysis keeps of the inputs."""
    return {name: _cut(entry) if isinstance(entry, Ragged) else entry for name, entry in inputs.items()}


def _cut(entry: Ragged) -> Ragged:
    data, mask = in_slots(entry, 0)
    mask = mask[:, :LIMIT]
    return evolve(entry, data=data[:, :LIMIT][mask], offsets=torch.nn.functional.pad(mask.sum(dim=1).cumsum(0), (1, 0)))


def agree(found: dict[str, Any], tagger: Tagger, inputs: dict[str, Input], rows: int) -> None:
    wanted = tagger.predict(make_batch(within_limit(inputs), rows))
    for column, values in wanted.items():
        assert found[column].shape == (rows,)
        np.testing.assert_allclose(found[column], values.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_onnxruntime_gives_what_the_tagger_predicts(name: str, analysis: Analysis) -> None:
    tagger = make_tagger(analysis, name, OPTIONS.get(name, {}))
    model = export(tagger, analysis)
    assert set(operations_on_inputs(model)) <= CHECKS | {"Greater"}
    loaded = session(model)
    inputs, rows = make_inputs(analysis, COUNTS), len(COUNTS["charged"])
    for slots in (0, 3):
        found = run(loaded, analysis, inputs, slots, float("nan"))
        agree(found, tagger, inputs, rows)
        assert found["prob_signal"].std() > 1e-4
    for rows in (0, 1, 2, 7):
        for length in LENGTHS:
            inputs = make_inputs(analysis, {"charged": [length] * rows, "neutral": [max(length - 1, 0)] * rows}, length)
            slots = 0 if rows else length
            agree(run(loaded, analysis, inputs, slots, 0.0), tagger, inputs, rows)


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_one_collection_and_the_newest_opset(name: str, analysis: Analysis) -> None:
    one = without(analysis, "neutral")
    tagger = make_tagger(one, name, {})
    inputs, rows = make_inputs(one, {"charged": COUNTS["charged"]}), len(COUNTS["charged"])
    agree(run(session(export(tagger, one, opset=20)), one, inputs, 1, float("inf")), tagger, inputs, rows)


def operations_on_inputs(model: Any) -> Iterator[str]:
    """The operations that see values of an input first; to take some of its slots or columns is none."""
    seen = [entry.name for entry in model.graph.input]
    for name in seen:
        for node in model.graph.node:
            if name in node.input and node.op_type == "Slice":
                seen.append(node.output[0])
            elif name in node.input:
                yield node.op_type
