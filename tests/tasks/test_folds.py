"""Folds: every row of the training files is predicted by the network that was not trained on it."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toys

from collidekit.dataset.learned import Known, known
from collidekit.dataset.loader import Loader
from collidekit.dataset.parts import fold_of
from collidekit.errors import CollidekitError
from collidekit.inference.predict_to_file import predict_to_file
from collidekit.inference.predictions import Predictions
from collidekit.inference.run_folder import with_members
from collidekit.inference.seen import content_of_inputs
from collidekit.tasks.base import run_with_requirements
from collidekit.tasks.importance import ImportanceTask
from collidekit.tasks.inference import InferenceTask
from collidekit.tasks.report import ReportTask
from collidekit.tasks.roc import ROCCurveTask
from collidekit.tasks.significance import SignificanceTask
from collidekit.tasks.training import TrainingTask
from collidekit.training.checkpoint import load_checkpoint

torch.set_num_threads(1)
FILES: dict[str, Any] = {"config": "toy.yaml", "filelist": ("train.root",)}
TEST = {**FILES, "test_filelist": ("test.parquet",)}
K = 4
NAMES = [f"fold {i} of 4" for i in range(K)]


def done(task: Any) -> Any:
    run_with_requirements(task)
    return task


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory, law_home: Path) -> Path:
    """Folder with the report of 4 folds, without test files."""
    from luigi.task_register import Register
    from tests.tasks.conftest import make_place

    place = make_place(tmp_path_factory.mktemp("folded"))
    Register.clear_instance_cache()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setenv("LAW_HOME", str(law_home / ".law"))
        patch.setenv("COLLIDEKIT_OUTPUT", str(place / "results"))
        done(ReportTask(**FILES, folds=K))
    return place


@pytest.fixture
def inside(folded: Path, monkeypatch: pytest.MonkeyPatch, law_home: Path) -> Path:
    """Use this folder as current folder."""
    from luigi.task_register import Register

    Register.clear_instance_cache()
    monkeypatch.chdir(folded)
    monkeypatch.setenv("LAW_HOME", str(law_home / ".law"))
    monkeypatch.setenv("COLLIDEKIT_OUTPUT", str(folded / "results"))
    return folded


def test_every_row_is_predicted_once_by_a_network_that_did_not_learn_from_it(inside: Path) -> None:
    task = InferenceTask(**FILES, folds=K)
    dataset = task.dataset_task().dataset()
    found = task.predictions()
    keys = dataset.column("key")
    assert found.event["event"].tolist() == list(range(1000, 1300)), "every row once, in the order of the file"
    np.testing.assert_array_equal(found.event["fold"], fold_of(keys, K))
    for number, training in enumerate(task.trainings().values()):
        model = load_checkpoint(training.folder)
        (batch,) = Loader(dataset, 300, threads=0)
        states = known(model.learned_from, batch, dataset.analysis, content_of_inputs(dataset.manifest))
        mine = found.event["fold"] == number
        assert (states[mine] == Known.TEST).all()
        assert (states == Known.TRAINING).sum() > 100
        by_hand = torch.softmax(model.tagger(batch).double(), dim=1).detach().numpy()
        np.testing.assert_allclose(found.probabilities[mine], by_hand[mine], atol=1e-6)
        assert np.abs(found.probabilities[~mine] - by_hand[~mine]).max() > 1e-3, "the others are of other networks"
    assert [training.training_config().fold for training in task.trainings().values()] == list(range(K))


def test_the_members_never_saw_what_they_were_tested_on(inside: Path) -> None:
    """The test uses the keys from the loaders of the trainings."""
    dataset = InferenceTask(**FILES, folds=K).dataset_task().dataset()
    tested: list[int] = []
    for training in InferenceTask(**FILES, folds=K).trainings().values():
        split = training.training_config().split
        parts = [{int(k) for b in Loader(dataset, 64, split, part) for k in b.keys} for part in split.parts]
        assert not (parts[0] & parts[1]) | (parts[0] & parts[2]) | (parts[1] & parts[2])
        tested += sorted(parts[2])
    assert sorted(tested) == sorted(dataset.column("key").tolist())


def test_the_report_says_what_folds_are(inside: Path) -> None:
    text = (ReportTask(**FILES, folds=K).folder / "report.html").read_text()
    assert "Each row was predicted by the one of 4 networks that was not trained on it" in text
    assert "trained on 2 of 4 parts of these rows" in text
    assert all(name.capitalize() in text for name in NAMES)
    assert "pfn v1, 4 folds" in text
    assert "validation rows, which also chose" not in text
    assert "<h2>Ensemble</h2>" not in text, "there is one prediction for each row, and no ensemble"
    assert "TRAINING ROWS" not in text
    single = done(ReportTask(**FILES, folds=K, fold=2))
    text = (single.folder / "report.html").read_text()
    assert "pfn v1, fold 2 of 4" in text
    assert "The part that was held out was predicted by fold 2 of 4" in text


def test_one_fold_predicts_the_part_that_it_holds_out(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = InferenceTask(**FILES, folds=K, fold=1)
    before = {path: path.stat().st_mtime_ns for path in (inside / "results" / "TrainingTask").rglob("*")}
    shutil.rmtree(task.folder)
    again = done(InferenceTask(**FILES, folds=K, fold=1, verbose=True)).predictions()
    assert before == {path: path.stat().st_mtime_ns for path in (inside / "results" / "TrainingTask").rglob("*")}
    assert "predicting fold 1 of 4, which was held out" in capsys.readouterr().out
    whole = InferenceTask(**FILES, folds=K).predictions()
    mine = whole.event["fold"] == 1
    np.testing.assert_array_equal(again.event["event"], whole.event["event"][mine])
    np.testing.assert_array_equal(again.probabilities, whole.probabilities[mine])


def test_other_files_are_predicted_by_the_mean_of_all(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = done(InferenceTask(**TEST, folds=K))
    found = task.predictions()
    assert f"with the mean of {', '.join(NAMES)}" in capsys.readouterr().out
    assert list(found.members) == NAMES
    np.testing.assert_allclose(found.probabilities, np.mean(list(found.members.values()), axis=0), atol=1e-12)
    text = (done(ReportTask(**TEST, folds=K)).folder / "report.html").read_text()
    assert "The test files were predicted by the mean of 4 networks. Each network was trained on 2 of 4 parts" in text
    assert "pfn v1, mean of 4 folds" in text
    median = done(InferenceTask(**TEST, folds=K, combine="median"))
    assert median.predictions().combination == "median"


def test_the_training_files_as_test_files_are_a_loud_warning(inside: Path) -> None:
    task = done(InferenceTask(**FILES, test_filelist=("train.root",), folds=K))
    assert task.overlap_note.startswith("TESTED ON TRAINING ROWS")


def predicted(place: Path, name: str, *models: Any, files: str = "train.root", **more: Any) -> Any:
    first, *others = models
    return predict_to_file(first, [str(place / files)], place / f"{name}.parquet", others=others, **more)


def test_predict_leaves_each_row_to_the_fold_that_did_not_see_it(inside: Path) -> None:
    task = InferenceTask(**FILES, folds=K)
    models = [training.folder for training in task.trainings().values()]
    shutil.copy(inside / "train.root", inside / "copy.root")
    done_ = predicted(inside, "all", *models, files="copy.root")
    found = Predictions.read(done_.path)
    np.testing.assert_allclose(found.probabilities, task.predictions().probabilities, atol=1e-6)
    assert done_.warning == ""
    assert "300 of 300 rows are predicted by the members of the folds that did not see them" in done_.notes
    assert done_.members == {}, "each member learned from most rows: its own numbers would be too good"
    median = predicted(inside, "median", *models, combination="median")
    np.testing.assert_array_equal(median.predictions.probabilities, found.probabilities)


@pytest.mark.parametrize("task", [InferenceTask, ReportTask])
def test_the_folder_of_a_run_stands_for_its_members(inside: Path, task: Any) -> None:
    folder = task(**FILES, folds=K).folder
    trainings = [str(training.folder) for training in InferenceTask(**FILES, folds=K).trainings().values()]
    assert with_members([folder]) == trainings
    assert with_members([trainings[0]]) == trainings[:1]
    assert with_members([InferenceTask(**FILES, folds=K, fold=2).folder]) == trainings[2:3]
    assert with_members(["top-tagging/pfn"]) == ["top-tagging/pfn"]


def test_a_run_folder_cannot_name_a_folder_elsewhere(inside: Path) -> None:
    folder = inside / "results" / "InferenceTask" / "toy" / "v1" / "v1" / "v1" / "forged"
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"settings": {"training": "../../../../secret"}}))
    with pytest.raises(CollidekitError, match=r"run\.json: is not a valid record of a run"):
        with_members([folder])
    shutil.rmtree(folder)


def test_predict_counts_the_rows_that_a_model_learned_from(inside: Path) -> None:
    models = [training.folder for training in InferenceTask(**FILES, folds=K).trainings().values()]
    folds = InferenceTask(**FILES, folds=K).predictions().event["fold"]
    learned, chose = np.isin(folds, [3, 0]).sum(), (folds == 2).sum()
    with pytest.raises(CollidekitError) as error:
        predicted(inside, "one", models[1])
    assert str(error.value) == (
        f"{inside / 'train.root'}: {learned} of 300 rows are rows that the model was trained on (the fold of a row is a hash of its event "
        "number; it held out only fold 1); predict other rows, or pass --allow-training-rows to predict these rows anyway"
    )
    assert not (inside / "one.parquet").exists()
    one = predicted(inside, "one", models[1], allow_training_rows=True)
    assert one.warning.startswith(f"TRAINING ROWS: {learned} of 300 rows")
    assert "the model was trained on" in one.warning
    assert f"{chose} of 300 rows are validation rows of the model, which selected its best epoch" in one.notes
    # without the member that holds fold 0 out, its rows are left to networks that know them
    with pytest.raises(
        CollidekitError, match=rf"train.root: {(folds == 0).sum()} of 300 rows are rows that .* was trained on"
    ):
        predicted(inside, "three", *models[1:])
    three = predicted(inside, "three", *models[1:], allow_training_rows=True)
    assert three.warning.startswith(f"TRAINING ROWS: {(folds == 0).sum()} of 300 rows")
    other = predicted(inside, "other", *models, files="test.parquet")
    assert other.warning == ""
    assert other.notes == []
    assert len(other.members) == K


def test_a_training_without_folds_is_recognised_too(inside: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training = done(TrainingTask(**FILES))
    found = predicted(inside, "plain", training.folder, allow_training_rows=True)
    share = load_checkpoint(training.folder).config.train_val_split
    count = int(found.warning.split()[2])
    assert abs(count - 300 * share) < 4 * np.sqrt(300 * share * (1 - share))
    capsys.readouterr()
    given: dict[str, Any] = {
        "config": "toy.yaml",
        "checkpoint": (str(training.folder),),
        "test_filelist": ("train.root",),
    }
    for task in (InferenceTask, ReportTask, ImportanceTask):
        with pytest.raises(
            CollidekitError, match=rf"train.root: {count} of 300 rows are rows that the model was trained on"
        ):
            done(task(**given))
    given["allow_training_rows"] = True
    done(InferenceTask(**given))
    assert f"TRAINING ROWS: {count} of 300 rows" in " ".join(capsys.readouterr().out.split())
    again = InferenceTask(**given, verbose=True)
    assert again.overlap_note.startswith(f"TRAINING ROWS: {count} of 300 rows")
    report = done(ReportTask(**given))
    assert "TRAINING ROWS" in (report.folder / "report.html").read_text()
    del given["allow_training_rows"]
    with pytest.raises(CollidekitError, match="pass --allow-training-rows"):
        done(ReportTask(**given))


def test_checkpoints_of_folds_are_judged_by_rows_they_did_not_see(inside: Path) -> None:
    """Checkpoints are given one by one, as with ``run --checkpoint``."""
    task = InferenceTask(**FILES, folds=K)
    names = tuple(str(training.folder) for training in task.trainings().values())
    judged = done(InferenceTask(config="toy.yaml", checkpoint=names, test_filelist=("train.root",)))
    np.testing.assert_allclose(judged.predictions().probabilities, task.predictions().probabilities, atol=1e-6)
    assert judged.overlap_note == ""


def test_fine_tuned_folds_say_that_the_pretrained_network_knows_the_rows(inside: Path) -> None:
    start = done(TrainingTask(**FILES, train_val_split=0.5))
    more = {"folds": K, "from_checkpoint": str(start.folder), "keep_head": True, "epochs": 1}
    task = done(InferenceTask(**FILES, **more))
    assert task.overlap_note.startswith("TRAINING ROWS")
    alone = done(InferenceTask(**FILES, **more, fold=0))
    assert alone.overlap_note.startswith("TRAINING ROWS")


def test_calibrated_folds(inside: Path) -> None:
    task = done(InferenceTask(**FILES, folds=K, calibrated=True))
    plain = InferenceTask(**FILES, folds=K).predictions()
    for number, training in enumerate(task.trainings().values()):
        temperature = load_checkpoint(training.folder).temperature
        rows = plain.event["fold"] == number
        assert temperature is not None
        np.testing.assert_allclose(
            task.predictions().probabilities[rows], temperature.apply(plain.probabilities[rows]), atol=1e-9
        )


@pytest.mark.parametrize(
    ("task", "parameters", "message"),
    [
        (InferenceTask, {"folds": 1}, r"--folds: .*give at least 2.*got 1"),
        (InferenceTask, {"folds": 5, "fold": 5}, r"--fold: .*must be from 0 to 4 with --folds 5"),
        (InferenceTask, {"fold": 1}, r"--fold: .*say of how many with --folds"),
        (
            InferenceTask,
            {"folds": 5, "train_val_split": 0.5},
            r"--train-val-split: has no effect with --folds of 3 or more",
        ),
        (
            InferenceTask,
            {"folds": 5, "seeds": ("1", "2")},
            r"--seeds: cannot be used with 5 folds; name one with --fold",
        ),
        (InferenceTask, {"folds": 5, "combine": "median"}, r"--combine: has an effect only with test files"),
        (InferenceTask, {"folds": 5, "checkpoint": ("a",)}, r"--folds: has no effect with --checkpoint"),
        (InferenceTask, {"allow_training_rows": True}, r"--allow-training-rows: has an effect only with --checkpoint"),
        (InferenceTask, {"fold": 0, "checkpoint": ("a",)}, r"--fold: has no effect with --checkpoint"),
        (InferenceTask, {"seed": 0, "checkpoint": ("a",)}, r"--seed: has no effect with --checkpoint"),
        (TrainingTask, {"folds": 5}, r"--folds 5: a training learns one fold: name it with --fold, from 0 to 4"),
        (ImportanceTask, {"folds": 5}, r"name one --fold or --checkpoint"),
    ],
)
def test_wrong_parameters(place: Path, task: Any, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(CollidekitError, match=message):
        task(**{**FILES, **parameters}).complete()


def test_a_significance_needs_one_fold(place: Path) -> None:
    merit = (
        "figure_of_merit: {variable: jet_mass, window: [0, 99], signal: [signal], events: 99, signal_fraction: 0.1}\n"
    )
    (place / "toy.yaml").write_text((place / "toy.yaml").read_text() + merit)
    with pytest.raises(CollidekitError, match="--folds: needs --fold here"):
        SignificanceTask(**TEST, folds=5).requires()
    assert SignificanceTask(**TEST, folds=5, fold=1, seeds=("1",)).requires()


def test_folds_that_the_analysis_file_recommends(place: Path) -> None:
    text = (place / "toy.yaml").read_text()
    (place / "toy.yaml").write_text(text.replace("epochs: 2", "epochs: 1, folds: 3"))
    assert list(InferenceTask(**FILES).members) == [f"fold {i} of 3" for i in range(3)]
    assert InferenceTask(**FILES, folds=0).members == {}
    assert ROCCurveTask(**FILES, folds=0).requires()["inference"].members == {}


def test_seeds_of_one_fold_are_an_ensemble(inside: Path) -> None:
    task = done(InferenceTask(**FILES, folds=K, fold=0, seeds=("1", "2")))
    whole = InferenceTask(**FILES, folds=K).predictions()
    np.testing.assert_array_equal(task.predictions().event["event"], whole.event["event"][whole.event["fold"] == 0])
    assert list(task.predictions().members) == ["seed 1", "seed 2"]


def test_rows_of_a_part_of_a_training_file_go_to_their_fold(inside: Path) -> None:
    """A file with a part of the rows is another file; its rows are recognised by their inputs."""
    toys.write_table(inside / "part.parquet", toys.toy_table(300)[:50])
    task = InferenceTask(**FILES, folds=K)
    models = [training.folder for training in task.trainings().values()]
    found = predicted(inside, "of_part", *models, files="part.parquet")
    np.testing.assert_allclose(found.predictions.probabilities, task.predictions().probabilities[:50], atol=1e-6)
    assert found.notes == ["50 of 50 rows are predicted by the members of the folds that did not see them"]
    with pytest.raises(
        CollidekitError, match=r"part\.parquet: \d+ of 50 rows have the inputs of rows that .* was trained"
    ):
        predicted(inside, "of_three", *models[1:], files="part.parquet")
