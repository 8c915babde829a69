"""Reduction of a graph to multiplications in half precision or 8-bit integers; other operations are unchanged.

Inputs, scaling, softmax and outputs keep single precision, because raw values such as an energy in GeV do not fit into
16 or 8 bits.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args

import numpy as np

from collidekit.errors import CollidekitError, did_you_mean
from collidekit.export.cases import Array
from collidekit.extras import need

Precision = Literal["float32", "float16", "int8"]
PRECISIONS: tuple[str, ...] = get_args(Precision)
CALIBRATION = 128
"""Number of rows for the ranges of values with int8, at most half of all rows."""
PRODUCTS = ("MatMul", "Gemm")
LARGEST = 65504.0
"""Largest number of half precision; larger numbers are clipped to it."""


def check_precision(name: str) -> Precision:
    """Return the precision of a name; raise CollidekitError if there is none."""
    for known in get_args(Precision):
        if name == known:
            return known  # type: ignore[no-any-return]
    close = did_you_mean(name, PRECISIONS)
    raise CollidekitError(f"--precision: there is no precision {name!r}{close}; known are {', '.join(PRECISIONS)}")


def reduce(model: Any, precision: str, rows: Sequence[Mapping[str, Array]]) -> Any:
    """Return the model in a precision; ``rows`` are calibration inputs for int8.

    Raises CollidekitError for an unknown precision, and for int8 if there are no rows or nothing can be quantized.
    """
    if check_precision(precision) == "float32":
        return model
    return half(model) if precision == "float16" else quantized(model, rows)


def weighted_products(model: Any) -> list[Any]:
    """Return the nodes that multiply by weights, without products of two activations, as in attention."""
    weights = {one.name for one in model.graph.initializer}
    return [node for node in model.graph.node if node.op_type in PRODUCTS and node.input[1] in weights]


def half(model: Any) -> Any:
    """Return a copy with weights and their products in half precision; numbers beyond its range are clipped."""
    from onnx import ModelProto, TensorProto, helper, numpy_helper

    copy = ModelProto()
    copy.CopyFrom(model)
    weights = {one.name: one for one in copy.graph.initializer}
    chosen = {node.output[0] for node in weighted_products(copy)}
    bounds = [
        numpy_helper.from_array(np.array(sign * LARGEST, dtype=np.float32), f"half_{name}")
        for name, sign in (("lowest", -1), ("highest", 1))
    ]
    nodes, used = [], set[str]()
    for node in copy.graph.node:
        if node.output[0] not in chosen:
            nodes.append(node)
            continue
        result = node.output[0]
        names = []
        for place, name in enumerate(node.input):
            half_name = f"{result}_half_{place}"
            if name in weights:
                used.add(name)
                values = np.clip(numpy_helper.to_array(weights[name]), -LARGEST, LARGEST).astype(np.float16)
                copy.graph.initializer.append(numpy_helper.from_array(values, half_name))
            else:
                clipped = f"{half_name}_clipped"
                nodes.append(helper.make_node("Clip", [name, "half_lowest", "half_highest"], [clipped]))
                nodes.append(helper.make_node("Cast", [clipped], [half_name], to=TensorProto.FLOAT16))
            names.append(half_name)
        product = type(node)()
        product.CopyFrom(node)
        product.input[:], product.output[:] = names, [f"{result}_half"]
        wide = f"{result}_wide"
        nodes += [
            product,
            helper.make_node("Cast", [f"{result}_half"], [wide], to=TensorProto.FLOAT),
            helper.make_node("Clip", [wide, "half_lowest", "half_highest"], [result]),
        ]
    still = {name for node in nodes for name in node.input}
    kept = [one for one in copy.graph.initializer if one.name not in used or one.name in still]
    del copy.graph.node[:], copy.graph.initializer[:]
    copy.graph.node.extend(nodes)
    copy.graph.initializer.extend([*kept, *bounds])
    del copy.graph.value_info[:]
    need("onnx", "export").checker.check_model(copy, full_check=True)
    return copy


class _Rows:
    """Reader of calibration inputs for onnxruntime."""

    def __init__(self, rows: Sequence[Mapping[str, Array]]) -> None:
        self._left = iter(rows)

    def get_next(self) -> Mapping[str, Array] | None:
        return next(self._left, None)


def quantized(model: Any, rows: Sequence[Mapping[str, Array]]) -> Any:
    """Return a model with products in 8-bit integers; activations are scaled with the ranges on rows, weights by column."""
    onnx, quantization = need("onnx", "export"), need("onnxruntime.quantization", "export")
    if not rows:
        raise CollidekitError(
            "precision int8 needs rows for the ranges of values, and other rows to measure its effect; give more with --files and "
            "--rows"
        )
    given = onnx.ModelProto()
    given.CopyFrom(model)
    for number, node in enumerate(given.graph.node):
        node.name = node.name or f"node_{number}"
    names = [node.name for node in weighted_products(given)]
    if not names:
        raise CollidekitError(
            "precision int8: the graph has no product with weights, so nothing can be quantized; use float32"
        )
    level = logging.getLogger().level
    with TemporaryDirectory() as folder:
        before, after = Path(folder, "before.onnx"), Path(folder, "after.onnx")
        onnx.save(given, before)
        logging.getLogger().setLevel(logging.ERROR)  # it logs advice to the root logger
        try:
            quantization.quantize_static(
                str(before),
                str(after),
                _reader(quantization, rows),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                reduce_range=True,  # 7 bits; with 8 bits, sums overflow without an error on processors without VNNI
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                nodes_to_quantize=names,
                extra_options={"ActivationSymmetric": False, "QuantizeBias": False},
            )
        finally:
            logging.getLogger().setLevel(level)
        found = onnx.load(after)
    del found.metadata_props[:]
    found.metadata_props.extend(model.metadata_props)
    found.producer_name, found.producer_version = model.producer_name, model.producer_version
    return found


def _reader(quantization: Any, rows: Sequence[Mapping[str, Array]]) -> Any:
    kind = type("Reader", (_Rows, quantization.CalibrationDataReader), {})
    return kind(rows)
