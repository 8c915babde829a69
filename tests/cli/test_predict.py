"""``collidekit predict``."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import uproot
from tests.cli.conftest import Run, Trained
from tests.cli.samples import ANALYSIS, jets, write_parquet, write_root


@pytest.fixture(autouse=True)
def _threads() -> object:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("suffix", ["root", "parquet"])
def test_one_row_for_each_selected_row_in_order(tmp_path: Path, trained: Trained, run: Run, suffix: str) -> None:
    out = tmp_path / f"out.{suffix}"
    words = ("predict", trained.task, trained.test, trained.training, "-o", out, "--threads", 1)
    result = run(*words, "--allow-training-rows")
    assert result.exit_code == 0, result.output
    assert "600 rows in" in result.output
    assert "rows/s" in result.output
    assert "SvsB" in result.output
    if suffix == "root":
        columns = uproot.open(f"{out}:predictions").arrays(library="np")
    else:
        columns = {
            name: column.to_numpy()
            for name, column in zip(pq.read_table(out).column_names, pq.read_table(out), strict=True)
        }
    assert np.array_equal(columns["file"], np.repeat([0, 1], [200, 400]))
    assert np.array_equal(columns["row"], np.concatenate([np.arange(200), np.arange(400)]))
    assert np.allclose(columns["prob_signal"] + columns["prob_background"], 1, atol=1e-5)


def test_the_scores_are_those_of_the_run(tmp_path: Path, trained: Trained, run: Run) -> None:
    run("predict", trained.task / "best_model.pt", trained.test, "-o", "new.parquet", "--batch-size", 7)
    inference = next((trained.folder / "results" / "InferenceTask").rglob("predictions.parquet"))
    new, old = (pq.read_table(path)["SvsB"].to_numpy() for path in (tmp_path / "new.parquet", inference))
    assert np.allclose(new, old, atol=1e-6)


def test_files_without_truth(tmp_path: Path, trained: Trained, run: Run) -> None:
    columns = jets(30)
    del columns["label"]
    result = run("predict", trained.task, write_root(tmp_path / "data.root", columns), "-o", "out.parquet")
    assert result.exit_code == 0, result.output
    assert "AUC" not in result.output
    assert set(pq.read_table("out.parquet")["label"].to_pylist()) == {-1}


def test_another_layout_of_the_same_data(tmp_path: Path, trained: Trained, run: Run) -> None:
    columns = {name.replace("jet_", "J"): values for name, values in jets(200, seed=2).items()}
    renamed = ANALYSIS.replace(
        "features: [jet_pt, jet_mass]", "features: [jet_pt, {name: jet_mass, expression: Jmass}]"
    )
    renamed = renamed.replace("variables:", "variables:\n  jet_pt: Jpt\n  jet_eta: Jeta").replace(
        "tree: tree", "format: parquet"
    )
    (tmp_path / "other.yaml").write_text(renamed)
    file = write_parquet(tmp_path / "other.parquet", columns)
    result = run("predict", trained.task, file, "-o", "a.parquet", "--analysis", "other.yaml")
    assert result.exit_code == 0, result.output
    run("predict", trained.task, trained.test, "-o", "b.parquet")
    a, b = (pq.read_table(name)["SvsB"].to_numpy() for name in ("a.parquet", "b.parquet"))
    assert np.allclose(a, b, atol=1e-6)


def test_a_checkpoint_of_another_analysis(tmp_path: Path, trained: Trained, refused: Callable[..., str]) -> None:
    (tmp_path / "other.yaml").write_text(ANALYSIS.replace("name: part_d0", "name: part_d0_new, expression: part_d0"))
    said = refused("predict", trained.task, trained.test, "-o", "out.root", "--analysis", "other.yaml")
    assert "part_d0" in said
    assert "was made with a different analysis" in said
    assert not (tmp_path / "out.root").exists()


def test_bad_files_are_skipped_when_told_to(
    tmp_path: Path, trained: Trained, run: Run, refused: Callable[..., str]
) -> None:
    (tmp_path / "bad.root").write_bytes(b"root" + bytes(200))
    assert "bad.root" in refused("predict", trained.task, "bad.root", trained.test, "-o", "out.parquet")
    assert not (tmp_path / "out.parquet").exists()
    result = run("predict", trained.task, "bad.root", trained.test, "-o", "out.parquet", "--skip-bad-files")
    assert result.exit_code == 0, result.output
    assert "skipped: bad.root" in result.output
    assert "200 rows" in result.output


def test_an_earlier_output_stays_when_a_new_one_fails(
    tmp_path: Path, trained: Trained, refused: Callable[..., str]
) -> None:
    (tmp_path / "out.parquet").write_text("earlier")
    refused("predict", trained.task, "nothing.root", "-o", "out.parquet")
    assert (tmp_path / "out.parquet").read_text() == "earlier"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing.pt", "FILE", "-o", "x.root"), "nothing.pt: there is no such checkpoint"),
        ((".", "FILE", "-o", "x.root"), "is a folder without best_model.pt"),
        (("FILE", "FILE", "-o", "x.root"), "not a readable checkpoint"),
        (("TASK", "FILE", "-o", "x.csv"), "written as .parquet or .root, not .csv"),
        (("TASK", "FILE", "-o", "x"), "not no suffix"),
        (("TASK", "nothing.root", "-o", "x.root"), "nothing.root: there is no such file"),
        (("TASK", "FILE", "-o", "x.root", "--analysis", "nothing.yaml"), "no such analysis file"),
    ],
)
def test_bad_input(trained: Trained, refused: Callable[..., str], words: tuple[str, ...], said: str) -> None:
    real = {"FILE": trained.test, "TASK": str(trained.task)}
    assert said in refused("predict", *(real.get(word, word) for word in words))


def test_missing_branch(tmp_path: Path, trained: Trained, refused: Callable[..., str]) -> None:
    columns = jets(20)
    del columns["jet_mass"]
    said = refused("predict", trained.task, write_root(tmp_path / "less.root", columns), "-o", "x.root")
    assert "'jet_mass' in" in said
    assert "less.root" in said


def test_what_nan_costs_is_said(tmp_path: Path, trained: Trained, run: Run) -> None:
    columns = jets(40)
    columns["jet_mass"][:3] = np.nan
    columns["jet_pt"][39] = np.nan
    result = run("predict", trained.task, write_root(tmp_path / "nan.root", columns), "-o", "out.parquet")
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    assert "3 values of inputs were NaN or infinite and became the feature's default: jet.jet_mass 3" in said
    assert "1 row was dropped by the selection 'jet_pt > 20' because a variable of it is NaN" in said
    assert "39 rows in" in said
