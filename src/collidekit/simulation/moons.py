"""Two moons with a mass: a toy sample of the relegator classifier with a known best significance.

Signal and background are half circles with Gaussian noise in a plane, as in scikit-learn's ``make_moons``; the background is
rotated. The mass is the figure of merit and depends only on the class: a Gaussian peak on a falling exponential.
"""

from __future__ import annotations

import json
from math import exp, pi

import numpy as np
import uproot
from attrs import field, frozen, validators
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from collidekit.analysis.figure_of_merit import FigureOfMerit
from collidekit.errors import CollidekitError
from collidekit.simulation.columns import Columns

Floats = NDArray[np.float64]
REACH, STEP, ARCS = 5.0, 0.1, 20.0
"""Grid of the numerical densities in units of the noise: its margin around the moons, the size of its cells, and the
number of steps along a moon per unit."""


OF_THE_ANALYSIS = {"sig_fraction": "signal_fraction", "n_sigmas": "n_sigmas"}
"""Settings of the best significance that do not change the events, and their keys in ``figure_of_merit`` of an analysis file."""
NONE = 1e-200
"""Densities below this count as zero."""


@frozen
class Moons:
    """Parameters of the sample. Lengths have no unit; ``angle`` is in radians."""

    noise: float = field(default=0.2, validator=validators.gt(0))
    angle: float = 1.4
    sig_fraction: float = field(default=0.01, validator=(validators.gt(0), validators.lt(1)))
    min_mass: float = 0.0
    max_mass: float = 1.0
    mean: float = 0.5
    width: float = field(default=0.03, validator=validators.gt(0))
    beta: float = field(default=0.6, validator=validators.gt(0))
    n_sigmas: float = field(default=2.5, validator=validators.gt(0))

    def __attrs_post_init__(self) -> None:
        if not self.min_mass < self.mean < self.max_mass:
            raise ValueError(f"mean must be between min_mass {self.min_mass:g} and max_mass {self.max_mass:g}")

    def generate(self, rows: int, rng: np.random.Generator) -> Columns:
        """Return rows in random order, half of them signal (label 1)."""
        label = rng.permutation(np.arange(rows) % 2).astype(np.int32)
        signal = label == 1
        x = self._moon(rng.uniform(0, pi, rows), signal) + rng.normal(0, self.noise, (rows, 2))
        x[~signal] = self._turned(x[~signal])
        mass = np.where(signal, self._peak(rng.uniform(size=rows)), self._falling(rng.uniform(size=rows)))
        return {
            "x1": x[:, 0], "x2": x[:, 1], "mass": mass, "label": label, "event": np.arange(rows, dtype=np.int64),
        }  # fmt: skip

    def densities(self, x: Floats) -> tuple[Floats, Floats]:
        """Return the densities of signal and background at points (N, 2): sums of Gaussians along each moon."""
        t = (np.arange(round(pi * ARCS / self.noise)) + 0.5) / round(pi * ARCS / self.noise) * pi
        moons = [self._moon(t, np.ones(len(t), bool)), self._turned(self._moon(t, np.zeros(len(t), bool)))]
        found = []
        for moon in moons:
            apart = ((part[:, None] - place) ** 2 for part, place in zip(x.T, moon.T, strict=True))
            found.append(np.exp(-sum(apart) / (2 * self.noise**2)).mean(axis=1) / (2 * pi * self.noise**2))
        return found[0], found[1]

    def best_significance(self, events: float) -> float:
        """Return the largest possible S / sqrt(S + B) of ``events`` in the mass window, for any selection in the plane.

        The best selection is a cut on the ratio of the densities (Neyman and Pearson), which are summed over small cells. The
        window is ``mean`` plus and minus ``n_sigmas`` times ``width``.
        """
        signal, background = self._yields(events)
        cells, area = self._cells()
        of_signal, of_background = (np.concatenate(parts) for parts in zip(*map(self.densities, cells), strict=True))
        order = np.argsort(-of_signal / np.maximum(of_background, NONE), kind="stable")
        s = signal * np.cumsum(of_signal[order]) * area
        b = background * np.cumsum(of_background[order]) * area
        return float((s / np.sqrt(s + b)).max())

    def raw_significance(self, events: float) -> float:
        """Return S / sqrt(S + B) of all events in the mass window."""
        signal, background = self._yields(events)
        return float(signal / (signal + background) ** 0.5)

    def _yields(self, events: float) -> tuple[float, float]:
        """Return the expected signal and background in the mass window."""
        half = self.n_sigmas * self.width
        low, high = max(self.mean - half, self.min_mass), min(self.mean + half, self.max_mass)
        peak = ndtr((np.array([low, high]) - self.mean) / self.width)
        whole = ndtr((np.array([self.min_mass, self.max_mass]) - self.mean) / self.width)
        falling = [exp(-(mass - self.min_mass) / self.beta) for mass in (low, high, self.max_mass)]
        in_peak = float((peak[1] - peak[0]) / (whole[1] - whole[0]))
        in_falling = (falling[0] - falling[1]) / (1 - falling[2])
        return events * self.sig_fraction * in_peak, events * (1 - self.sig_fraction) * in_falling

    def _cells(self) -> tuple[list[Floats], float]:
        """Return the centres of the cells of the grid, row by row, and the area of a cell."""
        t = np.linspace(0, pi, 200)
        moons = [self._moon(t, np.ones(200, bool)), self._turned(self._moon(t, np.zeros(200, bool)))]
        places = np.concatenate(moons)
        size = STEP * self.noise
        first, last = places.min(axis=0) - REACH * self.noise, places.max(axis=0) + REACH * self.noise
        columns, rows = (np.arange(a, b, size) + size / 2 for a, b in zip(first, last, strict=True))
        return [np.stack([columns, np.full(len(columns), row)], axis=1) for row in rows], size**2

    @staticmethod
    def _moon(t: Floats, signal: NDArray[np.bool_]) -> Floats:
        upper = np.stack([np.cos(t), np.sin(t)], axis=1)
        lower = np.stack([1 - np.cos(t), 0.5 - np.sin(t)], axis=1)
        return np.where(signal[:, None], lower, upper)

    def _turned(self, x: Floats) -> Floats:
        c, s = np.cos(self.angle), np.sin(self.angle)
        return np.stack([x[:, 0] * c + x[:, 1] * s, x[:, 1] * c - x[:, 0] * s], axis=1)

    def _peak(self, u: Floats) -> Floats:
        low, high = ndtr((np.array([self.min_mass, self.max_mass]) - self.mean) / self.width)
        return np.asarray(self.mean + self.width * ndtri(low + u * (high - low)))

    def _falling(self, u: Floats) -> Floats:
        whole = 1 - exp(-(self.max_mass - self.min_mass) / self.beta)
        return np.asarray(self.min_mass - self.beta * np.log1p(-u * whole))


