"""Kill two concurrent runs repeatedly at random times, and compare their results with an undisturbed run.

python benchmarks/kills.py FOLDER --kills 200

Each process constructs its own dataset from rows of the bundled sample, trains for three epochs and predicts. After each
kill it is restarted, until it succeeds. Then the predictions of both must be identical to those of the undisturbed run, byte for byte.
"""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import uproot

TASK = """
from collidekit.tasks.base import run_with_requirements
from collidekit.tasks.inference import InferenceTask

files = {{"filelist": ("{folder}/train.root",), "test_filelist": ("{folder}/test.root",)}}
run_with_requirements(InferenceTask(config="top_tagging", model_name="mlp", epochs=3, n_threads=1, **files))
"""


def command(sample: Path) -> list[str]:
    """Return the command of construction, training and prediction, the steps of ``collidekit run`` before the plots."""
    return [sys.executable, "-c", TASK.format(folder=sample)]


def make_sample(folder: Path, rows: int) -> None:
    """Write the first rows of the bundled files."""
    bundled = Path(__file__).resolve().parents[1] / "samples" / "top_tagging"
    for name in ("train", "test"):
        with uproot.open(bundled / f"{name}.root") as file, uproot.recreate(folder / f"{name}.root") as small:
            (tree,) = file.keys(filter_classname="TTree", cycle=False)
            arrays = file[tree].arrays(entry_stop=rows)
            small[tree] = {field: arrays[field] for field in arrays.fields if not field.startswith("n")}


def start(sample: Path, results: Path) -> subprocess.Popen[bytes]:
    log = results.with_suffix(".log").open("ab")
    environment = {**os.environ, "COLLIDEKIT_OUTPUT": str(results), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command(sample), env=environment, stdout=log, stderr=log, start_new_session=True)


def kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and its workers."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def check(expected: Path, found: Path) -> None:
    """Raise an error unless the predictions are equal, with each row once."""
    (a,), (b,) = (list(path.rglob("predictions.parquet")) for path in (expected, found))
    one, other = pq.read_table(a), pq.read_table(b)
    assert one.equals(other), f"{b}: differs from the undisturbed {a}"
    rows = np.stack([other["file"].to_numpy(), other["row"].to_numpy()], axis=1)
    assert len(np.unique(rows, axis=0)) == len(rows), f"{b}: rows are doubled"
    left = [path for path in found.rglob(".*.part*") if path.is_file()]
    print(f"{found.name}: {len(rows):,} rows, identical; temporary files left: {len(left)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="working folder")
    parser.add_argument("--kills", type=int, default=200, help="number of kills, over both processes")
    parser.add_argument("--rows", type=int, default=3000, help="number of rows of each file of the sample")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    drawn = random.Random(given.seed)
    given.folder.mkdir(parents=True, exist_ok=True)
    sample = given.folder
    make_sample(sample, given.rows)
    begun = time.monotonic()
    undisturbed = start(sample, given.folder / "undisturbed")
    assert undisturbed.wait() == 0, f"the undisturbed run failed: see {given.folder}/undisturbed.log"
    whole = time.monotonic() - begun
    print(f"undisturbed: {whole:.1f} s", flush=True)
    killed = cycles = 0
    while killed < given.kills:
        cycles += 1
        places = [given.folder / f"cycle_{cycles}_{name}" for name in "ab"]
        running = {place: start(sample, place) for place in places}
        until = {place: time.monotonic() + drawn.uniform(0, whole) for place in places}
        while running:
            time.sleep(0.05)
            for place, process in list(running.items()):
                code = process.poll()
                if code is not None:
                    assert code == 0, f"{place}: ended with {code}: see {place}.log"
                    del running[place]
                elif time.monotonic() > until[place] and killed < given.kills:
                    kill(process)
                    killed += 1
                    running[place] = start(sample, place)
                    until[place] = time.monotonic() + drawn.uniform(0, whole)
        for place in places:
            check(given.folder / "undisturbed", place)
            shutil.rmtree(place)
    print(f"{killed} kills in {cycles} cycles of two processes: nothing lost, doubled or changed")


if __name__ == "__main__":
    main()
