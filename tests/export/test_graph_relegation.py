"""The relegation head in a graph: relegated rows have the numbers of torch, also if the classes are almost certain."""

import numpy as np
import pytest
import torch
from toys import TOY

from collidekit.analysis.load import parse_analysis
from collidekit.export.graph import TaggerGraph
from collidekit.export.layouts.base import Layout
from collidekit.export.onnx_file import to_onnx
from collidekit.models import Tagger, build_network
from collidekit.models.heads.relegation import RelegationHead, doubt

onnxruntime = pytest.importorskip("onnxruntime")


class _Decoded(torch.nn.Module):
    def __init__(self, head: RelegationHead) -> None:
        super().__init__()
        self.head = head

    def forward(self, outputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(self.head.decode(self.head(outputs)).values())


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_a_graph_refuses_as_the_head_does_whatever_the_size_of_the_outputs(classes: int) -> None:
    torch.manual_seed(1)
    decoded = _Decoded(RelegationHead([f"c{i}" for i in range(classes)]))
    example = torch.randn(3, classes + 1)
    model = to_onnx(decoded, (example,), ["x"], list(decoded.head.columns), {"x": {0: "N"}})
    session = onnxruntime.InferenceSession(model.SerializeToString())
    for size in (1, 30, 300):
        outputs = size * torch.randn(200, classes + 1)
        for wanted, found in zip(decoded(outputs), session.run(None, {"x": outputs.numpy()}), strict=True):
            np.testing.assert_allclose(found, wanted.numpy(), atol=2e-6)


def test_doubt_is_the_mean_of_all_but_the_largest() -> None:
    q = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8]], dtype=torch.float64)
    np.testing.assert_allclose(doubt(q.log(), 3).exp().numpy(), [[0.15], [0.1]], rtol=1e-12)
    far = torch.tensor([[0.0, -300.0, -301.0]])
    np.testing.assert_allclose(doubt(far, 3).numpy(), [[-300 + np.log((1 + np.exp(-1)) / 2)]], rtol=1e-6)


def test_a_tagger_that_refuses_rows_becomes_a_graph() -> None:
    analysis = parse_analysis(TOY)[0]
    torch.manual_seed(2)
    head = RelegationHead(list(analysis.classes))
    tagger = Tagger(analysis, build_network("pfn", analysis.inputs, head.outputs, {}), head).eval()
    graph = TaggerGraph(tagger, analysis)
    layout = Layout(graph, "toy")
    model = to_onnx(graph, graph.example(3, 7), graph.input_names, graph.output_names, layout.axes)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    given = graph.example(5, 4)
    named = {name: values.numpy() for name, values in zip(graph.input_names, given, strict=True)}
    found = dict(zip(graph.output_names, session.run(None, named), strict=True))
    for name, wanted in zip(graph.output_names, graph(*given), strict=True):
        np.testing.assert_allclose(found[name], wanted.numpy(), atol=2e-6)
    probabilities = [found[name] for name in head.columns]
    np.testing.assert_allclose(np.sum(probabilities, axis=0), 1, rtol=1e-5)
