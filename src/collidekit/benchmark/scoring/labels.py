"""Names of metrics and values of scores, for people."""

from collidekit.benchmark.definition import Metric
from collidekit.benchmark.scoring.metrics.registry import METRICS
from collidekit.benchmark.scoring.result import Score
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
    """Return ``0.98477 ± 0.00015``, or ``> 1200`` for a lower limit; ``precision`` sets the digits after the point."""
    if score.limit:
        return f"> {score.value:.3g}"
    if precision is None:
        return with_error(score.value, score.error)
    error = "" if score.error is None else f" ± {score.error:.{precision}f}"
    return f"{score.value:.{precision}f}{error}"
