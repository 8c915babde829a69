"""NaN and infinity never take rows away without a word."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.check import check
from collidekit.dataset.construct import construct
from collidekit.dataset.warnings import data_warnings

ROWS = 400
ANALYSIS = """
selection: abs(eta) < 2.5 and mass > 0
classes: {left: label == 0, right: label == 1}
inputs: {point: {features: [x, pt]}}
"""


def table(**changed: np.ndarray) -> dict[str, np.ndarray]:
    random = np.random.default_rng(5)
    label = np.arange(ROWS) % 2
    usual = {"label": label, "x": random.normal(label, 1), "pt": random.uniform(20, 200, ROWS)}
    return {**usual, "eta": random.uniform(-2, 2, ROWS), "mass": random.uniform(5, 30, ROWS), **changed}


def make(folder: Path, columns: dict[str, np.ndarray], more: str = "") -> tuple[Plan, str]:
    path = folder / "in.parquet"
    pq.write_table(pa.table(columns), path)
    return Plan(Analysis.model_validate(yaml.safe_load(ANALYSIS + more))), str(path)


def with_bad(values: np.ndarray, bad: float, rows: list[int]) -> np.ndarray:
    values = values.astype(np.float64)
    values[rows] = bad
    return values


def test_rows_that_the_selection_loses_to_nan_are_counted(tmp_path: Path) -> None:
    columns = table()
    columns["mass"] = with_bad(columns["mass"], np.nan, [3, 4, 390])
    plan, path = make(tmp_path, columns)
    manifest = construct(plan, [path], tmp_path / "dataset", progress=False)
    assert manifest.rows == ROWS - 3
    said = "3 rows were dropped by the selection 'mass > 0' because a variable of it is NaN"
    assert said in data_warnings(manifest)
    assert f"training: {said}" in [problem.text for problem in check(plan, [path]).problems]


def test_finite_rows_below_a_cut_are_no_warning(tmp_path: Path) -> None:
    columns = table()
    columns["mass"] = with_bad(columns["mass"], -1, [3, 4, 390])
    plan, path = make(tmp_path, columns)
    assert data_warnings(construct(plan, [path], tmp_path / "dataset", progress=False)) == []


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_kinematics_of_a_row_must_be_finite(tmp_path: Path, bad: float) -> None:
    columns = table()
    columns["pt"] = with_bad(columns["pt"], bad, [7])
    plan, path = make(tmp_path, columns, "kinematics: {pt: [0, 50, 100, 200], reference: right}")
    problems = [problem.text for problem in check(plan, [path]).errors]
    assert any("pt is NaN or infinite in 1 rows" in text and "row 7 of" in text for text in problems), problems


@pytest.mark.parametrize(("name", "bad"), [("pt", np.nan), ("pt", np.inf), ("x", -np.inf)])
def test_a_feature_that_is_not_finite_is_a_warning(tmp_path: Path, name: str, bad: float) -> None:
    columns = table()
    columns[name] = with_bad(columns[name], bad, [7, 9])
    plan, path = make(tmp_path, columns)
    said = [problem.text for problem in check(plan, [path]).warnings]
    assert f"training: point.{name} is NaN or infinite 2 times (0.50%); it becomes the default there" in said


@pytest.mark.parametrize("bad", [np.inf, 1e30, np.nan, 0.5])
def test_check_refuses_what_is_no_event_number(tmp_path: Path, bad: float) -> None:
    plan, path = make(tmp_path, table(number=with_bad(np.arange(ROWS), bad, [11])), "event: [number]")
    assert any("row 11: the event number 'number' is" in problem.text for problem in check(plan, [path]).errors)
