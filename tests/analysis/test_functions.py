"""Every function of expressions, against numpy or plain Python by hand on ragged rows with empty lists."""

import math
import re
from collections.abc import Callable
from typing import Any

import awkward as ak
import numpy as np
import pytest
import vector
from hypothesis import given, settings
from hypothesis import strategies as st

from collidekit.analysis.expressions import Expression
from collidekit.analysis.functions import FUNCTIONS
from collidekit.errors import CollidekitError

NAN = math.nan
X = [[0.3, -0.2, 0.9], [], [0.5], [-0.7, 0.1]]
Y = [[3.0, 1.0, 2.0], [], [5.0], [-1.0, 4.0]]
N = [2.0, -1.0, 0.0, 1.0]
SCOPE = {"x": ak.Array(X), "y": ak.Array(Y), "n": ak.Array(N), "i": ak.Array([1, 0, 0, 5])}


def value(text: str, scope: dict[str, Any] | None = None) -> Any:
    result = Expression(text).evaluate(SCOPE if scope is None else scope)
    return ak.to_list(result) if isinstance(result, ak.Array | np.ndarray) else result


def same(found: Any, expected: Any) -> bool:
    if isinstance(expected, list):
        return len(found) == len(expected) and all(same(a, b) for a, b in zip(found, expected, strict=True))
    return bool(np.isclose(found, expected, rtol=1e-12, atol=1e-12, equal_nan=True))


