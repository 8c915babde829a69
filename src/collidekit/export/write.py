"""Writing of a bundle from checkpoints and real rows: graphs, schema, rows to check it with, and model card."""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import frozen

from collidekit.errors import CollidekitError
from collidekit.evaluation.classification.working_point_files import write_working_points
from collidekit.evaluation.classification.working_points import DiscriminatorPoints, working_points
from collidekit.export.agreement import Agreement, estimates_of, scales_of_columns, scales_of_outputs
from collidekit.export.cases import Row, rows_of
from collidekit.export.comparison import compare_members
from collidekit.export.describe import describe, with_quantiles
from collidekit.export.golden import write_calls, write_golden, write_real
from collidekit.export.invariance import invariant_collections
from collidekit.export.latency import Latency, measure_latency
from collidekit.export.layouts.base import Layout
from collidekit.export.members import Member, prepare_members
from collidekit.export.model import graph_of, model_of, operators_of, tensors_of
from collidekit.export.options import Options
from collidekit.export.precision import CALIBRATION, reduce
from collidekit.export.readme import write_readme
from collidekit.export.reduction import TIMED, Reduction, feeds, full_places
from collidekit.export.sample import Sample
from collidekit.export.session import open_session, places_of_columns, time_ratio
from collidekit.export.user_code import with_code
from collidekit.export.verify import verify
from collidekit.files import read_json, replacing, staging_beside, write_json
from collidekit.progress import counting
from collidekit.runtime.known_rows import write_sketches
from collidekit.runtime.schema import CALLS, CHECKSUMS, GOLDEN, REAL, SCHEMA, Graph, Schema
from collidekit.sealed import write_sealed
from collidekit.training.checkpoint import Checkpoint

AGREEMENT, CARD, POINTS = "agreement.json", "README.md", "working_points"


@frozen
class Exported:
    """A written bundle."""

    folder: Path
    schema: Schema
    agreement: Agreement
    left_out: tuple[str, ...]
    """Golden rows that were left out, because their numbers are not finite or need more digits than single precision has."""
    notes: tuple[str, ...]
    """Notes on the rows of the check, such as that some of them may be training rows."""


@frozen
class _Exports:
    """The graphs of a bundle in onnxruntime, and their description in the schema."""

    graphs: tuple[Graph, ...]
    sessions: list[Any]
    facts: dict[str, Any]
    reduction: Reduction | None


def check_request(
    checkpoints: Mapping[str, Checkpoint], folder: Path, name: str, options: Options, force: bool
) -> None:
    """Raise the errors that do not depend on rows, about members, options, names, the layout and the folder."""
    prepare_members(checkpoints, name, options)
    _check_folder(folder, force)


def write_bundle(
    checkpoints: Mapping[str, Checkpoint],
    sample: Sample,
    folder: Path,
    name: str,
    options: Options,
    force: bool = False,
) -> Exported:
    """Write a bundle and compare it with the checkpoints; the folder appears when the bundle is complete and agrees.

    Raises CollidekitError like ``check_request``, and if an operation cannot be exported or a graph does not agree.
    """
    members = prepare_members(checkpoints, name, options)
    _check_folder(folder, force)
    first, predictions = members[0], sample.predictions
    own = first.checkpoint.analysis
    rows = [row for batch in sample.batches for row in rows_of(batch)]
    points = working_points(predictions, own.working_points, own.efficiencies) if predictions.classes else []
    schema = describe(name, first, options, points)
    schema = with_quantiles(schema, rows).model_copy(
        update={"invariant": invariant_collections(first.graph, rows, first.checkpoint.analysis)}
    )
    scales = scales_of_columns(first.graph.output_names, estimates_of(predictions))
    with _staged(folder, force) as staging:
        schema = with_code(schema, first.checkpoint.analysis, staging)
        exports = _export(staging, members, schema, rows, options)
        facts = {**exports.facts, "graphs": exports.graphs}
        facts["scales"] = scales_of_outputs(scales, facts["columns"], facts["graph_outputs"])
        schema = schema.model_copy(update=facts)
        compared = compare_members(members, exports.sessions, rows, sample, points, scales, exports.reduction)
        left_out = write_golden(staging / GOLDEN, members, rows, scales)
        write_real(staging / REAL, members, rows, sample, compared.without)
        write_calls(staging / CALLS, members, rows, schema.invariant)
        latency = measure_latency(exports.sessions[0], first.layout, rows)
        notes = sample.notes([member.checkpoint for member in members])
        if exports.reduction and exports.reduction.calibration:
            notes += (
                f"The ranges of values for {options.precision} are from {len(exports.reduction.calibration)} other rows",
            )
        if left_out:
            notes += (
                f"Golden rows that are left out, because their numbers are not finite or need double precision: {', '.join(left_out)}",
            )
        _write_beside(staging, schema, first.layout, points, compared.agreement, latency, notes)
        verify(staging)
    return Exported(folder, schema, compared.agreement, left_out, notes)


