"""Measure the peak memory of construction and of one training epoch, for a file and for a ten times larger one.

    python benchmarks/memory.py [FILE] [ANALYSIS]

FILE is a Parquet or ROOT file of the analysis (default: the bundled top-tagging sample and its analysis). Each
measurement is a separate process. The output is the peak resident memory of both and their ratio.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import awkward as ak

from collidekit import load_plan
from collidekit.readers import open_file

_MEASURE = """
import re, sys
from collidekit.tasks.base import run_with_requirements
from collidekit.tasks.training import TrainingTask
if __name__ == "__main__":
    task = TrainingTask(config=sys.argv[1], filelist=(sys.argv[2],), epochs=1, n_threads=2)
    run_with_requirements(task.requires()["dataset"] if sys.argv[3] == "construction" else task)
    status = open("/proc/self/status").read()  # not ru_maxrss, which counts what the parent held before the exec
    print(int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) / 1024, file=sys.stderr)
"""


def peak(config: str, file: Path, stage: str, folder: Path) -> float:
    """Return the peak resident memory in MiB of a stage in a separate process."""
    script = folder / "measure.py"
    script.write_text(_MEASURE)
    run = subprocess.run(
        [sys.executable, str(script), config, str(file), stage],
        env={**os.environ, "COLLIDEKIT_OUTPUT": str(folder / "results")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(run.stderr.split()[-1])


def main() -> None:
    config = sys.argv[2] if len(sys.argv) > 2 else "top_tagging"
    given = sys.argv[1] if len(sys.argv) > 1 else str(Path(__file__).parents[1] / "samples/top_tagging/train.root")
    plan = load_plan(config)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with open_file(given, plan.analysis.source) as reader:
            rows = reader.read(plan.columns(list(reader.columns)), 0, reader.rows)
        files = {1: folder / "once.parquet", 10: folder / "ten_times.parquet"}
        for times, path in files.items():
            ak.to_parquet(ak.concatenate([rows] * times), path)
        print(f"{config}: {len(rows):,} rows and {10 * len(rows):,} rows")
        for stage in ("construction", "training"):
            small, large = (peak(config, path, stage, folder) for path in files.values())
            print(f"{stage:12}  {small:6.0f} MiB -> {large:6.0f} MiB, ratio {large / small:.2f}")


if __name__ == "__main__":
    main()
