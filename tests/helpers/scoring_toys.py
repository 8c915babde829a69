"""Benchmarks with toy rows for the tests of scoring."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from collidekit.benchmark.definition import Benchmark, load_benchmark
from collidekit.benchmark.scoring.metrics.registry import find_metric
from collidekit.benchmark.scoring.metrics.settings import check_settings
from collidekit.benchmark.scoring.plan import MetricPlan, ScoringPlan
from collidekit.benchmark.scoring.result import Scores
from collidekit.benchmark.scoring.score import score_plan
from collidekit.benchmark.scoring.truth import Truth, make_truth

AUC = {"name": "auc", "metric": "auc"}
R30 = {"name": "r30", "metric": "background_rejection", "settings": {"signal_efficiency": 0.3}}
R50 = {"name": "r50", "metric": "background_rejection", "settings": {"signal_efficiency": 0.5}}


def metric(function: str, name: str = "", **settings: Any) -> MetricPlan:
    """A metric with its settings checked."""
    kind = find_metric(function)
    direction = "lower" if settings.get("across") == "drop" else kind.better or "higher"
    return MetricPlan(name or function, function, check_settings(name, settings, kind.settings), direction)


def binary_plan(*metrics: MetricPlan, **others: Any) -> ScoringPlan:
    """Top against qcd with one column."""
    known: dict[str, Any] = {
        "task": "classification", "columns": ("top",), "classes": ("qcd", "top"), "signal": "top", "background": "qcd",
        "replicates": 100, "runs": 100,
    }  # fmt: skip
    return ScoringPlan(**{**known, **others}, metrics=metrics)


def truth_of(labels: Any, weights: Any = None) -> Truth:
    return make_truth(np.arange(len(labels)), {"label": np.asarray(labels)}, weights)


def score_one(plan: ScoringPlan, predictions: Any, truth: Truth) -> Scores:
    """Scores of one sample; predictions (N,), (N, C) or (R, N, C)."""
    array = np.asarray(predictions)
    array = array[None, :, None] if array.ndim == 1 else array[None] if array.ndim == 2 else array
    return score_plan(plan, {plan.samples[0]: array}, {plan.samples[0]: truth})


def gaussian_scores(rows: int, distance: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities (N,) of the known optimum for two unit Gaussians, and labels."""
    generator = np.random.default_rng(seed)
    labels = np.arange(rows) % 2
    x = generator.normal(size=rows) + distance * labels
    return 1 / (1 + np.exp(-(distance * x - distance**2 / 2))), labels


def write_benchmark(
    folder: Path,
    truth: Mapping[str, Mapping[str, Any]],
    features: Mapping[str, Mapping[str, Any]] | None = None,
    **content: Any,
) -> Benchmark:
    """Write a benchmark folder with one phase ``final`` whose samples have these columns of truth, and read it."""
    samples = {}
    for name, columns in truth.items():
        rows = {"row": np.arange(len(next(iter(columns.values()))))}
        files = {
            "truth": {**rows, **columns},
            "features": {**rows, **(features or {}).get(name, {"x": np.zeros(len(rows["row"]))})},
        }
        samples[name] = {
            part: {"path": f"{name}_{part}.parquet", "sha256": write_parquet(folder / f"{name}_{part}.parquet", table)}
            for part, table in files.items()
        }
    known: dict[str, Any] = {
        "benchmark": 1, "name": "toy", "title": "Toy benchmark", "task": "classification", "classes": ["qcd", "top"],
        "signal": "top", "background": "qcd", "output": {"columns": ["top"], "minimum": 0, "maximum": 1, "runs": 10},
        "metrics": [AUC, R30], "phases": {"final": {"samples": samples}},
    }  # fmt: skip
    merged = {key: value for key, value in {**known, **content}.items() if value is not None}
    (folder / "benchmark.yaml").write_text(
        yaml.safe_dump(merged, sort_keys=False, allow_unicode=True), encoding="utf-8"
    )
    return load_benchmark(folder)


def write_parquet(path: Path, columns: Mapping[str, Any]) -> str:
    """Write columns and return the checksum of the file."""
    pq.write_table(pa.table({name: pa.array(values) for name, values in columns.items()}), path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rob_scores(
    tagger_result: Sequence[Any], true_labels: Any, point: int, remove_outliers: bool
) -> tuple[float, float, float, float]:
    """The scorer of the ROB demo, written from its description: bg_reject, bg_reject_std, auc, auc_std."""
    from sklearn.metrics import roc_auc_score, roc_curve

    base_tpr = np.linspace(0.05, 1, 476)
    rejections, aucs = [], []
    for scores in tagger_result:
        false_positives, true_positives, _ = roc_curve(true_labels, scores, pos_label=1, drop_intermediate=False)
        rejections.append(1 / np.interp(base_tpr, true_positives, false_positives)[point])
        aucs.append(roc_auc_score(true_labels, scores))
    reject, auc = np.array(rejections), np.array(aucs)
    if remove_outliers:
        low, high = np.percentile(reject, 100 / 6), np.percentile(reject, 500 / 6)
        core = reject[(reject >= low) & (reject <= high)]
        inside = (reject >= core.mean() - 3 * core.std()) & (reject <= core.mean() + 3 * core.std())
        reject, auc = reject[inside], auc[inside]
    return float(np.median(reject)), float(np.std(reject)), float(np.median(auc)), float(np.std(auc))