ELEMENTWISE: dict[str, Callable[[float], float]] = {
    **{name: getattr(math, name) for name in ("exp", "log1p", "expm1", "sin", "cos", "tan", "sinh", "cosh", "tanh")},
    "abs": abs,
    "arcsin": math.asin,
    "arccos": math.acos,
    "arctan": math.atan,
    "arcsinh": math.asinh,
    "arctanh": math.atanh,
    "floor": math.floor,
    "ceil": math.ceil,
    "sign": lambda x: math.copysign(1, x),
    "isfinite": math.isfinite,
    "isnan": math.isnan,
    "sqrt": lambda x: math.sqrt(x) if x >= 0 else NAN,
    "log": lambda x: math.log(x) if x > 0 else NAN,
    "log10": lambda x: math.log10(x) if x > 0 else NAN,
    "arccosh": lambda x: math.acosh(x) if x >= 1 else NAN,
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_elementwise(name: str) -> None:
    assert same(value(f"{name}(x)"), [[ELEMENTWISE[name](v) for v in row] for row in X])


EXPECTED = {
    "hypot(x, y)": [[math.hypot(a, b) for a, b in zip(p, q, strict=True)] for p, q in zip(X, Y, strict=True)],
    "arctan2(y, x)": [[math.atan2(b, a) for a, b in zip(p, q, strict=True)] for p, q in zip(X, Y, strict=True)],
    "clip(y, 0, 3)": [[3, 1, 2], [], [3], [0, 3]],
    "where(y > 1, x, -1)": [[0.3, -1, 0.9], [], [0.5], [-1, 0.1]],
    "where(n > 0, x, y)": [X[0], [], Y[2], X[3]],
    "where(1 > 0, n, 7)": N,
    "sum(y)": [6, 0, 5, 3],
    "sum(y > 1)": [2, 0, 1, 1],
    "mean(y)": [2, NAN, 5, 1.5],
    "std(y)": [np.std(Y[0]), NAN, 0, 2.5],
    "count(y)": [3, 0, 1, 2],
    "any(y > 3)": [False, False, True, True],
    "all(y > 0)": [True, True, True, False],
    "max(y)": [3, NAN, 5, 4],
    "min(y)": [1, NAN, 5, -1],
    "max(y, 2)": [[3, 2, 2], [], [5], [2, 4]],
    "min(y, n)": [[2, 1, 2], [], [0], [-1, 1]],
    "max(n, 1)": [2, 1, 1, 1],
    "argmax(y)": [0, -1, 0, 1],
    "argmin(y)": [1, -1, 0, 0],
    "at(y, 0)": [3, NAN, 5, -1],
    "at(y, 2)": [2, NAN, NAN, NAN],
    "at(y, -1)": [NAN] * 4,
    "at(y, i)": [1, NAN, 5, NAN],
    "at(y, n)": [2, NAN, 5, 4],
    "at(y, position(y) + 1)": [[1, 2, NAN], [], [NAN], [4, NAN]],
    "pick(x, argmax(y))": [0.3, NAN, 0.5, 0.1],
    "pick(y, position(y) - 1)": [[NAN, 3, 1], [], [NAN], [NAN, -1]],
    "first(x)": [0.3, NAN, 0.5, -0.7],
    "take(y, 2)": [[3, 1], [], [5], [-1, 4]],
    "take(y, 0)": [[], [], [], []],
    "sort(y)": [[3, 2, 1], [], [5], [4, -1]],
    "sort(x, y)": [[0.3, 0.9, -0.2], [], [0.5], [0.1, -0.7]],
    "position(y)": [[0, 1, 2], [], [0], [0, 1]],
    "spread(n, y)": [[2, 2, 2], [], [0], [1, 1]],
    "spread(4, y)": [[4, 4, 4], [], [4], [4, 4]],
    "list(n, i)": [[2, 1], [-1, 0], [0, 0], [1, 5]],
    "list(n, -1, n > 0)": [[2, -1, 1], [-1, -1, 0], [0, -1, 0], [1, -1, 1]],
    "list(first(x))": [[0.3], [NAN], [0.5], [-0.7]],
    "join(x, y)": [p + q for p, q in zip(X, Y, strict=True)],
    "join(list(n), y, y > 1)": [[n, *q, *(float(v > 1) for v in q)] for n, q in zip(N, Y, strict=True)],
    "pt(x, y)": [[math.hypot(a, b) for a, b in zip(p, q, strict=True)] for p, q in zip(X, Y, strict=True)],
    "phi(x, y)": [[math.atan2(b, a) for a, b in zip(p, q, strict=True)] for p, q in zip(X, Y, strict=True)],
    "delta_eta(y, 1)": [[2, 0, 1], [], [4], [-2, 3]],
}


@pytest.mark.parametrize("text", EXPECTED)
def test_by_hand(text: str) -> None:
    assert same(value(text), EXPECTED[text])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("list(x, n)", "one of these is a list in each row; join(a, b) joins lists"),
        ("list(1, 2)", "needs at least one number of the row"),
        ("join(x, n)", "one of these is not a list in each row; list(a, b) makes a list of numbers"),
        ("join(x)", "join takes (list1, list2, ...), not 1 arguments"),
    ],
)
def test_lists_of_what_is_none(text: str, said: str) -> None:
    with pytest.raises(CollidekitError, match=re.escape(said)):
        value(text)


def test_lists_of_integers_stay_integers() -> None:
    large = ak.Array([2**60 + 1, 2**60 + 3])
    assert value("list(a, a + 1)", {"a": large}) == [[2**60 + 1, 2**60 + 2], [2**60 + 3, 2**60 + 4]]
    lists = ak.Array([[2**60 + 1], []])
    assert value("join(a, a)", {"a": lists}) == [[2**60 + 1] * 2, []]


VECTORS = ["eta", "rapidity", "mass", "px", "py", "pz", "energy", "delta_phi", "delta_r", "pair_mass"]


def test_every_function_is_tested_somewhere() -> None:
    tested = {*ELEMENTWISE, *VECTORS, *(text.split("(")[0] for text in EXPECTED)}
    assert tested == set(FUNCTIONS)


