"""Points of a grid: figures of each training, their mean and spread over seeds, and the best point."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from collidekit.errors import CollidekitError
from collidekit.evaluation.numbers import with_error

LOSS = "val_loss"
CHANGES_LOSS = frozenset(
    {
        "objective", "loss_function", "label_smoothing", "focal_gamma", "loss_weighting", "significance_weight",
        "significance_warmup", "expected_yields", "disco_weight",
    }
)  # fmt: skip
"""Settings whose values change the definition of the validation loss, so that losses cannot be compared."""


@dataclass(frozen=True)
class Trained:
    """One training: its figures on the validation rows, at the selected epoch."""

    seed: int
    folder: str
    epoch: int
    figures: dict[str, float]
    parameters: int
    """Number of trainable parameters of the network."""
    cpu_seconds: float


@dataclass(frozen=True)
class Point:
    """Values of the settings, and the trainings with each seed; ``failed`` has the error of each failed seed."""

    settings: dict[str, Any]
    trained: list[Trained]
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return ", ".join(f"{name} {shown(value)}" for name, value in self.settings.items())

    def mean(self, figure: str) -> float:
        """Return the mean of a figure over seeds, NaN if no training has it."""
        values = [one.figures[figure] for one in self.trained if figure in one.figures]
        return float(np.mean(values)) if values else math.nan

    def spread(self, figure: str) -> float | None:
        """Return the standard deviation over seeds (n - 1); None with fewer than two."""
        values = [one.figures[figure] for one in self.trained if figure in one.figures]
        return float(np.std(values, ddof=1)) if len(values) > 1 else None

    @property
    def parameters(self) -> int | None:
        return self.trained[0].parameters if self.trained else None

    @property
    def cpu_seconds(self) -> float:
        """Return the mean over seeds."""
        return float(np.mean([one.cpu_seconds for one in self.trained])) if self.trained else math.nan

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> "Point":
        return cls(dict(content["settings"]), [Trained(**one) for one in content["trained"]], dict(content["failed"]))


@dataclass(frozen=True)
class Grid:
    """All points of a grid, and the figure that selects the best one."""

    points: list[Point]
    figure: str
    """Figure of merit: the smallest is best for ``val_loss``, the largest for fractions such as ``val_accuracy``."""

    @property
    def settings(self) -> list[str]:
        return list(self.points[0].settings)

    @property
    def figures(self) -> list[str]:
        """Return the figure that selects the best point, and the fractions of correct rows of the trainings."""
        found = [name for point in self.points for one in point.trained for name in one.figures]
        return list(dict.fromkeys([self.figure, *(name for name in found if name == LOSS or is_share(name))]))

    def order(self) -> list[int]:
        """Return the numbers of the points, the best first; points without a training are last."""
        sign = 1.0 if self.figure == LOSS else -1.0
        keys = [sign * point.mean(self.figure) for point in self.points]
        return sorted(range(len(keys)), key=lambda i: (math.isnan(keys[i]), keys[i]))

    @property
    def best(self) -> Point:
        best = self.points[self.order()[0]]
        if not best.trained:
            raise CollidekitError("no point of the grid was trained")
        return best

    def cells(self) -> tuple[list[str], list[list[str]]]:
        """Return header and rows of the table, the best point first."""
        header = [*self.settings, *map(title, self.figures), "parameters", "CPU time (s)"]
        rows = []
        for i in self.order():
            point = self.points[i]
            values = [shown(value) for value in point.settings.values()]
            if not point.trained:
                rows.append([*values, *["failed"] * (len(self.figures) + 2)])
                continue
            found = [with_error(point.mean(name), point.spread(name)) for name in self.figures]
            few = f" ({len(point.failed)} failed)" if point.failed else ""
            rows.append([*values, found[0] + few, *found[1:], f"{point.parameters:,}", f"{point.cpu_seconds:,.1f}"])
        return header, rows


def choose_figure(settings: Sequence[str], points: Sequence[Point]) -> tuple[str, str]:
    """Return the figure that selects the best point, and the reason if it is not the validation loss.

    Losses of different functions cannot be compared; then a fraction of correct rows is used.
    """
    changed = [name for name in settings if name in CHANGES_LOSS]
    if not changed:
        return LOSS, ""
    common = [set(one.figures) for point in points for one in point.trained]
    shares = [name for name in (sorted(set.intersection(*common)) if common else []) if is_share(name)]
    if not shares:
        raise CollidekitError(
            f"--over {changed[0]}: validation losses of different {changed[0]} cannot be compared, and the trainings have no accuracy"
        )
    figure = "val_accuracy" if "val_accuracy" in shares else shares[0]
    return figure, f"the best point is selected by {title(figure)}: losses of different {changed[0]} cannot be compared"


def is_share(name: str) -> bool:
    """Return whether a figure is a fraction of correct validation rows."""
    return name.startswith("val_") and name.endswith(("accuracy", "efficiency"))


def title(figure: str) -> str:
    """Return ``validation loss`` for ``val_loss``."""
    return figure.replace("val_", "validation ", 1).replace("_", " ")


def shown(value: Any) -> str:
    """Return the value of a setting as text."""
    return f"{value:g}" if isinstance(value, float) else str(value)
