"""The figure of merit of an analysis: the variable and window in which the significance of a signal is measured."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat, field_validator, model_validator

from collidekit.analysis.features import Fraction, Name, Strict

Positive = Annotated[FiniteFloat, Field(gt=0)]
NotNegative = Annotated[FiniteFloat, Field(ge=0)]


class FigureOfMerit(Strict):
    """A variable such as a mass, a window around the signal peak in it, and the events expected in real data.

    The variable is a spectator and never an input. The window is ``mean`` +- ``n_sigmas`` * ``width``, or is given directly.
    """

    variable: Name
    signal: Annotated[list[Name], Field(min_length=1)]
    mean: FiniteFloat | None = None
    width: Positive | None = None
    n_sigmas: Positive = 2.5
    window: tuple[FiniteFloat, FiniteFloat] | None = None
    events: Positive | None = None
    """Number of expected events before any cut or window; ``signal_fraction`` of them are signal."""
    signal_fraction: Fraction | None = None
    yields: dict[Name, NotNegative] = {}  # noqa: RUF012  # pydantic copies it
    """Expected events of each class, instead of ``events`` and ``signal_fraction``."""
    significance: Literal["simple", "asimov"] = "simple"
    """S / sqrt(S + B), or the significance of the Asimov data set (arXiv 1806.00322)."""
    background_uncertainty: NotNegative = 0.0
    """Relative systematic uncertainty of the background, for ``asimov``."""

    @field_validator("signal", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value

    @model_validator(mode="after")
    def _complete(self) -> "FigureOfMerit":
        if (self.window is None) == (self.mean is None or self.width is None):
            raise ValueError("needs either 'mean' and 'width' or a 'window' [low, high]")
        low, high = self.limits
        if not low < high:
            raise ValueError(f"the window [{low:g}, {high:g}] must have low < high")
        if bool(self.yields) == (self.events is not None and self.signal_fraction is not None):
            raise ValueError("needs either 'events' and 'signal_fraction' or 'yields' of each class")
        if self.background_uncertainty and self.significance != "asimov":
            raise ValueError("'background_uncertainty' only applies to 'significance: asimov'")
        return self

    @property
    def limits(self) -> tuple[float, float]:
        """Lower and upper end of the window; both belong to it."""
        if self.window is not None:
            return self.window
        assert self.mean is not None
        assert self.width is not None
        half = self.n_sigmas * self.width
        return self.mean - half, self.mean + half

    def is_signal(self, classes: Sequence[str]) -> list[bool]:
        """Return for each class whether it is signal."""
        return [name in self.signal for name in classes]

    def expected(self, weights: Mapping[str, float]) -> list[float]:
        """Return the expected events of each class; classes of one kind divide them in proportion to their sums of weights."""
        if self.yields:
            return [self.yields[name] for name in weights]
        assert self.events is not None
        assert self.signal_fraction is not None
        both = [
            sum(weight for name, weight in weights.items() if (name in self.signal) == side) for side in (True, False)
        ]
        shares = {True: self.signal_fraction / both[0], False: (1 - self.signal_fraction) / both[1]}
        return [self.events * shares[name in self.signal] * weight for name, weight in weights.items()]
