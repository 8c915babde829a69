"""Small benchmarks and sandboxes for tests."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from collidekit.benchmark.checksums import write_checksums
from collidekit.benchmark.definition import Benchmark, load_benchmark
from collidekit.benchmark.sandbox.job import Job, Outcome, Probe

CONTENT: dict[str, Any] = {
    "benchmark": 1, "name": "toy", "title": "Toy", "classes": ["qcd", "top"], "signal": "top", "background": "qcd",
    "phases": {"public": {"samples": {"nominal": {"features": {"path": "features.parquet"}, "truth": {"path": "truth/truth.parquet"}}}}},
    "output": {"columns": ["top"], "minimum": 0, "maximum": 1, "runs": 5},
    "metrics": [{"name": "auc", "metric": "auc"}],
}  # fmt: skip


def write_benchmark(folder: Path, rows: int = 400, **changed: Any) -> Benchmark:
    """Write a benchmark whose feature ``x`` tells the classes apart to some extent, with data and checksums."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "benchmark.yaml").write_text(yaml.safe_dump({**CONTENT, **changed}, sort_keys=False))
    benchmark = load_benchmark(folder)
    rng = np.random.default_rng(1)
    for phase in benchmark.phases.values():
        labels = rng.integers(0, 2, rows)
        features = pa.table({"row": np.arange(rows), "x": rng.normal(labels.astype(float))})
        for sample in phase.samples.values():
            for file, table in (
                (sample.features, features),
                (sample.truth, pa.table({"row": np.arange(rows), "label": labels})),
            ):
                benchmark.path(file).parent.mkdir(parents=True, exist_ok=True)
                pq.write_table(table, benchmark.path(file))
    write_checksums(benchmark)
    return load_benchmark(folder)


def write_submission(
    folder: Path, tagger: str = "python3 tagger.py", files: Mapping[str, str] | None = None, **changed: Any
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "submission.yaml").write_text(yaml.safe_dump({"name": "mine", "tagger": tagger, **changed}))
    for name, text in (files or {}).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def x_as_score(job: Job) -> None:
    """Write the logistic function of the feature x as predictions."""
    (features,) = (mount.source for mount in job.mounts if mount.target == "/data/features.parquet")
    table = pq.read_table(features)
    score = 1 / (1 + np.exp(-table["x"].to_numpy()))
    pq.write_table(pa.table({"row": table["row"], "top": score}), job.output / "predictions.parquet")


class FakeSandbox:
    """A sandbox that calls a function instead of the command, and keeps the jobs."""

    name = "fake"

    def __init__(self, action: Callable[[Job], None] = x_as_score, **outcome: Any) -> None:
        self.action, self.jobs = action, []
        self.outcome = {
            "ok": True,
            "reason": "",
            "exit_code": 0,
            "wall_seconds": 1.0,
            "cpu_seconds": 2.0,
            "peak_memory": 1000,
            **outcome,
        }

    def probe(self) -> Probe:
        return Probe(True, self.name)

    def run(self, job: Job, canceled: Callable[[], bool] = lambda: False) -> Outcome:
        self.jobs.append(job)
        job.log.write_text("ran\n")
        self.action(job)
        return Outcome(**self.outcome)


class PlainSandbox(FakeSandbox):
    """A sandbox without walls: paths inside are replaced by a folder of this machine. For code of these tests alone."""

    def __init__(self, root: Path) -> None:
        super().__init__(self._run)
        self.root = root
        self.code = 0

    def run(self, job: Job, canceled: Callable[[], bool] = lambda: False) -> Outcome:
        super().run(job, canceled)
        said = job.log.read_text().strip().splitlines()
        return Outcome(
            self.code == 0,
            "" if self.code == 0 else f"exit code {self.code}: {said[-1] if said else ''}",
            self.code,
            1.0,
            1.0,
            None,
        )

    def _run(self, job: Job) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        for mount in job.mounts:
            target = self.root / mount.target.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            (shutil.copytree if mount.source.is_dir() else shutil.copyfile)(mount.source, target)
        (self.root / "output").symlink_to(job.output)
        command = [self._here(word) for word in job.command]
        environment = {name: self._here(value) for name, value in job.environment.items()}
        path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
        source = Path(__file__).parents[2] / "src"
        with job.log.open("w") as log:
            done = subprocess.run(command, check=False, cwd=self.root / job.directory.lstrip("/"), stdout=log, stderr=subprocess.STDOUT,
                                  env={"PATH": path, "PYTHONPATH": str(source), **environment}, timeout=120)  # fmt: skip
        self.code = done.returncode

    def _here(self, text: str) -> str:
        for inside in ("submission", "data", "preprocessed", "output", "mydata", "app"):
            for before in ("", " ", '"', "'", ":"):
                text = text.replace(f"{before}/{inside}", f"{before}{self.root}/{inside}") if before else text
            if text.startswith(f"/{inside}"):
                text = f"{self.root}{text}"
        return text
