"""After an error of a verb, the model and the folders are unchanged."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Run, Trained

from collidekit.evaluation.importance import explain
from collidekit.tasks import calibrate


def failing(*given: object, **settings: object) -> None:
    raise OSError(28, "No space left on device")


def test_calibrate_leaves_the_model(
    tmp_path: Path, trained: Trained, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Path(shutil.copy(trained.task / "best_model.pt", tmp_path))
    before = model.read_bytes()
    monkeypatch.setattr(calibrate, "plot_reliabilities", failing)
    refused("calibrate", model, trained.test, "-o", tmp_path / "out")
    assert model.read_bytes() == before
    assert not (tmp_path / "out" / "calibration.json").exists()


def test_explain_leaves_no_half_a_folder(
    tmp_path: Path, trained: Trained, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explain, "write_sealed", failing)
    refused("explain", trained.task, trained.test, "-o", tmp_path / "out", "--rows", 50, "--repeats", 2, "--steps", 2)
    assert not list(tmp_path.iterdir())


def test_the_output_is_no_input(tmp_path: Path, trained: Trained, refused: Callable[..., str]) -> None:
    file = Path(shutil.copy(trained.test, tmp_path / "mine.root"))
    before = file.read_bytes()
    assert "is the same file as the input mine.root; give --out another name" in refused(
        "predict", trained.task, "mine.root", "-o", file
    )
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "words",
    [
        ("run", "top_tagging", "--model", ""),
        ("run", "top_tagging", "--combine", ""),
        ("predict", "best_model.pt", "test.root", "-o", "p.parquet", "--threads", "0"),
        ("run", "top_tagging", "--threads", "0"),
    ],
)
def test_options_that_mean_nothing(run: Run, words: tuple[str, ...]) -> None:
    result = run(*words)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert "the value is empty" in result.output or "Invalid value for '--threads'" in result.output
