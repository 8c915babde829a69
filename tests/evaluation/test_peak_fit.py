"""Fit of a peak on a falling background, on samples with known truth."""

import numpy as np
import pytest

from collidekit.evaluation.significance.peak_fit import fit_peak

WINDOW = (0.425, 0.575)


def sample(seed: int, signal: int = 2000, background: int = 20_000) -> np.ndarray:
    random = np.random.default_rng(seed)
    falling = -0.6 * np.log1p(-random.uniform(size=background) * (1 - np.exp(-1 / 0.6)))
    return np.concatenate([random.normal(0.5, 0.03, signal), falling])


def test_the_truth_comes_back_within_errors() -> None:
    pulls = []
    for seed in range(40):
        mass = sample(seed)
        found = fit_peak(mass, np.ones(len(mass)), WINDOW)
        assert found is not None
        truth = (2000, 0.5, 0.03, 1 / 0.6)
        values = (found.amplitude, found.mean, found.width, found.slope)
        errors = (found.amplitude_error, found.mean_error, found.width_error, found.slope_error)
        pulls.append((np.array(values) - truth) / errors)
    assert np.abs(np.mean(pulls, axis=0)).max() < 0.6  # 40 samples: 0.16 is one standard deviation
    assert 0.6 < np.std(pulls, axis=0).min() < np.std(pulls, axis=0).max() < 1.5


def test_weights_scale_the_yields() -> None:
    mass = sample(1)
    one, half = (fit_peak(mass, np.full(len(mass), weight), WINDOW) for weight in (1.0, 0.5))
    assert one is not None
    assert half is not None
    assert half.amplitude == pytest.approx(one.amplitude / 2, rel=1e-3)
    assert half.amplitude_error == pytest.approx(one.amplitude_error / 2, rel=1e-2)
    assert half.mean == pytest.approx(one.mean, rel=1e-4)


def test_densities_hold_the_yields() -> None:
    mass = sample(2)
    found = fit_peak(mass, np.ones(len(mass)), WINDOW)
    assert found is not None
    x = np.linspace(found.low, found.high, 20_001)
    middle, step = (x[1:] + x[:-1]) / 2, x[1] - x[0]
    assert found.background(middle).sum() * step == pytest.approx(found.background_yield, rel=1e-3)
    whole = found.total(middle).sum() * step
    assert whole == pytest.approx(found.background_yield + found.amplitude, rel=1e-3)


def test_too_few_rows_are_no_fit() -> None:
    assert fit_peak(np.array([0.5, 0.6]), np.ones(2), WINDOW) is None
