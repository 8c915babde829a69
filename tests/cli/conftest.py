"""Fixtures for the tests of the command: a trained tagger, and functions that run the command."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import Result
from pictures import without_drawing
from tests.cli.samples import ANALYSIS, jets, write_root
from typer.testing import CliRunner

from collidekit.cli import app

Run = Callable[..., Result]


@dataclass(frozen=True)
class Trained:
    """Folder with an analysis, its files, and all results up to the report."""

    folder: Path
    output: str

    @property
    def analysis(self) -> str:
        return str(self.folder / "jets.yaml")

    @property
    def training(self) -> str:
        return str(self.folder / "train.root")

    @property
    def test(self) -> str:
        return str(self.folder / "test.root")

    @property
    def task(self) -> Path:
        """Folder of the training."""
        return next((self.folder / "results" / "TrainingTask").rglob("best_model.pt")).parent

    @property
    def words(self) -> list[str]:
        """Words of the command that was run."""
        return ["run", self.analysis, "--files", self.training, "--test-files", self.test]


def invoke(words: Sequence[object], output: Path) -> Result:
    return CliRunner().invoke(
        app, [str(word) for word in words], env={"COLUMNS": "120", "COLLIDEKIT_OUTPUT": str(output), "TERM": "dumb"}
    )


@pytest.fixture(scope="module", autouse=True)
def _without_drawing() -> Iterator[None]:
    with without_drawing():
        yield


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    (folder / "jets.yaml").write_text(ANALYSIS)
    write_root(folder / "train.root", jets(400, seed=1))
    write_root(folder / "test.root", jets(200, seed=2))
    with without_drawing():
        result = invoke(Trained(folder, "").words, folder / "results")
    assert result.exit_code == 0, result.output
    return Trained(folder, result.output)


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs the command in a temporary folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *words: invoke(words, tmp_path / "results")


@pytest.fixture
def refused(run: Run) -> Callable[..., str]:
    """Return a function that runs a failing command, checks for one line on stderr and exit code 2, and returns the line."""

    def check(*words: object) -> str:
        result = run(*words)
        assert result.exit_code == 2, result.output
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1
        assert "Traceback" not in result.output
        return result.stderr

    return check


@pytest.fixture
def shared_data() -> Path:
    """Folder of real data, if it exists."""
    folder = Path(os.environ.get("COLLIDEKIT_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real data in {folder}; COLLIDEKIT_SHARED_DATA says where it is")
    return folder