def particles(rows: int = 500) -> tuple[dict[str, Any], Any]:
    """Ragged particles of mass 0.14 to 5 GeV as names of a scope, and as ``vector`` sees them."""
    generator = np.random.default_rng(5)
    counts = generator.integers(0, 5, rows)
    total = int(counts.sum())
    four = vector.array(
        {
            "pt": generator.exponential(50, total) + 0.5,
            "eta": generator.normal(0, 1.5, total),
            "phi": generator.uniform(-np.pi, np.pi, total),
            "mass": generator.uniform(0.14, 5, total),
        }
    )
    names = ("px", "py", "pz", "energy", "pt", "eta", "phi", "mass", "rapidity")
    return {f"p_{name}": ak.unflatten(getattr(four, name), counts) for name in names}, four


@pytest.mark.parametrize(
    ("text", "name", "tolerance"),
    [
        ("pt(p_px, p_py)", "pt", 1e-12),
        ("eta(p_px, p_py, p_pz)", "eta", 1e-12),
        ("phi(p_px, p_py)", "phi", 1e-12),
        ("mass(p_px, p_py, p_pz, p_energy)", "mass", 1e-6),
        ("rapidity(p_pz, p_energy)", "rapidity", 1e-9),
        ("px(p_pt, p_phi)", "px", 1e-12),
        ("py(p_pt, p_phi)", "py", 1e-12),
        ("pz(p_pt, p_eta)", "pz", 1e-12),
        ("energy(p_pt, p_eta, p_mass)", "energy", 1e-12),
    ],
)
def test_four_vectors_agree_with_vector(text: str, name: str, tolerance: float) -> None:
    scope, four = particles()
    found = ak.to_numpy(ak.flatten(Expression(text).evaluate(scope)))
    np.testing.assert_allclose(found, getattr(four, name), rtol=tolerance, atol=tolerance)


def test_delta_phi_and_delta_r_agree_with_vector() -> None:
    scope, four = particles()
    other = vector.obj(pt=1, eta=0.4, phi=3.1, mass=0)
    phi = ak.flatten(Expression("delta_phi(p_phi, 3.1)").evaluate(scope))
    distance = ak.flatten(Expression("delta_r(p_eta, p_phi, 0.4, 3.1)").evaluate(scope))
    np.testing.assert_allclose(phi, four.deltaphi(other), atol=1e-12)
    np.testing.assert_allclose(distance, four.deltaR(other), atol=1e-12)


@given(st.floats(-20, 20), st.floats(-20, 20))
def test_delta_phi_wraps(a: float, b: float) -> None:
    found = value("delta_phi(a, b)", {"a": a, "b": b})
    assert -math.pi <= found <= math.pi
    assert math.cos(found) == pytest.approx(math.cos(a - b), abs=1e-9)
    assert math.sin(found) == pytest.approx(math.sin(a - b), abs=1e-9)


@settings(max_examples=30)
@given(st.floats(-3, 3), st.floats(-0.95, 0.95))
def test_mass_of_a_jet_is_invariant_under_rotations_and_boosts(angle: float, beta: float) -> None:
    scope, four = particles(50)
    text = "mass(sum(p_px), sum(p_py), sum(p_pz), sum(p_energy))"
    before = ak.to_numpy(Expression(text).evaluate(scope))
    counts = ak.num(scope["p_px"])
    for moved in (four.rotateX(angle), four.rotateZ(angle), four.boostZ(beta=beta), four.boostX(beta=beta)):
        changed = {f"p_{name}": ak.unflatten(getattr(moved, name), counts) for name in ("px", "py", "pz", "energy")}
        np.testing.assert_allclose(ak.to_numpy(Expression(text).evaluate(changed)), before, rtol=1e-6, atol=1e-4)


def test_mass_is_zero_where_rounding_makes_its_square_negative() -> None:
    assert value("mass(3, 4, 0, 5 - 1e-15)") == 0


