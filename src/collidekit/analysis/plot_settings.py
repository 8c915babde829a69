"""How plots look: label of the experiment, energy, luminosity, style, formats and sizes."""

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, field_validator

from collidekit.analysis.features import Name, Strict
from collidekit.analysis.labels import Label

Positive = Annotated[FiniteFloat, Field(gt=0)]
Format = Literal["pdf", "svg", "eps"]
Style = Literal["collidekit", "CMS", "ATLAS", "LHCb", "ALICE", "DUNE"]


class PlotSettings(Strict):
    """The look of all plots of an analysis, or of a site."""

    experiment: Label | None = None
    """``CMS``, ``ATLAS``, ``LHCb``, ``none`` or a text of the user's; without it, the name of the program."""
    status: Label | None = None
    """What stands behind the experiment, such as ``Preliminary``, ``Internal`` or ``Work in progress``."""
    simulation: bool | None = None
    """Whether all test files are simulation. Only then ``Simulation`` stands on the plots."""
    energy: Positive | None = None
    """Centre-of-mass energy in TeV."""
    luminosity: Positive | None = None
    """Integrated luminosity in 1/fb."""
    note: bool | None = None
    """Whether analysis and training stand above the frame; without it they do."""
    style: Style | None = None
    """``collidekit``, or a style of mplhep."""
    formats: Annotated[list[Format], Field(max_length=3)] | None = None
    """Formats of each plot beside PNG, which reports show; PDF without it."""
    size: Annotated[FiniteFloat, Field(ge=0.3, le=3)] | None = None
    """Factor on width and height of the picture; letters keep their size."""
    dpi: Annotated[int, Field(ge=50, le=1200)] | None = None
    """Pixels per inch of PNG files; 150 without it."""
    masses: list[Name] | None = None
    """Spectators whose spectrum is drawn before and after the cut; without it those whose name contains ``mass``."""

    @field_validator("formats")
    @classmethod
    def _once(cls, value: list[Format] | None) -> list[Format] | None:
        if value and len(set(value)) < len(value):
            raise ValueError(f"a format stands twice: {', '.join(value)}")
        return value

    def over(self, site: "PlotSettings") -> "PlotSettings":
        """Return these settings, with those of a site where these say nothing."""
        return site.model_copy(update=self.model_dump(exclude_none=True))

    @property
    def other_formats(self) -> tuple[str, ...]:
        """The suffixes of each plot beside ``.png``."""
        return tuple(["pdf"] if self.formats is None else self.formats)
