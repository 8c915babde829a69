"""Fit of a peak on a falling background: yield, mean and width from a binned fit."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import OptimizeWarning, curve_fit
from scipy.stats import chi2 as chi2_distribution

from collidekit.evaluation.rows import Floats

SIDES = 6.0
"""Range of the fit and its plot on both sides of the window, in widths of the window, where there are events."""
BINS_PER_WIDTH, FEWEST_BINS, MOST_BINS = 2.0, 20, 200
LEAST_FILLED = 10
FEWEST_EVENTS = 5.0
"""Minimum number of events in a bin of chi2."""
PEAK_PARAMETERS = 3
"""Number of parameters of the peak (amplitude, mean, width): if all are free, a fit finds a peak in many fluctuations."""
LEAST_SIGNIFICANT, LEAST_PROBABLE = 0.0027, 0.001
"""Limit of p-values: a peak with a larger one may be a fluctuation; a fit with a smaller one does not describe the masses."""
SMOOTH = 5
"""Number of bins over which sum w^2 is averaged: with errors from single bins, bins with downward fluctuations would have too much weight."""
EDGE = 1e-3
"""Minimum distance of width or mean from its bound, as a fraction of the range; closer means that no peak was found."""


@dataclass(frozen=True)
class PeakFit:
    """Gaussian peak on an exponential background between ``low`` and ``high``; errors are one standard deviation."""

    amplitude: float
    """Yield of the whole peak."""
    mean: float
    width: float
    background_yield: float
    """Yield of the background between ``low`` and ``high``."""
    slope: float
    """The background falls as exp(-slope * mass); in 1 / unit of the mass."""
    amplitude_error: float
    mean_error: float
    width_error: float
    background_yield_error: float
    slope_error: float
    chi2: float
    degrees: int
    """Degrees of freedom: bins, joined until each holds five events, less the five parameters; 0 where there are too few."""
    low: float
    high: float

    @property
    def p_value(self) -> float:
        """Return the probability of a larger chi2; 1 without degrees of freedom."""
        return float(chi2_distribution.sf(self.chi2, self.degrees)) if self.degrees > 0 else 1.0

    @property
    def doubt(self) -> str:
        """Return the reason why the numbers of the peak are not reliable; empty if there is none."""
        by_chance = float(chi2_distribution.sf(max(self.amplitude / self.amplitude_error, 0.0) ** 2, PEAK_PARAMETERS))
        if by_chance > LEAST_SIGNIFICANT:
            return f"no significant peak: p = {by_chance:.1g}"
        return f"the fit is poor: p = {self.p_value:.1g}" if self.p_value < LEAST_PROBABLE else ""

    def total(self, x: ArrayLike) -> Floats:
        """Return the expected events per unit of mass at masses x (M,)."""
        peak = _peak(np.asarray(x, dtype=np.float64), self.amplitude, self.mean, self.width)
        return np.asarray(peak + self.background(x))

    def background(self, x: ArrayLike) -> Floats:
        """Return the background per unit of mass at x (M,)."""
        mass = np.asarray(x, dtype=np.float64)
        return _falling(mass - self.low, self.high - self.low, self.background_yield, self.slope)


def fit_range(mass: Floats, window: tuple[float, float]) -> tuple[float, float]:
    """Return the range of the masses (N,) for fit and plot: at most ``SIDES`` widths of the window beyond it."""
    reach = SIDES * (window[1] - window[0])
    low, high = (float(mass.min()), float(mass.max())) if len(mass) else window
    return min(max(low, window[0] - reach), window[0]), max(min(high, window[1] + reach), window[1])


def fit_peak(mass: Floats, weights: Floats, window: tuple[float, float]) -> PeakFit | None:
    """Fit a peak by least squares to masses (N,) with expected yields ``weights`` (N,); errors of bins are sqrt(sum w^2).

    The mean is searched in the window, the width below half of it. The result is None with fewer than ten filled bins, or if no
    peak was found: no convergence, or mean or width at a bound.
    """
    low, high = fit_range(mass, window)
    half = (window[1] - window[0]) / 2
    bins = math.ceil((high - low) / (half / 3) * BINS_PER_WIDTH)
    edges = np.linspace(low, high, min(max(bins, FEWEST_BINS), MOST_BINS) + 1)
    height, square = (np.histogram(mass, edges, weights=w)[0].astype(np.float64) for w in (weights, weights**2))
    near = np.convolve(square, np.ones(SMOOTH), "same") / np.convolve(np.ones(len(square)), np.ones(SMOOTH), "same")
    used = near > 0
    if (square > 0).sum() < LEAST_FILLED:
        return None
    centres, step, sigma = ((edges[1:] + edges[:-1]) / 2)[used], edges[1] - edges[0], np.sqrt(near[used])

    def bin_contents(x: Floats, amplitude: float, mean: float, width: float, yield_: float, slope: float) -> Floats:
        return np.asarray(step * (_peak(x, amplitude, mean, width) + _falling(x - low, high - low, yield_, slope)))

    middle, total = sum(window) / 2, float(height.sum())
    bounds = np.array([[-np.inf, window[0], half / 30, -np.inf, -np.inf], [np.inf, window[1], half, np.inf, np.inf]])
    start = _start(centres, height[used], step, window, (middle, half / 3, total, 1 / (high - low)))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", OptimizeWarning)
            found, covariance = curve_fit(
                bin_contents,
                centres,
                height[used],
                start,
                sigma,
                absolute_sigma=True,
                bounds=bounds,
                x_scale=_scale(start),
            )
    except (RuntimeError, ValueError, OptimizeWarning):
        return None
    errors = np.sqrt(np.diag(covariance))
    inside = np.minimum(found - bounds[0], bounds[1] - found)[1:3] > EDGE * (bounds[1] - bounds[0])[1:3]
    if not inside.all() or not np.isfinite(errors).all():
        return None
    chi2, bins = _quality(height[used], near[used], bin_contents(centres, *found))
    numbers: list[Any] = [*map(float, found), *map(float, errors)]
    degrees = max(bins - len(found), 0)
    return PeakFit(*numbers, chi2 if degrees else 0.0, degrees, low, high)  # type: ignore[call-arg]


def _quality(height: Floats, square: Floats, expected: Floats) -> tuple[float, int]:
    """Return chi2 and the number of bins with variances ``square``; bins are joined from the left until each holds the weight of five events.

    The rest joins the last bin. Empty bins and bins of a few events are not Gaussian: without joining, every fit would look good.
    """
    groups: list[list[int]] = [[]]
    for place in range(len(height)):
        groups[-1].append(place)
        one = groups[-1]
        if square[one].sum() > 0 and height[one].sum() ** 2 / square[one].sum() >= FEWEST_EVENTS:
            groups.append([])
    rest = groups.pop()
    if groups:
        groups[-1] += rest
    chi2 = sum((height[one].sum() - expected[one].sum()) ** 2 / square[one].sum() for one in groups)
    return float(chi2), len(groups)


def _start(
    x: Floats, height: Floats, step: float, window: tuple[float, float], guess: tuple[float, float, float, float]
) -> Floats:
    """Return the background from the bins outside the window, and a peak in its middle with the remaining yield."""
    middle, width, total, slope = guess
    outside = ((x < window[0]) | (x > window[1])) & (height > 0)
    yield_, low, reach = total, x[0] - step / 2, x[-1] - x[0] + step
    if outside.sum() > 2:
        falling = np.polyfit(x[outside], np.log(height[outside]), 1)
        slope, yield_ = -float(falling[0]), float(np.exp(np.polyval(falling, x)).sum())
    peak = height - step * _falling(x - low, reach, yield_, slope)
    inside = (x >= window[0]) & (x <= window[1])
    return np.array([max(float(peak[inside].sum()), 0.01 * total), middle, width, yield_, slope])


def _scale(start: Floats) -> Floats:
    return np.asarray(np.maximum(np.abs(start), 1e-6 * np.abs(start).max()))


def _peak(x: Floats, amplitude: float, mean: float, width: float) -> Floats:
    return np.asarray(amplitude * np.exp(-(((x - mean) / width) ** 2) / 2) / (width * math.sqrt(2 * math.pi)))


def _falling(x: Floats, reach: float, yield_: float, slope: float) -> Floats:
    """Return ``yield_`` events between 0 and ``reach``; a flat line if the slope is 0."""
    turns = min(max(slope * reach, -500.0), 500.0)
    share = 1.0 if abs(turns) < 1e-8 else -math.expm1(-turns) / turns
    return np.asarray(yield_ / (reach * share) * np.exp(-turns * x / reach))
