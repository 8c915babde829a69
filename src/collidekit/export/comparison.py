"""Comparison of graphs in onnxruntime with their checkpoints on the same real rows."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from attrs import evolve, frozen

from collidekit.errors import CollidekitError
from collidekit.evaluation.classification.working_points import DiscriminatorPoints
from collidekit.export.agreement import RARE, TOLERANCE, Agreement, compare, rows_beyond
from collidekit.export.cases import Array, Row, generic_arrays
from collidekit.export.expected import expected, noise_of
from collidekit.export.members import Member
from collidekit.export.reduction import Reduction
from collidekit.export.sample import Sample
from collidekit.export.session import joined, run_layout, with_discriminators
from collidekit.progress import counting

TOGETHER = 256
"""Number of rows that are compared at a time."""


@frozen
class Comparison:
    """The agreement, and the rows that differ by more than the tolerance or were left out."""

    agreement: Agreement
    without: frozenset[int]


def compare_members(
    members: Sequence[Member],
    sessions: Sequence[Any],
    rows: Sequence[Row],
    sample: Sample,
    points: Sequence[DiscriminatorPoints],
    scales: Mapping[str, float],
    reduction: Reduction | None,
) -> Comparison:
    """Compare each graph with its checkpoint on the rows of the sample that it predicts.

    ``scales`` are the scales of columns. Calibration rows of a reduced precision are left out. Raises CollidekitError
    if graph and checkpoint do not agree, or if a reduced precision costs too much.
    """
    kept = np.setdiff1d(np.arange(len(rows)), reduction.calibration if reduction else ())
    wanted, found = _columns(members, sessions, [rows[i] for i in kept], sample.member[kept])
    labels, weights = sample.predictions.labels[kept], sample.predictions.weights[kept]
    classes = list(members[0].checkpoint.analysis.classes)
    agreement = compare(wanted, found, points, labels, weights, classes, scales)
    if reduction is not None:
        cost = reduction.cost(agreement, wanted, found, points, labels, weights, classes)
        return Comparison(evolve(agreement, cost=cost), frozenset(reduction.calibration))
    _require_agreement(agreement, members[0].graph.picks)
    return Comparison(agreement, frozenset(rows_beyond(wanted, found, scales)))


def _columns(
    members: Sequence[Member], sessions: Sequence[Any], rows: Sequence[Row], predicted_by: Array
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the columns of checkpoints and graphs in the order of the rows; ``predicted_by (N,)`` are the members that predict them."""
    wanted: list[dict[str, Array]] = []
    found: list[dict[str, Array]] = []
    order: list[Array] = []
    lengths = np.array([sum(len(values) for values in row.values.values() if values.ndim == 2) for row in rows])
    with counting("Comparing", "rows", len(rows)) as done:
        for number, (member, session) in enumerate(zip(members, sessions, strict=True)):
            analysis = member.checkpoint.analysis
            own = np.flatnonzero(predicted_by == number)
            own = own[np.argsort(lengths[own], kind="stable")]  # so that padding costs little
            for start in range(0, len(own), TOGETHER):
                places = own[start : start + TOGETHER]
                part = [rows[i] for i in places]
                generic = generic_arrays(part, analysis, noise_of(member.graph, part, analysis))
                wanted.append(expected(member.tagger, member.graph, part, analysis))
                columns = run_layout(session, member.layout, generic)
                found.append(with_discriminators(columns, analysis.discriminators))
                order.append(places)
                done(len(part))
    back = np.argsort(np.concatenate(order))
    first, second = ({name: values[back] for name, values in joined(parts).items()} for parts in (wanted, found))
    return first, second


def _require_agreement(agreement: Agreement, picks: bool) -> None:
    """Raise CollidekitError if graph and checkpoint differ; with ``picks``, a few rows may differ."""
    worst = max(agreement.differences, key=lambda one: one.largest, default=None)
    if worst is None or worst.largest <= TOLERANCE or (picks and agreement.beyond <= max(1, RARE * agreement.rows)):
        return
    raise CollidekitError(
        f"the graph does not agree with the checkpoint: column {worst.column} of row {worst.row} differs by {worst.largest:.2g}, and "
        f"{agreement.beyond:,} of {agreement.rows:,} rows by more than {TOLERANCE:g}; nothing was written"
    )
