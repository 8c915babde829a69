"""Runs of the real MLflow, in a SQLite file and in a store that the environment names."""

import csv
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from tests.tracking.conftest import Make, kill_after, train_in_process, warnings_of

from collidekit.dataset.loader import Dataset

mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed")
pytest.importorskip("sqlalchemy", reason="sqlalchemy, which mlflow needs for its SQLite store, is not installed")
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


def client(results: Path) -> Any:
    return mlflow.MlflowClient(f"sqlite:///{results / 'mlflow.db'}")


def runs(results: Path, name: str = "collidekit") -> list[Any]:
    here = client(results)
    found: list[Any] = here.search_runs([here.get_experiment_by_name(name).experiment_id])
    return found


def steps(results: Path, run: Any, metric: str = "val_loss") -> list[int]:
    return sorted(entry.step for entry in client(results).get_metric_history(run.info.run_id, metric))


def test_a_run_has_title_settings_and_all_columns(make: Make, tmp_path: Path) -> None:
    training = make("mlflow")
    training.run()
    assert not warnings_of(training)
    (run,) = runs(tmp_path / "results")
    assert run.info.run_name == "toy, mlp v1"
    assert run.info.status == "FINISHED"
    assert run.data.params["epochs"] == "3"
    assert run.data.params["model_options.hidden"] == "[8]"
    assert run.data.tags["collidekit.folder"] == "TrainingTask/a"
    assert run.data.tags["collidekit.kept_epoch"] == str(int(training.best["epoch"]))
    with (training.folder / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert set(run.data.metrics) == set(rows[0]) - {"epoch"}
    history = client(tmp_path / "results").get_metric_history(run.info.run_id, "val_loss")
    assert [(e.step, e.value) for e in history] == [(int(r["epoch"]), float(r["val_loss"])) for r in rows]
    assert not client(tmp_path / "results").list_artifacts(run.info.run_id)
    assert {path.name for path in tmp_path.iterdir()} == {"results"}  # no ./mlruns


def test_nothing_private_is_stored(make: Make, tmp_path: Path) -> None:
    make("mlflow").run()
    with sqlite3.connect(tmp_path / "results" / "mlflow.db") as base:
        table = {
            name: base.execute(f"SELECT * FROM {name}").fetchall() for name in ("runs", "tags", "params", "metrics")
        }
    base.close()
    text = str({**table, "runs": [[v for v in row if not str(v).startswith("file://")] for row in table["runs"]]})
    for private in (str(tmp_path), str(Path.home()) + "/", os.uname().nodename + "'", "pytest"):
        assert private not in text, private


def test_files_are_uploaded_when_asked_for(make: Make, tmp_path: Path) -> None:
    training = make("mlflow", files=True)
    training.run()
    assert not warnings_of(training)
    (run,) = runs(tmp_path / "results")
    found = {entry.path for entry in client(tmp_path / "results").list_artifacts(run.info.run_id)}
    assert found == {"best_model.pt", "history.csv", "steps.csv"}


def test_a_continued_training_has_each_epoch_once(make: Make, tmp_path: Path) -> None:
    done = make("mlflow")
    done.run()
    again = make("mlflow")
    again.resume(done.folder / "model_1.pt")
    again.run()
    (run,) = runs(tmp_path / "results")
    assert steps(tmp_path / "results", run) == [1, 2, 3]
    assert run.info.status == "FINISHED"


def test_the_environment_names_the_store(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    training = make("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/elsewhere/mlflow.db")
    training.run()
    assert not warnings_of(training)
    assert len(runs(tmp_path / "elsewhere")) == 1
    assert not (tmp_path / "results" / "mlflow.db").exists()


def test_a_server_that_is_not_there_is_one_warning(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    training = make("mlflow", "csv")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    training.run()
    (warning,) = warnings_of(training)
    assert "mlflow: " in warning
    assert "secret" not in warning
    assert len(training.history.epochs) == 3


@pytest.mark.slow
def test_two_processes_do_not_mix_and_a_killed_one_goes_on(make: Make, dataset: Dataset, tmp_path: Path) -> None:
    results = tmp_path / "results"
    places = [(results / name, tmp_path / f"steps_{name}") for name in ("one", "two")]
    for _, file in places:
        file.touch()
    first, second = (train_in_process(dataset, folder, file, results, "mlflow") for folder, file in places)
    kill_after(25, first, places[0][1])
    again = train_in_process(dataset, *places[0], results, "mlflow")
    for process in (again, second):
        process.join(120)
        assert process.exitcode == 0
    found = {run.info.run_name: run for run in runs(results)}
    assert set(found) == {"toy one", "toy two"}
    assert len(runs(results)) == 2
    for run in found.values():
        assert steps(results, run) == [1, 2, 3, 4, 5, 6]
        assert run.info.status == "FINISHED"
