"""Compare prediction with a bundle and with its checkpoint: latency of one row, and rows per second in batches.

python benchmarks/bundle.py FILES BUNDLE=CHECKPOINT ... [--rows 512] [--calls 300] [--threads 1] [--analysis NAME]

FILES are read with the analysis of the checkpoint. Both sides run alternately in one process, on rows in memory.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np
import torch

from collidekit import load_plan
from collidekit.dataset.arrays import RowArrays
from collidekit.dataset.batch import Batch
from collidekit.dataset.not_finite import NotFinite
from collidekit.inference.file_rows import rows_of_files
from collidekit.readers import expand
from collidekit.runtime.bundle import Bundle
from collidekit.training.checkpoint import load_checkpoint

WARM_UP = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files")
    parser.add_argument("models", nargs="+", metavar="BUNDLE=CHECKPOINT")
    parser.add_argument("--rows", type=int, default=512, help="batch size")
    parser.add_argument(
        "--calls", type=int, default=300, help="number of calls with one row; batches get a tenth of it"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--analysis", help="analysis with the same inputs to read these files; by default that of the checkpoint"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(
        f"{'model':34} {'rows':>5} {'torch p50':>10} {'p99':>9} {'bundle p50':>11} {'p99':>9} {'ratio':>6} {'differ':>8}"
    )
    for pair in options.models:
        folder, _, name = pair.partition("=")
        bundle, checkpoint = Bundle(folder, options.threads), load_checkpoint(name)
        plan = load_plan(options.analysis) if options.analysis else checkpoint.plan()
        read = rows_of_files(plan, expand(options.files), False, [], NotFinite())
        rows = next(read)
        for size, calls in ((1, options.calls), (options.rows, max(options.calls // 10, 3))):
            measure(name, bundle, checkpoint.tagger, list(islice(cycle(rows, size), calls)))


def cycle(rows: RowArrays, size: int) -> Iterator[RowArrays]:
    """Yield parts of the rows without end, starting again after the last one."""
    while True:
        yield from (part for part in rows.parts(size) if len(part) == min(size, len(rows)))


def measure(name: str, bundle: Bundle, tagger: Any, parts: list[RowArrays]) -> None:
    """Print the milliseconds of a call of each side, and the largest difference of their results."""
    batches = [Batch.of(part) for part in parts]
    runner = bundle.runners[0]

    @torch.inference_mode()
    def by_torch(number: int) -> Any:
        return {column: values.numpy() for column, values in tagger.predict(batches[number]).items()}

    def by_bundle(number: int) -> Any:
        return runner(parts[number])

    times: list[list[float]] = [[], []]
    differ = 0.0
    for number in range(len(parts)):
        found = [timed(side, number, times[k]) for k, side in enumerate((by_torch, by_bundle))]
        differ = max(differ, *(float(np.abs(found[1][c] - found[0][c]).max()) for c in found[1]))
    torch_ms, own_ms = (np.array(found[WARM_UP if len(found) > 2 * WARM_UP else 1 :]) * 1e3 for found in times)
    (a, b), (c, d) = (np.percentile(found, [50, 99]) for found in (torch_ms, own_ms))
    print(
        f"{name:34} {len(parts[0]):>5} {a:>7.3f} ms {b:>6.3f} ms {c:>8.3f} ms {d:>6.3f} ms {a / c:>6.2f} {differ:>8.1e}",
        flush=True,
    )


def timed(side: Callable[[int], Any], number: int, times: list[float]) -> Any:
    begun = time.perf_counter()
    found = side(number)
    times.append(time.perf_counter() - begun)
    return found


if __name__ == "__main__":
    main()
