"""Golden rows in engines other than onnxruntime: the reference of ONNX, OpenVINO and, if ROOT has it, SOFIE."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from collidekit.export.sofie import OPERATORS, describe_sofie, missing_operators
from collidekit.export.templates import verify as verifier
from collidekit.runtime.folder import read_schema

NETWORKS = ("top-tagging/pfn", "top-tagging/pair_transformer")
ROWS = 24
"""Golden rows that are run: the reference has a loop in Python for each node."""


@pytest.fixture(scope="session", params=NETWORKS, ids=lambda name: name.split("/")[1])
def bundle(request, tmp_path_factory) -> Path:
    from bundles import write

    from collidekit.errors import CollidekitError

    if request.param == "top-tagging/pfn":
        return Path(request.getfixturevalue("pfn_bundle"))
    try:
        return write(request.param, tmp_path_factory.mktemp("bundles") / "bundle", rows=32).folder
    except CollidekitError as error:
        pytest.skip(f"{request.param} cannot be exported: {error}")


def golden(bundle: Path) -> list[Any]:
    """Short rows and edge cases of all kinds, spread over what there is."""
    cases = verifier.read(bundle / "golden.npz")[1]
    cases = [case for case in cases if case[1]["constituents"].shape[1] <= 100]
    return cases[:: -(-len(cases) // ROWS)]


def test_the_reference_of_onnx_gives_golden_rows(bundle):
    from onnx.reference import ReferenceEvaluator

    engine = ReferenceEvaluator(onnx.load(bundle / "model.onnx"))
    for label, given, wanted in golden(bundle):
        with np.errstate(all="ignore"):
            found = dict(zip(engine.output_names, engine.run(None, given), strict=True))
        for name, values in wanted["0"].items():
            np.testing.assert_allclose(found[name], values, rtol=1e-5, atol=1e-5, err_msg=f"{name} of {label}")


def test_openvino_gives_golden_rows(bundle):
    openvino = pytest.importorskip("openvino", reason="openvino is not installed: pip install openvino")
    core = openvino.Core()
    precision = {"INFERENCE_PRECISION_HINT": "f32"}
    engine = core.compile_model(core.read_model(bundle / "model.onnx"), "CPU", precision)
    names = [output.name for output in read_schema(bundle).graph_outputs]
    for label, given, wanted in golden(bundle):
        found = dict(zip(names, engine(given).values(), strict=True))
        for name, values in wanted["0"].items():
            np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-4, err_msg=f"{name} of {label}")


def test_the_schema_names_all_operators(bundle):
    model = onnx.load(bundle / "model.onnx")
    assert set(read_schema(bundle).operators) == {node.op_type for node in model.graph.node}
    assert describe_sofie(read_schema(bundle).operators) in (bundle / "README.md").read_text().replace("\\", "")


def test_operators_that_sofie_lacks_are_named():
    assert missing_operators(["Gemm", "IsNaN", "Trilu", "IsNaN"]) == ["IsNaN", "Trilu"]
    assert "it does not support IsNaN" in describe_sofie(["Gemm", "IsNaN"])
    assert "supports all operators" in describe_sofie(["Gemm"])


def test_root_knows_the_operators_of_the_list():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the package of PyPI says that it is an alpha
        root = pytest.importorskip("ROOT", reason="ROOT is not installed")
    if not hasattr(root, "TMVA") or not hasattr(root.TMVA.Experimental.SOFIE, "RModelParser_ONNX"):
        pytest.skip("this ROOT is built without the ONNX parser of SOFIE, as that of PyPI is")
    parser = root.TMVA.Experimental.SOFIE.RModelParser_ONNX()
    assert set(map(str, parser.GetRegisteredOperators())) >= OPERATORS
