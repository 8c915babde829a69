"""``collidekit calibrate`` and ``collidekit explain``."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from luigi.task_register import Register
from tests.cli.conftest import Run, Trained, invoke
from tests.cli.samples import jets, write_root

from collidekit.inference.predictions import Predictions
from collidekit.models.temperature import Temperature, tempered
from collidekit.training.checkpoint import load_checkpoint, load_content, save_checkpoint, store_temperature


@pytest.fixture(autouse=True)
def _threads() -> object:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@dataclass(frozen=True)
class Learned(Trained):
    """Trained tagger with its own results folder."""

    results: Path

    @property
    def task(self) -> Path:
        return next((self.results / "TrainingTask").rglob("best_model.pt")).parent


@pytest.fixture(scope="module")
def learned(trained: Trained) -> Learned:
    """A training of several epochs in its own results folder."""
    results = trained.folder / "learned"
    Register.clear_instance_cache()  # the same dataset in another folder of results
    words = [*trained.words, "--epochs", 8, "--learning-rate", 0.02, "--threads", 1]
    result = invoke(words, results)
    assert result.exit_code == 0, result.output
    return Learned(trained.folder, result.output, results)


@pytest.fixture
def training(tmp_path: Path, learned: Learned) -> Path:
    """Copies of the folders of a training and its dataset."""
    shutil.copytree(learned.results, tmp_path / "results")
    return next((tmp_path / "results" / "TrainingTask").rglob("best_model.pt")).parent


def without_temperature(path: Path) -> None:
    """Remove the temperature, as in trainings of earlier versions."""
    content = load_content(path)
    del content["temperature"]
    torch.save(content, path)


def test_a_training_fits_a_temperature(learned: Learned) -> None:
    found = load_checkpoint(learned.task).temperature
    assert found is not None
    assert found.fitted_on == "validation rows"
    assert found.error > 0
    assert f"fitted to {found.rows:,} validation rows" in learned.output


def test_a_training_that_learned_nothing_has_none(trained: Trained) -> None:
    """A training of one epoch on a few rows is worse than guessing."""
    assert "not calibrated: no temperature can be fitted" in trained.output
    assert load_checkpoint(trained.task).temperature is None
    report = next((trained.folder / "results").rglob("report.html")).read_text()
    assert "The model has no temperature" in report


def test_the_report_shows_the_calibration(learned: Learned) -> None:
    report = next(learned.results.rglob("report.html"))
    text = report.read_text()
    assert '<section id="calibration">' in text
    assert "change of log loss" in text
    assert (report.parent / "plots" / "reliability_signal.png").is_file()


def test_calibrate_stores_the_temperature_of_the_validation_rows(training: Path, learned: Learned, run: Run) -> None:
    before = load_checkpoint(learned.task).temperature
    assert before is not None
    without_temperature(training / "best_model.pt")
    result = run("calibrate", training, "--threads", 1)
    assert result.exit_code == 0, result.output
    assert "temperature" in result.output
    assert load_checkpoint(training).temperature == before
    content = json.loads((training / "calibration" / "calibration.json").read_text())
    assert content["temperature"]["value"] == pytest.approx(before.value)
    assert content["after"]["log_loss"] <= content["before"]["log_loss"] + 1e-9
    assert (training / "calibration" / "reliability_signal.pdf").is_file()


def test_weights_stay_as_they_are(training: Path, run: Run) -> None:
    before = load_content(training / "best_model.pt")
    assert run("calibrate", training).exit_code == 0
    after = load_content(training / "best_model.pt")
    assert before.keys() == after.keys()
    assert all(torch.equal(before["tagger"][name], value) for name, value in after["tagger"].items())


def test_calibrate_on_files_of_ones_own(tmp_path: Path, training: Path, trained: Trained, run: Run) -> None:
    result = run("calibrate", training, trained.test, "-o", "here")
    assert result.exit_code == 0, result.output
    found = load_checkpoint(training).temperature
    assert found is not None
    assert found.rows == 200
    assert found.fitted_on == "rows of test.root"
    assert (tmp_path / "here" / "calibration.json").is_file()


def test_files_that_were_learned_from_are_refused(
    tmp_path: Path, training: Path, trained: Trained, refused: Callable[..., str]
) -> None:
    copy = shutil.copy(trained.training, tmp_path / "copy.root")
    for file in (trained.training, copy):
        assert "this is a training file of the model" in refused("calibrate", training, file)


def test_a_checkpoint_away_from_its_dataset_needs_files(
    tmp_path: Path, training: Path, trained: Trained, run: Run, refused: Callable[..., str]
) -> None:
    shutil.copy(training / "best_model.pt", tmp_path / "alone.pt")
    assert "its training dataset is not here" in refused("calibrate", "alone.pt")
    assert run("calibrate", "alone.pt", trained.test).exit_code == 0
    shutil.rmtree(tmp_path / "results" / "DatasetConstructorTask")
    assert "its training dataset is not here" in refused("calibrate", training)


def test_a_model_that_ships_stays_as_it_is(
    training: Path, trained: Trained, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from collidekit.tasks import calibrate

    monkeypatch.setattr(calibrate, "shipped_models", lambda: {str(training): training})
    assert "this bundled model cannot be changed; copy the folder" in refused("calibrate", training, trained.test)


def test_a_published_model_holds_the_temperature(tmp_path: Path, training: Path, trained: Trained, run: Run) -> None:
    assert run("publish", training, "mine").exit_code == 0
    before = load_checkpoint("mine").temperature
    assert before == load_checkpoint(training).temperature
    weights = (tmp_path / "mine" / "model.safetensors").read_bytes()
    result = run("calibrate", "mine", trained.test)
    assert result.exit_code == 0, result.output
    after = load_checkpoint("mine").temperature
    assert after is not None
    assert after != before
    assert after.fitted_on == "rows of test.root"
    assert (tmp_path / "mine" / "model.safetensors").read_bytes() == weights


def test_calibrate_needs_the_truth(tmp_path: Path, training: Path, refused: Callable[..., str]) -> None:
    columns = jets(30)
    del columns["label"]
    assert "no row has a known class" in refused("calibrate", training, write_root(tmp_path / "data.root", columns))


def test_predict_calibrated(tmp_path: Path, training: Path, trained: Trained, run: Run) -> None:
    store_temperature(training / "best_model.pt", Temperature(2.0, 0.1, 100, "a test"))
    for words, out in (([], "before.parquet"), (["--calibrated"], "after.parquet")):
        result = run("predict", training, trained.test, "-o", out, *words)
        assert result.exit_code == 0, result.output
    before, after = (Predictions.read(tmp_path / name) for name in ("before.parquet", "after.parquet"))
    assert (before.temperature, after.temperature) == (1.0, 2.0)
    assert np.allclose(after.probabilities, tempered(before.probabilities, 2.0), atol=1e-6)
    assert not np.allclose(after.probabilities, before.probabilities, atol=1e-3)
    scores = [pq.read_table(tmp_path / name)["SvsB"].to_numpy() for name in ("before.parquet", "after.parquet")]
    assert np.corrcoef(*(np.argsort(np.argsort(score)) for score in scores))[0, 1] == pytest.approx(1, abs=1e-4)


def test_predict_calibrated_needs_a_temperature(
    tmp_path: Path, training: Path, trained: Trained, refused: Callable[..., str]
) -> None:
    without_temperature(training / "best_model.pt")
    said = refused("predict", training, trained.test, "-o", "out.parquet", "--calibrated")
    assert "has no temperature; fit one with 'collidekit calibrate" in said
    assert not (tmp_path / "out.parquet").exists()


def test_a_resumed_training_writes_its_own_model(training: Path) -> None:
    """A checkpoint that is saved again does not keep the temperature of other weights."""
    loaded = load_checkpoint(training)
    path = training / "best_model.pt"
    save_checkpoint(path, loaded.tagger.state_dict(), loaded.analysis, loaded.config, 3, {})
    assert load_checkpoint(path).temperature is None


def test_explain_a_sample(tmp_path: Path, trained: Trained, run: Run) -> None:
    words = ("--rows", 120, "--repeats", 2, "--steps", 8, "--threads", 1)
    both = ("explain", trained.task, trained.test, trained.training, "-o", "why", *words)
    refused = " ".join(run(*both).output.split())
    assert "rows are rows that" in refused
    assert "pass --allow-training-rows" in refused
    assert not (tmp_path / "why").exists()
    result = run(*both, "--allow-training-rows")
    assert result.exit_code == 0, result.output
    assert "TRAINING ROWS: " in result.output
    assert "TRAINING ROWS" in json.loads((tmp_path / "why" / "importance.json").read_text())["warning"]
    assert "all of particles" in result.output
    assert "drop of AUC" in result.output
    (found,) = json.loads((tmp_path / "why" / "importance.json").read_text())["results"]
    assert found["score"] == "SvsB"
    assert found["rows"] == 120
    assert {feature["name"] for feature in found["features"]} == {
        "all of particles", "all of jet", "part_logptrel", "part_d0", "jet_pt", "jet_mass",
    }  # fmt: skip
    assert (tmp_path / "why" / "importance_SvsB.png").is_file()
    assert (tmp_path / "why" / "importance_SvsB.pdf").is_file()


def test_explain_one_row(tmp_path: Path, trained: Trained, run: Run) -> None:
    result = run("explain", trained.task, trained.test, "--row", 17, "--score", "SvsB", "--score", "background")
    assert result.exit_code == 0, result.output
    assert "ln(p(signal) / p(background)) =" in result.output
    assert "ln(p(background) / p(signal)) =" in result.output
    folder = tmp_path / "explained"
    one, other = (json.loads((folder / f"row_17_{name}.json").read_text()) for name in ("SvsB", "background"))
    assert one["value"] == pytest.approx(-other["value"], abs=1e-5)
    assert one["truth"] == one["truth"]
    assert sum(item["attribution"] for item in one["items"]) == pytest.approx(one["value"] - one["baseline"], abs=0.02)
    inference = next((trained.folder / "results" / "InferenceTask").rglob("predictions.parquet"))
    assert one["probabilities"]["signal"] == pytest.approx(Predictions.read(inference).probabilities[17, 1], abs=1e-5)
    assert {path.name for path in folder.glob("row_17_SvsB*.png")} == {
        "row_17_SvsB_features.png", "row_17_SvsB_particles.png",
    }  # fmt: skip


def test_a_sample_is_spread_over_the_files(tmp_path: Path, trained: Trained) -> None:
    from collidekit.analysis.scope import Plan
    from collidekit.inference.sample_rows import sample_rows

    columns = jets(500)
    columns["label"] = np.repeat([0, 1], 250).astype(np.int32)  # sorted by class
    columns["jet_pt"][::2] = 10.0  # half of the rows do not pass the selection
    file = str(write_root(tmp_path / "sorted.root", columns))
    batch = sample_rows(Plan(load_checkpoint(trained.task).analysis), [file, trained.test], 100)
    assert len(batch) == 100
    assert 10 < int((batch.labels[batch.source[:, 0] == 0] == 1).sum()) < 50
    assert len({tuple(place) for place in batch.source.tolist()}) == 100
    files, entries = batch.source[:, 0], batch.source[:, 1]
    assert (files.diff() >= 0).all()
    assert all((entries[files == number].diff() > 0).all() for number in (0, 1))
    everything = sample_rows(Plan(load_checkpoint(trained.task).analysis), [file], 10_000)
    assert len(everything) == 250


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing.pt", "FILE"), "nothing.pt: there is no such checkpoint"),
        (("TASK", "nothing.root"), "nothing.root: there is no such file"),
        (("TASK", "FILE", "--score", "TvsQCD"), "--score: unknown discriminator or class 'TvsQCD'"),
        (("TASK", "FILE", "--row", "200"), "there is no row 200; the file has rows 0 to 199"),
        (("TASK", "FILE", "OTHER", "--row", "1"), "--row: needs exactly one file, not 2"),
        (("TASK", "FILE", "--baseline", "zero"), "--baseline: 'zero' is unknown; allowed are mean, default"),
    ],
)
def test_bad_input(trained: Trained, refused: Callable[..., str], words: tuple[str, ...], said: str) -> None:
    real = {"FILE": trained.test, "OTHER": trained.training, "TASK": str(trained.task)}
    assert said in refused("explain", *(real.get(word, word) for word in words))


def test_a_row_that_is_not_selected_is_explained_with_a_note(tmp_path: Path, trained: Trained, run: Run) -> None:
    columns = jets(5)
    columns["jet_pt"][2] = 10.0
    result = run("explain", trained.task, write_root(tmp_path / "few.root", columns), "--row", 2)
    assert result.exit_code == 0, result.output
    assert "row 2 does not pass the selection" in result.output
