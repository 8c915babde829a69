"""Weights that single precision cannot hold."""

from pathlib import Path

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.check import check
from collidekit.dataset.rows import build_rows
from collidekit.errors import CollidekitError

ANALYSIS = """
weight: w
classes: {bkg: label == 0, sig: label == 1}
inputs: {ev: {features: [x]}}
"""


def weights(scale: float) -> np.ndarray:
    chunk = ak.zip({"label": [0, 1, 0], "x": [1.0, 2.0, 3.0], "w": np.array([1.0, 2.0, 0.0]) * scale}, depth_limit=1)
    return build_rows(Plan(*parse_analysis(ANALYSIS)), chunk, "w.root", 0, 0).batch.weights.numpy()


@pytest.mark.parametrize("scale", [1e-46, 1e-40, 1e-160, 1e39, 1e160])
def test_they_are_an_error_that_says_how_to_scale(scale: float) -> None:
    with pytest.raises(CollidekitError, match=r"w.root: the weights 'w' are at most .*; scale them: `weight: w \* "):
        weights(scale)


@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e30])
def test_others_keep_their_ratios(scale: float) -> None:
    found = weights(scale)
    assert found[1] / found[0] == pytest.approx(2)


def test_weights_of_zero_stay() -> None:
    assert (weights(0.0) == 0).all()


@pytest.mark.parametrize("scale", [1e-46, 1e160])
def test_check_says_so_too(tmp_path: Path, scale: float) -> None:
    label = np.arange(100) % 2
    table = pa.table({"label": label, "x": np.random.default_rng(1).normal(label, 1), "w": np.full(100, scale)})
    pq.write_table(table, tmp_path / "w.parquet")
    found = check(Plan(*parse_analysis(ANALYSIS)), [str(tmp_path / "w.parquet")])
    assert any("the weights 'w' are at most" in problem.text for problem in found.errors)
