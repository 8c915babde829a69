"""The distribution ``collidekit-runtime`` has exactly the dependencies that prediction with a bundle imports."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAIN = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
RUNTIME = tomllib.loads((ROOT / "runtime" / "pyproject.toml").read_text())["project"]
IMPORTED_AS = {"lightning-fabric": "lightning_fabric", "scikit-learn": "sklearn", "pyyaml": "yaml"}
BLOCK = """
import sys

BLOCKED = set(sys.argv.pop(1).split(","))

class NotBrought:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NotBrought())
from collidekit.cli import main
main()
"""


def left_out() -> str:
    names = [requirement.partition(">")[0] for requirement in MAIN["dependencies"]]
    brought = {requirement.partition(">")[0] for requirement in RUNTIME["dependencies"]}
    return ",".join(IMPORTED_AS.get(name, name) for name in names if name not in brought)


def run(*words: object) -> subprocess.CompletedProcess[str]:
    given = [str(word) for word in words]
    return subprocess.run(
        [sys.executable, "-c", BLOCK, left_out(), *given],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )


def test_it_asks_for_the_versions_of_the_main_distribution() -> None:
    extra = MAIN["optional-dependencies"]["runtime"]
    assert set(RUNTIME["dependencies"]) <= {*MAIN["dependencies"], *extra}
    assert set(extra) <= set(RUNTIME["dependencies"])
    assert RUNTIME["scripts"] == MAIN["scripts"]
    assert RUNTIME["requires-python"] == MAIN["requires-python"]
    assert "torch" in left_out().split(",")


def test_prediction_needs_nothing_else(bundle: Path, files: list[str], tmp_path: Path) -> None:
    done = run("predict", bundle, *files, "-o", tmp_path / "scores.parquet")
    assert done.returncode == 0, done.stderr
    assert "SvsB" in done.stdout
    assert (tmp_path / "scores.parquet").is_file()


@pytest.mark.parametrize("words", [("run", "top_tagging"), ("demo",), ("models",)])
def test_all_else_is_one_line(words: tuple[str, ...]) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert "is not installed: collidekit-runtime can only predict with a bundle" in done.stderr
    assert done.stderr.count("\n") == 1
