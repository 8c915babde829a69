"""Ensembles of seeds, and the evaluation of checkpoints without a training."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from collidekit.errors import CollidekitError
from collidekit.evaluation.ensemble import EnsembleResult
from collidekit.evaluation.numbers import with_error
from collidekit.tasks.base import run_with_requirements
from collidekit.tasks.inference import InferenceTask
from collidekit.tasks.report import ReportTask
from collidekit.tasks.roc import ROCCurveTask
from collidekit.tasks.training import TrainingTask

torch.set_num_threads(1)
FILES: dict[str, Any] = {"config": "toy.yaml", "filelist": ("train.root",), "test_filelist": ("test.parquet",)}
SEEDS = ("1", "2", "3")


def done(task: Any) -> Any:
    run_with_requirements(task)
    return task


def test_the_ensemble_is_the_mean_of_its_seeds_in_input_order(place: Path) -> None:
    alone = [done(InferenceTask(**FILES, seed=seed)).predictions() for seed in (1, 2, 3)]
    before = {path: path.stat().st_mtime_ns for path in (place / "results" / "TrainingTask").rglob("*")}
    found = done(InferenceTask(**FILES, seeds=SEEDS)).predictions()
    after = {path: path.stat().st_mtime_ns for path in (place / "results" / "TrainingTask").rglob("*")}
    assert before == after, "what was trained already is not trained again"
    assert found.event["event"].tolist() == list(range(1000, 1200))
    by_hand = np.mean([one.probabilities for one in alone], axis=0)
    np.testing.assert_allclose(found.probabilities, by_hand, atol=1e-7)
    assert list(found.members) == ["seed 1", "seed 2", "seed 3"]
    for one, kept in zip(alone, found.members.values(), strict=True):
        np.testing.assert_array_equal(one.probabilities, kept)
    median = done(InferenceTask(**FILES, seeds=SEEDS, combine="median"))
    assert median.predictions().combination == "median"
    assert not np.array_equal(median.predictions().probabilities, found.probabilities)


def test_the_curves_of_each_seed_stand_beside_the_ensemble(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = done(ROCCurveTask(**FILES, seeds=SEEDS, replicates=20))
    said = capsys.readouterr().out
    content = json.loads((task.folder / "roc.json").read_text())
    (entry,) = content["ensembles"]
    ensemble = EnsembleResult.read(entry)
    assert [member.name for member in ensemble.members] == ["seed 1", "seed 2", "seed 3"]
    for seed, member in zip(SEEDS, ensemble.members, strict=True):
        single = done(ROCCurveTask(**FILES, seed=int(seed), replicates=20))
        alone = json.loads((single.folder / "roc.json").read_text())
        assert "ensembles" not in alone
        assert alone["results"][0]["auc"] == member.auc
        assert alone["results"][0]["auc_error"] == member.auc_error
    areas = [member.auc for member in ensemble.members]
    assert entry["mean_auc"] == pytest.approx(np.mean(areas))
    assert entry["spread_auc"] == pytest.approx(np.std(areas, ddof=1))
    assert ensemble.ensemble.auc == content["results"][0]["auc"]
    assert ensemble.gain.value == pytest.approx(ensemble.ensemble.auc - np.mean(areas))
    assert 0 < ensemble.gain.error < ensemble.ensemble.auc_error, "paired: much of the statistical error is common"
    for member in (*ensemble.members, ensemble.ensemble):
        assert with_error(member.auc, member.auc_error) in said
    assert with_error(entry["mean_auc"], entry["spread_auc"]) in said


def test_the_report_shows_every_seed(place: Path) -> None:
    task = done(ReportTask(**FILES, seeds=SEEDS))
    text = (task.folder / "report.html").read_text()
    assert "mean of seeds 1, 2, 3" in text
    assert "<h2>Ensemble</h2>" in text
    for words in ("Seed 1", "Seed 2", "Seed 3", "mean ± spread", "ensemble − mean"):
        assert words in text
    assert "<dt>random seed, training</dt><dd>1, 2, 3</dd>" in text
    assert text.count("alt=") >= 3


def test_seeds_without_test_files_judge_the_same_validation_rows(place: Path) -> None:
    files = {name: value for name, value in FILES.items() if name != "test_filelist"}
    found = done(InferenceTask(**files, seeds=("4", "5"))).predictions()
    alone = done(InferenceTask(**files, seed=4)).predictions()
    assert found.event["event"].tolist() == alone.event["event"].tolist()


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"seeds": ("1", "b")}, r"--seeds: '1,b': write numbers, such as 1,2,3"),
        ({"seeds": ("7",)}, r"--seeds: '7': an ensemble needs two or more different seeds"),
        ({"seeds": ("7", "7")}, r"an ensemble needs two or more different seeds"),
        ({"seeds": SEEDS, "seed": 4}, r"--seeds: cannot be used with --seed; leave out"),
        ({"seeds": SEEDS, "checkpoint": ("a",)}, r"--seeds: cannot be used with --checkpoint; leave out"),
        ({"seeds": SEEDS, "combine": "max"}, r"there is no combination 'max'.*known are mean, median"),
        ({"checkpoint": ("nothing",)}, r"there is no model 'nothing'"),
        (
            {"checkpoint": ("toy.yaml",), "test_filelist": ()},
            r"has no test files to evaluate --checkpoint; give them",
        ),
    ],
)
def test_wrong_parameters(place: Path, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(CollidekitError, match=message):
        ReportTask(**{**FILES, **parameters}).output()


def test_a_checkpoint_is_judged_without_a_training(place: Path) -> None:
    """A checkpoint with test files gives the same results as the run that trained it."""
    expected = done(InferenceTask(**FILES, seed=1)).predictions()
    training = TrainingTask(config="toy.yaml", filelist=("train.root",), seed=1)
    checkpoint = str(shutil.copy(training.folder / "best_model.pt", place / "given.pt"))
    (place / "train.root").unlink()
    shutil.rmtree(place / "results")
    files = {"config": "toy.yaml", "test_filelist": ("test.parquet",), "checkpoint": (checkpoint,)}
    found = done(InferenceTask(**files)).predictions()
    np.testing.assert_array_equal(found.probabilities, expected.probabilities)
    report = done(ReportTask(**files))
    text = (report.folder / "report.html").read_text()
    assert "given.pt · test dataset v1" in text
    assert "Evaluated on 200 rows" in text
    assert "<h2>Training</h2>" not in text
    assert not (place / "results" / "TrainingTask").exists()


def test_several_checkpoints_are_an_ensemble(place: Path) -> None:
    paths = [str(done(TrainingTask(config="toy.yaml", filelist=("train.root",), seed=s)).folder) for s in (1, 2)]
    files = {"config": "toy.yaml", "test_filelist": ("test.parquet",)}
    both = done(ROCCurveTask(**files, checkpoint=tuple(paths), replicates=10))
    seeds = done(InferenceTask(**FILES, seeds=("1", "2"))).predictions()
    np.testing.assert_allclose(both.predictions().probabilities, seeds.probabilities, atol=1e-6)
    (entry,) = json.loads((both.folder / "roc.json").read_text())["ensembles"]
    assert [member["name"] for member in entry["members"]] == [Path(path).name for path in paths]


def test_a_changed_checkpoint_is_judged_anew(place: Path) -> None:
    paths = [done(TrainingTask(config="toy.yaml", filelist=("train.root",), seed=s)).folder for s in (1, 2)]
    files = {"config": "toy.yaml", "test_filelist": ("test.parquet",), "checkpoint": ("given.pt",)}
    shutil.copy(paths[0] / "best_model.pt", place / "given.pt")
    before = InferenceTask(**files).hash
    shutil.copy(paths[1] / "best_model.pt", place / "given.pt")
    assert InferenceTask(**files, verbose=True).hash != before


def test_clean_keeps_what_an_ensemble_was_made_from(place: Path) -> None:
    from collidekit.outputs.find import State, find_outputs

    task = done(InferenceTask(**FILES, seeds=("1", "2")))
    found = {output.hash: output.state for output in find_outputs(place / "results")}
    for member in task.requires().values():
        assert found[member.hash] is State.USED
        assert found[member.requires()["training"].hash] is State.USED
    assert found[task.hash] is State.RESULT
