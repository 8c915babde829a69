"""The ONNX model of a checkpoint with its metadata, and its description in the schema."""

import hashlib
from typing import Any

from collidekit.export.describe import apply_to, trained_on
from collidekit.export.members import Member
from collidekit.runtime.schema import METADATA, Graph, Schema, Tensor

OF_FILES = {"graphs", "graph_inputs", "graph_outputs", "columns", "operators", "scales"}
"""Parts of the schema that are known only after the graphs are written; they are in ``schema.json`` and not in the metadata."""


def model_of(member: Member, schema: Schema) -> Any:
    """Return the ONNX model of a checkpoint, with all metadata."""
    model = member.layout.to_onnx(schema.opset)
    texts = {
        METADATA: schema.model_dump_json(exclude=OF_FILES),
        "trained_on": trained_on(member.checkpoint),
        "apply_to": apply_to(member),
        **({"fold": f"{member.fold} of {schema.folds}"} if schema.folds else {}),
        **member.layout.metadata(schema),
    }
    for key, text in texts.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, text
    model.producer_name, model.producer_version = "collidekit", schema.versions["collidekit"]
    return model


def graph_of(file: str, content: bytes, member: Member) -> Graph:
    """Return the description of a graph file for the schema."""
    checkpoint = member.checkpoint
    return Graph(
        file=file,
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        fold=member.fold,
        learned_from=tuple(entry.as_dict() for entry in checkpoint.learned_from),
        trained_on=trained_on(checkpoint),
        apply_to=member.layout.events or apply_to(member),
    )


def tensors_of(model: Any) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Return the inputs and outputs of an ONNX model."""
    from onnx.helper import tensor_dtype_to_np_dtype

    def tensor(value: Any) -> Tensor:
        kind = value.type.tensor_type
        shape = tuple(d.dim_param or d.dim_value for d in kind.shape.dim)
        return Tensor(name=value.name, shape=shape, dtype=str(tensor_dtype_to_np_dtype(kind.elem_type)))

    return tuple(map(tensor, model.graph.input)), tuple(map(tensor, model.graph.output))


def operators_of(model: Any) -> set[str]:
    """Return the names of the operators of an ONNX model, also in subgraphs."""
    found: set[str] = set()
    graphs = [model.graph]
    while graphs:
        for node in graphs.pop().node:
            found.add(node.op_type)
            graphs += [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    return found
