"""Checkpoint and real rows -> a bundle: graphs, what they take and give, and rows to check them with."""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from attrs import Factory, evolve, frozen

from collidekit.errors import CollidekitError
from collidekit.evaluation.classification.working_point_files import write_working_points
from collidekit.evaluation.classification.working_points import DiscriminatorPoints, working_points
from collidekit.export.agreement import (
    RARE,
    TOLERANCE,
    Agreement,
    compare,
    rows_beyond,
    scales_of_columns,
    scales_of_outputs,
)
from collidekit.export.cases import Array, Row, generic_arrays, rows_of
from collidekit.export.describe import describe
from collidekit.export.expected import expected, noise_of
from collidekit.export.golden import write_calls, write_golden, write_real
from collidekit.export.graph import TaggerGraph
from collidekit.export.invariance import invariant_collections
from collidekit.export.latency import Latency, measure_latency
from collidekit.export.layouts import find_layout
from collidekit.export.layouts.base import Layout
from collidekit.export.members import check_members, in_order
from collidekit.export.model import graph_of, model_of, operators_of, tensors_of
from collidekit.export.onnx_file import check_opset
from collidekit.export.precision import CALIBRATION, Precision, reduce
from collidekit.export.readme import write_readme
from collidekit.export.reduction import TIMED, Reduction, feeds
from collidekit.export.sample import Sample
from collidekit.export.session import joined, open_session, places_of_columns, run_layout, time_ratio
from collidekit.export.verify import verify
from collidekit.files import read_json, replacing, write_json
from collidekit.inference.calibrated import required_temperature
from collidekit.names import name_problem
from collidekit.progress import counting
from collidekit.runtime.schema import CALLS, CHECKSUMS, GOLDEN, REAL, SCHEMA, Schema
from collidekit.sealed import write_sealed
from collidekit.training.checkpoint import Checkpoint

TOGETHER = 256
"""Rows that are compared at a time."""
AGREEMENT, CARD, POINTS = "agreement.json", "README.md", "working_points"


@frozen
class Options:
    """What may be chosen of a bundle."""

    layout: str = "generic"
    opset: int | None = None
    """None: the one of the layout."""
    calibrated: bool = False
    """With the temperature of the checkpoint in the graph."""
    precision: Precision = "float32"
    of_layout: Mapping[str, str] = Factory(dict)
    """What the layout lets one choose, see docs/export-layouts.md."""


@frozen
class Exported:
    """What was written."""

    folder: Path
    schema: Schema
    agreement: Agreement
    left_out: tuple[str, ...]
    """Golden rows whose numbers are not finite, or need more digits than single precision has."""