def _export(
    staging: Path, members: Sequence[Member], schema: Schema, rows: Sequence[Row], options: Options
) -> _Exports:
    """Write and open the graph of each member."""
    graphs, sessions, operators = list[Graph](), list[Any](), set[str]()
    analysis, whole = members[0].checkpoint.analysis, 0
    number = min(CALIBRATION, len(rows) // 2) if options.precision == "int8" else 0
    calibration = full_places(rows, analysis, number)
    for member in members:
        file = member.layout.file_name(member.fold)
        with counting(f"Exporting {file}", "graphs", 1) as done:
            full = model_of(member, schema)
            model = reduce(full, options.precision, feeds(member.layout, [rows[i] for i in calibration]))
            done(1)
        content = model.SerializeToString()
        whole += full.ByteSize()
        _write(staging / file, content)
        sessions.append(open_session(content))
        operators |= operators_of(model)
        graph = graph_of(file, content, member)
        graphs.append(graph.model_copy(update={"learned_from": tuple(write_sketches(staging, graph.learned_from))}))
    inputs, outputs = tensors_of(model)
    layout = members[0].layout
    facts = {
        "graph_inputs": inputs,
        "graph_outputs": outputs,
        "columns": places_of_columns(sessions[0], layout, rows),
        "operators": tuple(sorted(operators)),
    }
    if options.precision == "float32":
        return _Exports(tuple(graphs), sessions, facts, None)
    single = open_session(full.SerializeToString())
    slowdown = time_ratio(sessions[-1], single, feeds(layout, [rows[i] for i in full_places(rows, analysis, TIMED)]))
    size = whole, sum(graph.bytes for graph in graphs)
    reduction = Reduction(options.precision, size, slowdown, tuple(calibration))
    return _Exports(tuple(graphs), sessions, facts, reduction)


def _check_folder(folder: Path, force: bool) -> None:
    """Raise CollidekitError if a folder holds files that must not be replaced."""
    if folder.exists() and not folder.is_dir():
        raise CollidekitError(f"{folder}: is a file; name a folder to write")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not (folder / SCHEMA).is_file() or not (folder / CHECKSUMS).is_file():
        raise CollidekitError(f"{folder}: holds files that are not a bundle; name another folder")
    if not force:
        raise CollidekitError(f"{folder}: holds a bundle already; name another folder, or replace it with --force")
    if other := _not_of_bundle(folder):
        raise CollidekitError(
            f"{folder}: holds {other[0]}, which is not part of the bundle and would be lost; move it away, or name another folder"
        )


def _not_of_bundle(folder: Path) -> list[str]:
    """Return the files in the folder of a bundle that have no checksum there, such as scores that a user has written."""
    listed = read_json(folder / CHECKSUMS, "remove the folder, or name another one")
    own = {CHECKSUMS, *(listed if isinstance(listed, dict) else ())}
    files = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    return sorted(name for name in files if name not in own)


@contextmanager
def _staged(folder: Path, force: bool = False) -> Iterator[Path]:
    """Yield a temporary folder, which replaces ``folder``, or the target of a link, if the block succeeds.

    Without ``force``, it does not replace a bundle that another process has written there meanwhile.
    """
    target = folder.resolve()
    staging = staging_beside(target)
    old = staging.with_suffix(".old")
    shutil.rmtree(staging, ignore_errors=True)
    try:
        staging.mkdir(parents=True)
        yield staging
        _check_folder(folder, force)
        if force and target.exists():
            target.replace(old)
        staging.replace(target)  # fails if the target is a folder that is not empty
        shutil.rmtree(old, ignore_errors=True)
    except CollidekitError as error:
        raise CollidekitError(str(error).replace(str(staging), str(folder))) from error
    except OSError as error:
        if old.exists() and not target.exists():
            old.replace(target)
        raise CollidekitError(f"{folder}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


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
    notes: Sequence[str],
) -> None:
    """Write all files except graphs and rows, the checksums last."""
    write_sealed(staging / SCHEMA, json.loads(schema.model_dump_json()))
    write_json(staging / AGREEMENT, {**agreement.as_dict(), "notes": list(notes)})
    if points:
        write_working_points(staging / POINTS, points, schema.name)
    for name, text in layout.files(schema).items():
        _write(staging / name, text.encode())
    for template in sorted((Path(__file__).parent / "templates").glob("verify.*")):
        _write(staging / template.name, template.read_bytes())
    write_readme(staging / CARD, schema, agreement, latency, notes)
    files = sorted(path for path in staging.rglob("*") if path.is_file())
    sums = {path.relative_to(staging).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    write_json(staging / CHECKSUMS, sums)
