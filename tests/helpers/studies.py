"""Searches of a parabola, which take no time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from collidekit.search.measured import Measured, Train
from collidekit.search.space import Space
from collidekit.search.study import SearchPlan

SPACE = "learning_rate: {low: 0.001, high: 1, log: true}\nbatch_size: {low: 1, high: 9}\n"
EPOCHS = 3


def plan(folder: Path, text: str = SPACE, **more: Any) -> SearchPlan:
    """A search of random points, whose storage is a journal file in a folder."""
    path = folder / "space.yaml"
    path.write_text(text)
    space = Space.read(path, lambda name, where: int if name == "batch_size" else float)
    given: dict[str, Any] = {
        "name": "parabola",
        "storage": str(folder / "study.journal"),
        "space": space,
        "fixed": {"training": "0123456789"},
        "metric": "val_loss",
        "direction": "minimize",
        "sampler": "random",
        "seed": 1,
        "seeds": (1,),
        "warmup": -1,
        "trials": 8,
        "heartbeat": 60.0,
    }
    return SearchPlan(**{**given, **more})


def loss(settings: dict[str, Any], seed: int) -> float:
    return float((settings["learning_rate"] - 0.1) ** 2 + 0.01 * (settings["batch_size"] - 4) ** 2 + 0.001 * seed)


def quadratic(folder: Path, each: Callable[[dict[str, Any], int], None] = lambda settings, epoch: None) -> Train:
    """A training of three epochs, the last one the best; ``each`` is called before each epoch."""

    def train(settings: dict[str, Any], seed: int, report: Any) -> Measured:
        rows: list[dict[str, float]] = []
        for epoch in range(1, EPOCHS + 1):
            each(settings, epoch)
            rows.append({"epoch": epoch, "steps": 10 * epoch, "val_loss": loss(settings, seed) + EPOCHS - epoch})
            report(rows)
        return Measured(seed, folder, "0123456789", EPOCHS, dict(rows[-1]), 7, "10 rows")

    return train
