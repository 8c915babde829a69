"""SearchTask: trials are trainings, compared on the validation set; the best analysis file can be run."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from luigi.task_register import Register

from collidekit.analysis.load import read_analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.loader import Dataset
from collidekit.errors import CollidekitError
from collidekit.tasks.search import SearchTask, run_search
from collidekit.tasks.training import TrainingTask
from collidekit.training.choice import training_config

SPACE = """
learning_rate: {low: 0.001, high: 0.1, log: true}
model_options.f: [[4], [6, 6]]
analysis.inputs.constituents.limit: [16, 64]
"""


def search(place: Path, text: str = SPACE, **more: Any) -> SearchTask:
    (place / "space.yaml").write_text(text)
    Register.clear_instance_cache()  # what a task has read of a file stays in it
    return SearchTask(**{"config": "toy.yaml", "filelist": ("train.root",), "space": "space.yaml", "trials": 3, **more})


def rows_of(task: SearchTask) -> list[dict[str, str]]:
    with (task.folder / "trials.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_trials_are_trainings_and_the_best_one_runs(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "test.parquet").unlink()  # test rows never enter a search
    task = search(place, seeds=("1", "2"))
    run_search(task)
    assert task.complete()
    found = rows_of(task)
    assert len(found) == 3
    for row in found:
        values = []
        for folder in row["folders"].split():
            with (Path(folder) / "history.csv").open(newline="") as file:
                values.append(min(float(entry["val_loss"]) for entry in csv.DictReader(file)))
            assert not list(Path(folder).glob("model_*.pt"))
        assert float(row["value"]) == pytest.approx(sum(values) / 2)
        assert float(row["spread"]) == pytest.approx(abs(values[0] - values[1]) / 2**0.5)
    best = min(found, key=lambda row: float(row["value"]))
    path = task.folder / "best.yaml"
    plan = Plan(*read_analysis(path))
    config = training_config(plan, {})
    assert config.learning_rate == float(best["learning_rate"])
    assert config.model_options["f"] == json.loads(best["model_options.f"])
    assert plan.analysis.inputs["constituents"].limit == int(best["analysis.inputs.constituents.limit"])  # type: ignore[union-attr]
    again = TrainingTask(config=str(path))  # the same training, so nothing is trained again
    assert again.folder == Path(best["folders"].split()[0])
    assert again.complete()
    head = path.read_text().splitlines()[0]
    assert f"trial {best['trial']}: val_loss" in head
    assert "± standard deviation" in head
    page = (task.folder / "search.html").read_text()
    assert "the test set was not read" in page
    assert (
        page.count("data:image/png") == 2 + 3
    )  # history, parallel coordinates, slices; too few trials for the importance
    assert "CPU hours" in page
    said = capsys.readouterr().out
    assert f"trial {best['trial']}: val_loss" in said


def test_trials_with_the_same_rows_share_a_dataset(place: Path) -> None:
    task = search(place, "learning_rate: {low: 0.001, high: 0.1}", epochs=1)
    run_search(task)
    assert len(list((place / "results" / "DatasetConstructorTask").rglob("manifest.json"))) == 1
    assert len(list((place / "results" / "TrainingTask").rglob("best_model.pt"))) == 3


def test_the_same_search_goes_on_to_more_trials(place: Path) -> None:
    run_search(search(place, epochs=1, trials=2))
    more = search(place, epochs=1, trials=4)
    assert not more.complete()
    run_search(more)
    found = rows_of(more)
    assert [row["trial"] for row in found] == ["0", "1", "2", "3"]
    elsewhere = search(place, epochs=1, trials=4, training_version="again")
    run_search(elsewhere)
    values = [(row["value"], row["learning_rate"]) for row in rows_of(elsewhere)]
    assert values == [(row["value"], row["learning_rate"]) for row in found]  # to the last digit
    assert search(place, epochs=1, trials=2).complete()


def test_an_interrupted_search_goes_on_with_the_epochs_of_its_training(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from collidekit.training.loop import Training

    train_epoch, seen = Training._train_epoch, []

    def stopping(training: Training) -> None:
        seen.append(training.epoch)
        if len(seen) == 2:
            raise KeyboardInterrupt
        train_epoch(training)

    monkeypatch.setattr(Training, "_train_epoch", stopping)
    with pytest.raises(KeyboardInterrupt):
        run_search(search(place, trials=2))
    assert seen == [1, 2]
    run_search(search(place, trials=2))
    assert seen == [1, 2, 2, 1, 2]
    assert [row["state"] for row in rows_of(search(place, trials=2))] == ["lost", "complete", "complete"]


def test_two_workers_share_the_trials(place: Path) -> None:
    task = search(place, epochs=1, trials=4, workers=2)
    run_search(task)
    assert [row["state"] for row in rows_of(task)] == ["complete"] * 4
    logs = list((task.folder / "workers").glob("*.log"))
    assert len(logs) == 2
    assert "Training pfn" in "".join(path.read_text() for path in logs)


def test_a_failed_trial_stands_in_the_table(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make = TrainingTask.make

    def failing(task: TrainingTask) -> None:
        if task.batch_size == 32:
            raise CollidekitError("the loss of epoch 1 is nan")
        make(task)

    monkeypatch.setattr(TrainingTask, "make", failing)
    task = search(place, "batch_size: [32, 64]", sampler="grid", trials=0, epochs=1)
    run_search(task)
    assert [(row["state"], row["error"]) for row in rows_of(task)] == [
        ("failed", "the loss of epoch 1 is nan"),
        ("complete", ""),
    ]
    assert "1 of 2 trials failed, see trials.csv" in capsys.readouterr().out
    assert "1 of 2 trials failed" in (task.folder / "search.html").read_text()
    with pytest.raises(CollidekitError, match="no trial of the search was completed; the first error: the loss"):
        run_search(search(place, "learning_rate: [0.1, 0.2]", batch_size=32, trials=2))


@pytest.mark.parametrize(
    ("text", "given", "said"),
    [
        ("batch_size: {low: 0, high: 4}", {}, r"space.yaml:1: batch_size = 0: Input should be"),
        ("batch_size: [128, 1e2]", {}, r"space.yaml:1: batch_size = 1e2: '1e2' is not a whole number$"),
        ("\nattack: [nominal, fgsm]", {}, r"space.yaml:2: attack = fgsm: .* would change nothing; give --set attack_magnitude$"),
        ("learning_rate: [0.1, fast]", {}, r"space.yaml:1: learning_rate = fast"),
        ("model_options.g: [1, 2]", {}, r"space.yaml:1: model_options.g = 1: network pfn: no option 'g'"),
        ("analysis.inputs.constituents.limit: [0, 4]", {}, r"space.yaml:1: analysis.inputs.constituents.limit = 0"),
        ("epochs: [1, 2]", {"epochs": 3}, "space.yaml:1: epochs: is also given by --set epochs; give"),
        ("label_smoothing: [0, 0.1]", {}, "val_loss cannot be compared between values of label_smoothing"),
        ("analysis.inputs.constituents.features: [[part_x], [nosuch]]", {},
         r"space.yaml:1: analysis.inputs.constituents.features = \['nosuch'\]: .*no branch or variable 'nosuch'"),
        (SPACE, {"metric": "train_loss"}, "not measured on the validation set"),
        (SPACE, {"metric": "val_gain"}, "is neither a loss nor an accuracy"),
        (SPACE, {"direction": "up"}, "neither minimize nor maximize"),
        (SPACE, {"sampler": "cma"}, "'cma' is unknown; give one of tpe, random, grid"),
        (SPACE, {"sampler": "grid"}, "learning_rate: a grid needs values"),
        ("epochs: [1, 2]", {"sampler": "grid", "trials": 3}, "3 are more than the 2 points of the grid"),
        ("batch_size: {low: 1, high: 1500}", {"sampler": "grid"}, "1,500 points, more than 1,000"),
        (SPACE, {"prune": False, "prune_warmup": 3}, "has no effect without --prune"),
        (SPACE, {"pruner": "hyperbend"}, r"--pruner: 'hyperbend' is unknown; give one of median, halving, hyperband"),
        (SPACE, {"pruner": "halving", "prune": False}, "--pruner halving: has no effect without --prune"),
        ("epochs: [1, 2]", {"pruner": "hyperband", "prune": True}, "--pruner hyperband: needs a fixed number of epochs"),
        (SPACE, {"heartbeat": 0.0}, "not a positive number of seconds"),
        (SPACE, {"workers": 0}, "--workers: 0 is not a number from 1"),
        (SPACE, {"workers": 2, "storage": "sqlite:///a.db"}, "SQLite supports one worker"),
        (SPACE, {"seeds": ("1", "1")}, "a seed is repeated"),
    ],
)  # fmt: skip
def test_errors_come_before_anything_is_trained(place: Path, text: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(CollidekitError, match=said):
        run_search(search(place, text, **given))
    assert not (place / "results").exists()


def test_a_study_of_another_space_is_refused(place: Path) -> None:
    shared = {"storage": "shared.journal", "study": "mine", "epochs": 1, "trials": 1}
    run_search(search(place, **shared))
    with pytest.raises(CollidekitError, match=r"study 'mine' in shared\.journal: .*does not vary batch_size"):
        run_search(search(place, SPACE + "batch_size: [32, 64]\n", **shared))


def test_a_password_is_not_written(place: Path) -> None:
    task = search(place, storage="postgresql://me:geheim@127.0.0.1:1/db", trials=1)
    assert "geheim" not in json.dumps(task.identity())
    assert "geheim" not in str(task)
    with pytest.raises(CollidekitError, match=r"me:\*\*\*@127.0.0.1:1/db: the database cannot be used") as error:
        run_search(task)
    assert "geheim" not in str(error.value)


def test_test_files_are_no_validation_rows(place: Path) -> None:
    """The value agrees with a calculation on the validation set, from the split of the checkpoint."""
    task = search(place, "learning_rate: [0.01, 0.02]", trials=1, epochs=1)
    run_search(task)
    training = TrainingTask(config="toy.yaml", filelist=("train.root",))
    dataset = Dataset(training.requires()["dataset"].folder)
    told = json.loads((task.folder / "search.json").read_text())
    assert told["finished"] == 1
    assert len(dataset) == 300
