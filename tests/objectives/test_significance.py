"""The significance and its derivatives, against formulas in closed form and finite differences."""

import numpy as np
import pytest

from collidekit.objectives.significance import Significance

KINDS = [Significance(), Significance("asimov"), Significance("asimov", 0.1), Significance("asimov", 0.5)]


def test_simple() -> None:
    assert Significance()(30.0, 6.0) == pytest.approx(5.0)
    np.testing.assert_allclose(Significance()(np.array([30.0, 0.0]), np.array([6.0, 5.0])), [5.0, 0.0])


def test_asimov_without_and_with_a_systematic_error() -> None:
    # of few signal events on many: S / sqrt(B + (b_sys B)^2), arXiv 1806.00322, eq. 2.1
    assert Significance("asimov")(1.0, 1e6) == pytest.approx(1e-3, rel=1e-3)
    assert Significance("asimov", 0.01)(10.0, 1e4) == pytest.approx(10 / np.sqrt(1e4 + 1e4), rel=1e-2)
    # the formula itself, with numbers put in by hand
    s, b, v = 20.0, 50.0, 25.0
    squared = 2 * (
        (s + b) * np.log((s + b) * (b + v) / (b**2 + (s + b) * v)) - b**2 / v * np.log(1 + v * s / (b * (b + v)))
    )
    assert Significance("asimov", 0.1)(s, b) == pytest.approx(np.sqrt(squared), rel=1e-9)


def test_a_small_systematic_error_changes_little() -> None:
    assert Significance("asimov", 1e-3)(20.0, 50.0) == pytest.approx(Significance("asimov")(20.0, 50.0), rel=1e-4)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize(("s", "b"), [(5.0, 80.0), (50.0, 10.0), (900.0, 12000.0)])
def test_slopes_are_those_of_finite_differences(kind: Significance, s: float, b: float) -> None:
    value, by_signal, by_background = kind.slopes(s, b)
    assert value == pytest.approx(kind(s, b))
    h, k = 1e-3 * s, 1e-3 * b
    assert by_signal == pytest.approx((kind(s + h, b) - kind(s - h, b)) / (2 * h), rel=1e-4)
    assert by_background == pytest.approx((kind(s, b + k) - kind(s, b - k)) / (2 * k), rel=1e-4)
    assert by_signal > 0 > by_background


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_no_signal_has_none_and_no_background_is_finite(kind: Significance) -> None:
    assert kind(0.0, 10.0) == 0.0
    assert np.isfinite(kind(10.0, 0.0))
