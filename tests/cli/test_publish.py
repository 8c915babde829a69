"""``collidekit publish`` and ``models``, and the use of published models."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.cli.conftest import Run, Trained

from collidekit import shipped


def test_from_a_training_to_a_model_that_predicts_the_same(tmp_path: Path, trained: Trained, run: Run) -> None:
    words = ("--data", "toys", "--licence", "CC0-1.0", "--threads", 1)
    made = run("publish", trained.task, "mine", "--test-files", trained.test, *words)
    assert made.exit_code == 0, made.output
    assert "SvsB" in made.output
    assert "Published: mine (0.00 MB)" in made.output
    assert "fill in 4 places marked AUTHOR" in made.output
    assert {path.name for path in (tmp_path / "mine").iterdir()} == {"model.safetensors", "model.json", "README.md"}
    for model, out in ((trained.task, "a.parquet"), ("mine", "b.parquet"), ("mine/model.safetensors", "c.parquet")):
        result = run("predict", model, trained.test, "-o", out, "--threads", 1)
        assert result.exit_code == 0, result.output
    a, b, c = (pq.read_table(tmp_path / name) for name in ("a.parquet", "b.parquet", "c.parquet"))
    assert a.equals(b)
    assert b.equals(c)
    traced = run("trace", trained.analysis, trained.test, 3, "--checkpoint", "mine")
    assert "Output of the network" in traced.output
    judged = run("run", trained.analysis, "--checkpoint", "mine", "--test-files", trained.test, "--threads", 1)
    assert judged.exit_code == 0, judged.output
    assert "Training" not in judged.output
    table = [line for line in made.output.splitlines() if "SvsB" in line]
    assert table[0] in judged.output, "the card, the report and the prediction have the same numbers"


@pytest.fixture
def shelf(tmp_path: Path, trained: Trained, run: Run, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundled model."""
    folder = tmp_path / "weights"
    assert run("publish", trained.task, folder / "toys" / "pfn", "--data", "toys").exit_code == 0
    real = shipped._folders
    monkeypatch.setattr(shipped, "_folders", lambda part: [folder] if part == "weights" else real(part))
    return folder


def test_a_model_that_ships_works_by_its_name(shelf: Path, trained: Trained, run: Run) -> None:
    result = run("predict", "toys/pfn", trained.test, "-o", "scores.root")
    assert result.exit_code == 0, result.output
    assert "200 rows in" in result.output
    listed = run("models")
    assert "toys/pfn" in listed.output
    assert "collidekit predict toys/pfn FILES" in listed.output
    assert "Intended use" in run("models", "toys/pfn").output


def test_unknown_names(shelf: Path, trained: Trained, refused: Callable[..., str]) -> None:
    for words in (
        ("predict", "toys/pnf", trained.test, "-o", "x.root"),
        ("models", "toys/pnf"),
        ("trace", trained.analysis, trained.test, 1, "--checkpoint", "toys/pnf"),
        ("run", trained.analysis, "--test-files", trained.test, "--checkpoint", "toys/pnf"),
    ):
        said = refused(*words)
        assert (
            "there is no model 'toys/pnf' (did you mean 'toys/pfn'?); bundled models are toys/pfn, or give a file"
            in said
        )


def test_damaged_weights_are_one_line(shelf: Path, trained: Trained, refused: Callable[..., str]) -> None:
    weights = shutil.copytree(shelf / "toys" / "pfn", shelf.parent / "spoilt") / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-10])
    said = refused("predict", "spoilt", trained.test, "-o", "x.root")
    assert "its checksum differs" in said
    assert "copy the whole folder again" in said


def test_a_model_is_replaced_only_with_force(
    shelf: Path, trained: Trained, run: Run, refused: Callable[..., str]
) -> None:
    assert "--force" in refused("publish", trained.task, shelf / "toys" / "pfn")
    assert run("publish", trained.task, shelf / "toys" / "pfn", "--force").exit_code == 0


