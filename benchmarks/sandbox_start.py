"""Measure the overhead of a sandbox: the time of the command `true` in each engine.

python benchmarks/sandbox_start.py [RUNS]
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from collidekit.benchmark.sandbox.bubblewrap import Bubblewrap
from collidekit.benchmark.sandbox.job import Job, JobLimits, Mount, Sandbox
from collidekit.benchmark.sandbox.podman import Podman
from collidekit.benchmark.sandbox.trusted import Trusted

LIMITS = JobLimits(memory=256 << 20, cpus=1, processes=32, walltime=60, output=1 << 20, log=1 << 16)


def seconds(engine: Sandbox, runs: int) -> list[float]:
    """Return the time of each run of `true`, from the call to the result."""
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "submission").mkdir()
        (folder / "output").mkdir()
        mounts = (Mount(folder / "submission", "/submission"),)
        for _ in range(runs + 1):  # the first one makes the image
            begin = time.perf_counter()
            outcome = engine.run(Job(("true",), folder / "output", folder / "log", LIMITS, mounts))
            assert outcome.ok, outcome
            found.append(time.perf_counter() - begin)
    return found[1:]


def main(runs: int) -> None:
    """Print the median and the worst time of each engine."""
    for engine in (Trusted(), Bubblewrap(), Podman()):
        found = seconds(engine, runs)
        print(f"{engine.name:10} median {statistics.median(found):.3f} s, worst {max(found):.3f} s")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 20)
