"""Settings of plots: experiment label, energy, luminosity, style, formats and sizes."""

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, field_validator

from collidekit.analysis.features import Name, Strict
from collidekit.analysis.labels import Label

Positive = Annotated[FiniteFloat, Field(gt=0)]
Format = Literal["pdf", "svg", "eps"]
Style = Literal["collidekit", "CMS", "ATLAS", "LHCb", "ALICE", "DUNE"]


class PlotSettings(Strict):
    """The appearance of all plots of an analysis or a site."""

    experiment: Label | None = None
    """``CMS``, ``ATLAS``, ``LHCb``, ``none`` or any text; the default is the name of the program."""
    status: Label | None = None
    """The text after the experiment, such as ``Preliminary``, ``Internal`` or ``Work in progress``."""
    simulation: bool | None = None
    """True if all test files are simulation. Only then do plots show ``Simulation``."""
    energy: Positive | None = None
    """Centre-of-mass energy in TeV."""
    luminosity: Positive | None = None
    """Integrated luminosity in 1/fb."""
    note: bool | None = None
    """True if the analysis and the training are shown above the frame; the default is yes."""
    style: Style | None = None
    """``collidekit``, or a style of mplhep."""
    formats: Annotated[list[Format], Field(max_length=3)] | None = None
    """Formats of each plot in addition to PNG, which reports show; the default is PDF."""
    size: Annotated[FiniteFloat, Field(ge=0.3, le=3)] | None = None
    """Factor on the width and height of the picture; the text keeps its size."""
    dpi: Annotated[int, Field(ge=50, le=1200)] | None = None
    """Pixels per inch of PNG files; the default is 150."""
    masses: list[Name] | None = None
    """Spectators whose spectra are drawn before and after the cut; the default is all with ``mass`` in their name."""

    @field_validator("formats")
    @classmethod
    def _once(cls, value: list[Format] | None) -> list[Format] | None:
        if value and len(set(value)) < len(value):
            raise ValueError(f"a format is given twice: {', '.join(value)}")
        return value

    def over(self, site: "PlotSettings") -> "PlotSettings":
        """Return these settings, with the settings of a site where these are not given."""
        return site.model_copy(update=self.model_dump(exclude_none=True))

    @property
    def other_formats(self) -> tuple[str, ...]:
        """The suffixes of each plot other than ``.png``."""
        return tuple(["pdf"] if self.formats is None else self.formats)
