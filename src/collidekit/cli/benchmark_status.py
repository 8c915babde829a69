"""The state of a run as a table for the terminal."""

from collections.abc import Callable, Mapping
from typing import Any

from rich.table import Table

from collidekit.benchmark.definition import Metric
from collidekit.benchmark.duration import duration
from collidekit.benchmark.scoring.labels import metric_labels, shown_score
from collidekit.benchmark.scoring.result import Score
from collidekit.cli.benchmark_tables import table
from collidekit.plain_text import literal


def _size(value: float) -> str:
    return f"{value / 1e9:.3g} GB" if value >= 1e9 else f"{value / 1e6:.3g} MB"


LINES: dict[str, tuple[str, Callable[[Any], str]]] = {
    "benchmark": ("benchmark", str), "version": ("version", str), "phase": ("phase", str), "name": ("name", str), "user": ("user", str),
    "state": ("state", str), "position": ("place in the queue", str), "estimate_seconds": ("expected wait", duration),
    "fault": ("responsible", str), "reason": ("reason", str), "withdrawn": ("withdrawn", lambda value: "yes"),
    "submitted_at": ("submitted", str), "started_at": ("started", str), "finished_at": ("ended", str),
    "wall_seconds": ("wall-clock time", duration), "cpu_seconds": ("CPU time", duration), "peak_memory": ("peak memory", _size),
    "energy_joules": ("energy (estimate)", lambda value: f"{value / 3600:.3g} Wh"), "seed": ("random seed", str),
    "parameters": ("parameters", lambda value: ", ".join(f"{name} = {one}" for name, one in value.items())),
    "rerun_of": ("repeats run", str), "code_hash": ("code hash", str), "image_digest": ("image digest", str),
}  # fmt: skip
"""Lines of the table in order: the label of each value, and the function that formats it."""


def status_table(found: Mapping[str, Any]) -> Table:
    """Return the state of a run as a table; scores have the label and the precision of their metric."""
    shown = table("run", str(found["run"]))
    for key, (label, form) in LINES.items():
        if (value := found.get(key)) not in (None, "", False, {}):
            shown.add_row(label, literal(form(value)))
    metrics = {metric["name"]: Metric.model_validate(metric) for metric in found.get("metrics") or ()}
    labels = metric_labels(list(metrics.values()))
    for name, score in (found.get("scores") or {}).items():
        metric = metrics.get(name)
        value = shown_score(Score.from_dict(score), metric.precision if metric else None)
        shown.add_row(literal(labels.get(name, name)), value)
    for note in found.get("score_notes") or ():
        shown.add_row("note", literal(note))
    return shown
