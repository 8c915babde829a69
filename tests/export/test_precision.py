"""Half precision and 8-bit integers: which operations change, which do not, and what the bundle reports."""

import hashlib
import json
import re
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
from collidekit.runtime.schema import CHECKSUMS


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
    with pytest.raises(CollidekitError, match=r"there is no precision 'float61'.*; known are float32, float16, int8"):
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
    assert f"Effect of {precision}" in card
    assert "Background rejection of `TvsQCD`" in card
    assert json.loads((made.folder / "agreement.json").read_text())["cost"]["precision"] == precision
    assert "Effect of" not in (pfn_bundle / "README.md").read_text()


def test_a_layout_without_discriminators_has_their_auc_and_working_points(tmp_path):
    made = write("top-tagging/pfn", tmp_path / "bundle", layout="cmssw", precision="int8")
    assert made.schema.columns == {"prob_qcd": ("softmax", 0), "prob_top": ("softmax", 1)}
    before, after = made.agreement.auc["TvsQCD"]
    assert 0.9 < after <= 1
    assert abs(before - after) < 0.01
    assert {side.discriminator for side in made.agreement.sides} == {"TvsQCD"}
    assert made.agreement.cost is not None
    assert made.agreement.cost.efficiencies["TvsQCD"]
    assert made.agreement.cost.rejection["TvsQCD"]
    assert re.search(
        r"Effect of int8.*\| `TvsQCD` \| mistag_0.1 \| 0\.", (made.folder / "README.md").read_text(), re.DOTALL
    )
    found = {check.title: check for check in checks(made.folder, 1)}
    assert all(check.passed for check in found.values())
    assert f"AUC {before:.6f} before" in found["TvsQCD"].found
    assert "rows change sides at" in found["TvsQCD"].found
    always_the_same(made.folder)
    found = {check.title: check for check in checks(made.folder, 1)}
    assert [title for title, check in found.items() if not check.passed] == ["TvsQCD"]
    assert "AUC 0.500000" not in found["TvsQCD"].found.split(" before")[0]
    assert "0.500000 after" in found["TvsQCD"].found


def always_the_same(folder: Path) -> None:
    """Let the graph answer 0.5 for each class, with new checksums."""
    model = onnx.load(folder / "model.onnx")
    for node in model.graph.node:
        node.output[:] = ["inner" if name == "softmax" else name for name in node.output]
    half = [numpy_helper.from_array(np.float32(value), name) for name, value in (("no_part", 0), ("half", 0.5))]
    model.graph.initializer.extend(half)
    model.graph.node.append(helper.make_node("Mul", ["inner", "no_part"], ["nothing"]))
    model.graph.node.append(helper.make_node("Add", ["nothing", "half"], ["softmax"]))
    onnx.save(model, folder / "model.onnx")
    wanted = json.loads((folder / CHECKSUMS).read_text())
    sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in wanted}
    (folder / CHECKSUMS).write_text(json.dumps(sums))


def test_a_reduced_graph_that_lost_its_auc_is_not_written_in_any_layout(tmp_path, monkeypatch):
    def constant(model: onnx.ModelProto, precision: str, rows: object) -> onnx.ModelProto:
        for weights in model.graph.initializer:
            if len(weights.dims) == 2:
                weights.CopyFrom(numpy_helper.from_array(np.zeros(weights.dims, np.float32), weights.name))
        return model

    monkeypatch.setattr("collidekit.export.write.reduce", constant)
    with pytest.raises(CollidekitError, match=r"the AUC of TvsQCD falls from 0\.9\d+ to 0\.5000"):
        write("top-tagging/pfn", tmp_path / "bundle", layout="cmssw", precision="int8")
    assert list(tmp_path.iterdir()) == []


def test_the_cost_is_measured_on_other_rows_than_the_calibration(tmp_path, monkeypatch):
    def reduce_and_keep(model: onnx.ModelProto, precision: str, rows: list[dict[str, np.ndarray]]) -> onnx.ModelProto:
        given.extend(row["jet"].tobytes() for row in rows)
        return reduce(model, precision, rows)

    given: list[bytes] = []
    monkeypatch.setattr("collidekit.export.write.reduce", reduce_and_keep)
    made = write("top-tagging/pfn", tmp_path / "bundle", rows=64, precision="int8")
    assert len(given) == made.agreement.rows == 32
    assert "The ranges of values for int8 are from 32 other rows" in made.notes
    assert "The ranges of values for int8 are from 32 other rows." in (made.folder / "README.md").read_text()
    _, real = verifier.read(made.folder / "rows.npz")
    assert len(real) == 32
    assert not {row["jet"].tobytes() for _, row, _ in real} & set(given)


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
