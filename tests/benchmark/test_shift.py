"""Shifted samples: the same rows with other values."""

import awkward as ak
import numpy as np
import pytest

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.scope import Plan
from collidekit.benchmark.build_plan import Source
from collidekit.benchmark.shift import shifted
from collidekit.errors import CollidekitError

PLAN = Plan(
    parse_analysis(
        "classes: {a: label == 0, b: label == 1}\ninputs: {parts: {limit: 9, features: [px]}}\nvariables: {twice: 2 * pt}\n"
    )[0]
)


def chunk(rows: int = 3) -> ak.Array:
    px = ak.values_astype(ak.Array([[1, 2, 3], [4], [5, 6]] * (rows // 3)), "float32")
    return ak.Array(
        {
            "px": px,
            "py": 2 * px,
            "pt": ak.values_astype(ak.sum(px, axis=1), "float32"),
            "n": [1, 2, 3] * (rows // 3),
            "other": [[1, 2]] * 3 * (rows // 3),
        }
    )


def shift(given: ak.Array, seed: int = 1, **source: object) -> ak.Array:
    return shifted(given, PLAN, Source(files=["x"], **source), seed, "file", np.arange(len(given)))


def test_later_expressions_see_what_was_shifted_before():
    found = shift(chunk(), shift={"px": "2 * px", "pt": "sum(px)", "n": "twice"})
    assert found.px.tolist() == [[2, 4, 6], [8], [10, 12]]
    assert found.pt.tolist() == [12, 8, 22]
    assert found.n.tolist() == [24, 16, 44]
    assert str(ak.type(found.px)) == str(ak.type(chunk().px))


def test_nothing_is_changed_without_a_shift():
    assert shift(chunk()).tolist() == chunk().tolist()


def test_entries_that_are_not_kept_leave_all_lists_of_their_length():
    found = shift(chunk(), keep="px > 2", shift={"pt": "sum(px)"})
    assert found.px.tolist() == [[3], [4], [5, 6]]
    assert found.py.tolist() == [[6], [8], [10, 12]]
    assert found.pt.tolist() == [3, 4, 11]


def test_columns_of_one_length_get_the_same_random_numbers():
    found = shift(chunk(3000), shift={"px": "px + normal", "py": "py + normal"})
    moved = ak.flatten(found.px - chunk(3000).px), ak.flatten(found.py - chunk(3000).py)
    assert np.allclose(moved[0], moved[1], atol=1e-4)
    assert abs(np.mean(moved[0])) < 0.05
    assert np.std(moved[0]) == pytest.approx(1, abs=0.05)
    assert abs(np.corrcoef(moved[0][:-1], moved[0][1:])[0, 1]) < 0.05


def test_random_numbers_depend_on_seed_and_entry_and_not_on_the_chunk():
    whole = shift(chunk(6), shift={"px": "normal"})
    part = shifted(chunk(6)[3:], PLAN, Source(files=["x"], shift={"px": "normal"}), 1, "file", np.arange(3, 6))
    assert whole.px[3:].tolist() == part.px.tolist()
    assert whole.px.tolist() != shift(chunk(6), seed=2, shift={"px": "normal"}).px.tolist()
    assert whole.px[0].tolist() != whole.px[3].tolist()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"shift": {"pxx": "1"}}, r"there is no column 'pxx' in file \(did you mean 'px'"),
        ({"shift": {"px": "2 * pxx"}}, r"there is no column 'pxx' \(did you mean"),
        ({"shift": {"pt": "px"}}, "is a list in each row, and the column is one number"),
        ({"shift": {"px": "other"}}, "lists of other lengths"),
        ({"keep": "pt > 2"}, "is no condition on the entries of lists"),
        ({"keep": "normal > 2"}, "cannot be used here"),
        ({"shift": {"px": "__import__"}}, "build: shift: px"),
    ],
)
def test_a_wrong_expression_is_one_line(source, said):
    with pytest.raises(CollidekitError, match=said):
        shift(chunk(), **source)
