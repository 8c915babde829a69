"""A world in small: an analysis, its files, and everything that a run makes of them, once for all fuzzing."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib.figure
import pytest
import torch
import toys
from luigi.task_register import Register
from odd import what_happened
from typer.testing import CliRunner

from collidekit.cli import app

torch.set_num_threads(1)

TRAINING = "training: {model_name: pfn, model_options: {phi: [8], f: [8]}, epochs: 1, batch_size: 64}\n"


@dataclass(frozen=True)
class World:
    """The folder of ``toy.yaml``, ``train.parquet`` and ``test.parquet``, with all outputs below ``results``."""

    folder: Path

    @property
    def analysis(self) -> str:
        return str(self.folder / "toy.yaml")

    @property
    def test(self) -> str:
        return str(self.folder / "test.parquet")

    @property
    def words(self) -> list[str]:
        return ["run", self.analysis, "-f", str(self.folder / "train.parquet"), "-t", self.test]

    def of(self, task: str) -> Path:
        """The folder of a task's output, the first one made."""
        outputs = (self.folder / "results" / task).rglob("run.json")
        return min(outputs, key=lambda path: path.stat().st_mtime_ns).parent

    def command(self, *words: object) -> str:
        """Run a command, which must end well or with one line of an error and exit code 2; returns what it said."""
        Register.clear_instance_cache()
        output = {"COLLIDEKIT_OUTPUT": str(self.folder / "results"), "COLUMNS": "200", "TERM": "dumb"}
        result = CliRunner().invoke(app, [str(word) for word in words], env=output)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise AssertionError(what_happened(result.exception))
        assert result.exit_code in (0, 2), result.output
        verdict = words[0] == "check" and "What it will take" in result.output
        if result.exit_code == 2 and "Usage:" not in result.output and not verdict:
            errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
            assert len(errors) == 1, result.output
        assert "Traceback" not in result.output
        return result.output


@contextmanager
def without_pictures() -> Iterator[None]:
    """Drawing is most of the time of a report, and no part of what is fuzzed here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matplotlib.figure.Figure, "savefig", lambda self, target, **options: None)
        yield


@pytest.fixture(scope="module", autouse=True)
def _no_pictures() -> Iterator[None]:
    with without_pictures():
        yield


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    world = World(tmp_path_factory.mktemp("world"))
    toys.write_table(world.folder / "train.parquet", toys.toy_table(120))
    toys.write_table(world.folder / "test.parquet", toys.toy_table(80, seed=2))
    Path(world.analysis).write_text(toys.TOY + TRAINING, encoding="utf-8")
    with without_pictures():
        said = world.command(*world.words)
    assert "Report" in said, said
    return world


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def in_process(python: str, *words: object, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a Python text in a process of its own, for what could end the interpreter."""
    return subprocess.run(
        [sys.executable, "-c", python, *map(str, words)], capture_output=True, text=True, timeout=timeout, check=False
    )


@pytest.fixture(scope="session")
def world_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a few rows of the toy."""
    return toys.write_table(tmp_path_factory.mktemp("rows") / "few.parquet", toys.toy_table(60))
