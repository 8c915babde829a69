"""GridTask and ``collidekit grid``: each point is a training, compared on the validation set."""

import csv
import json
from pathlib import Path
from typing import Any

import luigi
import pytest
from tests.cli.conftest import invoke

from collidekit.analysis.load import read_analysis
from collidekit.analysis.scope import Plan
from collidekit.errors import CollidekitError
from collidekit.tasks.grid import GridTask, run_grid
from collidekit.tasks.training import TrainingTask
from collidekit.training.choice import training_config

OVER = "model_options.f=[4],[6,6]; epochs=1,2"


def grid(**more: Any) -> GridTask:
    return GridTask(**{"config": "toy.yaml", "filelist": ("train.root",), "over": OVER, **more})


def test_points_are_trainings_and_the_best_one_is_written(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = grid(seeds=("1", "2"))
    assert [one.get_task_family() for one in task.requires().values()] == ["TrainingTask"] * 8
    run_grid(task)
    said = capsys.readouterr().out
    assert task.complete()
    found, note = task.read()
    assert note == ""
    assert len(found.points) == 4
    for i, point in enumerate(found.points):
        losses, shares, steps = [], [], 0.0
        for s in range(2):
            training = task.trainings[i, s]
            config = training.training_config()
            assert config.model_options == {
                "phi": [8, 8],
                "f": point.settings["model_options.f"],
            }  # the others of the file stay
            with (training.folder / "history.csv").open(newline="") as file:
                rows = list(csv.DictReader(file))
            assert len(rows) == point.settings["epochs"]
            best = min(rows, key=lambda row: float(row["val_loss"]))
            losses.append(float(best["val_loss"]))
            shares.append(float(best["val_accuracy"]))
            steps += sum(float(row["cpu_seconds"]) for row in rows) / 2
        assert point.mean("val_loss") == pytest.approx(sum(losses) / 2)
        assert point.mean("val_accuracy") == pytest.approx(sum(shares) / 2)
        assert point.spread("val_loss") == pytest.approx(abs(losses[0] - losses[1]) / 2**0.5)
        assert point.cpu_seconds == pytest.approx(steps)
    means = [point.mean("val_loss") for point in found.points]
    assert found.best.mean("val_loss") == min(means)
    assert f"Best point: {found.best.label}" in said
    assert found.points[0].parameters != found.points[2].parameters
    best = Plan(*read_analysis(task.folder / "best.yaml"))
    number = means.index(min(means))
    assert training_config(best, {}) == task.trainings[number, 0].training_config()
    assert best.analysis.fingerprint == task.analysis.fingerprint
    assert best.analysis.files.training == [str(place / "train.root")]
    again = TrainingTask(config=str(task.folder / "best.yaml"))  # the same training, so nothing is trained again
    assert again.hash == task.trainings[number, 0].hash
    assert {path.name for path in task.folder.iterdir()} >= {"grid.csv", "grid.tex", "grid.json"}


def test_what_is_trained_is_not_trained_again(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    make = TrainingTask.make

    def counted(task: TrainingTask) -> None:
        made.append(task.hash)
        make(task)

    monkeypatch.setattr(TrainingTask, "make", counted)
    run_grid(grid(over="epochs=1,2"))
    assert len(made) == 2
    run_grid(grid(over="epochs=1,2,3"))
    assert len(made) == 3
    run_grid(grid(over="epochs=1,2,3"))
    assert len(made) == len(set(made)) == 3


def test_one_failure_is_said_and_the_others_go_on(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make = TrainingTask.make

    def failing(task: TrainingTask) -> None:
        if task.epochs == 1:
            raise CollidekitError("the loss of epoch 1 is nan")
        make(task)

    monkeypatch.setattr(TrainingTask, "make", failing)
    task = grid(over="epochs=1,2,3")
    with pytest.raises(CollidekitError, match="1 of 3 trainings failed"):
        run_grid(task)
    assert "failed: the loss of epoch 1 is nan" in capsys.readouterr().out
    found, _ = task.read()
    assert [len(point.trained) for point in found.points] == [0, 1, 1]
    assert list(found.points[0].failed.values()) == ["the loss of epoch 1 is nan"]
    assert not grid(over="epochs=1,2,3").complete()
    monkeypatch.setattr(TrainingTask, "make", make)
    again = grid(over="epochs=1,2,3")
    run_grid(again)
    assert again.complete()
    assert [len(point.trained) for point in again.read()[0].points] == [1, 1, 1]
    monkeypatch.setattr(TrainingTask, "make", failing)
    with pytest.raises(CollidekitError, match="all 1 trainings of the grid failed; the first: the loss"):
        run_grid(grid(over="epochs=1", batch_size=32))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"over": ""}, "is empty; give at least one setting"),
        ({"over": "model_options.g=3"}, r"point \(model_options.g 3\): network pfn: no option 'g'"),
        ({"over": "model_options.f=[4],wide"}, r"point \(model_options.f wide\): network pfn"),
        ({"over": "model_name=pfn,no_net"}, r"point \(model_name no_net\)"),
        ({"over": "batch_size=0,5"}, r"point \(batch_size 0\): --batch-size"),
        ({"over": "focal_gamma=1.0,2.0"}, r"point \(focal_gamma 1\): --focal-gamma"),
        ({"over": "epochs=1,2", "epochs": 3}, "--epochs: is also given by --over epochs"),
        ({"over": "epochs=1,2", "seeds": ("1", "1")}, "--seeds: 1,1: a seed is repeated"),
        ({"over": "epochs=1,2", "seeds": ("1", "x")}, "must be whole numbers"),
        ({"over": "epochs=1,2", "seeds": ("1",), "seed": 3}, "--seed: cannot be used with --seeds"),
        ({"over": "model_options.f=[4],[4.0]"}, "is repeated"),
        (
            {"over": "batch_size=" + ",".join(map(str, range(1, 502))), "seeds": ("1", "2")},
            "1,002 trainings exceed the limit of 1,000",
        ),
    ],
)
def test_errors_come_before_anything_is_trained(place: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(CollidekitError, match=said):
        grid(**given).look_first()
    assert not (place / "results").exists()


def test_the_command(place: Path) -> None:
    words = [
        "grid",
        "toy.yaml",
        "--files",
        "train.root",
        "--over",
        "label_smoothing=0,0.1",
        "--set",
        "epochs=1",
        "--threads",
        1,
    ]
    result = invoke(words, place / "results")
    assert result.exit_code == 0, result.output
    assert "the best point is selected by validation accuracy: losses of different label_smoothing" in result.output
    path = next((place / "results" / "GridTask").rglob("grid.json"))
    assert json.loads(path.read_text())["figure"] == "val_accuracy"
    assert invoke(words, place / "results").exit_code == 0
    refused = invoke([*words, "--over", "epoch=1"], place / "results")
    assert refused.exit_code == 2
    assert "no setting 'epoch'" in refused.output


def test_the_scheduler_runs_points_as_required_tasks(place: Path) -> None:
    task = grid(over="epochs=1,2")
    assert luigi.build([task], local_scheduler=True, log_level="ERROR", no_lock=True)
    assert task.complete()
    assert all(training.complete() for training in task.requires().values())
    assert len(task.read()[0].points) == 2


def test_settings_of_plots_are_in_the_hash(place: Path) -> None:
    (place / "drawn.yaml").write_text((place / "toy.yaml").read_text() + "plots: {size: 1.2}\n")
    task, drawn = grid(), grid(config="drawn.yaml")
    assert drawn.identity() == task.identity(), "the same trainings"
    assert drawn.hash != task.hash, "another plot"
