"""The schema of a bundle, made from checkpoint, graph and layout."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from collidekit.analysis.discriminators import SMALLEST
from collidekit.analysis.schema import Analysis, Collection, Group
from collidekit.dataset.parts import Folds, Split
from collidekit.evaluation.classification.working_points import DiscriminatorPoints
from collidekit.export.cases import Row
from collidekit.export.graph import TaggerGraph
from collidekit.export.members import Member, fold_of_member
from collidekit.export.options import Options
from collidekit.provenance import git_state, versions
from collidekit.runtime.far_columns import MOST, quantiles_of
from collidekit.runtime.schema import Column, Schema, TensorIn, TensorOut
from collidekit.training.checkpoint import Checkpoint

EXPORTERS = ("onnx", "onnxruntime")
MEANINGS = {
    "_assignment_probability": "the probability of this assignment of the parent",
    "_complete_probability": "the probability that the decay products of all parents are among the constituents: the product over the "
    "parents",
    "_detection_probability": "the probability that all decay products of the parent are among the constituents",
    "_sigma": "half the width of the central interval that contains the truth with a probability of 68.27 %",
    "_median": "the median of the predicted distribution",
    "_mean": "the mean of the predicted distribution",
    "_mode": "the draw with the highest joint density",
}
"""Meaning of a column, by the end of its name."""
FOLD_RULE = (
    "The fold of a row is a hash of its event numbers modulo the number of folds (collidekit/dataset/parts.py: fold_of); the rows of "
    "a fold are in neither the training set nor the validation set of its graph."
)
REMAINDER_RULE = (
    "The fold of a row is {number} % {k}, the remainder of its event number; events with {number} % {k} == i are in neither the "
    "training set nor the validation set of the graph of fold i, which is the graph for these events, in any file."
)
NOISE_RULE = (
    "Standard normal numbers that depend only on the event numbers of a row (collidekit/models/heads/flow.py: event_noise); other "
    "standard normal numbers give other draws of the same distribution."
)


def describe(name: str, member: Member, options: Options, points: Sequence[DiscriminatorPoints]) -> Schema:
    """Return the schema of a bundle without its graphs, from its first member."""
    checkpoint, graph, layout = member.checkpoint, member.graph, member.layout
    analysis, config = checkpoint.analysis, checkpoint.config
    split = fold_of_member(checkpoint)
    return Schema(
        name=name,
        layout=layout.name,
        made=datetime.now(UTC).isoformat(timespec="seconds"),
        analysis=analysis.model_dump(mode="json"),
        fingerprint=analysis.fingerprint,
        inputs=tuple(_inputs(graph)),
        outputs=tuple(_outputs(graph)),
        batched=layout.batched,
        folds=split.k if split else 0,
        fold_rule=fold_rule(split, analysis) if split else "",
        opset=options.opset or layout.opset,
        precision=options.precision,
        network={
            "name": config.model_name,
            "options": config.model_options,
            "parameters": sum(parameter.numel() for parameter in checkpoint.tagger.parameters()),
        },
        objective=config.objective,
        temperature=checkpoint.temperature.as_dict() if options.calibrated and checkpoint.temperature else None,
        working_points={entry.discriminator: entry.as_dict() for entry in points},
        seed=config.seed,
        epoch=checkpoint.epoch,
        settings=config.model_dump(mode="json"),
        versions={**versions(), **versions(EXPORTERS)},
        git=git_state(),
        noise_rule=NOISE_RULE if graph.flows else "",
    )


def with_quantiles(schema: Schema, rows: Sequence[Row]) -> Schema:
    """Return the schema with the percentiles of each input column on real rows."""
    inputs, some = [], rows[:: max(len(rows) // MOST, 1)]
    for entry in schema.inputs:
        if entry.columns:
            found = quantiles_of([np.atleast_2d(row.values[entry.name]) for row in some])
            columns = zip(entry.columns, found, strict=True)
            entry = entry.model_copy(
                update={"columns": tuple(one.model_copy(update={"quantiles": values}) for one, values in columns)}
            )
        inputs.append(entry)
    return schema.model_copy(update={"inputs": tuple(inputs)})


def fold_rule(split: Folds, analysis: Analysis) -> str:
    """Return the rule that gives the fold of a row from its event number, in words."""
    return REMAINDER_RULE.format(number=analysis.event[-1], k=split.k) if split.by_number else FOLD_RULE


def trained_on(checkpoint: Checkpoint) -> str:
    """Return the training rows of a checkpoint, in words."""
    found = []
    for entry in checkpoint.learned_from:
        files = ", ".join(entry.files.values()) or "unknown files"
        split = entry.split
        if isinstance(split, Split):
            found.append(
                f"{split.share:.0%} of the rows of {files}, by a hash of the event number; the others are the validation set"
            )
        elif isinstance(split, Folds):
            found.append(_trained_on_folds(split, files))
    return "; ".join(found) or "not known"


def _trained_on_folds(split: Folds, files: str) -> str:
    if split.k == 2:
        other = Folds(2, 1 - split.this, split.rule).events
        chose = f"{1 - split.training_share:.0%} of these, by a hash of the event number, are the validation set"
        return f"{other} of {files}; {chose}; {split.events} were held out"
    if split.by_number:
        following = Folds(split.k, (split.this + 1) % split.k, split.rule)
        return f"events of {files} except {split.events} (held out) and {following.events} (validation set)"
    return (
        f"{split.k - 2} of {split.k} folds of {files}: all except fold {split.this} (held out) and fold {(split.this + 1) % split.k} "
        "(validation set)"
    )


def apply_to(member: Member) -> str:
    """Return the rows that the graph of a checkpoint may be used for, in words."""
    split = fold_of_member(member.checkpoint)
    if split is None:
        return "rows that are in no training file"
    return split.events if split.by_number else f"{split.events}, and rows that are in no training file"


def _inputs(graph: TaggerGraph) -> list[TensorIn]:
    found = []
    for name, entry in graph.analysis.inputs.items():
        columns = _columns(entry, graph.analysis)
        if not isinstance(entry, Collection):
            found.append(TensorIn(name=name, kind="group", of=name, shape=("N", entry.width), columns=columns))
            continue
        length = f"L_{name}"
        found.append(
            TensorIn(
                name=name,
                kind="collection",
                of=name,
                shape=("N", length, entry.width),
                columns=columns,
                limit=entry.limit,
                order=entry.order,
                where=entry.where,
            )
        )
        found.append(TensorIn(name=f"{name}_mask", kind="mask", of=name, shape=("N", length)))
    for name, head in graph.flows.items():
        shape = ("N", head.target.draws, len(head.target.values))
        found.append(TensorIn(name=f"noise_{name}", kind="noise", of=name, shape=shape))
    return found


def _columns(entry: Collection | Group, analysis: Analysis) -> tuple[Column, ...]:
    columns = [
        Column(
            name=feature.name,
            expression=feature.expression,
            unit=feature.unit,
            kind=feature.kind,
            default=feature.default,
            bounds=feature.model_dump(mode="json")["bounds"],
        )
        for feature in entry.features
    ]
    if isinstance(entry, Collection):
        for name, expression in zip(("px", "py", "pz", "energy"), entry.momenta or (), strict=False):
            columns.append(Column(name=name, expression=expression, unit="GeV"))
        for number, expression in enumerate(entry.coordinates or (), 1):
            columns.append(Column(name=f"coordinate_{number}", expression=expression))
    return tuple(columns)


def _outputs(graph: TaggerGraph) -> list[TensorOut]:
    columns = graph.columns(*graph.example(2, 3))
    units = graph.analysis.units_of_values
    found = []
    for name, values in columns.items():
        collection = graph.constituent_outputs.get(name)
        found.append(
            TensorOut(
                name=name,
                kind=_kind(name, graph),
                shape=("N", f"L_{collection}") if collection else ("N",),
                dtype=str(values.dtype).removeprefix("torch."),
                unit=_unit(name, units),
                meaning=_meaning(name, graph),
            )
        )
    return found


def _kind(name: str, graph: TaggerGraph) -> Any:
    if name in graph.constituent_outputs:
        return "constituent"
    if name in graph.analysis.discriminators:
        return "discriminator"
    if name.startswith("index_"):
        return "index"
    return "value" if name.startswith("pred_") else "probability"


def _unit(name: str, units: Mapping[str, str]) -> str:
    """Return the unit of the value in the name of a column; the longest name of a value that matches counts."""
    values = [value for value in units if name == f"pred_{value}" or name.startswith(f"pred_{value}_")]
    return units[max(values, key=len)] if values else ""


def _meaning(name: str, graph: TaggerGraph) -> str:
    definition = graph.analysis.discriminators.get(name)
    if definition is not None:
        signal, background = definition.formula
        if definition.form == "log":
            return f"ln(({signal} + {SMALLEST:g}) / ({background} + {SMALLEST:g}))"
        return f"({signal}) / ({signal} + {background}), 0 if all of these are 0"
    if name == "prob_relegated":
        return "the probability that the row is relegated"
    if name.startswith("prob_"):
        return f"the probability of class {name.removeprefix('prob_')}"
    if name.startswith("index_"):
        return "position in the input sequence, from 0; -1 if the slot is empty"
    if name in {f"{target}_probability" for target in graph.analysis.assignments}:
        return "the probability of this assignment of all parents: the product over the parents"
    for end, meaning in MEANINGS.items():
        if name.endswith(end):
            return meaning
    quantile = re.search(r"_q(\d+)$", name)
    return f"the truth is below this value with a probability of {quantile[1]} %" if quantile else ""
