"""Bundled benchmarks of every task give the same numbers in the scorer's process and in the program for other platforms."""

import json
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from collidekit.benchmark.build import build_benchmark
from collidekit.benchmark.codabench import export_codabench
from collidekit.benchmark.create import create_benchmark
from collidekit.benchmark.definition import Benchmark, load_benchmark
from collidekit.benchmark.scoring.arrays import write_predictions
from collidekit.benchmark.scoring.process import score_in_process
from collidekit.benchmark.scoring.truth_file import read_keys


def random_predictions(benchmark: Benchmark, phase: str) -> dict[str, np.ndarray]:
    """Predictions of two runs that the benchmark accepts."""
    generator = np.random.default_rng(1)
    found = {}
    for name, sample in benchmark.phases[phase].samples.items():
        rows = len(read_keys(benchmark.path(sample.features), benchmark.key))
        shape = (min(2, benchmark.output.runs), rows, len(benchmark.output.columns))
        if benchmark.task == "assignment":
            found[name] = generator.integers(0, 3, shape).astype(float)
        elif benchmark.task == "intervals":
            found[name] = np.sort(generator.uniform(300, 900, shape), axis=2)
        else:
            values = generator.uniform(0.1, 0.9, shape)
            found[name] = values / values.sum(axis=2, keepdims=True) if shape[2] > 1 else values
    return found


@pytest.mark.parametrize("name", ["jet_flavour", "ttbar_assignment", "ttbar_mass_intervals", "top_tagging_robustness"])
def test_the_same_numbers(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    create_benchmark(folder, name, "")
    build_benchmark(folder)
    benchmark = load_benchmark(folder)
    phase = next(iter(benchmark.phases))
    predictions = random_predictions(benchmark, phase)
    files = {sample: write_predictions(tmp_path / f"{sample}.npz", values) for sample, values in predictions.items()}
    local = score_in_process(benchmark, phase, files, 120)
    with zipfile.ZipFile(
        export_codabench(folder, tmp_path / "out.zip", start=datetime(2026, 1, 1, tzinfo=UTC))
    ) as archive:
        archive.extractall(tmp_path / "bundle")
    for sample, values in predictions.items():
        (tmp_path / "res" / sample).mkdir(parents=True)
        np.save(tmp_path / "res" / sample / "predictions.npy", values)
    paths = [tmp_path / "bundle" / phase / "reference_data", tmp_path / "res", tmp_path / "out"]
    program = tmp_path / "bundle" / "scoring_program" / "score.py"
    done = subprocess.run([sys.executable, program, *paths], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "out" / "scores.json").read_text())
    for metric, score in local.metrics.items():
        assert found[metric] == pytest.approx(score.value, rel=1e-12, abs=1e-12)
    full = json.loads((tmp_path / "out" / "all_scores.json").read_text())
    assert full["samples"].keys() == local.samples.keys()
    first = tmp_path / "first"
    with zipfile.ZipFile(next((tmp_path / "bundle" / phase).rglob("first_submission.zip"))) as archive:
        archive.extractall(first)
    paths[1:] = [first, tmp_path / "out_of_first"]
    done = subprocess.run([sys.executable, program, *paths], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
