"""Prediction with a bundle never imports torch."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import toys

from collidekit import Bundle
from collidekit.inference.predictions import Predictions

BLOCK = """
import sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "lightning_fabric", "onnx"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, NoTorch())
"""


def run(code: str, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", BLOCK + code, *words], check=False, capture_output=True, text=True, cwd=cwd,
        env={**os.environ, "COLUMNS": "200"},
    )  # fmt: skip


def test_the_block_works() -> None:
    assert "torch is blocked" in run("import collidekit; collidekit.Loader").stderr


def test_the_names_of_the_package(bundle: Path, files: list[str]) -> None:
    code = """
import collidekit
from collidekit import Bundle
found = Bundle(sys.argv[1]).predict(sys.argv[2:])
print(len(found), found.discriminators_with_truth(), "torch" in sys.modules)
from collidekit import measure_discriminator
print(measure_discriminator(found, "SvsB", replicates=5).name)
"""
    done = run(code, str(bundle), *files)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["300 ['SvsB'] False", "SvsB"]


CLI = "from collidekit.cli import main\nmain()"


def test_the_command(bundle: Path, files: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    done = run(CLI, "predict", str(bundle), *files, "-o", str(out), "--threads", "1", "--batch-size", "64")
    assert done.returncode == 0, done.stderr
    assert "300 rows in " in done.stdout
    assert "SvsB" in done.stdout
    assert f"Predictions: {out}" in done.stdout
    np.testing.assert_allclose(
        Predictions.read(out).probabilities, Bundle(bundle).predict(files).probabilities, atol=1e-6
    )


def test_an_ensemble_of_bundles(bundle: Path, files: list[str], tmp_path: Path) -> None:
    import shutil

    other = shutil.copytree(bundle, tmp_path / "other")
    words = ["predict", str(bundle), files[0], "--with", str(other), "--members", "-o", str(tmp_path / "out.parquet")]
    done = run(CLI, *words)
    assert done.returncode == 0, done.stderr
    assert len(Predictions.read(tmp_path / "out.parquet").members) == 2
    done = run(CLI, *[str(bundle) if word == str(other) else word for word in words])
    assert done.returncode != 0
    assert "is the same bundle as" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--calibrated"], "--calibrated: does not apply to a bundle"),
        (["--combine", "mean"], "need an ensemble"),
        (["--analysis", "order.yaml"], "input 'constituents' has order 'part_e', but 'part_x'"),
        (
            ["--analysis", "limit.yaml"],
            "input 'constituents' has limit 64, but 9 in analysis 'limit'; use the same limit",
        ),
        (["--analysis", "where.yaml"], "input 'constituents' has where None, but 'part_e > 5' in analysis 'where'"),
        (["--with", "best_model.pt"], "best_model.pt: is not a bundle"),
        (["-o", "folder.parquet"], "folder.parquet: is a folder; name a file to write"),
        (["-o", "scores.txt"], "predictions are written as .parquet or .root"),
    ],
)
def test_options_that_make_no_sense(
    bundle: Path, files: list[str], tmp_path: Path, words: list[str], said: str
) -> None:
    for name, old, new in (
        ("order", "order: part_e", "order: part_x"),
        ("limit", "limit: 64", "limit: 9"),
        ("where", "order: part_e", "order: part_e\n    where: part_e > 5"),
    ):
        assert old in toys.TOY
        (tmp_path / f"{name}.yaml").write_text(toys.TOY.replace(old, new))
    (tmp_path / "folder.parquet").mkdir()
    done = run(CLI, "predict", str(bundle), files[0], "-o", "out.parquet", *words, cwd=tmp_path)
    assert done.returncode != 0
    assert said in " ".join(done.stderr.split())
    assert not (tmp_path / "out.parquet").exists()
