"""The kinematics of an analysis: the bins in which the distributions of all classes are reweighted to one shape."""

from itertools import pairwise
from math import prod
from typing import Any

from pydantic import model_validator

from collidekit.analysis.features import Name, Strict

MOST_BINS = 1_000_000
"""Largest number of bins, counted over both variables."""


def _evenly(edges: Any) -> Any:
    """Convert ``{low: 20, high: 900, bins: 50}`` to 51 equidistant edges."""
    if not isinstance(edges, dict):
        return edges
    try:
        low, high, bins = (edges[key] for key in ("low", "high", "bins"))
        if len(edges) == 3 and isinstance(bins, int) and 1 <= bins <= 10_000 and float(low) < float(high):
            return [low + (high - low) * i / bins for i in range(bins)] + [high]
    except (KeyError, TypeError, ValueError):
        pass
    raise ValueError("give edges as a list, or as {low: 20, high: 900, bins: 50} with low < high")


class Kinematics(Strict):
    """One or two variables (such as jet pT and eta) in whose bins classes are reweighted to the shape of the reference."""

    bins: dict[Name, list[float]]
    reference: Name

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, data: Any) -> Any:
        """Collect the variables, which are written beside ``reference`` in the file."""
        if isinstance(data, dict) and "bins" not in data:
            bins = {key: _evenly(value) for key, value in data.items() if key != "reference"}
            return {"bins": bins, **({"reference": data["reference"]} if "reference" in data else {})}
        return data

    @model_validator(mode="after")
    def _edges(self) -> "Kinematics":
        if not 1 <= len(self.bins) <= 2:
            raise ValueError(f"needs one or two variables with bin edges, got {len(self.bins)}")
        if (cells := prod(len(edges) - 1 for edges in self.bins.values())) > MOST_BINS:
            raise ValueError(f"{cells:,} bins are too many (at most {MOST_BINS:,}); use wider bins")
        for name, edges in self.bins.items():
            if len(edges) < 2 or not all(a < b for a, b in pairwise(edges)):
                raise ValueError(f"the bin edges of {name} must be at least two, in ascending order")
        return self
