"""Tables of benchmarks for the terminal."""

from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from collidekit.benchmark.definition import Benchmark
from collidekit.benchmark.scoring.board import Board
from collidekit.benchmark.scoring.labels import metric_labels, shown_runs, shown_score
from collidekit.benchmark.scoring.result import Score, Scores
from collidekit.benchmark.scoring.tables import TIES, has_ensembles, shown_name, shown_rank
from collidekit.plain_text import literal


def table(*names: str) -> Table:
    """Return an empty table with these columns."""
    found = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    for place, name in enumerate(names):
        found.add_column(name, no_wrap=place == 0)
    return found


def scores_table(benchmark: Benchmark, scores: Scores) -> Table:
    """Return a table with the scores of a run, one line per metric, and published references."""
    shown = table(
        "metric",
        "score",
        *(literal(reference.name) for reference in benchmark.references),
        *map(literal, scores.samples),
    )
    labels = metric_labels(benchmark.metrics)
    for metric in benchmark.metrics:
        found = scores.metrics[metric.name]
        spread = f", spread {found.spread:.3g}" if found.spread is not None else ""
        published = [
            shown_score(Score(one.scores[metric.name], one.errors.get(metric.name)), metric.precision)
            if metric.name in one.scores
            else "-"
            for one in benchmark.references
        ]
        samples = [shown_score(of[metric.name], metric.precision) for of in scores.samples.values()]
        shown.add_row(literal(labels[metric.name]), shown_score(found, metric.precision) + spread, *published, *samples)
    return shown


def board_table(board: Board) -> Any:
    """Return a leaderboard; ties share a rank, published results have none, entries without scores follow with the reason."""
    ensembles = has_ensembles(board)
    labels = [literal(column.label) for column in board.columns]
    shown = table("rank", "submission", *labels, *(["runs"] if ensembles else []), "run")
    for row in board.rows:
        numbers = [
            shown_score(row.scores[column.name], column.precision) if column.name in row.scores else "-"
            for column in board.columns
        ]
        name = shown_name(row.name) + (f" ({shown_name(row.source, 300)})" if row.reference else "")
        shown.add_row(
            "" if row.rank is None else shown_rank(row),
            literal(name),
            *numbers,
            *([shown_runs(row.runs, row.runs_left_out)] if ensembles else []),
            "" if row.run is None else str(row.run),
            style="bright_black" if row.reference else None,
        )
    parts: list[Any] = [shown]
    if any(row.tied for row in board.rows):
        parts.append(Text(TIES))
    parts += [
        Text(f"not ranked: {shown_name(entry.name)}: {shown_name(entry.reason, 300)}") for entry in board.unranked
    ]
    return Group(*parts) if board.rows or board.unranked else Text("no submission has a score yet")
