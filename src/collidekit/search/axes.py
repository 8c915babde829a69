"""Axes for the values of a setting: linear, logarithmic for a logarithmic range, or one position for each value of a list."""

import json
import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator

from collidekit.evaluation.grid.results import shown
from collidekit.evaluation.plots.grid import is_geometric, shorten
from collidekit.search.parameter import Parameter


def label(parameter: Parameter) -> str:
    """Return the name of a setting without the prefix of its kind."""
    return parameter.name.removeprefix("model_options.").removeprefix("analysis.")


class SettingScale:
    """Positions of the values of a setting on an axis: linear or logarithmic for numbers, by the order of the list for others."""

    def __init__(self, parameter: Parameter) -> None:
        values = parameter.values
        self.numeric = not values or all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        self.numbers: list[Any] = sorted(values) if self.numeric else list(values)
        self.log = parameter.log or bool(self.numeric and values and is_geometric(self.numbers))
        if not values:
            self.numbers = [parameter.low, parameter.high]
        self._texts = [json.dumps(value) for value in self.numbers]
        self.is_list = bool(values)

    def place(self, value: Any) -> float:
        """Return the position of a value on an axis that is linear or, with ``log``, logarithmic."""
        return float(value) if self.numeric else float(self._texts.index(json.dumps(value)))

    def fraction(self, value: Any) -> float:
        """Return the position of a value between the lowest (0) and the highest (1)."""
        low, high = (self._raw(self.numbers[i]) for i in (0, -1))
        return (self._raw(value) - low) / (high - low) if high > low else 0.5

    def _raw(self, value: Any) -> float:
        return math.log(value) if self.log else self.place(value)

    def ticks(self) -> list[tuple[float, str]]:
        """Return the positions, as fractions, and the texts of ticks."""
        if self.is_list:
            return [(self.fraction(value), shorten(shown(value))) for value in self.numbers]
        low, high = self.numbers
        locator = LogLocator(subs=(1.0, 2.0, 5.0)) if self.log else MaxNLocator(5)
        inside = [float(tick) for tick in locator.tick_values(low, high) if low <= tick <= high]
        ends = inside if len(inside) >= 2 else [low, *inside, high]
        return [(self.fraction(tick), f"{tick:.4g}") for tick in ends]

    def arrange(self, axes: Axes) -> None:
        """Set scale, limits and ticks of an x axis."""
        if self.log:
            axes.set_xscale("log")
        if self.is_list:
            places = [self.place(value) for value in self.numbers]
            axes.set_xticks(places, [shorten(shown(value)) for value in self.numbers])
            axes.minorticks_off()
            axes.set_xlim(*_wider(places, self.log))
        else:
            axes.set_xlim(*_wider(self.numbers, self.log))


def _wider(places: Sequence[float], log: bool) -> tuple[float, float]:
    low, high = min(places), max(places)
    if log:
        margin = (high / low) ** 0.06
        return low / margin, high * margin
    margin = 0.06 * (high - low)
    return low - margin, high + margin
