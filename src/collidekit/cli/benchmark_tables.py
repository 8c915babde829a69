"""Tables of benchmarks for the terminal."""

from rich.table import Table

from collidekit.benchmark.definition import Benchmark
from collidekit.benchmark.scoring.labels import metric_labels, shown_score
from collidekit.benchmark.scoring.result import Score, Scores
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
    for column in shown.columns[1:]:  # a line is rather too long than a number cut
        column.min_width = max(len(word) for cell in column.cells for word in str(cell).split())
    return shown