def write_bundle(
    members: Mapping[str, Checkpoint], sample: Sample, folder: Path, name: str, options: Options, force: bool = False
) -> Exported:
    """Write a bundle, and check it against the checkpoints; nothing appears in the folder before it is whole and agrees.

    Raises CollidekitError where the members, the name or the layout do not fit, an operation cannot be exported, or the graph does not
    agree with the checkpoint.
    """
    check_request(members, folder, name, options, force)
    members = in_order(members)
    first = next(iter(members.values()))
    temperatures = {
        member: checkpoint.temperature if options.calibrated else None for member, checkpoint in members.items()
    }
    predictions = sample.predictions
    points = working_points(predictions, first.analysis.working_points) if predictions.classes else []
    folds = len(members) if len(members) > 1 else 0
    layouts = {}
    for member, checkpoint in members.items():
        temperature = temperatures[member]
        graph = TaggerGraph(checkpoint.tagger, checkpoint.analysis, temperature.value if temperature else 1.0).eval()
        layouts[member] = find_layout(options.layout)(graph, name, options.of_layout).eval()
    shown = next(iter(layouts.values()))
    if folds:
        shown.check_folds(folds)
    schema = describe(
        name,
        first,
        shown.graph,
        shown,
        options.opset or shown.opset,
        next(iter(temperatures.values())),
        {entry.discriminator: entry.as_dict() for entry in points},
        folds,
    )
    rows = [row for batch in sample.batches for row in rows_of(batch)]
    schema = schema.model_copy(
        update={
            "invariant": invariant_collections(shown.graph, rows, first.analysis),
            "batched": shown.batched,
            "precision": options.precision,
        }
    )
    with _staged(folder) as staging:
        graphs, sessions, operators = [], {}, set[str]()
        whole: dict[str, bytes] = {}
        for number, (member, checkpoint) in enumerate(members.items()):
            file = layouts[member].file_name(number if folds else None)
            with counting(f"Exporting {file}", "graphs", 1) as done:
                model = model_of(layouts[member], schema, checkpoint, folds)
                whole[member] = model.SerializeToString()
                model = reduce(model, options.precision, feeds(layouts[member], rows, CALIBRATION))
                done(1)
            content = model.SerializeToString()
            _write(staging / file, content)
            sessions[member] = open_session(content)
            operators |= operators_of(model)
            graphs.append(graph_of(file, content, checkpoint, number if folds else None, folds))
        inputs, outputs = tensors_of(model)
        places = places_of_columns(next(iter(sessions.values())), shown, rows)
        schema = schema.model_copy(
            update={
                "graphs": tuple(graphs),
                "graph_inputs": inputs,
                "graph_outputs": outputs,
                "columns": places,
                "operators": tuple(sorted(operators)),
            }
        )
        scales = scales_of_columns(shown.graph.output_names, predictions)
        schema = schema.model_copy(update={"scales": scales_of_outputs(scales, places, outputs)})
        reduction = None
        if options.precision != "float32":
            sizes = sum(map(len, whole.values())), sum(graph.bytes for graph in graphs)
            member = next(iter(members))
            slowdown = time_ratio(sessions[member], open_session(whole[member]), feeds(shown, rows, TIMED))
            reduction = Reduction(options.precision, sizes, slowdown)
        found, left_out = _check(staging, members, layouts, sessions, rows, sample, points, scales, reduction)
        latency = measure_latency(next(iter(sessions.values())), shown, rows)
        write_calls(staging / CALLS, list(members.values()), list(layouts.values()), rows, schema.invariant)
        _write_beside(staging, schema, shown, points, found, latency)
        verify(staging)
    return Exported(folder, schema, found, left_out)


def check_request(members: Mapping[str, Checkpoint], folder: Path, name: str, options: Options, force: bool) -> None:
    """Raise the errors that a request would end with, as far as they can be told without rows."""
    if problem := name_problem(name):
        raise CollidekitError(f"--name: {problem}: it cannot be the name of a model")
    find_layout(options.layout)
    if options.opset is not None:
        check_opset(options.opset)
    check_members(members)
    for member, checkpoint in members.items():
        if options.calibrated:
            required_temperature(checkpoint.temperature, member)
    _check_folder(folder, force)


def _check_folder(folder: Path, force: bool) -> None:
    """Raise CollidekitError where a folder holds something that is not to be replaced."""
    if folder.exists() and not folder.is_dir():
        raise CollidekitError(f"{folder}: is a file; name a folder to write")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not (folder / SCHEMA).is_file() or not (folder / CHECKSUMS).is_file():
        raise CollidekitError(f"{folder}: holds files that are no bundle; name another folder")
    if not force:
        raise CollidekitError(f"{folder}: holds a bundle already; name another folder, or replace it with --force")
    if other := _not_of_bundle(folder):
        raise CollidekitError(
            f"{folder}: holds {other[0]}, which is no part of the bundle and would be lost; move it away, or name another folder"
        )


def _not_of_bundle(folder: Path) -> list[str]:
    """The files in the folder of a bundle that its checksums do not name, such as scores that a user wrote there."""
    listed = read_json(folder / CHECKSUMS, "remove the folder, or name another one")
    own = {CHECKSUMS, *(listed if isinstance(listed, dict) else ())}
    files = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    return sorted(name for name in files if name not in own)


