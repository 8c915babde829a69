"""The scorer in a process of its own, with limits of time and memory: whatever happens there, the caller gets scores or a reason."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from collidekit.benchmark.definition import Benchmark
from collidekit.benchmark.scoring.exit_codes import FAILED, LATE, MEMORY, UNFIT
from collidekit.benchmark.scoring.failures import ScoringCanceled, ScoringError, UnfitPredictions
from collidekit.benchmark.scoring.from_definition import plan_of
from collidekit.benchmark.scoring.result import Scores
from collidekit.errors import CollidekitError

CHILD = "collidekit.benchmark.scoring.child"
MEMORY_LIMIT = 8 << 30
"""Bytes of address space."""
LARGEST_ANSWER = 64 << 20
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR", "VIRTUAL_ENV", "TZ")
"""Variables of the environment that the scorer sees; others may hold secrets of a server."""
POLL = 0.05
"""Seconds between two looks at the process."""


def score_in_process(
    benchmark: Benchmark,
    phase: str,
    predictions: Mapping[str, Path],
    timeout: float = 900,
    *,
    memory: int = MEMORY_LIMIT,
    canceled: Callable[[], bool] = lambda: False,
    child: str = CHILD,
) -> Scores:
    """Return the scores of predictions, npz files by sample with ``values`` (runs, rows, columns), and with
    ``keys`` (rows,) unless the rows are in the order of the features.

    Raises UnfitPredictions where the predictions are at fault, and ScoringError, a fault of the organiser, for all else: a scorer
    that fails, runs longer than ``timeout`` seconds, needs more than ``memory`` bytes, or answers anything but finite scores.

    ``canceled`` is asked every ``POLL`` seconds; if it returns True, the process is killed and ScoringCanceled is raised.
    """
    try:
        plan = plan_of(benchmark, phase)
        samples = benchmark.phases[phase].samples
        job = {
            "plan": plan.as_dict(),
            "truth": {name: [str(benchmark.path(s.truth)), s.truth.sha256] for name, s in samples.items()},
            "features": {name: str(benchmark.path(sample.features)) for name, sample in samples.items()},
            "predictions": {name: str(Path(path).absolute()) for name, path in predictions.items()},
            "memory": memory,
            "seconds": timeout,
        }
    except ScoringError:
        raise
    except CollidekitError as error:
        raise ScoringError(f"the benchmark cannot be scored: {error}") from None
    with tempfile.TemporaryDirectory(prefix="collidekit-scoring-") as name:
        folder = Path(name)
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        code = _run([sys.executable, "-P", "-m", child, str(folder)], folder, timeout, canceled)
        _refuse(code, folder, timeout, memory)
        return _answer(folder / "scores.json", plan.samples, [metric.name for metric in plan.metrics])


def _run(command: list[str], folder: Path, timeout: float, canceled: Callable[[], bool]) -> int:
    """Run a command to its end and return its exit code; the command and all it started are killed at the limit."""
    # one thread: sums are the same on every machine, and threads of libraries do not count against the limit of memory
    environment = {name: value for name, value in os.environ.items() if name in KEPT} | {
        "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1",
        "ARROW_DEFAULT_MEMORY_POOL": "system", "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }  # fmt: skip
    with (folder / "log").open("wb") as log:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=folder, env=environment,
                start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise ScoringError(f"the scorer cannot be started ({error.strerror or error})") from None
        end = time.monotonic() + timeout
        try:
            while (code := process.poll()) is None:
                if time.monotonic() > end:
                    return LATE
                if canceled():
                    raise ScoringCanceled("the scoring was canceled")
                time.sleep(POLL)
            return code
        finally:
            _kill(process)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    """End a process and all that it started, which are a session of their own."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _refuse(code: int, folder: Path, timeout: float, memory: int) -> None:
    """Raise the error that an exit code stands for; 0 stands for none."""
    said = _last_line(folder / "log")
    if code == UNFIT:
        raise UnfitPredictions(said)
    if code == FAILED:
        raise ScoringError(f"the scorer failed: {said}")
    if code in (LATE, -signal.SIGALRM, -signal.SIGXCPU):
        raise ScoringError(f"the scorer did not end within {timeout:g} s; the organiser has to raise the limit")
    if code in (MEMORY, -signal.SIGKILL):
        raise ScoringError(f"the scorer needs more than {memory / (1 << 30):.3g} GB of memory, or was killed")
    if code:
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        raise ScoringError(f"the scorer {how}{': ' + said if said else ''}")


def _last_line(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        lines = file.read().decode("utf-8", errors="replace").strip().splitlines()
    return lines[-1][:1000] if lines else ""


def _answer(path: Path, samples: tuple[str, ...], metrics: list[str]) -> Scores:
    """Read the scores; JSON alone, and of each metric a finite one."""
    try:
        if path.stat().st_size > LARGEST_ANSWER:
            raise ScoringError(f"the scorer answered more than {LARGEST_ANSWER >> 20} MB")
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        scores = Scores.from_dict(content)
    except ScoringError:
        raise
    except (OSError, ValueError, CollidekitError) as error:
        raise ScoringError(f"the scorer ended well, but its answer is none: {error}") from None
    missing = [name for name in metrics if name not in scores.metrics]
    if len(samples) > 1:
        missing += [name for name in samples if name not in scores.samples]
    if missing:
        raise ScoringError(f"the scorer gave no {', '.join(missing)}")
    return scores
