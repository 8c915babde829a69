"""Uncertainties of predicted values, as a standard deviation or quantiles, and the predicted probability below the truth."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from collidekit.analysis.estimates import MEDIAN, Estimate, level_of
from collidekit.analysis.schema import Analysis

Array = NDArray[Any]
OF_ONE_DRAW = ("mode", "shell")
"""Columns of a flow that are one draw, so that the mean over members has no meaning."""
Join = Callable[[Sequence[Array]], Array]
SIGMAS = {1.0: 0.6826894921370859, 2.0: 0.9544997361036416}
"""Probability of the central interval of a normal distribution, by its half-width in standard deviations."""


@dataclass(frozen=True)
class Uncertainty:
    """Uncertainty of one value, as columns (N,) by suffix, such as ``sigma`` or ``q16``.

    ``pit`` is the predicted probability (N,) of values below the truth, if it cannot be computed from the columns; NaN
    if the truth is unknown.
    """

    target: str
    estimate: Estimate
    columns: Mapping[str, Array]
    log: bool = False
    """True if the logarithm of the value has the Gaussian uncertainty."""
    pit: Array | None = None

    @property
    def form(self) -> str:
        """Return the estimate and its columns as text; it must be the same for all members of an ensemble."""
        return f"{self.estimate}{' of its logarithm' if self.log else ''} ({', '.join(self.columns)})"

    def quantiles(self, value: Array) -> dict[float, Array]:
        """Return the quantiles (N,) by level, in ascending order; ``value (N,)`` is the estimate."""
        found = {level: column for key, column in self.columns.items() if (level := level_of(key)) is not None}
        found[MEDIAN] = self.columns.get("median", value)
        return dict(sorted(found.items()))

    def intervals(self, value: Array) -> list[tuple[float, Array, Array]]:
        """Return nominal coverage, lower and upper end (N,) of central intervals, the narrowest first.

        For a Gaussian, these are one and two standard deviations. Otherwise they are pairs of quantiles, such as the
        lowest and the highest.
        """
        if self.estimate == "gaussian":
            return [(chance, self._shift(value, -width), self._shift(value, width)) for width, chance in SIGMAS.items()]
        levels = list(quantiles := self.quantiles(value))
        pairs = [(levels[k], levels[-1 - k]) for k in range(len(levels) // 2) if levels[k] < MEDIAN < levels[-1 - k]]
        return [(high - low, quantiles[low], quantiles[high]) for low, high in reversed(pairs)]

    def _shift(self, value: Array, sigmas: float) -> Array:
        """Return the estimate shifted by a number of standard deviations, of its logarithm with ``log``."""
        sigma = self.columns["sigma"]
        moved: Array = value * np.exp(sigmas * np.arcsinh(sigma / value)) if self.log else value + sigmas * sigma
        return moved

    def cumulative(self, value: Array, truth: Array) -> Array:
        """Return the predicted probability (N,) of values below the truth; NaN if the truth is unknown.

        Between quantiles it is interpolated linearly. Below the lowest quantile it is half of its level, and similarly
        above the highest.
        """
        if self.estimate == "gaussian":
            with np.errstate(divide="ignore", invalid="ignore"):
                if self.log:
                    pulls = np.log(np.maximum(truth, 0.0) / value) / np.arcsinh(self.columns["sigma"] / value)
                else:
                    pulls = (truth - value) / self.columns["sigma"]
            found: Array = ndtr(pulls)
            return found
        if self.pit is not None:
            return self.pit
        return _between(self.quantiles(value), truth)

    def edges(self) -> tuple[float, ...]:
        """Return the edges of bins in which the distribution of ``cumulative`` is exact; empty if it is exact everywhere."""
        if self.estimate == "gaussian" or self.pit is not None:
            return ()
        levels = {level for key in self.columns if (level := level_of(key)) is not None}
        return (0.0, *sorted({*levels, MEDIAN}), 1.0)

    def describe(self) -> dict[str, Any]:
        """Return the metadata for a file, without the columns."""
        return {
            "target": self.target,
            "estimate": self.estimate,
            "columns": list(self.columns),
            "log": self.log,
            "pit": self.pit is not None,
        }

    @classmethod
    def read(cls, name: str, entry: Mapping[str, Any], columns: Mapping[str, Array]) -> "Uncertainty":
        """Return the uncertainty of a value from the metadata of ``describe`` and the columns of a file."""
        own = {suffix: columns[f"pred_{name}_{suffix}"] for suffix in entry["columns"]}
        return cls(
            entry["target"], entry["estimate"], own, entry["log"], columns[f"pit_{name}"] if entry["pit"] else None
        )


def _between(quantiles: Mapping[float, Array], truth: Array) -> Array:
    """Return the probability (N,) of values below the truth, linear between quantiles (N,) of ascending level."""
    levels, ends = np.array(list(quantiles)), np.stack(list(quantiles.values()))
    reached = (ends <= truth).sum(axis=0)  # number of quantiles at or below the truth
    place = np.clip(reached, 1, len(levels) - 1)
    rows = np.arange(len(truth))
    low, high = ends[place - 1, rows], ends[place, rows]
    part = np.divide(truth - low, high - low, out=np.zeros_like(truth), where=high > low)
    inside = levels[place - 1] + part * (levels[place] - levels[place - 1])
    found = np.select([reached == 0, reached == len(levels)], [levels[0] / 2, (1 + levels[-1]) / 2], inside)
    return np.where(np.isnan(truth), np.nan, found)


def uncertainties_of(columns: Mapping[str, Array], analysis: Analysis) -> dict[str, Uncertainty]:
    """Return the uncertainties from the columns of a model, for all values whose estimate has more than one number."""
    found = {}
    for key, target in analysis.regressions.items():
        for name in target.values if target.suffixes else ():
            own = {suffix: columns[f"pred_{name}_{suffix}"] for suffix in target.suffixes}
            log = target.estimate == "gaussian" and target.scale == "log"
            found[name] = Uncertainty(key, target.estimate, own, log, columns.get(f"pit_{name}"))
    return found


def densities_of(columns: Mapping[str, Array], analysis: Analysis) -> dict[str, Array]:
    """Return the negative logarithm (N,) of the joint density at the truth of each target that has one."""
    return {key: columns[f"nll_{key}"] for key in analysis.regressions if f"nll_{key}" in columns}


def join_uncertainties(members: Sequence[Mapping[str, Uncertainty]], joined: Join) -> dict[str, Uncertainty]:
    """Return the uncertainties of rows that several members have predicted; ``joined`` concatenates their columns."""
    found = {}
    for name, first in members[0].items():
        same = [member[name] for member in members]
        columns = {key: joined([one.columns[key] for one in same]) for key in first.columns}
        pits = [one.pit for one in same if one.pit is not None]
        found[name] = replace(first, columns=columns, pit=joined(pits) if pits else None)
    return found


def combine_uncertainties(
    members: Sequence[Uncertainty], values: Sequence[Array], combined: Join, combination: str
) -> tuple[Array, Uncertainty]:
    """Return estimate and uncertainty of an ensemble; ``combined`` computes the mean or median over the members.

    For Gaussians with ``mean``, the result is the mixture: the mean of the means, and σ² = mean of σ² + variance of the
    means (arXiv:1612.01474, sec. 2.4). With ``median``, both are medians. With the scale ``log``, this applies to the
    logarithm. For other estimates, each column is the mean or median over the members. Columns of one draw (mode,
    shell) and the probability below the truth of ``binned`` and ``flow`` cannot be combined and are left out; the
    probability is then computed from the quantiles.
    """
    first = members[0]
    if first.estimate != "gaussian":
        columns = {
            key: combined([one.columns[key] for one in members]) for key in first.columns if key not in OF_ONE_DRAW
        }
        return combined(values), replace(first, columns=columns, pit=None)
    means = [np.log(value) for value in values] if first.log else list(values)
    sigmas = [one.columns["sigma"] for one in members]
    if first.log:
        sigmas = [np.arcsinh(sigma / value) for sigma, value in zip(sigmas, values, strict=True)]
    mean = combined(means)
    if combination == "mean":
        squares = [(own - mean) ** 2 + sigma**2 for own, sigma in zip(means, sigmas, strict=True)]
        sigma = np.sqrt(combined(squares))
    else:
        sigma = combined(sigmas)
    mean, sigma = (np.exp(mean), np.exp(mean) * np.sinh(sigma)) if first.log else (mean, sigma)
    return mean, replace(first, columns={"sigma": sigma})