def test_nan_members_are_passed_over_by_extremes_and_sorted_last() -> None:
    scope = {"x": ak.Array([[1.0, NAN, 3.0], [NAN, NAN], [-math.inf]])}
    assert same(value("max(x)", scope), [3, NAN, -math.inf])
    assert same(value("min(x)", scope), [1, NAN, -math.inf])
    assert same(value("sort(x)", scope), [[3, 1, NAN], [NAN, NAN], [-math.inf]])
    assert value("argmax(x)", scope)[0] == 2
    assert same(value("sum(x)", scope)[:2], [NAN, NAN])


def test_reductions_of_integers_and_conditions_keep_their_numbers() -> None:
    scope = {"k": ak.Array([[1, 2], [], [7]])}
    assert same(value("max(k)", scope), [2, NAN, 7])
    assert same(value("mean(k > 1)", scope), [0.5, NAN, 1])
    assert same(value("first(k == 7)", scope), [0, NAN, 1])


def test_no_rows_at_all() -> None:
    scope = {"x": ak.Array([[1.0]])[:0], "n": np.zeros(0)}
    for text in ("at(x, 0)", "max(x)", "std(x)", "sum(x)", "sort(x)", "pick(x, argmax(x))", "where(n > 0, 1, 2)"):
        assert value(text, scope) == []


def test_picks_from_lists_that_rows_share_or_hold_in_any_layout() -> None:
    """Jets of an event share its lists; a selection leaves gaps; take gives views."""
    shared = SCOPE["y"][[0, 0, 3, 0]]
    scope = {"y": shared, "i": ak.Array([[2, 0], [1], [-1, 0, 1], []])}
    for index in (np.arange(4), np.array([3, 1]), np.array([2, 2, 0])):
        here = {name: values[index] for name, values in scope.items()}
        expected = [[[2, 3], [1], [NAN, -1, 4], []][k] for k in index]
        assert same(value("pick(y, i)", here), expected)
        assert same(value("at(take(y, 1), i)", here), [[NAN if x in (1, 2, 4) else x for x in row] for row in expected])
    assert same(value("pick(y > 1, i)", scope), [[1, 1], [0], [NAN, 0, 1], []])
    assert same(value("pick(y, i)", {"y": ak.Array([[], []])[:, :0], "i": ak.Array([[-1], []])}), [[NAN], []])
    regular = {"y": ak.Array(np.arange(6.0).reshape(2, 3)), "i": ak.Array([[2], [0, 1]])}
    assert same(value("pick(y, i)", regular), [[2], [3, 4]])


def test_row_index_picks_from_a_list() -> None:
    """The built-in index is a numpy array and not an awkward one."""
    assert same(value("at(y, k)", {**SCOPE, "k": np.array([0, 0, 0, 1])}), [3, NAN, 5, 4])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sum(n)", "needs a list in each row"),
        ("at(n, 0)", "needs a list in each row"),
        ("at(lists, 0)", "list of lists"),
        ("pick(lists, position(y))", "list of lists"),
        ("pick(y, i)", "index 0 points beyond the end of a list of 0"),
        ("pick(y, position(y) + 1)", "index 3 points beyond the end of a list of 3"),
        ("take(y, -1)", "whole number"),
        ("take(y, n)", "whole number"),
        ("take(y, 1.5)", "whole number"),
        ("sort(y, short)", "different lengths"),
        ("y + short", "different lengths"),
        ("sum(y, x)", "takes (list), not 2 arguments"),
        ("delta_r(x, y)", "takes (eta1, phi1, eta2, phi2), not 2 arguments"),
    ],
)
def test_misuse_is_one_clear_line(text: str, said: str) -> None:
    scope = {**SCOPE, "short": ak.Array([[1.0], [], [1.0], [1.0]]), "lists": ak.Array([[[1.0]], [], [], [[2.0], []]])}
    with pytest.raises(CollidekitError) as error:
        Expression(text, "a.yaml:3").evaluate(scope)
    assert str(error.value).startswith(f"a.yaml:3: {text!r}: ")
    assert said in str(error.value)
    assert "\n" not in str(error.value)
