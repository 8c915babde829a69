"""``run --folds``, and ``predict`` with its networks."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.cli.conftest import Run, Trained, invoke
from tests.cli.samples import ANALYSIS, jets, write_root


@pytest.fixture(scope="module")
def folded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Folder of a run with three folds, and its output."""
    folder = tmp_path_factory.mktemp("folded")
    (folder / "jets.yaml").write_text(ANALYSIS)
    write_root(folder / "train.root", jets(300, seed=1))
    words = ["run", folder / "jets.yaml", "--files", folder / "train.root", "--folds", 3, "--epochs", 1]
    result = invoke(words, folder / "results")
    assert result.exit_code == 0, result.output
    return folder, result.output


def test_run_trains_every_fold_and_predicts_every_row(folded: tuple[Path, str]) -> None:
    folder, said = folded
    for number in range(3):
        assert f"fold {number} of 3 ({number + 1} of 3)" in said
        assert f"predicting fold {number} of 3, which was held out" in said
    assert "Predicted 300 rows, each with the one of 3 networks that was not trained on it" in said
    assert "3 folds" in said
    assert "TRAINING ROWS" not in said
    assert len(list((folder / "results" / "TrainingTask").rglob("best_model.pt"))) == 3


def test_predict_with_the_folder_of_the_report(folded: tuple[Path, str], tmp_path: Path, run: Run) -> None:
    folder, said = folded
    report = Path(said.splitlines()[-1].removeprefix("Report: ")).parent
    result = run("predict", report, folder / "train.root", "-o", tmp_path / "out.parquet", "--members")
    assert result.exit_code == 0, result.output
    assert "300 of 300 rows are predicted by the members of the folds that did not see them" in result.output
    assert "TRAINING ROWS" not in result.output
    table = pq.read_table(tmp_path / "out.parquet")
    written = next(
        p
        for p in (folder / "results" / "InferenceTask").rglob("predictions.parquet")
        if "fold" in pq.read_table(p).column_names
    )
    expected = pq.read_table(written)
    assert np.allclose(table["SvsB"].to_numpy(), expected["SvsB"].to_numpy(), atol=1e-6)
    for number in range(3):  # the columns of the members are there, and the row's own one was taken
        mine = expected["fold"].to_numpy() == number
        own = table[f"prob_signal_{number + 1}"].to_numpy()
        assert np.array_equal(own[mine], table["prob_signal"].to_numpy()[mine])
        assert not np.array_equal(own[~mine], table["prob_signal"].to_numpy()[~mine])


def test_predict_with_one_fold_refuses_and_warns_on_request(folded: tuple[Path, str], tmp_path: Path, run: Run) -> None:
    folder, _ = folded
    (model, *others) = sorted((folder / "results" / "TrainingTask").rglob("best_model.pt"))
    words = ("predict", model, folder / "train.root", "-o", tmp_path / "out.parquet")
    result = run(*words)
    assert result.exit_code == 2
    assert "of 300 rows are rows that the model was trained on" in " ".join(result.output.split())
    assert not (tmp_path / "out.parquet").exists()
    result = run(*words, "--allow-training-rows")
    assert result.exit_code == 0, result.output
    assert "TRAINING ROWS: " in result.output
    assert "rows that the model was trained on, so all results look better than they are" in " ".join(
        result.output.split()
    )
    every = run("predict", model, folder / "train.root", "-o", tmp_path / "b.parquet", "-w", others[0], "-w", others[1])
    assert "TRAINING ROWS" not in every.output


def test_predict_says_nothing_on_other_rows(trained: Trained, tmp_path: Path, run: Run) -> None:
    assert "TRAINING ROWS" not in run("predict", trained.task, trained.test, "-o", tmp_path / "a.parquet").output
    words = ("predict", trained.task, trained.test, trained.training, "-o", tmp_path / "b.parquet")
    refused = run(*words)
    assert refused.exit_code == 2
    assert f"{Path(trained.training).name}: " in " ".join(refused.output.split()), "the file is named"
    both = run(*words, "--allow-training-rows").output
    assert "of 600 rows" in both.partition("TRAINING ROWS: ")[2].splitlines()[0]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--folds", 1), "--folds: one fold is for test and the others are for training: give at least 2"),
        (("--folds", 2, "--fold-rule", "even"), "--fold-rule: Input should be 'hash' or 'remainder', got 'even'"),
        (("--fold", 1), "--fold: is one of several folds: say of how many with --folds"),
        (("--folds", 4, "--fold", 4), "--fold: must be from 0 to 3 with --folds 4"),
        (("--folds", 4, "--seeds", "1,2"), "--seeds: cannot be used with 4 folds"),
    ],
)
def test_wrong_folds(trained: Trained, refused: Callable[..., str], words: tuple[object, ...], said: str) -> None:
    assert said in " ".join(refused("run", trained.analysis, "--files", trained.training, *words).split())
