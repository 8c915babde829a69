"""Measure the stages of the loader, and the limits of this machine: bytes per second from disk, from memory, and of LZ4.

    python benchmarks/limits.py DATASET

DATASET is the folder of a constructed dataset (one that fits into memory, for the comparison with the page cache). Each
stage includes all stages before it. It uses one thread, batches of 512, and the best of five runs. The first line reads the file
after it was removed from the page cache.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from collidekit import Dataset
from collidekit.dataset.loader import Block, Loader

BATCH, RUNS = 512, 5


def seconds(work: Callable[[], object], prepare: Callable[[], None] = lambda: None) -> float:
    """Return the best of several runs."""
    times = []
    for _ in range(RUNS):
        prepare()
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return min(times)


def forget(files: list[Path]) -> None:
    """Remove files from the page cache."""
    for path in files:
        handle = os.open(path, os.O_RDONLY)
        os.fsync(handle)
        os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(handle)


def compressed(dataset: Dataset) -> Iterator[tuple[Block, pa.Buffer]]:
    """Yield the bytes of each block."""
    for path in {block.path for block in dataset.blocks}:
        with pa.OSFile(str(path)) as file:
            for block in dataset.blocks:
                if block.path == path:
                    yield block, file.read_at(block.bytes, block.offset)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    dataset = Dataset(parser.parse_args().dataset)
    torch.set_num_threads(1)
    pa.set_cpu_count(1)
    files = sorted({block.path for block in dataset.blocks})
    on_disk = sum(block.bytes for block in dataset.blocks)
    schema = pa.ipc.open_file(str(files[0])).schema
    in_memory = sum(pa.ipc.read_record_batch(pa.py_buffer(data), schema).nbytes for _, data in compressed(dataset))
    loader = Loader(dataset, BATCH, shuffle=True, seed=1, threads=0)
    dataset_once = Dataset(dataset.manifest)  # whose checksums are not verified yet
    copy = np.ones(1 << 27, dtype=np.int8)
    stages: dict[str, Callable[[], object]] = {
        "read": lambda: [None for _ in compressed(dataset)],
        "and LZ4": lambda: [pa.ipc.read_record_batch(pa.py_buffer(data), schema) for _, data in compressed(dataset)],
        "and batches of a block": lambda: [dataset.read(block) for block in dataset.blocks],
        "and windows": lambda: [None for _ in loader._windows()],
        "and batches in random order": lambda: [None for _ in loader],
        "all, with the checksums of the first epoch": lambda: (
            dataset_once._verified.clear(),  # type: ignore[func-returns-value]
            [None for _ in Loader(dataset_once, BATCH, shuffle=True, seed=1, threads=0)],
        ),
    }
    per_row = on_disk / dataset.rows, in_memory / dataset.rows
    print(f"{dataset.rows:,} rows; a row has {per_row[0]:,.0f} bytes on disk and {per_row[1]:,.0f} in memory")
    cold = seconds(stages["read"], lambda: forget(files))
    line("from disk", cold, dataset.rows, on_disk / cold)
    for name, work in stages.items():
        found = seconds(work)
        line(name, found, dataset.rows, (on_disk if name == "read" else in_memory) / found)
    print(f"a copy in memory: {len(copy) / seconds(copy.copy) / 1e9:.1f} GB/s")


def line(name: str, found: float, rows: int, rate: float) -> None:
    print(f"{name:44}{1e6 * found / rows:6.2f} us a row {rows / found:12,.0f} rows/s {rate / 1e9:6.2f} GB/s")


if __name__ == "__main__":
    main()
