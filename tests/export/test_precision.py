"""Half precision and 8-bit integers: what changes, what stays, and what the bundle says of it."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from bundles import write
from onnx import TensorProto, helper, numpy_helper

from collidekit.errors import CollidekitError
from collidekit.evaluation.classification.roc import roc_curve
from collidekit.export.agreement import Agreement
from collidekit.export.precision import LARGEST, reduce
from collidekit.export.reduction import Reduction, _rejection
from collidekit.export.templates import verify as verifier
from collidekit.export.verify import checks
from collidekit.runtime.folder import read_schema


def product(weights: np.ndarray, name: str = "y") -> onnx.ModelProto:
    """x (N, k) times weights (k, m)."""
    node = helper.make_node("MatMul", ["x", "w"], [name])
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", weights.shape[0]])
    y = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", weights.shape[1]])
    graph = helper.make_graph([node], "product", [x], [y], [numpy_helper.from_array(weights, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"collidekit": "kept"})
    return model


def call(model: onnx.ModelProto, path: Path, x: np.ndarray) -> np.ndarray:
    onnx.save(model, path)
    return verifier.load(path).run(None, {"x": x})[0]


@pytest.mark.parametrize(("precision", "off"), [("float16", 2e-3), ("int8", 0.05)])
def test_a_product_keeps_its_numbers_within_the_precision(tmp_path, precision, off):
    generator = np.random.default_rng(1)
    weights = generator.normal(size=(40, 30)).astype(np.float32)
    x = generator.normal(size=(50, 40)).astype(np.float32)
    model = product(weights)
    made = reduce(model, precision, [{"x": x}])
    found = call(made, tmp_path / "model.onnx", x)
    assert found.dtype == np.float32
    assert 0 < np.abs(found - x @ weights).max() < off * np.abs(x @ weights).max()
    assert {entry.key: entry.value for entry in made.metadata_props} == {"collidekit": "kept"}
    assert [tensor.name for tensor in made.graph.output] == ["y"]
    np.testing.assert_array_equal(numpy_helper.to_array(model.graph.initializer[0]), weights)


def test_half_precision_clips_what_it_cannot_hold(tmp_path):
    made = reduce(product(np.eye(2, dtype=np.float32)), "float16", [])
    found = call(made, tmp_path / "model.onnx", np.array([[1e6, -1e30], [1, -2]], dtype=np.float32))
    np.testing.assert_array_equal(found, [[LARGEST, -LARGEST], [1, -2]])


def test_single_precision_is_the_model_itself():
    model = product(np.eye(2, dtype=np.float32))
    assert reduce(model, "float32", []) is model


def test_odd_wishes_are_refused():
    model = product(np.eye(2, dtype=np.float32))
    with pytest.raises(CollidekitError, match=r"'float61' is none of float32, float16, int8"):
        reduce(model, "float61", [])
    with pytest.raises(CollidekitError, match="needs rows"):
        reduce(model, "int8", [])
    del model.graph.initializer[:]
    with pytest.raises(CollidekitError, match="no product with weights"):
        reduce(model, "int8", [{"x": np.zeros((1, 2), np.float32)}])


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_a_bundle_says_what_its_precision_costs(tmp_path, pfn_bundle, precision):
    made = write("top-tagging/pfn", tmp_path / "bundle", precision=precision)
    schema = read_schema(made.folder)
    assert schema.precision == precision
    assert all(check.passed for check in checks(made.folder, 1))
    kept = {(tensor.name, tensor.dtype) for tensor in schema.graph_inputs + schema.graph_outputs}
    assert {dtype for _, dtype in kept} == {"float32"}
    cost = made.agreement.cost
    assert cost is not None
    assert cost.size[1] == (made.folder / "model.onnx").stat().st_size < 0.6 * cost.size[0]
    assert cost.time_ratio > 0
    points = schema.working_points["TvsQCD"]["points"]
    assert len(cost.efficiencies["TvsQCD"]) == sum(point["threshold"] is not None for point in points) >= 1
    for values in cost.efficiencies["TvsQCD"].values():
        assert all(0 <= value <= 1 for value in values)
    assert 1e-5 < made.agreement.largest < (5e-3 if precision == "float16" else 0.3)
    before, after = made.agreement.auc["TvsQCD"]
    assert abs(before - after) < 0.01
    card = (made.folder / "README.md").read_text()
    assert f"What {precision} costs" in card
    assert "Background rejection of `TvsQCD`" in card
    assert json.loads((made.folder / "agreement.json").read_text())["cost"]["precision"] == precision
    assert "What float" not in (pfn_bundle / "README.md").read_text()


def test_numbers_that_are_not_finite_and_a_lost_auc_are_errors():
    reduction = Reduction("int8", (10, 5), 1.0)
    columns = {"score": np.array([0.1, 0.9])}
    spoiled = {"score": np.array([0.1, np.nan])}
    nothing = np.zeros(2), np.ones(2), ["a", "b"]
    fine = Agreement(2, (), (), {"score": (0.9, 0.86)})
    with pytest.raises(CollidekitError, match="column score of row 1 is not finite"):
        reduction.cost(fine, columns, spoiled, [], *nothing)
    assert reduction.cost(fine, columns, columns, [], *nothing).size == (10, 5)
    lost = Agreement(2, (), (), {"score": (0.9, 0.84)})
    with pytest.raises(CollidekitError, match=r"falls from 0.9000 to 0.8400"):
        reduction.cost(lost, columns, columns, [], *nothing)


def test_the_rejection_is_that_of_the_roc_curve():
    generator = np.random.default_rng(2)
    signal = generator.random(4000) < 0.5
    scores = generator.normal(size=4000) + signal
    weights = generator.random(4000) + 0.5
    found = _rejection(scores, signal, ~signal, weights)
    curve = roc_curve(scores, signal, weights)
    assert found == pytest.approx(
        1 / np.interp(0.5, curve.signal_efficiencies, curve.background_efficiencies), rel=0.02
    )
    assert _rejection(np.array([1.0, 0.0]), np.array([True, False]), np.array([False, True]), np.ones(2)) is None
