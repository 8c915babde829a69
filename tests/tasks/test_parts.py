"""Construction and prediction in parts give the same bytes as in one process, and leave no parts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import toys
from luigi.task_register import Register

from collidekit.errors import CollidekitError
from collidekit.tasks.base import AnalysisTask, run_with_requirements
from collidekit.tasks.dataset import DatasetConstructorTask
from collidekit.tasks.inference import InferenceTask
from collidekit.tasks.parts import ConstructionPartTask, PredictionPartTask

Made = Callable[[AnalysisTask], AnalysisTask]


@pytest.fixture
def made(place: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """Run a task and its requirements in this process, one part after another."""

    def side_by_side(parts: list[AnalysisTask]) -> None:
        for part in reversed(parts):
            part.run()

    monkeypatch.setattr("collidekit.tasks.work.run_side_by_side", side_by_side)

    def make(task: AnalysisTask) -> AnalysisTask:
        run_with_requirements(task)
        return task

    return make


def anew(place: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Use another results folder."""
    Register.clear_instance_cache()  # type: ignore[no-untyped-call]
    monkeypatch.setenv("COLLIDEKIT_OUTPUT", str(place / name))


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("shard_*.arrow"))}


def parts_left(results: Path) -> list[Path]:
    return [path for path in results.glob("*PartTask/**/*") if path.is_file()]


def test_shards_of_parts_are_those_of_one_construction(
    place: Path, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(5):
        toys.write_table(place / f"file_{i}.root", toys.toy_table(70 + 90 * (i % 2), seed=i))
    monkeypatch.setattr("collidekit.dataset.construct.CHUNK", 50)
    settings: dict[str, Any] = {"config": "toy.yaml", "filelist": ("file_*.root",), "chunk_size": 120}
    whole = shards(made(DatasetConstructorTask(**settings)).folder)
    manifest = DatasetConstructorTask(**settings).folder / "manifest.json"
    for jobs in (2, 3, 50):
        anew(place, monkeypatch, f"parts_{jobs}")
        task = made(DatasetConstructorTask(**settings, jobs=jobs))
        assert len(whole) == 5
        assert shards(task.folder) == whole
        assert (task.folder / "manifest.json").read_bytes() == manifest.read_bytes()
        assert parts_left(place / f"parts_{jobs}") == []


def test_a_part_that_is_damaged_is_made_again(place: Path, made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    settings: dict[str, Any] = {"config": "toy.yaml", "filelist": ("train.root",)}
    whole = shards(made(DatasetConstructorTask(**settings)).folder)
    anew(place, monkeypatch, "parts")
    monkeypatch.setattr("collidekit.dataset.construct.CHUNK", 100)
    task = DatasetConstructorTask(**settings, jobs=2)
    for part in task.requires().values():
        part.run()
        victim = next(part.folder.glob("parts/*.arrow"))
        victim.write_bytes(victim.read_bytes()[:-100])
    made(task)
    assert shards(task.folder) == whole


@pytest.mark.parametrize(
    "settings",
    [
        {"test_filelist": ("large.root",)},
        {"filelist": ("large.root",)},
        {"test_filelist": ("large.root",), "test_attack": "noise", "test_attack_magnitude": 0.1},
    ],
    ids=["test files", "held-out rows", "attacked"],
)
def test_predictions_of_parts_are_those_of_one_process(
    place: Path, made: Made, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any]
) -> None:
    toys.write_table(place / "large.root", toys.toy_table(9000, seed=3))
    given = {"config": "toy.yaml", "filelist": ("train.root",), "epochs": 1, "n_threads": 1, **settings}
    task = made(InferenceTask(**given))
    whole = (task.folder / "predictions.parquet").read_bytes()
    (task.folder / "run.json").unlink()
    (task.folder / "predictions.parquet").unlink()
    Register.clear_instance_cache()  # type: ignore[no-untyped-call]
    for jobs in (3, 20):
        again = made(InferenceTask(**given, jobs=jobs))
        assert again.folder == task.folder
        assert (again.folder / "predictions.parquet").read_bytes() == whole
        assert again.provenance()["overlap"] == task.overlap_note
        assert parts_left(place / "results") == []
        (again.folder / "run.json").unlink()


def test_checkpoints_of_an_ensemble_are_predicted_in_parts(
    place: Path, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    toys.write_table(place / "large.root", toys.toy_table(3000, seed=3))
    common: dict[str, Any] = {"config": "toy.yaml", "n_threads": 1}
    trained = [
        made(InferenceTask(**common, filelist=("train.root",), seed=seed, epochs=1)).requires()["training"]
        for seed in (1, 2)
    ]
    checkpoints = tuple(str(task.folder / "best_model.pt") for task in trained)
    given = {**common, "checkpoint": checkpoints, "test_filelist": ("large.root",), "combine": "median"}
    task = made(InferenceTask(**given))
    whole = (task.folder / "predictions.parquet").read_bytes()
    (task.folder / "run.json").unlink()
    assert (made(InferenceTask(**given, jobs=2)).folder / "predictions.parquet").read_bytes() == whole


def test_parts_in_processes_of_their_own(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = DatasetConstructorTask(config="toy.yaml", filelist=("train.root", "test.parquet"), jobs=2)
    run_with_requirements(task)
    assert (task.folder / "manifest.json").exists()
    assert parts_left(place / "results") == []


def test_an_error_in_a_part_is_that_of_the_command(place: Path) -> None:
    (place / "bad.root").write_bytes((place / "train.root").read_bytes()[:3000])
    task = DatasetConstructorTask(config="toy.yaml", filelist=("train.root", "bad.root"), jobs=2)
    with pytest.raises(CollidekitError, match=r"bad\.root: ") as raised:
        run_with_requirements(task)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("part", ["0/2", "3/2", "1", "a/b", ""])
def test_a_part_that_cannot_be(place: Path, part: str) -> None:
    for task in (ConstructionPartTask, PredictionPartTask):
        with pytest.raises(
            CollidekitError, match=r"--part '.*': write the number of the part and of all parts, such as 1/4"
        ):
            _ = task(config="toy.yaml", part=part).share


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"jobs": 0}, r"--jobs: 0 is not a number from 1"),
        ({"jobs": 2, "executor": "dask"}, r"--jobs 2: cannot be used with --executor dask"),
    ],
)
def test_jobs_that_cannot_be(place: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(CollidekitError, match=message):
        DatasetConstructorTask(config="toy.yaml", filelist=("train.root",), **settings).identity()
