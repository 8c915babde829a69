"""Compare a training with two ranks on one device with the same training with one rank. As a script, this is the second rank.

nccl does not support two ranks on one GPU, so gloo exchanges the data through the memory of the host. This checks results, not speed.
"""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch.distributed import FileStore  # type: ignore[attr-defined]

from collidekit.dataset.loader import Dataset
from collidekit.ranks.group import SeveralRanks
from collidekit.training.config import TrainingConfig
from collidekit.training.loop import Training
from collidekit.training.ranks import on_loopback

CONFIG: dict[str, Any] = {
    "model_name": "transformer_small",
    "model_options": {"dropout": 0.0},
    "epochs": 1,
    "batch_size": 128,
    "seed": 1,
    "training_precision": "float64",
}
CLOSE = 1e-6
"""Allowed relative difference of losses, in double precision."""


def rank_of(place: Path, device: str, rank: int) -> SeveralRanks:
    """Return one of the two ranks, both on the first device."""
    with on_loopback():
        return SeveralRanks(FileStore(f"{place}/two.store", 2), rank, 2, "gloo", [0] if device == "cuda" else 1)


def train(dataset: Dataset, folder: Path, device: str, **more: Any) -> Training:
    """Run one epoch."""
    training = Training(TrainingConfig(**CONFIG), dataset, folder, accelerator=device, **more)
    training.run()
    return training


def two_ranks(dataset: Dataset, place: Path, device: str) -> dict[str, Any]:
    """Return the largest relative difference of the losses of the steps, and the seconds of both trainings."""
    begin = time.monotonic()
    alone = train(dataset, place / "alone", device).history.losses
    middle = time.monotonic()
    line = [sys.executable, __file__, str(dataset.manifest.folder), str(place), device]
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as other:
        ranks = rank_of(place, device, 0)
        try:
            together = train(dataset, place / "together", device, ranks=ranks).history.losses
        finally:
            ranks.close()
        if other.wait(timeout=60):
            assert other.stderr
            raise RuntimeError(f"the second rank: {other.stderr.read().strip().splitlines()[-1]}")
    apart = max(abs(a - b) / abs(a) for a, b in zip(alone, together, strict=True))
    seconds = [round(middle - begin, 2), round(time.monotonic() - middle, 2)]
    return {"losses": apart, "passed": apart < CLOSE, "seconds_alone_and_together": seconds}


if __name__ == "__main__":
    torch.set_num_threads(1)
    second = rank_of(Path(sys.argv[2]), sys.argv[3], 1)
    train(Dataset(sys.argv[1]), Path(sys.argv[2]) / "together", sys.argv[3], ranks=second)
    second.close()
