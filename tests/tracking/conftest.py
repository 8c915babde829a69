"""A small dataset, and a training with trackers in one call."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import toys

from collidekit.dataset.loader import Dataset
from collidekit.tracking import Tracking
from collidekit.training.config import TrainingConfig
from collidekit.training.display import Display
from collidekit.training.loop import Training

torch.set_num_threads(1)

SETTINGS: dict[str, Any] = {"model_name": "mlp", "model_options": {"hidden": [8]}, "epochs": 3, "batch_size": 64}
Make = Callable[..., Training]


class Listener(Display):
    """Keeps what a training says."""

    def __init__(self) -> None:
        super().__init__(shown=False)
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return toys.make_dataset(tmp_path_factory.mktemp("gaussians"), toys.GAUSSIANS, toys.gaussians_table(600, 2.0))


@pytest.fixture
def make(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes a training below ``results`` that has not begun; no variable of the user's decides where runs go."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_PROJECT", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    def training(*names: str, folder: str = "a", title: str = "toy, mlp v1", **more: Any) -> Training:
        options = {key: more.pop(key) for key in ("files", "online") if key in more}
        tracking = Tracking(names, title, tmp_path / "results", **options)
        config = TrainingConfig(**{**SETTINGS, **more})
        place = tmp_path / "results" / "TrainingTask" / folder
        return Training(config, dataset, place, Listener(), accelerator="cpu", tracking=tracking)

    return training


def warnings_of(training: Training) -> list[str]:
    display = training.display
    assert isinstance(display, Listener)
    return [text for text in display.said if "without this tracker" in text]


def train_in_process(dataset: Dataset, folder: Path, steps: Path, results: Path, tracker: str, epochs: int = 6) -> Any:
    """A process that trains, or goes on."""
    context = multiprocessing.get_context("spawn")
    tracking = Tracking((tracker,), f"toy {folder.name}", results)
    process = context.Process(
        target=toys.train_in_process,
        args=(dataset.manifest.folder, folder, {**SETTINGS, "epochs": epochs}, steps, tracking),
    )
    process.start()
    return process


def kill_after(count: int, process: Any, steps: Path) -> None:
    """Kill a training after so many steps."""
    while process.is_alive() and steps.stat().st_size < count:
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
