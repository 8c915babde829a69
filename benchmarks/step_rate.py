"""Compare the rows per second of training steps and of the loader in two checkouts.

    python benchmarks/step_rate.py OLD_CHECKOUT NEW_CHECKOUT TRAIN_FILE [--networks pfn particlenet_lite] [--turns 20]

Each checkout is a process with one thread that runs a training with the bundled analysis top_tagging. They take turns of two seconds:
one works while the other waits, and the order alternates. Ratios are new / old: the median over the turns with the standard
error of the median (1.25 times that of the mean).
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

MODES = ("steps", "loader")
WARM_UP = 2


def work(network: str, batch_size: int, file: str, seconds: float) -> None:
    """Read names of modes line by line, and print the rows per second of a turn for each."""
    import torch

    from collidekit import Dataset, construct, load_plan
    from collidekit.training.config import TrainingConfig
    from collidekit.training.loop import Training

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        construct(load_plan("top_tagging"), file, Path(folder) / "dataset", progress=False)
        config = TrainingConfig(model_name=network, batch_size=batch_size, seed=1)
        training = Training(config, Dataset(Path(folder) / "dataset"), Path(folder) / "training")
        training.model.train()

        def batches() -> Iterator[Any]:
            """Yield batches without end, loaded in this thread."""
            training.data.training.threads = 0
            while True:
                yield from training.data.training

        rows_of = {mode: batches() for mode in MODES}
        for line in ["steps", "loader"] * WARM_UP + [""]:
            if line:
                turn(training, rows_of[line], line, seconds / 2)
        print("ready", flush=True)
        for line in sys.stdin:
            print(turn(training, rows_of[line.strip()], line.strip(), seconds), flush=True)


def turn(training: Any, batches: Iterator[Any], mode: str, seconds: float) -> float:
    """Return the rows per second of steps without the loader, or of the loader only."""
    rows, taken = 0, 0.0
    while taken < seconds:
        begin = time.perf_counter()
        batch = next(batches)
        if mode == "steps":
            begin = time.perf_counter()
            training._train_step(batch)
        taken += time.perf_counter() - begin
        rows += len(batch)
    return rows / taken


def start(checkout: Path, *words: object) -> subprocess.Popen[str]:
    """Start a process with the code of a checkout, and return it when it is ready."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--work", *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(checkout.resolve() / "src"), "OMP_NUM_THREADS": "1"},
    )
    for line in process.stdout or ():
        if line.strip() == "ready":
            return process
    raise SystemExit(f"{checkout}: the training does not start")


def ask(process: subprocess.Popen[str], mode: str) -> float:
    """Return the rate of one turn of a process."""
    assert process.stdin
    assert process.stdout
    process.stdin.write(mode + "\n")
    process.stdin.flush()
    return float(process.stdout.readline())


def main() -> None:
    if sys.argv[1:2] == ["--work"]:
        network, batch_size, file, seconds = sys.argv[2:]
        return work(network, int(batch_size), file, float(seconds))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", nargs=2, type=Path, metavar="CHECKOUT")
    parser.add_argument("file")
    parser.add_argument("--networks", nargs="+", default=["pfn", "particlenet_lite", "transformer_small"])
    parser.add_argument("--turns", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--batch-size", type=int, default=128)
    words = parser.parse_args()
    sample = Path(words.file).resolve()
    print(f"{'network':22} {'of':6} {'old rows/s':>10} {'new rows/s':>10} {'new / old':>9}")
    for network in words.networks:
        sides = [start(checkout, network, words.batch_size, sample, words.seconds) for checkout in words.checkouts]
        rates = np.empty((len(MODES), words.turns, 2))
        for number in range(words.turns):
            for side in (0, 1) if number % 2 == 0 else (1, 0):
                for mode in MODES:
                    rates[MODES.index(mode), number, side] = ask(sides[side], mode)
        for process in sides:
            process.kill()
            process.wait()
        for mode, found in zip(MODES, rates, strict=True):
            ratios = found[:, 1] / found[:, 0]
            error = 1.25 * ratios.std(ddof=1) / np.sqrt(words.turns)
            old, new = np.median(found, axis=0)
            print(f"{network:22} {mode:6} {old:10.0f} {new:10.0f} {np.median(ratios):6.3f} +- {error:.3f}", flush=True)
    return None


if __name__ == "__main__":
    main()
