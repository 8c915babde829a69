"""Names of metrics, values of scores and ranks, for people."""

from collections.abc import Sequence

from collidekit.benchmark.definition import Metric
from collidekit.benchmark.scoring.metrics.registry import METRICS
from collidekit.benchmark.scoring.result import Score, Scores
from collidekit.evaluation.numbers import with_error


def metric_label(metric: Metric) -> str:
    """Return the label of the benchmark file, else one made from the metric and its settings, such as ``1/εB (εS = 0.3)``."""
    if metric.label:
        return metric.label
    kind = METRICS.get(metric.metric)
    if kind is None:
        return metric.name
    known = metric.settings
    words = []
    if "signal_efficiency" in known:
        words.append(f"εS = {known['signal_efficiency']:g}")
    words += [str(known[name]) for name in ("slot", "class", "sample") if known.get(name)]
    if known.get("level") is not None:
        words.append(f"{100 * float(known['level']):.4g} %")
    if known.get("across", "nominal") != "nominal":
        words.append(str(known["across"]))
    return f"{kind.label} ({', '.join(words)})" if words else kind.label


def shown_score(score: Score, precision: int | None = None) -> str:
    """Return ``0.98477 ± 0.00015``, or ``> 1200`` for a lower limit; ``precision`` sets the digits after the point.

    An error that would be 0 with so few digits has two significant ones, and the value as many as it.
    """
    if score.limit:
        return f"> {score.value:.3g}"
    if precision is None or score.error is None or not float(f"{score.error:.{precision}f}"):
        return (
            with_error(score.value, score.error) if precision is None or score.error else f"{score.value:.{precision}f}"
        )
    return f"{score.value:.{precision}f} ± {score.error:.{precision}f}"


def shown_runs(runs: int, left_out: Sequence[int]) -> str:
    """Return ``5 runs``, or ``4 of 5 runs`` where the outlier rule leaves one out; empty for a single run."""
    if runs < 2:
        return ""
    return f"{runs - len(left_out)} of {runs} runs" if left_out else f"{runs} runs"


def score_notes(scores: Scores, notes: Sequence[str] = ()) -> list[str]:
    """Return which runs of an ensemble count, and the notes of the scorer and of the run, as sentences."""
    counted = shown_runs(scores.runs, scores.runs_left_out)
    if scores.runs_left_out:
        counted += f" count; the outlier rule leaves out {', '.join(map(str, scores.runs_left_out))} (from 0)"
    found = [f"{note[:1].upper()}{note[1:]}." for note in (counted, *scores.notes) if note]
    return [*found, *(f"{note}." for note in notes)]
