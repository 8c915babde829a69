"""Tasks whose outputs are in stores work like tasks without stores."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from luigi.task_register import Register
from pictures import without_drawing
from tests.tasks.conftest import make_place

from collidekit.batch.job import Attempt
from collidekit.batch.script import job_script
from collidekit.batch.site import load_site
from collidekit.errors import CollidekitError
from collidekit.stores.server import server_at
from collidekit.tasks.base import AnalysisTask, run_with_requirements
from collidekit.tasks.dataset import DatasetConstructorTask
from collidekit.tasks.inference import InferenceTask
from collidekit.tasks.jobs import jobs_of
from collidekit.tasks.removal import remove_outputs
from collidekit.tasks.search import SearchTask, run_search
from collidekit.tasks.training import TrainingTask

FILES: dict[str, Any] = {"config": "toy.yaml", "filelist": ("train.root",)}


@pytest.fixture(scope="module", autouse=True)
def _without_drawing() -> Iterator[None]:
    with without_drawing():
        yield


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder of a test that works with task objects."""
    torch.set_num_threads(1)
    make_place(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAW_HOME", str(tmp_path / ".law"))
    elsewhere(monkeypatch, "results")
    return tmp_path


def elsewhere(monkeypatch: pytest.MonkeyPatch, results: str) -> None:
    """Go on as on another machine, which has no results yet."""
    Register.clear_instance_cache()
    server_at.cache_clear()
    monkeypatch.setenv("COLLIDEKIT_OUTPUT", results)


def inference(**more: Any) -> InferenceTask:
    return InferenceTask(**{**FILES, "test_filelist": ("test.parquet",), **more})


def families(results: str) -> set[str]:
    """The tasks that have an output in a results folder."""
    return {path.relative_to(results).parts[0] for path in Path(results).rglob("run.json")}


def test_datasets_in_one_store_and_trainings_in_another(
    place: Path, root: str, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "stores.yaml").write_text(
        f"stores:\n  default: here\n  DatasetConstructorTask: {root}\n  TrainingTask: {s3}\n  InferenceTask: {root}\n"
    )
    monkeypatch.setenv("COLLIDEKIT_STORE", "stores.yaml")
    run_with_requirements(inference())
    assert sorted(server_at(root).names("")) == ["DatasetConstructorTask", "InferenceTask"]
    assert server_at(s3).names("") == ["TrainingTask"]
    predictions = (inference().folder / "predictions.parquet").read_bytes()

    elsewhere(monkeypatch, "others")
    assert inference().complete()
    assert not Path("others").exists()  # to look costs no copy
    assert (inference().folder / "predictions.parquet").read_bytes() == predictions
    assert families("others") == {"InferenceTask"}  # what it was made from is not needed

    longer = TrainingTask(**FILES, epochs=3)  # a training that is not there needs the dataset
    run_with_requirements(longer)
    assert families("others") == {"InferenceTask", "DatasetConstructorTask", "TrainingTask"}
    assert not DatasetConstructorTask(**FILES).made
    assert longer.stored
    assert longer.stored.url.startswith(s3)
    elsewhere(monkeypatch, "third")
    assert TrainingTask(**FILES, epochs=3).complete()


def test_a_target_of_law_is_fetched_to_be_read(place: Path, disk: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLIDEKIT_STORE", disk)
    task = DatasetConstructorTask(**FILES)
    assert not task.output()["run"].exists()
    run_with_requirements(task)
    for number, read in enumerate(
        [
            lambda target: target.load(formatter="json"),
            _opened,
            lambda target: json.loads(Path(target.copy_to_local(str(place / "copy.json"))).read_text()),
            _localized,
        ]
    ):
        elsewhere(monkeypatch, f"results{number}")
        target = DatasetConstructorTask(**FILES).output()["run"]
        assert target.exists()
        assert not Path(target.abspath).exists()
        assert "settings" in read(target)


def _opened(target: Any) -> Any:
    with target.open("r") as file:
        return json.load(file)


def _localized(target: Any) -> Any:
    with target.localize("r") as local:
        return json.loads(Path(local.abspath).read_text())


def test_an_output_that_is_here_and_not_in_the_store_is_sent_and_not_made_again(
    place: Path, disk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_with_requirements(DatasetConstructorTask(**FILES))
    monkeypatch.setenv("COLLIDEKIT_STORE", disk)
    Register.clear_instance_cache()
    task = DatasetConstructorTask(**FILES)
    assert not task.complete()
    monkeypatch.setattr(task, "make", lambda: pytest.fail("made again"))
    run_with_requirements(task)
    assert task.complete()
    assert not task.made


def test_a_failed_upload_keeps_the_output_and_says_how_to_go_on(
    place: Path, disk: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLLIDEKIT_STORE", disk)
    task = DatasetConstructorTask(**FILES)
    assert not task.complete()
    made = task.make

    def make_and_lose_the_store() -> None:
        made()
        shutil.rmtree("store")

    monkeypatch.setattr(task, "make", make_and_lose_the_store)
    with pytest.raises(CollidekitError, match=r"file:///.*/store: there is no such folder"):
        task.run()
    assert (task.place / "run.json").exists()
    Path("store").mkdir()
    monkeypatch.setattr(task, "make", lambda: pytest.fail("made again"))
    task.run()
    assert task.complete()


def test_no_write_access_is_an_error_before_anything_is_made(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLIDEKIT_STORE", f"file://{place}/not_mounted")
    with pytest.raises(CollidekitError, match="not_mounted: there is no such folder"):
        run_with_requirements(TrainingTask(**FILES))
    assert not Path("results").exists()


def test_a_search_goes_on_on_another_machine(place: Path, disk: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna")
    monkeypatch.setenv("COLLIDEKIT_STORE", disk)
    (place / "space.yaml").write_text("learning_rate: {low: 0.001, high: 0.1, log: true}\n")

    def search(trials: int) -> SearchTask:
        return SearchTask(**FILES, space="space.yaml", trials=trials)

    run_search(search(1))
    elsewhere(monkeypatch, "others")
    assert search(1).complete()
    assert not search(2).complete()
    run_search(search(2))
    elsewhere(monkeypatch, "third")
    assert search(2).complete()
    assert len((search(2).folder / "trials.csv").read_text().splitlines()) == 3
    assert not list(Path("store/TrainingTask").rglob("model_*.pt"))


def test_remove_output_removes_it_from_the_store_too(
    place: Path, disk: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLLIDEKIT_STORE", disk)
    task = DatasetConstructorTask(**FILES)
    run_with_requirements(task)
    remove_outputs(task, 0, "d")
    assert f"would be removed: {task.place} and {disk}/Data" in capsys.readouterr().out.replace("\n", "")
    remove_outputs(task, 0, "a")
    assert not task.place.exists()
    assert not task.complete()
    assert not list(Path("store").rglob("*.arrow"))
    remove_outputs(task, 0, "a")
    assert "absent" in capsys.readouterr().out


def test_jobs_keep_their_outputs_in_the_store(place: Path, disk: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "stores.yaml").write_text(f"stores: {{default: '{disk}'}}\n")
    monkeypatch.setenv("COLLIDEKIT_STORE", "stores.yaml")
    task: AnalysisTask = DatasetConstructorTask(**FILES)
    site = load_site("slurm")
    (job,) = jobs_of(task, site)
    assert f"export COLLIDEKIT_STORE={place}/stores.yaml" in job_script(
        job, site, site.resources_of("construction"), Attempt(place / "jobs")
    )
    assert not job.complete
    run_with_requirements(task)
    shutil.rmtree("results")  # that of a node
    assert job.complete


def test_a_url_as_results_folder_is_an_error(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLLIDEKIT_OUTPUT", "root://host//path")
    with pytest.raises(
        CollidekitError, match=r"--output: root://host//path is not a folder on this machine; name .* with --store"
    ):
        DatasetConstructorTask(**FILES).complete()
