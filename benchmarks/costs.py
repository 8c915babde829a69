"""Measure the overhead of tasks, submissions and jobs, and construction, prediction and training with one and two processes.

    python benchmarks/costs.py TRAIN.parquet [--turns 3] [--processes 3] [--jets 100000] [--output costs.json]

TRAIN.parquet holds jets of the Top Quark Tagging Reference Dataset. Every process uses one thread. Each turn measures all cases once,
one after another, so that other load of the machine affects all of them. It uses the Slurm of the tests (needs root and the Debian
packages); without it the jobs are left out. benchmarks/scaling.py computes the cost of more workers and jets from the JSON file.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow.parquet as pq
import torch
from luigi.task_register import Register
from overheads import all_reduce, disk, measured, memory_of_join, opening, overhead_of_slurm, overhead_of_tasks

from collidekit.tasks.base import AnalysisTask, run_with_requirements
from collidekit.tasks.dataset import DatasetConstructorTask
from collidekit.tasks.inference import InferenceTask
from collidekit.tasks.parts import ConstructionPartTask, PredictionPartTask
from collidekit.tasks.training import TrainingTask
from collidekit.tasks.work import words_of

ROW_GROUP = 10_000
EPOCHS = 2
LEAST = 50_000
_TRAIN = """
import json, sys, time
import torch.distributed as dist
from collidekit.tasks.base import run_with_requirements
from collidekit.tasks.work import task_of
calls, moved = [0], [0]
def counted(call):
    def with_count(*values, **options):
        calls[0] += 1
        moved[0] += values[-1].numel() * values[-1].element_size()
        return call(*values, **options)
    return with_count
dist.all_reduce, dist.all_gather = counted(dist.all_reduce), counted(dist.all_gather)
run_with_requirements(task_of(sys.argv[1:]))
print(json.dumps({"exchanges": calls[0], "bytes": moved[0]}))
"""


def of_tasks(*tasks: AnalysisTask) -> dict[str, Any]:
    """Run tasks at the same time, each as in a job."""
    found = measured(*[["-m", "collidekit.tasks.work", *words_of(task)] for task in tasks])
    del found["said"]
    return found


def size(folder: Path, pattern: str) -> int:
    return sum(path.stat().st_size for path in folder.glob(pattern))


def seconds_of(task: AnalysisTask) -> float:
    """Run a task in this process and return its CPU seconds."""
    begun = time.process_time()
    task.run()
    return time.process_time() - begun


def results(folder: Path) -> None:
    """Change the folder of results."""
    os.environ["COLLIDEKIT_OUTPUT"] = str(folder)
    Register.clear_instance_cache()  # type: ignore[no-untyped-call]


def one_process(settings: dict[str, Any], checkpoint: Path, folder: Path) -> dict[str, Any]:
    """Measure one turn in this process, after all imports: all rows, a fifth of the rows, the joins, and bytes."""
    found: dict[str, Any] = {}
    judged = {
        **settings,
        "checkpoint": (str(checkpoint),),
        "test_filelist": settings["filelist"],
        "allow_training_rows": True,
        "n_threads": 1,
        "jobs": 2,
    }
    results(folder)
    for kind, name, given in (
        (ConstructionPartTask, "construction", settings),
        (PredictionPartTask, "prediction", judged),
    ):
        for part in ("1/5", "1/1"):
            found[f"{name} {part}"] = seconds_of(kind(**{**given, "part": part}))
        parts = [kind(**{**given, "jobs": 2, "part": part}) for part in ("1/2", "2/2")]
        for part in parts:
            part.run()
        found["bytes of parts"] = found.get("bytes of parts") or sum(
            size(part.folder, "parts/*.arrow") for part in parts
        )
        joined = DatasetConstructorTask(**settings, jobs=2) if name == "construction" else InferenceTask(**judged)
        found[f"{name} join"] = seconds_of(joined)
        found[f"bytes after {name}"] = sum(size(joined.folder, kind) for kind in ("*.arrow", "*.parquet", "*.root"))
    return found


def two_processes(settings: dict[str, Any], checkpoint: Path, folder: Path) -> dict[str, Any]:
    """Measure one turn of processes as in jobs: one and two processes for the same rows, and trainings with one and two ranks."""
    found: dict[str, Any] = {}
    judged = {
        **settings,
        "checkpoint": (str(checkpoint),),
        "test_filelist": settings["filelist"],
        "allow_training_rows": True,
        "n_threads": 1,
    }
    results(folder)
    for kind, name, given in (
        (ConstructionPartTask, "construction", settings),
        (PredictionPartTask, "prediction", judged),
    ):
        found[f"{name} by 1"] = of_tasks(kind(**given, part="1/1"))
        found[f"{name} by 2"] = of_tasks(*[kind(**given, part=part) for part in ("1/2", "2/2")])
        run_with_requirements(DatasetConstructorTask(**settings))
    found["start"] = of_tasks(ConstructionPartTask(**settings, part="1/1"))
    for devices in (1, 2):
        training = TrainingTask(**settings, epochs=EPOCHS, n_threads=1, devices=devices, seed=devices)
        done = measured(["-c", _TRAIN, *words_of(training)])
        found[f"training {devices}"] = {**done, **json.loads(done.pop("said")[0].splitlines()[-1])}
        lines = (training.folder / "history.csv").read_text().splitlines()
        last = dict(zip(lines[0].split(","), lines[-1].split(","), strict=True))
        found[f"training {devices}"]["epoch"] = {name: float(last[name]) for name in ("seconds", "cpu_seconds", "rows")}
        found[f"training {devices}"]["steps"] = int(float(last["steps"]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parquet", type=Path)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument(
        "--processes", type=int, default=3, help="number of turns that also start jobs, which takes longest"
    )
    parser.add_argument("--jets", type=int, default=100_000)
    parser.add_argument("--output", type=Path, default=Path("costs.json"))
    given = parser.parse_args()
    if given.jets < LEAST or given.jets % LEAST:
        sys.exit(f"--jets {given.jets}: give a multiple of {LEAST:,}, of which a fifth is whole chunks")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        jets = folder / "jets.parquet"
        table = pq.read_table(given.parquet).slice(0, given.jets)
        pq.write_table(table, jets, row_group_size=ROW_GROUP)
        settings: dict[str, Any] = {"config": "top_tagging_reference", "filelist": (str(jets),)}
        found: dict[str, Any] = {
            "cores": os.cpu_count(), "jets": given.jets, "epochs": EPOCHS, "bytes of input": jets.stat().st_size, "slurm": overhead_of_slurm(), "turns": [],
            "memory of joined predictions": memory_of_join(), "opening a file and a shard": opening(folder, table),
        }  # fmt: skip
        results(folder / "trained")
        training = TrainingTask(**settings, epochs=1, n_threads=1)
        run_with_requirements(training)
        checkpoint = training.folder / "best_model.pt"
        one_process(settings, checkpoint, folder / "warm")
        for number in range(given.turns):
            load = os.getloadavg()[0]
            turn = one_process(settings, checkpoint, folder / f"one_{number}")
            if number < given.processes:
                turn |= two_processes(settings, checkpoint, folder / f"two_{number}")
            results(folder / f"empty_{number}")
            more = {"task": median(overhead_of_tasks(settings)), "all-reduce": all_reduce(folder), "disk": disk(folder)}
            found["turns"].append({**turn, **more, "load": load})
            given.output.write_text(json.dumps(found, indent=1) + "\n")
            print(f"turn {number + 1} of {given.turns}, load {load:.1f}", flush=True)
    print(given.output)


if __name__ == "__main__":
    main()
