"""A small benchmark in a store, submissions to it, and results of runs."""

import hashlib
from pathlib import Path
from typing import Any

from collidekit.benchmark.definition import Benchmark
from collidekit.benchmark.run_result import RunResult
from collidekit.benchmark.scoring.result import Score, Scores
from collidekit.benchmark.states import Fault, State
from collidekit.benchmark.store import Run, Store, User


def make_benchmark(folder: Path, **changes: Any) -> Benchmark:
    """Return a benchmark whose files have the right checksums; what is in them is of no use to a scorer."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name in ("features", "truth"):
        (folder / f"{name}.parquet").write_bytes(name.encode())
        files[name] = {"path": f"{name}.parquet", "sha256": hashlib.sha256(name.encode()).hexdigest()}
    phase = {"samples": {"nominal": files}, "submissions_per_day": 1000, **changes.pop("phase", {})}
    content: dict[str, Any] = {
        "benchmark": 1, "name": "toy", "title": "Toy", "classes": ["qcd", "top"], "signal": "top", "background": "qcd",
        "phases": {"public": phase}, "output": {"columns": ["top"]}, "metrics": [{"name": "auc", "metric": "auc"}],
    }  # fmt: skip
    return Benchmark.model_validate({**content, **changes, "folder": folder})


def make_submission(folder: Path, text: str = "name: mine\ntagger: 'true'\n") -> Path:
    """Return the folder of a submission."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "submission.yaml").write_text(text)
    return folder


def registered(store: Store, folder: Path, **changes: Any) -> Benchmark:
    """Return a benchmark that stands in the store."""
    benchmark = make_benchmark(folder, **changes)
    store.register(benchmark, folder)
    return benchmark


def participant(store: Store, name: str = "Ann", role: str = "participant") -> User:
    """Return a new user."""
    found = store.user_of(store.add_user(name, role))
    assert found is not None
    return found


def submitted(store: Store, user: User, folder: Path, number: int = 1, name: str = "mine") -> list[int]:
    """Return the numbers of new runs of one upload."""
    upload = store.upload_folder(user, make_submission(folder / "submission")).sha256
    return [store.submit(user, "toy", "public", upload, name) for _ in range(number)]


def success(auc: float = 0.9) -> RunResult:
    """Return the result of a run that was scored."""
    scores = Scores({"auc": Score(auc, 0.01)}, rows=10, replicates={"auc": [auc - 0.01, auc + 0.01]}, truth="t")
    return RunResult(State.SUCCESS, scores=scores, code_hash="c" * 64, seed=3, notes=("few rows",))


def failure(fault: Fault = Fault.PARTICIPANT, reason: str = "the tagger failed") -> RunResult:
    """Return the result of a run that failed."""
    return RunResult(State.ERROR, fault, reason, code_hash="c" * 64)


def claimed(store: Store, worker: str = "w1", lease: float = 60) -> Run:
    """Return the run that a worker claims."""
    run = store.claim(worker, lease)
    assert run is not None
    return run


def states(store: Store) -> dict[int, str]:
    """Return the state of each run."""
    return {run.id: run.state.value for run in store.runs(limit=10_000)}
