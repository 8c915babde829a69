"""Bundles for tests: made of the graph of a tagger, in the form that ``collidekit.runtime`` reads."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import toys

from collidekit.analysis.schema import Analysis, Collection
from collidekit.dataset.learned import LearnedFrom
from collidekit.export.graph import TaggerGraph
from collidekit.export.onnx_file import to_onnx
from collidekit.models.registry import build_network
from collidekit.models.tagger import Tagger, outputs_of
from collidekit.objectives import head_of
from collidekit.runtime.known_rows import write_sketches
from collidekit.runtime.schema import SCHEMA
from collidekit.sealed import write_sealed
from collidekit.training.checkpoint import Checkpoint
from collidekit.training.config import TrainingConfig


def make_model(analysis: Analysis, seed: int = 1, learned_from: tuple[LearnedFrom, ...] = ()) -> Checkpoint:
    """A tagger with random weights, of which the last ones are so small that scores are not near 0 or 1."""
    torch.manual_seed(seed)
    config = TrainingConfig(model_options=toys.SMALL)
    head = head_of(config.objective, analysis)
    network = build_network("pfn", analysis.inputs, outputs_of(analysis, head), toys.SMALL)
    with torch.no_grad():
        list(network.parameters())[-2].mul_(0.05)
    return Checkpoint(Tagger(analysis, network, head).eval(), analysis, config, 1, {}, learned_from=learned_from)


def make_bundle(
    folder: Path, models: Sequence[Checkpoint], temperature: float = 1.0, folds: Sequence[int] = (), **changed: Any
) -> Path:
    """Write a bundle of one model, or of the models of several folds; ``changed`` are other values of the schema."""
    folder.mkdir(parents=True)
    first = models[0]
    graphs = []
    for number, model in enumerate(models):
        name = f"model_{number}.onnx"
        content, inputs, outputs = export(model, temperature)
        (folder / name).write_bytes(content)
        graphs.append(
            {
                "file": name,
                "sha256": hashlib.sha256(content).hexdigest(),
                "bytes": len(content),
                "fold": folds[number] if folds else None,
                "learned_from": write_sketches(folder, [entry.as_dict() for entry in model.learned_from]),
            }
        )
    schema = {
        "format": 1, "name": "toy", "layout": "generic", "made": "2026-01-01", "analysis": first.analysis.model_dump(mode="json"),
        "fingerprint": first.analysis.fingerprint, "inputs": inputs, "outputs": outputs, "graphs": graphs, "folds": len(folds),
        "fold_rule": "", "opset": 17, "network": {"name": first.config.model_name}, "objective": first.config.objective,
        "temperature": {"value": temperature} if temperature != 1 else None, "seed": 1, "epoch": first.epoch, "settings": {},
        "versions": {},
    }  # fmt: skip
    write_sealed(folder / SCHEMA, {**schema, **changed})
    return folder


def export(model: Checkpoint, temperature: float = 1.0) -> tuple[bytes, list[dict[str, Any]], list[dict[str, Any]]]:
    """The ONNX file of a model, and what a schema says of its inputs and outputs."""
    graph = TaggerGraph(model.tagger, model.analysis, temperature).eval()
    inputs = describe_inputs(model.analysis)
    names = graph.output_names
    axes = {entry["name"]: {k: n for k, n in enumerate(entry["shape"]) if isinstance(n, str)} for entry in inputs}
    axes |= {name: {0: "N"} for name in names}
    made = to_onnx(graph, graph.example(3, 7), graph.input_names, names, axes)
    outputs = [{"name": name, "kind": kind_of(name), "shape": ["N"]} for name in names]
    return made.SerializeToString(), inputs, outputs


def describe_inputs(analysis: Analysis) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name, entry in analysis.inputs.items():
        if isinstance(entry, Collection):
            found.append({"name": name, "kind": "collection", "of": name, "shape": ["N", f"L_{name}", entry.width]})
            found.append({"name": f"{name}_mask", "kind": "mask", "of": name, "shape": ["N", f"L_{name}"]})
        else:
            found.append({"name": name, "kind": "group", "of": name, "shape": ["N", entry.width]})
    return found


def kind_of(name: str) -> str:
    if name.startswith("prob_") or name.endswith("_probability"):
        return "probability"
    if name.startswith("index_"):
        return "index"
    return "value" if name.startswith("pred_") else "discriminator"
