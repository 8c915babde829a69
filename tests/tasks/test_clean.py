"""Tasks give the same results after ``collidekit clean``."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from collidekit.outputs.clean import clean_results
from collidekit.outputs.find import State, find_outputs
from collidekit.tasks.base import results_folder, run_with_requirements
from collidekit.tasks.dataset import DatasetConstructorTask
from collidekit.tasks.training import TrainingTask
from collidekit.training.checkpoint import load_content

torch.set_num_threads(1)
FILES: dict[str, Any] = {"config": "toy.yaml", "filelist": ("train.root",)}


def train(**parameters: Any) -> TrainingTask:
    task = TrainingTask(**FILES, epochs=5, **parameters)
    run_with_requirements(task)
    return task


def age() -> None:
    for path in results_folder().rglob("*"):
        os.utime(path, (time.time() - 2 * 3600,) * 2)


def clean() -> None:
    age()
    clean_results(results_folder(), checkpoints=True, ask=False)


def states() -> dict[str, State]:
    return {output.hash: output.state for output in find_outputs(results_folder())}


def same(a: Path, b: Path) -> bool:
    return (a / "steps.csv").read_bytes() == (b / "steps.csv").read_bytes() and all(
        torch.equal(value, load_content(b / "best_model.pt")["tagger"][name])
        for name, value in load_content(a / "best_model.pt")["tagger"].items()
    )


def test_a_training_is_extended_and_its_end_redone_without_the_other_checkpoints(place: Path) -> None:
    extended = train(extend_training=2)
    base = TrainingTask(**FILES, epochs=5)
    earlier = [shutil.copytree(task.folder, place / name) for name, task in (("base", base), ("more", extended))]
    shutil.rmtree(extended.folder)
    clean()
    left = {path.name for path in base.folder.glob("model_*.pt")}
    best = load_content(base.folder / "best_model.pt")["epoch"]
    assert left == {f"model_{best}.pt", "model_5.pt"}
    assert same(train(extend_training=2).folder, earlier[1])

    (base.folder / "run.json").unlink()
    assert same(train(resume_epoch=best).folder, earlier[0])


def test_an_interrupted_training_goes_on(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = shutil.copytree(train().folder, place / "whole")
    shutil.rmtree(results_folder())
    task = TrainingTask(**FILES, epochs=5)

    def stop(training: Any, name: str) -> None:
        save(training, name)
        if training.epoch > 3 and name == "last.pt":
            raise KeyboardInterrupt

    from collidekit.training.loop import Training

    save = Training.save
    with monkeypatch.context() as patch:
        patch.setattr(Training, "save", stop)
        with pytest.raises(KeyboardInterrupt):
            run_with_requirements(task)
    dataset = task.requires()["dataset"]
    age()
    assert states() == {task.hash: State.INTERRUPTED, dataset.hash: State.NEEDED}
    clean()
    assert dataset.complete()
    assert same(train().folder, whole)


def test_an_unused_dataset_goes_and_is_constructed_again(place: Path) -> None:
    training, unused = train(), DatasetConstructorTask(**FILES, chunk_size=50)
    run_with_requirements(unused)
    manifest = (unused.folder / "manifest.json").read_bytes()
    clean()
    assert set(states()) == {training.hash, training.requires()["dataset"].hash}
    assert training.complete()
    assert not unused.complete()
    run_with_requirements(unused)
    assert (unused.folder / "manifest.json").read_bytes() == manifest
