"""Names of metrics, values of scores and ranks, for people."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from collidekit.benchmark.definition import Metric
from collidekit.benchmark.scoring.metrics.registry import METRICS
from collidekit.benchmark.scoring.result import Score, Scores
from collidekit.evaluation.numbers import with_error

LONGEST_SETTINGS = 40
"""Characters of the settings in a label; where there would be more, the label has the name of the metric."""


def metric_labels(metrics: Sequence[Metric]) -> dict[str, str]:
    """Return the label of each metric of a benchmark, by name; each is different.

    Metrics with the same label get the settings that differ, such as ``mean AUC (against = rest)``, else their names.
    """
    labels = {metric.name: metric_label(metric) for metric in metrics}
    for same in _with_same_label(metrics, labels):
        settings = _different_settings(same)
        if not any(metric.label for metric in same) and all(
            len(", ".join(words)) <= LONGEST_SETTINGS for words in settings
        ):
            labels |= {metric.name: metric_label(metric, words) for metric, words in zip(same, settings, strict=True)}
    while shared := _with_same_label(metrics, labels):
        labels |= {metric.name: f"{labels[metric.name]} ({metric.name})" for same in shared for metric in same}
    return labels


def _with_same_label(metrics: Sequence[Metric], labels: dict[str, str]) -> list[list[Metric]]:
    counts = Counter(labels.values())
    shared = [label for label, count in counts.items() if count > 1]
    return [[metric for metric in metrics if labels[metric.name] == label] for label in shared]


def _different_settings(same: Sequence[Metric]) -> list[list[str]]:
    """Return for each metric the settings that are not the same for all; those without a value are left out."""
    defaults = [
        {name: setting.default for name, setting in METRICS[metric.metric].settings.items()}
        if metric.metric in METRICS
        else {}
        for metric in same
    ]
    known = [{**default, **metric.settings} for default, metric in zip(defaults, same, strict=True)]
    names = dict.fromkeys(name for settings in known for name in settings)
    differ = [name for name in names if any(settings.get(name) != known[0].get(name) for settings in known)]
    return [
        [f"{name} = {_shown_value(settings[name])}" for name in differ if settings.get(name) not in (None, "", [])]
        for settings in known
    ]


def _shown_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list) and all(isinstance(name, str) for name in value):
        return " + ".join(value)
    return str(value).replace("'", "")


def settings_text(metric: Metric) -> str:
    """Return the settings of the benchmark file, such as ``signal_efficiency = 0.3``; empty where there are none."""
    return ", ".join(f"{name} = {_shown_value(value)}" for name, value in metric.settings.items())


def metric_label(metric: Metric, more: Sequence[str] = ()) -> str:
    """Return the label of the benchmark file, else one made from the metric and its settings, such as ``1/εB (εS = 0.3)``.

    ``more`` is added to the settings. Use ``metric_labels`` where a benchmark may have several metrics.
    """
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
    words += more
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
