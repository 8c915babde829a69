"""Estimate before a run, and warnings at its end."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from collidekit.evaluation.classification.rejection import Rejection
from collidekit.evaluation.ensemble import EnsembleResult, Gain, RocLine
from collidekit.tasks.base import run_with_requirements
from collidekit.tasks.inference import InferenceTask
from collidekit.tasks.run_estimate import RunEstimate, estimate_run
from collidekit.tasks.run_warnings import overfitting_note, unstable_note
from collidekit.tasks.to_report import report_task
from collidekit.training.trial_steps import try_steps

torch.set_num_threads(1)


def history(train: list[float], val: list[float]) -> list[dict[str, float]]:
    return [{"epoch": i, "train_loss": t, "val_loss": v} for i, (t, v) in enumerate(zip(train, val, strict=True), 1)]


FALLING = list(np.linspace(1.0, 0.1, 10))


def test_validation_loss_that_rises_while_training_loss_falls() -> None:
    rising = [1.0, 0.8, 0.7, 0.6, 0.62, 0.66, 0.7, 0.74, 0.8, 0.85]
    note = overfitting_note(history(FALLING, rising), "seed 1")
    assert note.startswith("OVERFITTING of seed 1: after epoch 4 the validation loss rises from 0.6 to 0.7967")
    assert "the training loss falls from 0.7 to 0.1" in note


@pytest.mark.parametrize(
    ("train", "val"),
    [
        (FALLING, FALLING),  # learns
        (FALLING, [1.0, 0.8, 0.7, 0.6, 0.603, 0.601, 0.604, 0.602, 0.603, 0.604]),  # stands still
        (FALLING, [1.0, 0.6, 0.75, 0.62, 0.78, 0.61, 0.8, 0.63, 0.74, 0.6]),  # fluctuates
        (FALLING[:3], [0.5, 0.6, 0.9]),  # too short to tell
        ([1.0, 0.5, 0.4, 0.45, 0.6, 0.7], [1.0, 0.6, 0.5, 0.6, 0.7, 0.8]),  # breaks down: the training loss rises, too
    ],
)
def test_no_overfitting(train: list[float], val: list[float]) -> None:
    assert overfitting_note(history(train, val)) == ""


def ensemble(aucs: list[float], error: float) -> EnsembleResult:
    rejection = Rejection(0.5, 0.5, 0.1, 10.0, 5)
    lines = tuple(RocLine(f"seed {i}", auc, error, (rejection,)) for i, auc in enumerate(aucs))
    return EnsembleResult("SvsB", "mean", lines, lines[0], Gain(0.0, 0.1))


def test_seeds_that_differ_by_more_than_the_statistical_error() -> None:
    assert "SvsB 0.03 (statistical error 0.01)" in unstable_note([ensemble([0.90, 0.93, 0.96], 0.01)])
    assert unstable_note([ensemble([0.90, 0.93, 0.96], 0.05)]) == ""
    assert unstable_note([]) == ""


def report(**settings: Any) -> Any:
    return report_task("toy.yaml", ["train.root"], ["test.parquet"], settings)


def test_estimate_of_rows_disk_and_trainings(place: Path) -> None:
    made = estimate_run(report(epochs=6))
    assert made is not None
    dataset = report(epochs=6).requires()["inference"].requires()["training"].requires()["dataset"]
    run_with_requirements(dataset)
    rows = dataset.dataset().manifest.rows
    assert made.rows == pytest.approx(0.85 * rows, rel=0.05)
    assert made.epochs == 6
    assert made.seconds > 0
    size = sum(path.stat().st_size for path in dataset.folder.glob("*.arrow"))
    exact = estimate_run(report(epochs=6))
    assert exact is not None
    assert exact.rows == round(0.85 * rows)
    assert made.disk - exact.disk == pytest.approx(size, rel=0.5)
    several = estimate_run(report(epochs=6, seeds=("1", "2", "3")))
    assert several is not None
    assert several.trainings == 3
    assert str(several).startswith("Estimate: 3 trainings of 6 epochs of about")


def test_estimate_of_two_folds_has_the_validation_rows_of_one(place: Path) -> None:
    task = report(epochs=3, folds=2)
    run_with_requirements(next(iter(InferenceTask.req(task).trainings().values())).requires()["dataset"])
    made = estimate_run(task)
    assert made is not None
    rows = made.rows / 0.425
    assert made.trainings == 2
    assert made.seconds * made.rate == pytest.approx(2 * 3 * rows * (0.425 + 0.075 / 3), rel=0.01)


def test_estimate_of_an_interrupted_training_is_for_its_other_epochs(place: Path) -> None:
    task = report(epochs=6)
    training = task.requires()["inference"].requires()["training"]
    run_with_requirements(training.requires()["dataset"])
    whole = estimate_run(task)
    training.place.mkdir(parents=True)
    rows = "".join(f"{epoch},0.5,0.5\n" for epoch in (1, 2))
    (training.place / "history.csv").write_text(f"epoch,train_loss,val_loss\n{rows}")
    rest = estimate_run(task)
    assert whole is not None
    assert rest is not None
    assert rest.seconds * rest.rate == pytest.approx(whole.seconds * whole.rate * 4 / 6)
    assert str(rest).startswith("Estimate: 6 epochs (2 of 6 are done) of about")


def test_trial_steps_leave_random_numbers_alone(place: Path) -> None:
    task = report().requires()["inference"].requires()["training"]
    rows = task.requires()["dataset"].first_rows
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    assert try_steps(task.training_config(), task.analysis, rows).rate > 0
    assert torch.equal(torch.rand(3), expected)


def test_nothing_is_said_if_nothing_is_trained(place: Path) -> None:
    task = report(epochs=2)
    run_with_requirements(task.requires()["inference"].requires()["training"])
    assert estimate_run(task) is None


def test_sizes_of_an_estimate_are_decimal() -> None:
    text = str(RunEstimate(1000, 1, 2, 100.0, 20.0, memory=2e9, disk=5e8))
    assert text.endswith("2.0 GB of memory, 500 MB on disk")
