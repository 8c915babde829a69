"""Defaults, bounds, sentinels and outliers far from the bulk are named; what ships has none of them."""

import numpy as np
import pytest

from collidekit.analysis.features import Feature
from collidekit.dataset.far_values import far_values, find_sentinel, suggested_default
from collidekit.dataset.statistics import FeatureStatistics
from collidekit.shipped import find_analysis

NORMAL = np.random.default_rng(1).normal(size=6000).astype(np.float32)


def said(values: np.ndarray, **keys: object) -> str:
    feature = Feature.model_validate({"name": "x", **keys})
    return "; ".join(far_values("ev.x", feature, FeatureStatistics.of(values.astype(np.float32), feature)))


def test_a_default_is_far_or_near() -> None:
    missing = np.where(np.arange(6000) % 5 < 4, -3, 0.05 * NORMAL)
    assert "its default -3 lies 57 widths" in said(missing, default=-3)
    assert "80.0% of its values" in said(missing, default=-3)
    near = np.where(np.arange(6000) % 5 < 4, -0.25, 0.05 * NORMAL)
    assert said(near, default=-0.25) == ""


def test_a_bound_is_far_or_near() -> None:
    assert "its bound 100 lies 97 widths" in said(NORMAL, bounds=(-5, 100))
    assert said(NORMAL, bounds=(-5, 5)) == ""


@pytest.mark.parametrize(("value", "share"), [(-999, 0.3), (-999, 0.01), (-99, 0.3), (999, 0.3), (1e30, 0.01)])
def test_a_sentinel(value: float, share: float) -> None:
    values = np.where(np.random.default_rng(2).random(6000) < share, np.float32(value), NORMAL)
    assert f"ev.x is {value:g} in " in said(values)
    assert "`expression: x if x " in said(values)
    assert (found := find_sentinel(values.astype(np.float64))) is not None
    assert found.share == pytest.approx(share, rel=0.2)


def test_few_outliers_squash_the_bulk() -> None:
    values = NORMAL.copy()
    values[::1000] = 1e30 * (1 + np.arange(6))
    assert "limit them with `bounds: [" in said(values)
    assert said(values, scaling="robust") == ""


@pytest.mark.parametrize(
    "values",
    [
        NORMAL,
        np.exp(NORMAL),
        np.sign(NORMAL),
        NORMAL > 1,
        np.round(np.exp(NORMAL)),
        np.maximum(NORMAL, 0),
        1e6 + NORMAL,
    ],
)
def test_what_is_usual_is_not_named(values: np.ndarray) -> None:
    assert said(values) == ""


def test_a_default_from_the_bulk() -> None:
    assert suggested_default(0.1, 4.0) == 0
    assert -0.5 <= suggested_default(-0.19, 0.19) < -0.19
    assert suggested_default(0.93, 1.0) == pytest.approx(0.923, abs=0.005)
    assert suggested_default(0, 8) == pytest.approx(-0.8, abs=0.01)
    assert suggested_default(0, 8, whole=True) == -1
    assert suggested_default(-3, 8, whole=True) == -5


def test_the_defaults_of_angles_that_ship() -> None:
    text = find_analysis("jet_flavour_2016").read_text()
    assert "delta_eta_jet, default: -0.4}" in text
    assert "delta_phi_jet, default: -0.4}" in text
