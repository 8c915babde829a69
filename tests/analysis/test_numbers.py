"""Integers are exact and signed, and every function treats NaN as docs/expressions.md says."""

import awkward as ak
import numpy as np
import pytest

from collidekit.analysis.expressions import Expression
from collidekit.errors import CollidekitError

BIG = 2**63
SCOPE = {
    "few": np.array([0, 3], np.uint64),
    "many": np.array([5, 1], np.uint64),
    "event": ak.Array(np.array([BIG + 5, BIG + 8], np.uint64)),
    "other": ak.Array(np.array([BIG + 1, BIG + 9], np.uint64)),
    "counts": ak.Array([np.array([1, 2], np.uint64), np.array([9], np.uint64)]),
    "l": ak.Array([[np.nan, 1.0, 3.0], [np.nan], [], [2.0, np.nan, 1.0]]),
}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("few - many", [-5, 2]),
        ("-few", [0, -3]),
        ("few - 4", [-4, -1]),
        ("few + many", [5, 4]),
        ("event - other", [4, -1]),
        ("event % 2", [1, 0]),
        ("event % 1000", [(BIG + 5) % 1000, (BIG + 8) % 1000]),
        ("event // 10", [(BIG + 5) // 10, (BIG + 8) // 10]),
        ("event > other", [True, False]),
        ("counts - 3", [[-2, -1], [6]]),
    ],
)
def test_unsigned_integers(text: str, values: list[object]) -> None:
    found = ak.to_list(Expression(text).evaluate(SCOPE))
    assert found == values
    assert all(isinstance(a, type(b)) for a, b in zip(found, values, strict=True))


def test_a_number_below_64_signed_bits_is_negative() -> None:
    assert not Expression("-18446744073709551615 > 0").evaluate({})


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("max(l)", [3.0, None, None, 2.0]),
        ("min(l)", [1.0, None, None, 1.0]),
        ("argmax(l)", [2, -1, -1, 0]),
        ("argmin(l)", [1, -1, -1, 2]),
        ("pick(l, argmax(l))", [3.0, None, None, 2.0]),
        ("first(sort(l))", [3.0, None, None, 2.0]),
    ],
)
def test_order_passes_over_nan(text: str, values: list[float | None]) -> None:
    found = ak.to_list(ak.nan_to_none(Expression(text).evaluate(SCOPE)))
    assert found == values


LARGE = {
    "run": np.array([382_000], np.int64),
    "event": np.array([2**62 + 1], np.int64),
    "other": np.array([2**62 + 3], np.int64),
    "quantised": np.array([3], np.uint64),
    "further": np.array([5], np.uint64),
    "l": ak.Array([[np.inf, 2.0], [-np.inf], [np.nan]]),
    "c": ak.Array([[True, False], [], [True]]),
}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("event + other", 2.0**63 + 4),
        ("event - other", -2),
        ("other - event + other - event", 4),
        ("run * 1000000000 * 1000000000", 3.82e23),
        ("run * 1000000 + 17", 382_000_000_017),
        ("-event - other", -(2.0**63)),
        ("delta_eta(quantised, further)", -2.0),
        ("delta_r(quantised, 0, further, 0)", 2.0),
        ("max(quantised - further, -7)", -2),
        ("clip(quantised, -1, further)", 3),
        ("mass(3000000000, 0, 0, 5000000000)", 4e9),
    ],
)
def test_results_that_do_not_fit_into_an_integer_are_floating_point(text: str, value: float) -> None:
    assert np.ravel(Expression(text).evaluate(LARGE)).tolist() == [value]


FAR = {
    "u": np.array([BIG + 5, BIG + 7], np.uint64),
    "v": ak.Array(np.array([BIG, BIG + 9], np.uint64)),
    "small": np.array([2**62, 2**62 + 1], np.int64),
    "k": np.array([7, 9], np.int64),
    "z": np.array([0, 2], np.int64),
    "l": ak.Array([[2**62, 2**62], [1]]),
    "b": np.array([True, False]),
    "f": ak.Array([[1.0, 2.0], [3.0]]),
}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("u - v", [5, -2]),
        ("u - 9223372036854775807", [6, 8]),
        ("9223372036854775809 - u", [-4, -6]),
        ("u - small", [2**62 + 5, 2**62 + 6]),
        ("small - u", [-(2**62) - 5, -(2**62) - 6]),
        ("u == 9223372036854775813", [True, False]),
        ("max(u, v)", [BIG + 5, BIG + 9]),
        ("min(u, 3)", [3, 3]),
        ("u if k > 7 else 0", [0, BIG + 7]),
        ("k // z", [None, 4]),
        ("k % z", [None, 1]),
        ("u % z", [None, 1]),
        ("1 + k // z", [None, 5]),
        ("sum(l)", [2.0**63, 1.0]),
        ("where(b, f, 0)", [[1.0, 2.0], [0.0]]),
        ("at(f, 0)", [1.0, 3.0]),
    ],
)
def test_integers_at_the_edge(text: str, values: list[object]) -> None:
    """What 64 bits hold is exact; a division by 0 has no value."""
    found = ak.to_list(Expression(text).evaluate(FAR))
    if None in values:
        assert not np.isfinite(found[0])
        found[0] = None
    assert found == values


def test_one_far_row_does_not_make_the_others_wrong() -> None:
    scope = {"a": np.array([BIG + 5, 3], np.uint64), "b": np.array([BIG, 2**64 - 1], np.uint64)}
    with pytest.raises(CollidekitError, match="is a difference that does not fit into 64 bits in some rows"):
        Expression("a - b").evaluate(scope)
    assert ak.to_list(Expression("1.0 * a - b").evaluate(scope))[1] == 3 - 2.0**64


def test_a_position_is_a_whole_number() -> None:
    with pytest.raises(CollidekitError, match=r"a position must be a whole number, not 0\.5"):
        Expression("at(f, 0.5)").evaluate(FAR)


def test_an_infinite_extreme_is_no_nan() -> None:
    assert ak.to_list(ak.nan_to_none(Expression("max(l)").evaluate(LARGE))) == [np.inf, -np.inf, None]
    assert ak.to_list(ak.nan_to_none(Expression("min(-l)").evaluate(LARGE))) == [-np.inf, np.inf, None]


def test_any_and_all_need_conditions() -> None:
    assert ak.to_list(Expression("any(c)").evaluate(LARGE)) == [True, False, True]
    for text in ("any(l)", "all(l)"):
        with pytest.raises(CollidekitError, match="needs conditions"):
            Expression(text).evaluate(LARGE)
    assert ak.to_list(Expression("any(l > 0)").evaluate(LARGE)) == [True, False, False]
