"""The order of a leaderboard: ties within the error share a rank, and what has no score is never ranked."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from collidekit.benchmark.definition import Benchmark, Metric, Reference
from collidekit.benchmark.scoring.board import Board, Column, Entry, Row, Unranked
from collidekit.benchmark.scoring.labels import metric_labels
from collidekit.benchmark.scoring.result import Score, Scores
from collidekit.benchmark.scoring.significance import difference, is_rounding


def rank(entries: Sequence[Entry], benchmark: Benchmark) -> Board:
    """Return the leaderboard of some entries.

    Rows are ordered by the values of the metrics in ``order``, equal ones by name and run. Going down, an entry shares the
    rank of the entry above unless an entry of that rank is better by more than two standard deviations of the paired
    difference; then its rank is its place: 1, 1, 3. So ranks never contradict the order of values, and no two entries of a rank
    differ significantly, whatever the errors of a third one are. Where an error is not known, the value decides.

    Withdrawn entries are not shown. Entries without finite scores for all metrics are listed apart, with the reason.
    Published references stand between the entries by their value, without a rank.
    """
    order = tuple(benchmark.order) or (benchmark.metrics[0].name,)
    directions = {metric.name: metric.direction for metric in benchmark.metrics}
    shown = [entry for entry in entries if not entry.withdrawn]
    unranked = {id(entry): reason for entry in shown if (reason := _reason(entry, benchmark))}
    usual = _usual_truth([entry for entry in shown if id(entry) not in unranked])
    for entry in shown:
        if id(entry) not in unranked and entry.scores is not None and entry.scores.truth != usual:
            unranked[id(entry)] = "was scored on other rows than most entries; it has to be scored again"
    good = [(entry, entry.scores) for entry in shown if id(entry) not in unranked and entry.scores is not None]
    good.sort(key=lambda pair: (_key(pair[1].metrics, order, directions), pair[0].name, str(pair[0].run)))
    ranked = _ranked(good, order[0], directions[order[0]])
    labels = metric_labels(benchmark.metrics)
    apart = [
        Unranked(entry.name, unranked[id(entry)], entry.run, entry.user) for entry in shown if id(entry) in unranked
    ]
    return Board(
        title=benchmark.title,
        columns=tuple(_column(metric, labels[metric.name], order) for metric in benchmark.metrics),
        order=order,
        rows=_with_references(ranked, benchmark.references, order, directions),
        unranked=tuple(sorted(apart, key=lambda entry: (entry.name, str(entry.run)))),
    )


def _column(metric: Metric, label: str, order: Sequence[str]) -> Column:
    of_curve = metric.metric == "background_rejection"
    efficiency = (
        float(metric.settings["signal_efficiency"]) if of_curve and "signal_efficiency" in metric.settings else None
    )
    return Column(metric.name, label, metric.direction, metric.precision, metric.name in order, efficiency)


def _reason(entry: Entry, benchmark: Benchmark) -> str:
    """Say why an entry cannot be ranked; empty where it can."""
    if entry.scores is None:
        return entry.reason or "has no scores"
    for metric in benchmark.metrics:
        found = entry.scores.metrics.get(metric.name)
        if found is None:
            return f"has no {metric.name}"
        if not math.isfinite(found.value):
            return f"{metric.name} is {found.value}"
    return ""


def _usual_truth(entries: Sequence[Entry]) -> str:
    """The fingerprint of the truth that most entries were scored with; of equally many the later run's."""
    counts = Counter(entry.scores.truth for entry in entries if entry.scores is not None)
    latest = {entry.scores.truth: str(entry.run).zfill(20) for entry in entries if entry.scores is not None}
    return max(counts, key=lambda truth: (counts[truth], latest[truth], truth), default="")


def _key(scores: dict[str, Score], order: Sequence[str], directions: Mapping[str, str]) -> tuple[float, ...]:
    return tuple(-scores[name].value if directions[name] == "higher" else scores[name].value for name in order)


def _ranked(good: Sequence[tuple[Entry, Scores]], metric: str, direction: str) -> list[Row]:
    rows: list[Row] = []
    group: list[Scores] = []
    for place, (entry, scores) in enumerate(good, start=1):
        above = good[place - 2][1] if place > 1 else None
        if any(_is_better(member, scores, metric, direction) for member in group):
            group = []
        to_leader = difference(group[0], scores, metric, direction) if group else None
        group.append(scores)
        found = scores.metrics[metric]
        rows.append(
            Row(
                name=entry.name,
                scores=dict(scores.metrics),
                rank=place - len(group) + 1,
                run=entry.run,
                user=entry.user,
                to_above=None if above is None else difference(above, scores, metric, direction),
                to_leader=to_leader,
                error_unknown=found.error is None and not found.limit,
                runs=scores.runs,
                runs_left_out=scores.runs_left_out,
                curve=scores.curve,
                notes=scores.notes,
                details=entry.details,
            )
        )
    members = Counter(row.rank for row in rows)
    return [replace(row, tied=members[row.rank] > 1) for row in rows]


def _is_better(better: Scores, worse: Scores, metric: str, direction: str) -> bool:
    """Say whether the first scores rank above the second: significantly better, or better at all where an error is unknown."""
    found = difference(better, worse, metric, direction)
    unknown = any(one.error is None and not one.limit for one in (better.metrics[metric], worse.metrics[metric]))
    a, b = better.metrics[metric], worse.metrics[metric]
    return found.significant or (unknown and not is_rounding(a.value - b.value, a, b))


def _with_references(
    ranked: Sequence[Row], references: Sequence[Reference], order: Sequence[str], directions: Mapping[str, str]
) -> tuple[Row, ...]:
    """Return all rows: a reference stands above the first entry that it beats, those without the leading metric at the end."""
    rows = list(ranked)

    def key(row: Row) -> float:
        score = row.scores.get(order[0])
        if score is None:
            return math.inf
        return -score.value if directions[order[0]] == "higher" else score.value

    for reference in references:
        scores = {name: Score(value, reference.errors.get(name)) for name, value in reference.scores.items()}
        row = Row(reference.name, scores, reference=True, source=reference.source)
        place = next((index for index, other in enumerate(rows) if key(other) > key(row)), len(rows))
        rows.insert(place, row)
    return tuple(rows)
