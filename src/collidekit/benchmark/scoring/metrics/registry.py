"""The metrics by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from collidekit.benchmark.scoring.metrics.assignment import assignment_efficiency, slot_efficiency
from collidekit.benchmark.scoring.metrics.intervals import coverage, coverage_deviation, interval_score, width
from collidekit.benchmark.scoring.metrics.measured import Measured
from collidekit.benchmark.scoring.metrics.probabilities import accuracy, brier, calibration_error, log_loss
from collidekit.benchmark.scoring.metrics.roc import Rocs, auc, background_rejection, mean_auc
from collidekit.benchmark.scoring.metrics.settings import (
    Setting,
    flag,
    groups,
    groups_of_groups,
    names,
    number,
    one_of,
    text,
    whole,
)
from collidekit.errors import CollidekitError, did_you_mean


@dataclass(frozen=True)
class MetricKind:
    """A scoring function, the task it is for, and which direction is better; empty where neither is."""

    measure: Callable[[Rocs, Mapping[str, Any]], Measured]
    task: str
    better: str
    label: str
    settings: Mapping[str, Setting]
    needs_probabilities: bool = False


ACROSS: dict[str, Setting] = {
    "across": Setting("nominal", one_of("nominal", "worst", "mean", "drop")),
    "sample": Setting("", text),
}
"""Settings of all metrics: how the samples of a phase become one score."""
_SIDES = {"signal": Setting("", names), "background": Setting("", names)}
_LEVEL = {"level": Setting(None, number(0, 1, "a number between 0 and 1"))}
_ENDS = {"low": Setting("low", text), "high": Setting("high", text), "truth": Setting("", text)}
_SLOTS = {"alike": Setting([], groups), "exchange": Setting([], groups_of_groups)}
_EFFICIENCY = number(0, 1.0000001, "a number above 0, at most 1")


def _kind(
    measure: Callable[[Rocs, Mapping[str, Any]], Measured],
    task: str,
    better: str,
    label: str,
    settings: Mapping[str, Setting] | None = None,
    needs_probabilities: bool = False,
) -> MetricKind:
    return MetricKind(measure, task, better, label, {**(settings or {}), **ACROSS}, needs_probabilities)


METRICS: dict[str, MetricKind] = {
    "auc": _kind(auc, "classification", "higher", "AUC", _SIDES),
    "mean_auc": _kind(
        mean_auc,
        "classification",
        "higher",
        "mean AUC",
        {
            "against": Setting("each", one_of("each", "rest")),
            "score": Setting("probability", one_of("probability", "ratio")),
        },
    ),
    "background_rejection": _kind(
        background_rejection,
        "classification",
        "higher",
        "1/εB",
        {
            "signal_efficiency": Setting(None, _EFFICIENCY),
            "interpolation": Setting("step", one_of("step", "linear")),
            **_SIDES,
        },
    ),
    "accuracy": _kind(
        accuracy,
        "classification",
        "higher",
        "accuracy",
        {"threshold": Setting(0.5, number(-1e300, 1e300, "a number"))},
    ),
    "log_loss": _kind(log_loss, "classification", "lower", "log loss", None, True),
    "brier": _kind(brier, "classification", "lower", "Brier score", {"scale_by_half": Setting(False, flag)}, True),
    "calibration_error": _kind(
        calibration_error,
        "classification",
        "lower",
        "calibration error",
        {"bins": Setting(15, whole), "class": Setting("", text)},
        True,
    ),
    "assignment_efficiency": _kind(
        assignment_efficiency,
        "assignment",
        "higher",
        "all slots right",
        {"events": Setting("complete", one_of("complete", "all")), **_SLOTS},
    ),
    "slot_efficiency": _kind(
        slot_efficiency, "assignment", "higher", "slot right", {"slot": Setting(None, text), **_SLOTS}
    ),
    "coverage": _kind(coverage, "intervals", "", "coverage", _ENDS),
    "coverage_deviation": _kind(
        coverage_deviation, "intervals", "lower", "distance of the coverage from its level", {**_LEVEL, **_ENDS}
    ),
    "width": _kind(width, "intervals", "lower", "mean width", _ENDS),
    "interval_score": _kind(interval_score, "intervals", "lower", "interval score", {**_LEVEL, **_ENDS}),
}


def find_metric(name: str) -> MetricKind:
    """Return the metric of a name, or raise CollidekitError with the names there are."""
    if name not in METRICS:
        raise CollidekitError(
            f"there is no metric {name!r}{did_you_mean(name, list(METRICS))}; there are {', '.join(METRICS)}"
        )
    return METRICS[name]