def moons(rows: int, rng: np.random.Generator, **settings: float) -> Columns:
    """Return rows of the two moons; the settings are those of ``Moons``."""
    try:
        return Moons(**settings).generate(rows, rng)
    except ValueError as error:
        raise CollidekitError(f"moons: {error}") from error


def moons_of(file: str) -> dict[str, float] | None:
    """Return the settings with which the moons in a ROOT file were simulated; None for other files."""
    if not file.endswith(".root"):
        return None
    with uproot.open(file) as content:
        if "simulated" not in content:
            return None
        made = json.loads(str(content["simulated"]))
    return dict(made["settings"]) if made.get("sample") == "moons" else None


def best_of_file(file: str, merit: FigureOfMerit) -> float | None:
    """Return the best significance of a figure of merit on moons with the settings of a file; None if it is unknown."""
    settings, mean, width = moons_of(file), merit.mean, merit.width
    if settings is None or merit.significance != "simple" or merit.signal_fraction is None or merit.events is None:
        return None
    if mean is None or width is None or abs(settings["mean"] - mean) + abs(settings["width"] - width) > 1e-9:
        return None
    expected = {"n_sigmas": merit.n_sigmas, "sig_fraction": merit.signal_fraction}
    return Moons(**{**settings, **expected}).best_significance(merit.events)
