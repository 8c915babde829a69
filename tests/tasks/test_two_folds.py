"""Two folds by hash and by remainder of the event number: each event is predicted by the network not trained on it."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from luigi.task_register import Register
from tests.tasks.conftest import make_place

from collidekit.dataset.learned import Known, known
from collidekit.dataset.loader import Loader
from collidekit.errors import CollidekitError
from collidekit.inference.predict_to_file import predict_to_file
from collidekit.inference.seen import content_of_inputs
from collidekit.runtime.bundle import Bundle
from collidekit.tasks.base import run_with_requirements
from collidekit.tasks.export import ExportTask
from collidekit.tasks.inference import InferenceTask
from collidekit.tasks.report import ReportTask
from collidekit.tasks.training import TrainingTask
from collidekit.training.checkpoint import load_checkpoint

FILES: dict[str, Any] = {"config": "toy.yaml", "filelist": ("train.root",), "folds": 2}
TEST = {"test_filelist": ("test.parquet",)}
RULES = ("hash", "remainder")


def done(task: Any) -> Any:
    run_with_requirements(task)
    return task


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, law_home: Path) -> Path:
    return make_place(tmp_path_factory.mktemp("two_folds"))


@pytest.fixture(autouse=True)
def inside(shared: Path, monkeypatch: pytest.MonkeyPatch, law_home: Path) -> Path:
    """Use one folder, so that each training is made only once."""
    Register.clear_instance_cache()
    monkeypatch.chdir(shared)
    monkeypatch.setenv("LAW_HOME", str(law_home / ".law"))
    monkeypatch.setenv("COLLIDEKIT_OUTPUT", str(shared / "results"))
    return shared


def models_of(rule: str) -> list[str]:
    return [str(task.folder) for task in InferenceTask(**FILES, fold_rule=rule).trainings().values()]


@pytest.mark.parametrize("rule", RULES)
def test_each_event_is_predicted_by_the_network_that_did_not_learn_it(inside: Path, rule: str) -> None:
    task = done(InferenceTask(**FILES, fold_rule=rule))
    found, dataset = task.predictions(), task.dataset_task().dataset()
    assert found.event["event"].tolist() == list(range(1000, 1300))
    if rule == "remainder":
        assert (found.event["fold"] == found.event["event"] % 2).all()
    (batch,) = Loader(dataset, 300, threads=0)
    for number, training in enumerate(task.trainings().values()):
        model = load_checkpoint(training.folder)
        states = known(model.learned_from, batch, dataset.analysis, content_of_inputs(dataset.manifest))
        mine = found.event["fold"] == number
        assert 100 < mine.sum() < 200
        assert (states[mine] == Known.TEST).all()
        assert set(states[~mine]) == {Known.TRAINING, Known.VALIDATION}
        by_hand = model.tagger(batch).double().softmax(dim=1).detach().numpy()
        np.testing.assert_allclose(found.probabilities[mine], by_hand[mine], atol=1e-6)
        assert np.abs(found.probabilities[~mine] - by_hand[~mine]).max() > 1e-4
    shutil.copy("train.root", "copy.root")
    first, second = models_of(rule)
    again = predict_to_file(first, ["copy.root"], Path("again.parquet"), others=[second])
    np.testing.assert_allclose(again.predictions.probabilities, found.probabilities, atol=1e-6)
    assert again.warning == ""


@pytest.mark.parametrize("rule", RULES)
def test_the_bundle_takes_the_same_network(inside: Path, rule: str) -> None:
    task = done(InferenceTask(**FILES, fold_rule=rule))
    bundle = Bundle(done(ExportTask(**FILES, fold_rule=rule)).folder / "bundle")
    np.testing.assert_allclose(bundle.predict("train.root").probabilities, task.predictions().probabilities, atol=1e-5)
    others = done(InferenceTask(**FILES, **TEST, fold_rule=rule)).predictions()
    np.testing.assert_allclose(bundle.predict("test.parquet").probabilities, others.probabilities, atol=1e-5)


def test_the_event_number_chooses_the_network_for_every_file(inside: Path) -> None:
    """Readers in C++ do not know the training files: they average folds by the hash."""
    by = {rule: done(InferenceTask(**FILES, **TEST, fold_rule=rule)) for rule in RULES}
    for rule, task in by.items():
        each = [member.predictions().probabilities for member in task.requires().values()]
        found = task.predictions()
        chosen = (
            np.where((found.event["event"] % 2 == 0)[:, None], *each) if rule == "remainder" else np.mean(each, axis=0)
        )
        np.testing.assert_allclose(found.probabilities, chosen, atol=1e-7)
        first, second = models_of(rule)
        predicted = predict_to_file(first, ["test.parquet"], Path("other.parquet"), others=[second])
        np.testing.assert_allclose(predicted.predictions.probabilities, chosen, atol=1e-6)
    alone = predict_to_file(models_of("remainder")[0], ["test.parquet"], Path("alone.parquet"))
    assert any("100 of 200 rows have event numbers that belong to another network" in note for note in alone.notes)
    report = (done(ReportTask(**FILES, **TEST, fold_rule="remainder")).folder / "report.html").read_text()
    assert "predicted by one of 2 networks, chosen by its event number" in report
    assert "the remainder of its event number, event % 2" in report
    same = InferenceTask(**FILES, fold_rule="remainder", test_filelist=("train.root",))
    assert done(same).overlap_note == "", "no network predicts an event that it learned from"
    with pytest.raises(CollidekitError, match="--combine: has no effect with --fold-rule remainder"):
        InferenceTask(**FILES, **TEST, fold_rule="remainder", combine="median").complete()


NAMES = {"topcptoolkit": ("even.onnx", "odd.onnx"), "spanet": ("trained_on_odd.onnx", "trained_on_even.onnx")}


@pytest.mark.parametrize("layout", NAMES)
def test_one_training_makes_the_pair_of_networks_of_a_reader(inside: Path, layout: str) -> None:
    options = ("input.constituents=jet_inputs",) if layout == "topcptoolkit" else ()
    remainders = {**FILES, "fold_rule": "remainder"}
    folder = done(ExportTask(**remainders, layout=layout, layout_options=options)).folder / "bundle"
    texts = [onnxruntime.InferenceSession(folder / name).get_modelmeta().custom_metadata_map for name in NAMES[layout]]
    for text, apply_to, trained_on in zip(texts, ("even", "odd"), ("odd", "even"), strict=True):
        assert f"an {apply_to} event number (event number % 2 == {int(apply_to == 'odd')})" == text[
            "apply_to"
        ].removeprefix("events with ")
        assert text["trained_on"].startswith(f"events with an {trained_on} event number")
        assert "15% of these, by a hash of the event number, are the validation set" in text["trained_on"]
        assert (
            f"events with an {apply_to} event number (event number % 2 == {int(apply_to == 'odd')}) were held out"
            in text["trained_on"]
        )
        number = "(event number + 1) % 2" if layout == "spanet" else "event number % 2"
        assert text["file_order"].endswith(f": file number {number}")
        order = text["file_order"].split(":")[0].split(",")
        for event in (10, 11):
            chosen = order[(event + 1) % 2 if layout == "spanet" else event % 2]
            assert (chosen == NAMES[layout][apply_to == "odd"]) == (event % 2 == (apply_to == "odd"))
    if layout == "topcptoolkit":
        with pytest.raises(CollidekitError, match="train with --folds 2 --fold-rule remainder"):
            ExportTask(**FILES, layout=layout, layout_options=options).complete()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"fold_rule": "parity"}, r"--fold-rule: .*'hash' or 'remainder'.*got 'parity'"),
        ({"folds": 0, "fold": -1, "fold_rule": "remainder"}, r"--fold-rule: is for --folds"),
        ({"folds": 3, "train_val_split": 0.5}, r"--train-val-split: has no effect with --folds of 3 or more"),
        ({"folds": 1}, r"--folds: .*give at least 2"),
    ],
)
def test_wrong_parameters(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(CollidekitError, match=message):
        TrainingTask(**{**FILES, "fold": 0, **parameters}).complete()


def test_remainders_need_an_event_number(inside: Path) -> None:
    (inside / "no_event.yaml").write_text((inside / "toy.yaml").read_text().replace("event: [event]\n", ""))
    with pytest.raises(CollidekitError, match=r"--fold-rule remainder: no_event.yaml has no event number"):
        TrainingTask(**{**FILES, "config": "no_event.yaml", "fold": 0, "fold_rule": "remainder"}).complete()


def test_the_share_of_validation_rows_is_a_setting(inside: Path) -> None:
    task = TrainingTask(**FILES, fold=0, fold_rule="remainder", train_val_split=0.6)
    split, dataset = task.training_config().split, task.requires()["dataset"].dataset()
    rows = [sum(map(len, Loader(dataset, 64, split, part))) for part in split.parts]
    assert rows[2] == 150
    assert 70 < rows[0] < 110
    assert sum(rows) == 300