@contextmanager
def _staged(folder: Path) -> Iterator[Path]:
    """A folder of this process alone, which takes the place of the given one, or of what a link names, if the block ends well."""
    target = folder.resolve()
    staging = target.parent / f".{target.name}.{os.getpid()}.export.part"
    old = staging.with_name(f"{staging.name}.old")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        staging.mkdir(parents=True)
        yield staging
        if target.exists():
            target.replace(old)
        staging.replace(target)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        if old.exists() and not target.exists():
            old.replace(target)
        raise CollidekitError(f"{folder}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _check(
    staging: Path,
    members: Mapping[str, Checkpoint],
    layouts: Mapping[str, Layout],
    sessions: Mapping[str, Any],
    rows: Sequence[Row],
    sample: Sample,
    points: Sequence[DiscriminatorPoints],
    scales: Mapping[str, float],
    reduction: Reduction | None,
) -> tuple[Agreement, tuple[str, ...]]:
    """Compare the graphs with the checkpoints on all rows, and write golden and real rows; an error where they do not agree."""
    analysis = next(iter(members.values())).analysis
    wanted: list[dict[str, Array]] = []
    found: list[dict[str, Array]] = []
    order: list[Array] = []
    lengths = np.array([sum(len(values) for values in row.values.values() if values.ndim == 2) for row in rows])
    with counting("Comparing", "rows", len(rows)) as done:
        for number, (member, checkpoint) in enumerate(members.items()):
            layout, session = layouts[member], sessions[member]
            own = np.flatnonzero(sample.member == number)
            own = own[np.argsort(lengths[own], kind="stable")]  # so that padding costs little
            for start in range(0, len(own), TOGETHER):
                part = [rows[i] for i in own[start : start + TOGETHER]]
                generic = generic_arrays(part, analysis, noise_of(layout.graph, part, analysis))
                wanted.append(expected(checkpoint.tagger, layout.graph, part, analysis))
                found.append(run_layout(session, layout, generic))
                order.append(own[start : start + TOGETHER])
                done(len(part))
    back = np.argsort(np.concatenate(order))
    wanted_all, found_all = (
        {name: values[back] for name, values in joined(parts).items()} for parts in (wanted, found)
    )
    labels, weights = sample.predictions.labels, sample.predictions.weights
    agreement = compare(wanted_all, found_all, points, labels, weights, list(analysis.classes), scales)
    if reduction is None:
        _require_agreement(agreement, next(iter(layouts.values())).graph.picks)
    else:
        cost = reduction.cost(agreement, wanted_all, found_all, points, labels, weights, list(analysis.classes))
        agreement = evolve(agreement, cost=cost)
    left_out = write_golden(staging / GOLDEN, list(members.values()), list(layouts.values()), rows, scales)
    beyond = set[int]() if reduction else rows_beyond(wanted_all, found_all, scales)
    write_real(staging / REAL, list(members.values()), list(layouts.values()), rows, sample, beyond)
    write_json(staging / AGREEMENT, agreement.as_dict())
    return agreement, left_out


def _require_agreement(agreement: Agreement, picks: bool) -> None:
    """Raise CollidekitError where graph and checkpoint differ; where a network ``picks``, a few rows may."""
    worst = max(agreement.differences, key=lambda one: one.largest, default=None)
    if worst is None or worst.largest <= TOLERANCE or (picks and agreement.beyond <= max(1, RARE * agreement.rows)):
        return
    raise CollidekitError(
        f"the graph does not agree with the checkpoint: column {worst.column} of row {worst.row} differs by {worst.largest:.2g}, and "
        f"{agreement.beyond:,} of {agreement.rows:,} rows by more than {TOLERANCE:g}; nothing was written"
    )


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _write_beside(
    staging: Path,
    schema: Schema,
    layout: Layout,
    points: Sequence[DiscriminatorPoints],
    agreement: Agreement,
    latency: Latency,
) -> None:
    """Write all but graphs and rows; checksums come last but for the schema."""
    write_sealed(staging / SCHEMA, json.loads(schema.model_dump_json()))
    if points:
        write_working_points(staging / POINTS, points, schema.name)
    for name, text in layout.files(schema).items():
        _write(staging / name, text.encode())
    for template in sorted((Path(__file__).parent / "templates").glob("verify.*")):
        _write(staging / template.name, template.read_bytes())
    write_readme(staging / CARD, schema, agreement, latency)
    files = sorted(path for path in staging.rglob("*") if path.is_file())
    sums = {path.relative_to(staging).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    write_json(staging / CHECKSUMS, sums)
