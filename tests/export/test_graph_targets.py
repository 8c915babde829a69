"""Targets of the bundled analyses in ONNX graphs, for any number of rows and constituents."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from attrs import evolve
from torch import Tensor

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.batch import Batch, Ragged
from collidekit.export.graph import TaggerGraph
from collidekit.export.layouts.base import Layout
from collidekit.export.onnx_file import to_onnx
from collidekit.inference.sample_rows import sample_rows
from collidekit.models import Tagger, build_network
from collidekit.models.heads import ClassesHead
from collidekit.models.tagger import outputs_of
from collidekit.shipped import find_analysis
from collidekit.training.checkpoint import load_checkpoint

onnxruntime = pytest.importorskip("onnxruntime")

Array = np.ndarray[Any, Any]
MEMBERS = """
targets:
  origin: {collection: tracks, classes: {fake: k == 0, primary: k == 1, heavy: k == 2}}
  vertex: {collection: tracks, same: v}
"""
NEUTRINOS, MASS = "    unit: GeV\n  pair", "{values: {m_tt: truth_ttbar_mass}, unit: GeV, scale: log}"
CASES: dict[str, tuple[str, dict[str, str]]] = {
    "dilepton": ("ttbar_dilepton", {}),
    "flow and gaussian": (
        "ttbar_dilepton",
        {
            NEUTRINOS: '    unit: GeV\n    estimate: flow\n    draws: 40\n    on_shell: ["leptons[0]", "leptons[1]"]\n  pair',
            MASS: MASS.replace("}, unit", "}, estimate: gaussian, unit"),
        },
    ),
    "quantiles and binned": (
        "ttbar_dilepton",
        {
            NEUTRINOS: "    unit: GeV\n    estimate: quantiles\n  pair",
            MASS: "{values: {m_tt: truth_ttbar_mass}, unit: GeV, estimate: binned}",
        },
    ),
    "hadronic": ("ttbar_hadronic", {}),
    "tth": ("tth_semileptonic", {}),
    "tracks": ("jet_flavour_tracks", {"\nspectators:": f"{MEMBERS}\nspectators:"}),
}


def tagger_of(case: str) -> tuple[Tagger, Analysis]:
    """A small network with random weights for an analysis that is bundled, with changes."""
    name, changes = CASES[case]
    text = find_analysis(name).read_text()
    for old, new in changes.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    analysis = parse_analysis(text, f"{name}.yaml")[0]
    torch.manual_seed(2)
    outputs = outputs_of(analysis, ClassesHead.of(analysis))
    options = {"width": 16, "layers": 1, "heads": 2, "feed_forward": 16, "latent": 16, "head": [16]}
    tagger = Tagger(analysis, build_network("transformer_small", analysis.inputs, outputs, options)).eval()
    with torch.no_grad():
        for parameter in tagger.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return tagger, analysis


def session(graph: TaggerGraph) -> Any:
    layout = Layout(graph, "toy")
    model = to_onnx(graph, graph.example(3, 7), graph.input_names, graph.output_names, layout.axes)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def run(one: Any, graph: TaggerGraph, tensors: tuple[Tensor, ...]) -> dict[str, Array]:
    known = {entry.name for entry in one.get_inputs()}  # what no output depends on is no input
    given = {name: tensor.numpy() for name, tensor in zip(graph.input_names, tensors, strict=True) if name in known}
    return dict(zip(graph.output_names, one.run(None, given), strict=True))


def rows_of(graph: TaggerGraph, rows: int, length: int) -> tuple[Tensor, ...]:
    """Random rows of which each has another number of constituents, the first as many as there is room for."""
    tensors = graph.example(rows, length)
    for name, tensor in zip(graph.input_names, tensors, strict=True):
        if name.endswith("_mask"):
            counts = torch.randint(0, length + 1, (rows, 1))
            counts[:1] = length
            tensor.copy_((torch.arange(length) < counts).float())
        elif f"{name}_mask" in graph.input_names and graph.analysis.collections[name].momenta:
            energy = (50 * tensor[..., -4:-1]).square().sum(dim=2).add(1).sqrt()
            tensor[..., -4:] = torch.cat([50 * tensor[..., -4:-1], energy[..., None]], dim=2)
    return tensors


@torch.no_grad()
@pytest.mark.parametrize("case", CASES)
def test_the_graph_gives_what_torch_gives(case: str) -> None:
    tagger, analysis = tagger_of(case)
    graph = TaggerGraph(tagger, analysis).eval()
    one = session(graph)
    limit = max(entry.limit for entry in analysis.collections.values())
    torch.manual_seed(3)
    for rows, length in ((7, limit), (7, limit + 5), (2, 1), (1, limit), (1, 0), (0, 3), (0, 0)):
        tensors = rows_of(graph, rows, length)
        wanted, found = graph.columns(*tensors), run(one, graph, tensors)
        for name, values in wanted.items():
            assert found[name].shape == tuple(values.shape), name
            assert found[name].dtype == values.numpy().dtype, name
            expected = (rows, length) if name in graph.constituent_outputs else (rows,)
            assert found[name].shape == expected, name
            if values.is_floating_point():
                size = max(
                    float(values.abs().max()) if values.numel() else 0.0, 1.0
                )  # 1 is the width of what is learned
                np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=3e-6 * size, err_msg=name)
            else:
                np.testing.assert_array_equal(found[name], values.numpy(), err_msg=name)


@torch.no_grad()
def test_constituents_beyond_the_limit_have_no_numbers() -> None:
    tagger, analysis = tagger_of("tracks")
    graph = TaggerGraph(tagger, analysis).eval()
    tensors = rows_of(graph, 2, 105)
    found = graph.columns(*tensors)
    assert found["origin"].dtype == found["vertex"].dtype == torch.int8
    assert set(graph.constituent_outputs) == {"origin_fake", "origin_primary", "origin_heavy", "origin", "vertex"}
    assert (found["origin"][0, :100] >= 0).all()
    assert (found["vertex"][0, :100] >= 0).all()
    for name in ("origin", "vertex"):
        assert (found[name][:, 100:] == -1).all()
    assert (found["origin_heavy"][:, 100:] == 0).all()
    together = found["origin_fake"] + found["origin_primary"] + found["origin_heavy"]
    torch.testing.assert_close(together[0, :100], torch.ones(100))


@pytest.fixture(scope="module")
def events() -> Batch:
    analysis = load_checkpoint("ttbar-dilepton/pair_transformer").analysis
    sample = find_analysis("ttbar_dilepton").parent.parent / "samples" / "ttbar_dilepton" / "test.root"
    return sample_rows(Plan(analysis), str(sample), 1000)


def spoiled(events: Batch) -> Batch:
    """With values that are missing or infinite, and jets that do not move."""
    torch.manual_seed(4)
    inputs: dict[str, Any] = {}
    for name, entry in events.inputs.items():
        data = entry.data if isinstance(entry, Ragged) else entry
        for value in (torch.nan, torch.inf, -torch.inf, 0.0):
            data = data.masked_fill(torch.rand(data.shape) < 0.02, value)
        if isinstance(entry, Ragged):
            data[torch.rand(len(data)) < 0.05, -4:] = 0.0
        inputs[name] = evolve(entry, data=data) if isinstance(entry, Ragged) else data
    return evolve(events, inputs=inputs)


@torch.no_grad()
@pytest.mark.parametrize("change", [lambda events: events, spoiled], ids=["as they are", "spoiled"])
def test_the_bundled_dilepton_model_gives_what_predict_gives(events: Batch, change: Callable[[Batch], Batch]) -> None:
    events = change(events)
    checkpoint = load_checkpoint("ttbar-dilepton/pair_transformer")
    graph = TaggerGraph(checkpoint.tagger, checkpoint.analysis).eval()
    tensors: list[Tensor] = []
    for name in checkpoint.analysis.inputs:
        entry = events.inputs[name]
        if isinstance(entry, Ragged):
            tensors += [entry.padded(entry.data), entry.padded(torch.ones(len(entry.data), 1))[..., 0]]
        else:
            tensors.append(entry)
    wanted = checkpoint.tagger.eval().predict(events)
    found = run(session(graph), graph, tuple(tensors))
    assert found.keys() == wanted.keys()
    jets = events.inputs["jets"]
    assert isinstance(jets, Ragged)
    assert jets.targets is not None
    places = jets.padded(jets.targets[:, -1:].float())[..., 0].long()
    for name, values in wanted.items():
        if name.startswith("index_"):
            position = torch.from_numpy(found[name])
            in_file = torch.where(position < 0, -1, places.gather(1, position.clamp(min=0)[:, None])[:, 0])
            assert in_file.equal(values), name
        else:
            np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-5 * float(values.std()), err_msg=name)
