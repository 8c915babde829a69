"""Numbered columns of a flat table: lists of constituents are joined, numbered features are not."""

from pathlib import Path

import numpy as np
from tests.starter import foreign

from collidekit.starter.starter import start_analysis


def test_numbered_features_are_no_list(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    label = np.arange(600) % 2
    columns = {f"feature_{k}": random.normal(label, 1 + k) for k in range(10)}
    foreign.write_tree(tmp_path / "x.root", {"label": label, **columns})
    made = start_analysis([str(tmp_path / "x.root")], tmp_path / "a.yaml")
    assert not made.analysis.collections
    assert {feature.name for feature in made.analysis.inputs["event"].features} == set(columns)
    assert made.analysis.training["model_name"] == "mlp"


def test_columns_with_the_same_numbers_are_lists(tmp_path: Path) -> None:
    made = start_analysis([str(foreign.flat_tops(tmp_path / "x.parquet"))], tmp_path / "a.yaml")
    (constituents,) = made.analysis.collections.values()
    assert constituents.momenta == ["PX", "PY", "PZ", "E"]
    assert any("E_0 ... are read as one list E; PX_0 ... are read as one list PX" in note for note in made.notes)
