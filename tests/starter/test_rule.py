"""The rule of init for transforms, bounds and defaults, on typical distributions."""

import numpy as np
import pytest

from collidekit.analysis.expressions import Expression
from collidekit.starter.rule import HEAVY, choose, kind_of, reach

RANDOM = np.random.default_rng(1)
NORMAL = RANDOM.normal(size=5000)
SIGNS = RANDOM.choice([-1.0, 1.0], 5000)


def written(values: np.ndarray) -> tuple[str, np.ndarray]:
    """Return the expression for a feature x, and its values within the bounds."""
    choice = choose("x", values)
    found = np.asarray(Expression(choice.expression).evaluate({"x": values}), dtype=np.float64)
    found = np.where(np.isfinite(found), found, choice.default or 0.0)
    return choice.expression, np.clip(found, *choice.bounds) if choice.bounds else found


@pytest.mark.parametrize(
    ("values", "expression"),
    [
        (NORMAL, "x"),
        (RANDOM.uniform(0, 1, 5000), "x"),
        (1e6 + NORMAL, "x"),
        (np.exp(2 * NORMAL), "log(x)"),
        (RANDOM.exponential(30, 5000) + 1e-3, "log(x)"),
        (SIGNS * np.exp(2 * NORMAL), "arcsinh(x / 2)"),
        (np.where(RANDOM.random(5000) < 0.3, 0, np.exp(2 * NORMAL)), "arcsinh(x / 2)"),
        (np.where(RANDOM.random(5000) < 0.9, 0, RANDOM.uniform(0, 1, 5000)), "x"),
        (1e-9 * NORMAL + np.where(RANDOM.random(5000) < 0.1, RANDOM.uniform(0, 1, 5000), 0), "x"),
        (SIGNS, "x"),
        (np.round(RANDOM.exponential(2, 5000)), "x"),
    ],
)
def test_the_expression(values: np.ndarray, expression: str) -> None:
    assert written(values)[0] == expression


@pytest.mark.parametrize("power", [1, 2, 3])
@pytest.mark.parametrize("signed", [False, True])
def test_no_tail_squashes_the_bulk(power: float, signed: bool) -> None:
    """For any tails, 99 % of the inputs of a network span at least two widths of the scaling, and no value is far away."""
    values = np.exp(power * NORMAL) * (SIGNS if signed else 1)
    values[:5] *= 1e6
    found = written(values)[1]
    low, high = np.percentile(found, [0.5, 99.5])
    assert (high - low) / found.std() > 2
    assert np.abs(found - np.median(found)).max() < 12 * found.std()
    assert reach(found) < 2 * HEAVY


def test_a_sentinel_becomes_the_default() -> None:
    values = np.where(RANDOM.random(5000) < 0.3, -999.0, np.exp(2 * NORMAL))
    choice = choose("x", values)
    assert choice.expression.startswith("log(x) if x > -")
    assert choice.default is not None
    missing = written(values)[1] == choice.default
    assert np.array_equal(missing, values == -999)
    assert "-999 (" in choice.notes[0]
    assert -12 < choice.default < np.log(np.exp(2 * NORMAL)).min() + 2


def test_missing_values_and_outliers() -> None:
    choice = choose("x", np.where(RANDOM.random(5000) < 0.2, np.nan, NORMAL))
    assert choice.default is not None
    assert -5 < choice.default < -2
    assert "are NaN or infinite" in choice.notes[-1]
    outliers = NORMAL.copy()
    outliers[::1000] = 1e30
    bounds = choose("x", outliers).bounds
    assert bounds is not None
    assert -8 < bounds[0] < NORMAL.min()
    assert NORMAL.max() < bounds[1] < 8


@pytest.mark.parametrize(
    ("values", "default"),
    [
        (np.arange(5000) % 9, -1),  # -0.8 is no count
        (np.arange(5000) % 2, -1),
        (np.where(np.arange(5000) < 3, -1, np.arange(5000) % 9), -2),
        (4 + np.arange(5000) % 3, 3),
        (np.arange(5000) % 9 - 4, -5),
    ],
)
@pytest.mark.parametrize("missing", [np.nan, -999.0])
def test_the_default_of_whole_numbers_is_whole(values: np.ndarray, default: float, missing: float) -> None:
    choice = choose("k", np.where(np.arange(5000) % 11, values, missing))
    assert choice.kind in ("integer", "flag")
    assert choice.default == default


def test_bounds_of_what_is_never_negative_begin_at_0() -> None:
    bounds = choose("x", RANDOM.uniform(0, 1, 5000)).bounds
    assert bounds is not None
    assert bounds[0] == 0
    assert 1 < bounds[1] <= 2


def test_kinds() -> None:
    assert kind_of(np.array([0, 1, 1])) == "flag"
    assert kind_of(np.array([-1, 1])) == "integer"
    assert kind_of(np.array([0.0, 7.0])) == "integer"
    assert kind_of(np.array([0.5, 1.0])) == "continuous"


def test_few_values_are_left_alone() -> None:
    assert choose("x", np.array([1.0, 2.5, 1e9])).expression == "x"
