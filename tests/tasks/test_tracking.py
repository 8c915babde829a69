"""``--track`` of law and of the command changes the records and not the results."""

import json
from pathlib import Path
from typing import Any

import pytest
from luigi.task_register import Register

from collidekit.errors import CollidekitError
from collidekit.tasks.base import run_with_requirements
from collidekit.tasks.inference import InferenceTask
from collidekit.tasks.to_report import parse_settings
from collidekit.tasks.training import TrainingTask

GIVEN: dict[str, Any] = {"config": "toy.yaml", "filelist": ("train.root",), "n_threads": 1}
OWN = """
import json
from collidekit.tracking import Tracker

class Lines(Tracker):
    def begin(self, settings, analysis, folder):
        self.lines = [self.tracking.title, self.link(folder), settings["model_name"]]

    def epoch(self, row):
        self.lines.append(row["epoch"])

    def end(self, kept_epoch, files):
        with open("lines.json", "w") as file:
            json.dump([*self.lines, [path.name for path in files]], file)
"""


def test_the_choice_is_in_no_hash(place: Path) -> None:
    plain = TrainingTask(**GIVEN)
    tracked = TrainingTask(**GIVEN, track=("mlflow", "wandb"), track_files=True, track_online=True)
    assert tracked.folder == plain.folder
    assert tracked.task_id == plain.task_id
    assert InferenceTask(**GIVEN, track=("mlflow",)).folder == InferenceTask(**GIVEN).folder
    assert InferenceTask(**GIVEN, track=("mlflow",)).requires()["training"].tracking.names == ("mlflow",)
    assert parse_settings(["track=mlflow,wandb"])["track"] == ("mlflow", "wandb")


def test_a_training_is_recorded_under_its_title(place: Path) -> None:
    (place / "mine.py").write_text(OWN)
    task = TrainingTask(**GIVEN, track=("mine.py", "csv"), track_files=True)
    run_with_requirements(task)
    title, link, network, *epochs, files = json.loads((place / "lines.json").read_text())
    assert title == f"toy, pfn v1 {task.hash}"
    assert link == f"TrainingTask/toy/v1/v1/{task.hash}"
    assert network == "pfn"
    assert epochs == [1, 2]
    assert files == ["best_model.pt", "history.csv", "steps.csv"]
    assert not (task.folder / "tensorboard").exists()
    assert "track" not in (task.folder / "run.json").read_text()


def test_a_wrong_tracker_is_an_error_before_anything_is_written(place: Path) -> None:
    task = TrainingTask(**GIVEN, track=("mlflo",))
    with pytest.raises(CollidekitError, match="--track: there is no tracker 'mlflo'"):
        run_with_requirements(task)
    assert not (place / "results").exists()


def test_a_training_that_begins_again_is_another_run(place: Path) -> None:
    (place / "mine.py").write_text(OWN)

    def run_of(**more: Any) -> str:
        Register.clear_instance_cache()
        task = TrainingTask(**GIVEN, track=("mine.py",), **more)
        (task.folder / "run.json").unlink(missing_ok=True)
        run_with_requirements(task)
        return str(json.loads((task.folder / "tracking.json").read_text())["run"])

    first = run_of()
    assert run_of() == first
    assert run_of(resume_training=False) != first


def test_nothing_is_tracked_beside_a_checkpoint(place: Path) -> None:
    (place / "some.pt").touch()
    task = InferenceTask(**GIVEN, test_filelist=("test.parquet",), checkpoint=("some.pt",), track=("mlflow",))
    with pytest.raises(CollidekitError, match="--track: has no effect with --checkpoint"):
        assert task.hash
