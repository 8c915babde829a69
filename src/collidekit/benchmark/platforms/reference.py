"""Files of a phase for other platforms: the truth for the scoring program, features for participants, and a first submission."""

import io
import json
import tempfile
from pathlib import Path

import numpy as np

from collidekit.benchmark.definition import Benchmark
from collidekit.benchmark.platforms.archive import Content
from collidekit.benchmark.platforms.score_folder import PLAN
from collidekit.benchmark.scoring.arrays import write_truth
from collidekit.benchmark.scoring.from_definition import plan_of, read_truths
from collidekit.benchmark.scoring.plan import ScoringPlan
from collidekit.benchmark.scoring.truth import Array
from collidekit.benchmark.scoring.truth_file import read_keys


def reference_files(benchmark: Benchmark, phase: str) -> dict[str, str | bytes]:
    """Return the plan of the scoring, and truth and keys of each sample."""
    plan = plan_of(benchmark, phase)
    found: dict[str, str | bytes] = {PLAN: json.dumps(plan.as_dict(), indent=1, allow_nan=False)}
    with tempfile.TemporaryDirectory() as folder:
        for name, truth in read_truths(benchmark, phase).items():
            found[f"{name}_truth.npz"] = write_truth(Path(folder) / "truth.npz", truth).read_bytes()
            keys = read_keys(benchmark.path(benchmark.phases[phase].samples[name].features), plan.key)
            found[f"{name}_keys.npy"] = _npy(keys.astype(np.int64))
    return found


def public_files(benchmark: Benchmark, phase: str) -> dict[str, Path]:
    """Return what participants get: features and public files of each sample, and the training files."""
    found = {}
    for name, sample in benchmark.phases[phase].samples.items():
        found[f"{name}/features.parquet"] = benchmark.path(sample.features)
        for file in sample.public:
            found[f"{name}/{Path(file.path).name}"] = benchmark.path(file)
    for file in benchmark.training:
        found[f"training/{Path(file.path).name}"] = benchmark.path(file)
    return found


def first_submission(benchmark: Benchmark, phase: str) -> Content:
    """Return a valid submission with the same prediction for all rows."""
    plan = plan_of(benchmark, phase)
    values = _constant(plan)
    found = {}
    for name, sample in benchmark.phases[phase].samples.items():
        rows = len(read_keys(benchmark.path(sample.features), plan.key))
        where = f"{name}/" if len(plan.samples) > 1 else ""
        found[f"{where}predictions.npy"] = _npy(np.tile(values, (rows, 1)))
    return found


def _constant(plan: ScoringPlan) -> Array:
    """Return values (C,) that the scorer takes: equal probabilities of all classes, whole positions, else the middle of the range."""
    low = plan.minimum if plan.minimum is not None else min(0.0, plan.maximum or 0.0)
    high = plan.maximum if plan.maximum is not None else low
    columns = len(plan.columns)
    if plan.task == "assignment":
        return np.full(columns, min(max(0.0, np.ceil(low)), np.floor(max(high, low + 1))))
    if plan.task == "classification" and columns > 1 and low <= 1 / columns <= max(high, 1.0):
        return np.full(columns, 1 / columns)
    return np.full(columns, (low + high) / 2)


def _npy(values: Array) -> bytes:
    content = io.BytesIO()
    np.save(content, values, allow_pickle=False)
    return content.getvalue()
