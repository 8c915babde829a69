"""Settings of metrics that name classes and columns: wrong names are errors of the benchmark file, in one line."""

from typing import Any

import pytest

from collidekit.benchmark.definition import Benchmark
from collidekit.benchmark.scoring.from_definition import plan_of
from collidekit.errors import CollidekitError

PHASES = {"final": {"samples": {"nominal": {"features": "f.parquet", "truth": "t.parquet"}}}}
OUTPUT = {
    "classification": {"columns": ["top"], "minimum": 0, "maximum": 1},
    "assignment": {"columns": ["b", "q1", "q2"]},
    "intervals": {"columns": ["low", "high", "middle"]},
}


def benchmark(task: str, metric: str, settings: dict[str, Any], direction: str) -> Benchmark:
    classes = {"classes": ["qcd", "top"]} if task == "classification" else {}
    entry = {"name": "m", "metric": metric, "settings": settings, "direction": direction}
    return Benchmark.model_validate(
        {
            "benchmark": 1, "name": "b", "title": "B", "task": task, "phases": PHASES, "output": OUTPUT[task], "metrics": [entry], **classes,
        }
    )  # fmt: skip


@pytest.mark.parametrize(
    ("task", "metric", "settings", "direction", "said"),
    [
        ("classification", "calibration_error", {"class": "tob"}, "lower", "class: there is no class 'tob' .did you mean 'top'"),
        ("classification", "auc", {"signal": ["w"]}, "higher", "signal: there is no class 'w'; classes are qcd, top"),
        ("classification", "auc", {"background": "w"}, "higher", "background: there is no class 'w'"),
        ("classification", "auc", {"signal": ["top"], "background": ["qcd", "top"]}, "higher", "top is both signal and background"),
        ("assignment", "slot_efficiency", {"slot": "a"}, "higher", "slot: the output has no column 'a'"),
        ("assignment", "assignment_efficiency", {"alike": [["q1", "x"]]}, "higher", "alike: the output has no column 'x'"),
        ("assignment", "assignment_efficiency", {"exchange": [[["q1"], ["y"]]]}, "higher", "exchange: the output has no column 'y'"),
        ("intervals", "interval_score", {"level": 0.5, "low": "lo"}, "lower", "low: the output has no column 'lo'"),
        ("intervals", "width", {"low": "high"}, "lower", "low and high are both 'high'"),
    ],
)  # fmt: skip
def test_a_wrong_name_is_told(task: str, metric: str, settings: dict[str, Any], direction: str, said: str) -> None:
    with pytest.raises(CollidekitError, match=f"metric m: {said}"):
        plan_of(benchmark(task, metric, settings, direction), "final")


def test_a_drop_needs_several_samples() -> None:
    with pytest.raises(CollidekitError, match="metric m: a drop is between samples, and a phase has only nominal"):
        plan_of(benchmark("classification", "auc", {"across": "drop"}, "lower"), "final")


@pytest.mark.parametrize(
    ("task", "metric", "settings", "direction"),
    [
        ("assignment", "assignment_efficiency", {"alike": [["q1", "q2"]], "exchange": [[["q1"], ["q2"]]]}, "higher"),
        ("intervals", "width", {"low": "low", "high": "middle"}, "lower"),
        ("classification", "auc", {"signal": ["top"], "background": ["qcd"]}, "higher"),
    ],
)
def test_right_names_reach_the_scorer(task: str, metric: str, settings: dict[str, Any], direction: str) -> None:
    (found,) = plan_of(benchmark(task, metric, settings, direction), "final").metrics
    assert (found.metric, found.direction) == (metric, direction)
    assert {name: found.settings[name] for name in settings} == settings
