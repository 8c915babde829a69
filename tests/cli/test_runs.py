"""``collidekit runs``: all trainings of a results folder, also interrupted and damaged ones."""

import json
import shutil
from pathlib import Path

import pytest
from luigi.task_register import Register
from tests.cli.conftest import Run, Trained, invoke

from collidekit.evaluation.numbers import with_error
from collidekit.outputs.recipes import compare_recipes
from collidekit.outputs.trainings import find_trainings


@pytest.fixture(scope="module")
def two(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results with two trainings with different epochs and seeds, and attacked predictions."""
    folder = tmp_path_factory.mktemp("two") / "results"
    shutil.copytree(trained.folder / "results", folder)
    attack = ("--set", "test_attack=fgsm", "--set", "test_attack_magnitude=0.3")
    for words in (("--epochs", "2", "--seed", "7"), attack):
        Register.clear_instance_cache()  # the same parameters are other tasks in another folder
        result = invoke([*trained.words, *words], folder)
        assert result.exit_code == 0, result.output
    Register.clear_instance_cache()
    return folder


@pytest.fixture
def results(two: Path, tmp_path: Path) -> Path:
    """Copy of the results for changes."""
    return Path(shutil.copytree(two, tmp_path / "copied"))


def test_shows_what_differs_and_the_scores(results: Path) -> None:
    lines = invoke(["runs"], results).output
    assert "jets: 2 trainings" in lines
    assert "not at default:" in lines
    assert "batch_size 64" in lines.split("run ")[0], "all of them share it"
    assert "differs in: epochs 2, seed 7" in lines
    found = json.loads(invoke(["runs", "--json"], results).output)
    assert found["format"] == "collidekit runs 1"
    newest, first = found["trainings"]
    assert (newest["epochs"], first["epochs"], newest["state"]) == (2, 1, "complete")
    assert newest["differs_in"] == {"epochs": 2, "seed": 7}
    aucs = {entry["auc"] for path in results.rglob("roc.json") for entry in json.loads(path.read_text())["results"]}
    assert {score["auc"] for training in found["trainings"] for score in training["scores"]} == aucs
    assert Path(newest["scores"][0]["report"], "report.html").is_file()
    assert newest["cpu_seconds"] > 0


def test_interrupted_and_damaged_trainings_are_listed(results: Path) -> None:
    newest, first = find_trainings(results)
    (newest.output.folder / "run.json").unlink()
    (first.output.folder / "run.json").write_text("{")
    (first.output.folder / "history.csv").write_text("epoch,val_loss\n1,nonsense\n")
    result = invoke(["runs"], results)
    assert result.exit_code == 0, result.output
    assert "2 of 2" in result.output, "its settings come from its checkpoint"
    assert "is damaged" in result.output
    (newest.output.folder / "last.pt").write_bytes(b"half of it")
    assert "not a readable checkpoint" in invoke(["runs"], results).output.replace("\n", " ").replace("    ", "")


def test_attacked_results_stand_apart(two: Path) -> None:
    training = json.loads(invoke(["runs", "--json"], two).output)["trainings"][1]
    nominal, attacked = sorted(training["scores"], key=lambda score: str(score["attack"]))
    assert (nominal["attack"], attacked["attack"]) == ("", "fgsm 0.3")
    shown = invoke(["runs"], two).output.splitlines()
    row = next(number for number, line in enumerate(shown) if training["hash"] in line)
    assert with_error(nominal["auc"], nominal["auc_error"]) in shown[row], "the row has the AUC of the rows as they are"
    assert "under fgsm 0.3:" in "".join(shown[row : row + 4])


def test_nothing_there(run: Run, tmp_path: Path) -> None:
    assert "there is no such folder" in run("runs").stderr
    (tmp_path / "results").mkdir()
    assert "no trainings yet" in run("runs").output
    assert run("runs", "other").exit_code == 2


def test_a_setting_that_is_not_named_is_at_its_default(results: Path) -> None:
    found = find_trainings(results)
    del found[0].config["epochs"]
    own = compare_recipes(found, {"epochs": 1}).own
    assert own == [{"seed": 7}, {"seed": 123456}]
