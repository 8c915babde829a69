"""A condition is yes or no, or 1 and 0; any other number is an error and never counts as yes."""

import awkward as ak
import numpy as np
import pytest

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.rows import Rows, build_rows
from collidekit.errors import CollidekitError

CHUNK = ak.zip(
    {
        "label": np.array([0, 1, 0, 1]),
        "flag": np.array([1, 0, 1, 1]),
        "x": np.array([0.5, np.nan, 2.0, 3.0]),
        "trk": ak.Array([[1.0, 2.0], [3.0], [], [0.0]]),
    },
    depth_limit=1,
)


def rows(selection: str = "label >= 0", signal: str = "label == 1", where: str = "trk >= 0") -> Rows:
    text = f"""
selection: "{selection}"
classes: {{bkg: label == 0, sig: "{signal}"}}
inputs: {{tracks: {{limit: 2, where: "{where}", features: [trk]}}}}
"""
    return build_rows(Plan(*parse_analysis(text)), CHUNK, "made up", 0, 0)


def test_flags_of_0_and_1_are_conditions() -> None:
    assert len(rows("flag").batch) == 3


def test_a_comparison_with_nan_does_not_hold_and_is_counted() -> None:
    found = rows("x > 1")
    assert len(found.batch) == 2
    assert found.lost == {"x > 1": 1}


@pytest.mark.parametrize("selection", ["x * nan", "x", "label + 1", "flag * 0.5"])
def test_a_selection_that_is_a_number_is_an_error(selection: str) -> None:
    with pytest.raises(CollidekitError, match=r"but a condition is needed here; compare it"):
        rows(selection)


def test_a_class_that_is_a_number_is_an_error() -> None:
    with pytest.raises(CollidekitError, match=r"'\(label == 1\) \* 0.5': is the number 0.5 in some rows"):
        rows(signal="(label == 1) * 0.5")


def test_a_where_that_is_a_number_is_an_error() -> None:
    with pytest.raises(CollidekitError, match=r"'trk': is the number 2 in some rows"):
        rows(where="trk")
