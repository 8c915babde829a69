"""Measure overheads for benchmarks/costs.py: tasks, submissions, jobs, opened files, sums over ranks, the disk."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from collidekit.tasks.dataset import DatasetConstructorTask

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
_REDUCE = """
import json, sys, time
import torch
import torch.distributed as dist
rank, store, sizes = int(sys.argv[1]), sys.argv[2], [1, 1 << 16, 1 << 22]
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
found = {}
for size in sizes:
    values, seconds = torch.ones(size), []
    for _ in range(30):
        dist.barrier()
        begun = time.perf_counter()
        dist.all_reduce(values)
        seconds.append(time.perf_counter() - begun)
    found[4 * size] = sorted(seconds)[15]
if rank == 0:
    print(json.dumps(found))
"""
_JOIN = """
import resource, sys, tempfile
from pathlib import Path
import numpy as np
import pyarrow.parquet, uproot
from collidekit.analysis.schema import Discriminator
from collidekit.inference.join import join_predictions
from collidekit.inference.predictions import Predictions
rows = int(sys.argv[1])
with tempfile.TemporaryDirectory() as folder:
    generator = np.random.default_rng(1)
    for number in range(2):
        Predictions(
            classes=("qcd", "top"), probabilities=generator.random((rows // 2, 2), dtype=np.float32),
            labels=generator.integers(0, 2, rows // 2), weights=np.ones(rows // 2, dtype=np.float32),
            definitions={"TvsQCD": Discriminator(signal=("top",), background=("qcd",))},
            spectators={name: generator.random(rows // 2) for name in ("jet_pt", "jet_eta", "jet_mass")},
            event={"file": np.zeros(rows // 2, dtype=np.int64), "row": np.arange(rows // 2)},
        ).write(Path(folder, f"{number}.parquet"))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    joined = join_predictions([Predictions.read(Path(folder, f"{number}.parquet")) for number in range(2)])
    joined.write(Path(folder, "joined.parquet"))
    joined.write(Path(folder, "joined.root"))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""
_OPEN = """
import json, sys, tempfile, time
from pathlib import Path
from collidekit import Dataset, construct, load_plan
from collidekit.dataset.construct import _look_at
plan = load_plan("top_tagging_reference")
_look_at(sys.argv[1], plan, False, 10_000)
begun = time.process_time()
for path in sys.argv[1:]:
    _look_at(path, plan, False, 10_000)
file = (time.process_time() - begun) / (len(sys.argv) - 1)
with tempfile.TemporaryDirectory() as folder:
    manifest = construct(plan, sys.argv[1:], folder, chunk_size=100, progress=False)
    Dataset(folder)
    begun = time.process_time()
    Dataset(folder)
    print(json.dumps([file, (time.process_time() - begun) / len(manifest.shards)]))
"""


class EmptyTask(DatasetConstructorTask):
    """A task that does nothing, to measure its overhead."""

    exclude_index = True

    def make(self) -> None:
        self.write_provenance()

    def say(self, text: str) -> None:
        """Do nothing."""

    def output(self) -> dict[str, Any]:
        return {"run": self.target("run.json")}


def measured(*commands: list[str]) -> dict[str, Any]:
    """Run commands at the same time; return the wall seconds, and the CPU seconds of each."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    begun = time.perf_counter()
    running = [
        subprocess.Popen([sys.executable, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        for words in commands
    ]
    cpu, said = [], []
    for process in running:
        assert process.stdout is not None
        assert process.stderr is not None
        said.append(process.stdout.read().decode())
        errors = process.stderr.read().decode()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{commands[0]} failed:\n{errors[-2000:]}")
        cpu.append(used.ru_utime + used.ru_stime)
    return {"seconds": time.perf_counter() - begun, "cpu": cpu, "said": said}


def overhead_of_tasks(settings: dict[str, Any], number: int = 20) -> list[float]:
    """Return the seconds of tasks that do nothing: hash, lock, lease, provenance."""
    seconds = []
    for chunk_size in range(1, number + 1):
        task = EmptyTask(**{**settings, "chunk_size": chunk_size})
        begun = time.perf_counter()
        task.run()
        assert task.complete()
        seconds.append(time.perf_counter() - begun)
    return seconds


def overhead_of_slurm(number: int = 20) -> dict[str, Any]:
    """Return the seconds of submissions, of the start of jobs on idle nodes, and of a query of their states."""
    from slurm_cluster import SlurmCluster, missing

    from collidekit.batch.slurm import SlurmQueue

    if why := missing():
        return {"left out": why}
    with tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True) as folder:
        cluster = SlurmCluster(Path(folder))
        try:
            cluster.start()
            os.environ.update(cluster.environment)
            queue, submit, start, numbers = SlurmQueue(), [], [], []
            for i in range(number):
                note = Path(folder) / f"started_{i}"
                script = Path(folder) / "job.sh"
                script.write_text(
                    f"#!/bin/bash\n#SBATCH --output=/dev/null\n#SBATCH --mem=10M\ndate +%s.%N > {note}.part; mv {note}.part {note}\n"
                )
                begun = time.time()
                numbers.append(queue.submit(script))
                submit.append(time.time() - begun)
                while not note.exists():
                    time.sleep(0.02)
                start.append(float(note.read_text()) - begun - submit[-1])
            begun = time.time()
            queue.states(numbers)
            return {"submission": submit, "start of a job": start, "question": time.time() - begun}
        finally:
            cluster.stop()


def all_reduce(folder: Path) -> dict[str, float]:
    """Return the median seconds of 30 sums over two processes, by their bytes."""
    script = folder / "reduce.py"
    script.write_text(_REDUCE)
    store = folder / f"store_{time.time_ns()}"
    found: dict[str, float] = json.loads(
        measured(*[[str(script), str(rank), str(store)] for rank in (0, 1)])["said"][0]
    )
    return found


def memory_of_join(rows: int = 4_000_000) -> float:
    """Return the bytes of memory per row of a joined prediction, from the slope between half of the rows and all."""
    half, whole = (float(measured(["-c", _JOIN, str(number)])["said"][0]) for number in (rows // 2, rows))
    return (whole - half) / (rows / 2)


def opening(folder: Path, table: Any, number: int = 100) -> list[float]:
    """Return the CPU seconds to open one of several small files, and one of several shards."""
    paths = [folder / f"small_{i}.parquet" for i in range(number)]
    for path in paths:
        pq.write_table(table.slice(0, 100), path)
    found: list[float] = json.loads(measured(["-c", _OPEN, *map(str, paths)])["said"][0].splitlines()[-1])
    return found


def disk(folder: Path, megabytes: int = 256) -> float:
    """Return the bytes per second that are written and synchronised to the disk."""
    block, begun = os.urandom(1 << 20), time.perf_counter()
    with (folder / "disk").open("wb") as file:
        for _ in range(megabytes):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    seconds = time.perf_counter() - begun
    (folder / "disk").unlink()
    return megabytes * (1 << 20) / seconds
