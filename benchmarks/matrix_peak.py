"""Measure the highest rate of floating-point operations of matrix products on this machine.

    python benchmarks/matrix_peak.py [--device cuda] [--threads 2] [--seconds 1]

It prints the best of several sizes of square matrices, in single precision and in bfloat16, as one line of JSON in GFLOP/s.
"""

import argparse
import json
import time

import torch

SIZES = {"cpu": (512, 1024, 2048, 4096), "cuda": (2048, 4096, 8192, 16384)}
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


def rate(size: int, dtype: torch.dtype, device: str, seconds: float) -> float:
    """Return the GFLOP/s of the fastest product of two matrices of a size within a number of seconds."""
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    product = a @ b
    best, end = float("inf"), time.perf_counter() + seconds
    while best == float("inf") or time.perf_counter() < end:
        _wait(device)
        begin = time.perf_counter()
        torch.mm(a, b, out=product)
        _wait(device)
        best = min(best, time.perf_counter() - begin)
    return 2 * size**3 / best / 1e9


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=list(SIZES), default="cpu")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--seconds", type=float, default=1.0, help="duration for each size and precision")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    peaks = {
        name: max(rate(size, dtype, given.device, given.seconds) for size in SIZES[given.device])
        for name, dtype in PRECISIONS.items()
    }
    print(json.dumps(peaks))


if __name__ == "__main__":
    main()
