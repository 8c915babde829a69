"""``collidekit benchmark run``: a submission on this machine, in the same sandbox and with the same scorer as a server."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from collidekit.benchmark.check import check_metrics
from collidekit.benchmark.definition import FILE, Benchmark, load_benchmark
from collidekit.benchmark.run import run_submission
from collidekit.benchmark.run_folder import run_folder
from collidekit.benchmark.run_result import RunResult
from collidekit.benchmark.sandbox.job import Sandbox
from collidekit.benchmark.submission import load_submission, slug
from collidekit.errors import CollidekitError
from collidekit.files import write_json
from collidekit.progress import counting
from collidekit.shipped import shipped_benchmarks

RESULT = "result.json"


@frozen
class LocalRun:
    """A run on this machine and the folder of its logs and predictions."""

    benchmark: Benchmark
    result: RunResult
    folder: Path


def run_here(
    benchmark: str, submission: Path, sandbox: Callable[[Benchmark], Sandbox], phase: str = "", parameters: Mapping[str, Any] | None = None,
    seed: int = 0, output: Path | None = None,
) -> LocalRun:  # fmt: skip
    """Run a submission in the sandbox that is made for its benchmark, and write ``result.json``.

    Raises CollidekitError where the benchmark or the submission cannot be read, or no sandbox works here.
    """
    definition = _load(benchmark)
    check_metrics(definition)
    phase = phase or next(iter(definition.phases))
    definition.phase(phase)
    found = load_submission(submission, definition, parameters)
    folder = output or Path("results") / "benchmark" / definition.name / phase / slug(found.name)
    engine = sandbox(definition)
    with run_folder(folder), counting(f"{definition.title}: {found.name}", "steps") as done:
        result = run_submission(
            definition, phase, found, folder.absolute(), engine, seed=seed, on_step=lambda sample, step: done(1)
        )
        write_json(folder / RESULT, result.as_dict())
    return LocalRun(definition, result, folder)


def _load(benchmark: str) -> Benchmark:
    if not Path(benchmark).exists() and benchmark in shipped_benchmarks():
        raise CollidekitError(
            f"{benchmark}: is a bundled benchmark without data; make a folder with: collidekit benchmark create {benchmark} --like {benchmark} "
            f"&& collidekit benchmark build {benchmark}"
        )
    if not (Path(benchmark) / FILE).is_file() and not Path(benchmark).is_file():
        raise CollidekitError(f"{benchmark}: there is no folder of this name with a {FILE}")
    return load_benchmark(benchmark)


def find_sandbox(
    benchmark: Benchmark, engine: str = "", image: str = "", pull: bool = False, trust: bool = False
) -> Sandbox:
    """Return the sandbox for a benchmark, from which its truth is kept out."""
    from collidekit.benchmark.sandbox.choose import choose_sandbox

    return choose_sandbox(engine, image=image, pull=pull, trust=trust, private=tuple(benchmark.truth_files()))