# ensembles


@pytest.fixture(scope="module")
def seeds(trained: Trained) -> tuple[Path, ...]:
    """Folders of trainings with two more seeds."""
    from tests.cli.conftest import invoke

    result = invoke([*trained.words, "--seeds", "1,2", "--threads", 1], trained.folder / "seeds")
    assert result.exit_code == 0, result.output
    (trained.folder / "said.txt").write_text(result.output)
    return tuple(path.parent for path in sorted((trained.folder / "seeds" / "TrainingTask").rglob("best_model.pt")))


def test_several_seeds_in_one_command(trained: Trained, seeds: tuple[Path, ...]) -> None:
    said = (trained.folder / "said.txt").read_text()
    assert len(seeds) == 2
    for words in ("seed 1 (1 of 2)", "seed 2 (2 of 2)", "mean ± spread", "ensemble − mean", "Report: "):
        assert said.count(words) == 1, words
    assert said.index("seed 1 (1 of 2)") < said.index("seed 2 (2 of 2)") < said.index("mean ± spread")


def test_again_shows_the_same_table(trained: Trained, seeds: tuple[Path, ...]) -> None:
    from tests.cli.conftest import invoke

    said = (trained.folder / "said.txt").read_text()
    again = invoke([*trained.words, "--seeds", "1,2"], trained.folder / "seeds")
    assert "existing result" in again.output
    for words in ("seed 1 ", "seed 2 ", "mean ± spread", "ensemble  "):
        (line,) = [line for line in said.splitlines() if words in line and "│" in line]
        assert line in again.output


def test_prediction_with_several_taggers(tmp_path: Path, trained: Trained, seeds: tuple[Path, ...], run: Run) -> None:
    others = ("--with", seeds[1], "-w", trained.task)
    result = run("predict", seeds[0], trained.test, *others, "--members", "-o", "mean.parquet")
    assert result.exit_code == 0, result.output
    assert "mean ± spread" in result.output
    for folder in (*seeds, trained.task):
        assert folder.name in result.output
    columns = pq.read_table(tmp_path / "mean.parquet").to_pydict()
    single = []
    for number, folder in enumerate((*seeds, trained.task), 1):
        run("predict", folder, trained.test, "-o", f"{number}.parquet")
        single.append(pq.read_table(tmp_path / f"{number}.parquet")["prob_signal"].to_numpy())
        np.testing.assert_allclose(columns[f"prob_signal_{number}"], single[-1], atol=1e-6)
    np.testing.assert_allclose(columns["prob_signal"], np.mean(single, axis=0), atol=1e-6)
    run("predict", seeds[0], trained.test, *others, "--combine", "median", "-o", "median.parquet")
    median = pq.read_table(tmp_path / "median.parquet")
    assert "prob_signal_1" not in median.column_names
    np.testing.assert_allclose(median["prob_signal"].to_numpy(), np.median(single, axis=0), atol=1e-6)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--members",), "need an ensemble: name more checkpoints with --with"),
        (("--combine", "median"), "need an ensemble"),
        (("--with", "TASK"), "is the same model as"),
        (("--with", "nothing"), "there is no model 'nothing'"),
        (("--with", "TASK", "--combine", "max"), "there is no combination 'max'"),
    ],
)
def test_wrong_ensembles(trained: Trained, refused: Callable[..., str], words: tuple[str, ...], said: str) -> None:
    given = [str(trained.task) if word == "TASK" else word for word in words]
    assert said in refused("predict", trained.task, trained.test, "-o", "x.root", *given)
    assert not Path("x.root").exists()


def test_wrong_seeds(trained: Trained, refused: Callable[..., str]) -> None:
    assert "write numbers, such as 1,2,3" in refused(*trained.words, "--seeds", "one,two")
    assert "cannot be used with --seed" in refused(*trained.words, "--seeds", "1,2", "--seed", 3)
