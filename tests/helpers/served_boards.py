"""Benchmarks and stores with runs, for tests and measurements of the server."""

import hashlib
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from collidekit.benchmark.definition import Benchmark, load_benchmark
from collidekit.benchmark.run_result import RunResult, StepOutcome
from collidekit.benchmark.sandbox.job import Outcome
from collidekit.benchmark.scoring.result import Curve, Score, Scores
from collidekit.benchmark.states import Fault, State
from collidekit.benchmark.store import Store, User

DEFINITION = """
benchmark: 1
name: {name}
title: {title}
description: |
  Find jets of top quarks among jets of light quarks and gluons.

  One number for each jet.
instructions: Write one column, top.
rules: No other data.
classes: [qcd, top]
signal: top
background: qcd
phases:
  public:
    samples:
      nominal: {{features: {{path: features.parquet, sha256: FEATURES}}, truth: {{path: truth.parquet, sha256: TRUTH}}}}
    submissions_per_day: 100
    submissions: 10000
  final:
    samples:
      nominal: {{features: {{path: features.parquet, sha256: FEATURES}}, truth: {{path: truth.parquet, sha256: TRUTH}}}}
    visible: false
    end: 2100-01-01T00:00:00+00:00
parameters:
  - {{name: depth, type: int, minimum: 1, maximum: 9, default: 3, help: Layers of the network.}}
  - {{name: rate, type: float}}
  - {{name: flip, type: bool}}
  - {{name: mode, type: select, choices: [fast, exact]}}
output: {{columns: [top]}}
metrics:
  - {{name: rejection, metric: background_rejection, settings: {{signal_efficiency: 0.5}}}}
  - {{name: auc, metric: auc}}
references:
  - {{name: ParticleNet, scores: {{rejection: 412, auc: 0.9858}}, source: arXiv:1902.08570}}
"""


def make_benchmark(folder: Path, name: str = "top_tagging", title: str = "Top tagging") -> Benchmark:
    """Write the definition of a benchmark, without data, and read it."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in ("features", "truth"):
        (folder / f"{kind}.parquet").write_bytes(kind.encode())
    (folder / "benchmark.yaml").write_text(_definition(name, title), encoding="utf-8")
    return load_benchmark(folder)


def _definition(name: str, title: str) -> str:
    sums = {kind: hashlib.sha256(kind.encode()).hexdigest() for kind in ("features", "truth")}
    text = DEFINITION.format(name=name, title=title)
    return text.replace("FEATURES", sums["features"]).replace("TRUTH", sums["truth"])


def some_scores(quality: float, seed: int = 1, draws: int = 200) -> Scores:
    """Return scores as those of a tagger; ``quality`` about 1."""
    random = np.random.default_rng(seed)
    grid = np.arange(1, 101) / 100
    background = np.clip(grid ** (2.5 + 4 * quality) / 8, 1e-5, 1)
    common = np.random.default_rng(0).normal(size=draws)
    values = {"rejection": 300 * quality, "auc": 0.97 + 0.01 * quality}
    errors = {"rejection": 8.0, "auc": 0.0002}
    replicates = {
        name: [float(value + errors[name] * (0.9 * c + 0.3 * n)) for c, n in zip(common, random.normal(size=draws), strict=True)]
        for name, value in values.items()
    }  # fmt: skip
    curve = Curve(
        signal="top", background="qcd", signal_efficiency=grid.tolist(), background_efficiency=background.tolist(),
        low=(0.95 * background).tolist(), high=(1.05 * background).tolist(), signal_rows=10_000, background_rows=10_000,
    )  # fmt: skip
    metrics = {name: Score(value, errors[name]) for name, value in values.items()}
    return Scores(metrics=metrics, rows=20_000, replicates=replicates, curve=curve, truth="t1")


def ended(
    quality: float | None,
    seed: int = 1,
    reason: str = "",
    fault: Fault = Fault.PARTICIPANT,
    log: str = "",
    draws: int = 200,
) -> RunResult:
    """Return the result of a run: a success of some quality, or an error."""
    ok = quality is not None
    outcome = Outcome(ok, reason, 0 if ok else 1, 12.5, 20.25, 1_500_000_000)
    return RunResult(
        State.SUCCESS if ok else State.ERROR, None if ok else fault, reason, some_scores(quality, seed, draws) if quality else None,
        (StepOutcome("nominal", "tagger", outcome, log),), "c0de" * 16, "sha256:" + "ab" * 32, seed,
    )  # fmt: skip


def submitted(
    store: Store, user: User, folder: Path, name: str, benchmark: str = "top_tagging", phase: str = "public"
) -> int:
    """Submit a small folder; returns the run."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "submission.yaml").write_text("name: tagger\ntagger: python tag.py\n", encoding="utf-8")
    return store.submit(user, benchmark, phase, folder, name, {"depth": 3})


def work(
    store: Store, results: Sequence[RunResult], worker: str = "worker-1", log: str = "reads 20000 rows\n"
) -> list[int]:
    """End waiting runs with these results, as a worker does."""
    found = []
    store.worker_seen(worker, "host")
    for result in results:
        run = store.claim(worker)
        assert run is not None
        place = store.run_folder(run) / "nominal" / "tagger.log"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(log, encoding="utf-8")
        assert store.finish(run, worker, result)
        found.append(run.id)
    return found


def zipped(**files: str) -> bytes:
    """Return a zip file; keys are names with __ for the point."""
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w") as archive:
        for name, text in (files or {"submission__yaml": "name: x\ntagger: 'true'\n"}).items():
            archive.writestr(name.replace("__", "."), text)
    return found.getvalue()
