"""What pyproject asks for is what the code imports, and what an extra brings is not needed without it."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import toys

from collidekit.dataset.loader import Dataset
from collidekit.errors import CollidekitError
from collidekit.inference.predictions import Predictions
from collidekit.training.config import TrainingConfig
from collidekit.training.display import Display
from collidekit.training.loop import Training

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
IMPORTED_AS = {
    "pyyaml": "yaml",
    "scikit-learn": "sklearn",
    "lightning-fabric": "lightning_fabric",
    "fsspec-xrootd": "XRootD",
    "dask-jobqueue": "dask_jobqueue",
    "mlflow-skinny": "mlflow",
    "psycopg[binary]": "psycopg",
}
NEVER_NAMED = {"hdf5plugin"}
"""Registered with another package when that is imported."""
OF_PYDANTIC = {"pydantic_core", "typing_extensions"}


def _names(requirements: list[str]) -> set[str]:
    names = {requirement.split(">")[0].split("<")[0].strip() for requirement in requirements}
    return {IMPORTED_AS.get(name, name) for name in names}


def _imported() -> dict[str, set[str]]:
    """Top-level packages of others, with the files that import them."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "src" / "collidekit").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("need", "import_module"):
                names += [arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant)]
            for name in names:
                found.setdefault(name.partition(".")[0], set()).add(path.name)
    return {name: files for name, files in found.items() if name not in {*sys.stdlib_module_names, "collidekit"}}


def test_every_dependency_is_imported() -> None:
    assert _names(PROJECT["dependencies"]) - set(_imported()) == NEVER_NAMED - set(_imported())


def test_every_import_is_a_dependency_or_of_an_extra() -> None:
    extras = _names([name for names in PROJECT["optional-dependencies"].values() for name in names])
    assert set(_imported()) <= _names(PROJECT["dependencies"]) | extras | OF_PYDANTIC


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    """As though no extra were installed."""
    for name in ("coffea", "coffea.processor", "tensorboard", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)


def test_training_without_tensorboard_says_which_extra_it_needs(without: None, tmp_path: Path) -> None:
    said: list[str] = []
    display = Display(shown=False)
    display.say = said.append  # type: ignore[method-assign]
    dataset: Dataset = toys.make_dataset(tmp_path, toys.GAUSSIANS, toys.gaussians_table(300, 2.0))
    config = TrainingConfig(model_name="mlp", epochs=1)
    assert Training(config, dataset, tmp_path / "training", display, accelerator="cpu").run().is_file()
    assert any("nothing is written for TensorBoard" in text and "collidekit\\[tensorboard]" in text for text in said)
    assert not (tmp_path / "training" / "tensorboard").exists()


def test_a_processor_without_coffea_says_which_extra_it_needs(without: None, tmp_path: Path) -> None:
    (tmp_path / "rows.py").write_text("class Rows: pass\n")
    with pytest.raises(CollidekitError, match=r"this needs coffea .*pip install 'collidekit\[coffea\]'"):
        toys.make_dataset(tmp_path, "processor: rows.py:Rows\n" + toys.GAUSSIANS, toys.gaussians_table(10, 2.0))


def test_a_table_of_pandas_says_which_extra_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset: Dataset = toys.make_dataset(tmp_path, toys.GAUSSIANS, toys.gaussians_table(10, 2.0))
    batch = toys.all_rows(dataset)
    monkeypatch.setitem(sys.modules, "pandas", None)
    found = Predictions(("left", "right"), batch.inputs["point"].numpy(), batch.labels.numpy(), batch.weights.numpy())
    with pytest.raises(CollidekitError, match=r"pip install 'collidekit\[pandas\]'"):
        found.to_pandas()


def test_no_extra_is_imported_by_a_task() -> None:
    code = "import sys, collidekit.cli, collidekit.tasks.report, collidekit.tasks.search; print([m for m in ('coffea', 'optuna', 'pandas', 'tensorboard') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
