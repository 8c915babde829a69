"""Pages of a benchmark for other platforms, as Markdown."""

import pyarrow as pa
import pyarrow.parquet as pq

from collidekit.benchmark.definition import Benchmark, Metric
from collidekit.benchmark.scoring.ensemble import FEWEST_RUNS
from collidekit.benchmark.scoring.labels import metric_labels, settings_text
from collidekit.benchmark.scoring.metrics.registry import METRICS
from collidekit.errors import CollidekitError

DIRECTION = {"higher": "higher is better", "lower": "lower is better"}


def overview(benchmark: Benchmark) -> str:
    """Return what the benchmark is about, and published results."""
    parts = [f"# {benchmark.title}", benchmark.description.strip(), benchmark.instructions.strip()]
    if benchmark.references:
        names = [metric.name for metric in benchmark.metrics]
        lines = [
            "## Published results",
            "| name | " + " | ".join(names) + " | source |",
            "|---" * (len(names) + 2) + "|",
        ]
        for entry in benchmark.references:
            values = [f"{entry.scores[name]:g}" if name in entry.scores else "–" for name in names]
            lines.append(f"| {entry.name} | {' | '.join(values)} | {entry.source} |")
        parts.append("\n".join(lines[:1]) + "\n\n" + "\n".join(lines[1:]))
    return "\n\n".join(part for part in parts if part) + "\n"


def data_page(benchmark: Benchmark) -> str:
    """Return which files and columns there are, and what to send."""
    first = next(iter(next(iter(benchmark.phases.values())).samples.values()))
    lines = ["# Data", "", f"Features are Parquet files with the integer key `{benchmark.key}`. Columns:", ""]
    lines += [f"- `{name}`: {kind}" for name, kind in columns(benchmark, first.features.path)]
    output = benchmark.output
    lines += [
        "",
        "# What to send",
        "",
        _sentence(output.columns),
        "",
        f"- npy: an array of numbers (rows, {len(output.columns)})"
        + (", or (rows,)" if len(output.columns) == 1 else "")
        + ".",
        f"- csv and parquet: also the column `{benchmark.key}`.",
    ]
    if output.minimum is not None or output.maximum is not None:
        lines.append(f"- Values from {_bound(output.minimum)} to {_bound(output.maximum)}.")
    if output.runs > 1:
        lines.append(
            f"- An ensemble has up to {output.runs} runs: an array (runs, rows, {len(output.columns)}), or files `predictions_0.csv`, "
            "`predictions_1.csv`, ..."
        )
    lines.append("- Parquet needs an image with pyarrow; npy and csv always work.")
    several = {name: list(phase.samples) for name, phase in benchmark.phases.items() if len(phase.samples) > 1}
    for name, samples in several.items():
        lines.append(
            f"- Phase {name} has several samples; send a folder for each: {', '.join(f'`{s}/`' for s in samples)}."
        )
    return "\n".join(lines) + "\n"


def evaluation_page(benchmark: Benchmark) -> str:
    """Return the metrics, the order and the rule for ensembles."""
    lines = ["# Evaluation", "", "| column | metric | settings | |", "|---|---|---|---|"]
    labels = metric_labels(benchmark.metrics)
    lines += [
        f"| `{m.name}` | {_cell(labels[m.name])}: {_described(m)} | {_cell(settings_text(m))} | {_direction(m)} |"
        for m in benchmark.metrics
    ]
    order = benchmark.order or [benchmark.metrics[0].name]
    lines += ["", f"The order is that of {', then '.join(f'`{name}`' for name in order)}."]
    lines.append("Errors are one standard deviation, from 200 Poisson bootstrap replicates or binomial.")
    if benchmark.output.runs > 1:
        lines.append(f"Each run of an ensemble is scored; the score is the {benchmark.ensemble.rule} over the runs.")
    if benchmark.ensemble.outliers == "rob":
        lines.append(
            "Runs outside mean ± 3 standard deviations of the runs between the 1/6 and 5/6 quantiles are left out, where there are "
            f"at least {FEWEST_RUNS}."
        )
    return "\n".join(lines) + "\n"


def terms(benchmark: Benchmark) -> str:
    """Return the rules; platforms refuse an empty page."""
    return f"# Rules\n\n{benchmark.rules.strip() or 'Train on the public training data alone, and name what else you use.'}\n"


def columns(benchmark: Benchmark, path: str) -> list[tuple[str, str]]:
    """Return name and type of each column of a Parquet file of the benchmark."""
    try:
        schema = pq.read_schema(benchmark.folder / path)
    except (OSError, pa.ArrowException) as error:
        raise CollidekitError(f"{benchmark.folder / path}: cannot be read as Parquet ({error})") from None
    return [(field.name, str(field.type)) for field in schema]


def _sentence(names: list[str]) -> str:
    named = ", ".join(f"`{name}`" for name in names)
    files = "`predictions.npy`, `predictions.csv` or `predictions.parquet`"
    return f"A zip file with {files}, with the column{'s' if len(names) > 1 else ''} {named} for every row of the features, in their order."


def _described(metric: Metric) -> str:
    kind = METRICS.get(metric.metric)
    said = (kind.measure.__doc__ or "").strip() if kind else ""
    return _cell(said)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _direction(metric: Metric) -> str:
    kind = METRICS.get(metric.metric)
    return DIRECTION[metric.direction] if kind is None or kind.better else "neither is better"


def _bound(value: float | None) -> str:
    return "any" if value is None else f"{value:g}"
