"""Fixtures for the tests of tasks: a folder with an analysis and files, and law in that folder."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import toys
from luigi.task_register import Register
from pictures import without_drawing

ROOT = Path(__file__).parents[2]
TRAINING = "training: {model_name: pfn, model_options: {phi: [8, 8], f: [8]}, epochs: 2, batch_size: 64}\n"


def make_place(folder: Path) -> Path:
    """Folder with ``toy.yaml``, ``train.root`` and ``test.parquet``."""
    toys.write_table(folder / "train.root", toys.toy_table(300))
    toys.write_table(folder / "test.parquet", toys.toy_table(200, seed=2))
    (folder / "toy.yaml").write_text(toys.TOY + TRAINING)
    return folder


@pytest.fixture(scope="module", autouse=True)
def _without_drawing() -> Iterator[None]:
    with without_drawing():
        yield


@pytest.fixture(scope="session")
def law_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def law(law_home: Path) -> toys.Law:
    """Return a function that runs law in a folder, with the bundled configuration."""
    settings: Mapping[str, str] = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("LAW_", "LUIGI_", "COLLIDEKIT_"))},
        "HOME": str(law_home),
        "LAW_HOME": str(law_home / ".law"),
        "LAW_CONFIG_FILE": str(ROOT / "law.cfg"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
    }

    def run(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["law", *words], cwd=cwd, env=settings, capture_output=True, text=True, timeout=300, check=False
        )  # fmt: skip

    return run


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, law_home: Path) -> Path:
    """Current folder of tests that use task objects."""
    make_place(tmp_path)
    Register.clear_instance_cache()  # the same parameters are other tasks in another folder
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAW_HOME", str(law_home / ".law"))
    monkeypatch.setenv("COLLIDEKIT_OUTPUT", str(tmp_path / "results"))
    return tmp_path
