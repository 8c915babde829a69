"""Labels of experiment, energy and luminosity, and the styles of mplhep."""

from typing import Any

from collidekit.analysis.plot_settings import PlotSettings
from collidekit.extras import need

PROGRAM = "collidekit"
TAKEN = ("font.family", "font.serif", "font.sans-serif", "mathtext.", "axes.unicode_minus", "legend.frameon")
"""Prefixes of the settings that are taken from a style: the fonts. Sizes, ticks and colours are the same for all styles."""
NAMES = {"LHCb": "LHCb2"}
"""Styles with a different name in mplhep."""


def experiment_label(settings: PlotSettings) -> str:
    """Return the label above the left end of the frame: ``CMS`` in bold, ``Simulation Preliminary`` in italics.

    Without an experiment it is the name of the program; with ``none`` only the status is shown.
    """
    simulation = "simulation" if settings.experiment in (None, "LHCb") else "Simulation"
    words = [simulation] if settings.simulation else []
    words += [settings.status] if settings.status else []
    status = " ".join(words)
    match settings.experiment:
        case "none":
            parts = [_math("it", status)]
        case "ATLAS":
            parts = [_math("bfit", "ATLAS"), status]
        case "LHCb":
            parts = ["LHCb", status]
        case None:
            parts = [_math("bf", PROGRAM), _math("it", status)]
        case text:
            parts = [_math("bf", text), _math("it", status)]
    return "  ".join(filter(None, parts))


def collisions(settings: PlotSettings) -> str:
    """Return luminosity and energy in the notation of the experiment; empty without both."""
    energy = f"{settings.energy:g} TeV" if settings.energy else ""
    luminosity = rf"{settings.luminosity:g} fb$^{{-1}}$" if settings.luminosity else ""
    if settings.experiment == "CMS":
        return " ".join(filter(None, (luminosity, energy and f"({energy})")))
    return ", ".join(filter(None, (energy and rf"$\sqrt{{s}}$ = {energy}", luminosity)))


def style_of(settings: PlotSettings) -> dict[str, Any]:
    """Return the fonts of a style of mplhep as settings of matplotlib."""
    if settings.style in (None, "collidekit"):
        return {}
    styles = need("mplhep", "mplhep").style
    style = dict(getattr(styles, NAMES.get(str(settings.style), str(settings.style))))
    found: dict[str, Any] = {key: value for key, value in style.items() if key.startswith(TAKEN)}
    if "mathtext.bf" in found:
        found["mathtext.bfit"] = f"{found['mathtext.bf']}:italic".replace(":bold:italic", ":italic:bold")
    return found


def _math(font: str, text: str) -> str:
    """Return a text in another font; a text with its own LaTeX is returned unchanged."""
    if not text or text.count("$") > 1:
        return text
    letters = text.replace("-", "\u2010")  # in LaTeX a hyphen is a minus
    escaped = "".join(f"\\{letter}" if letter in "_%&#^ " else letter for letter in letters if letter not in "\\{}$")
    return rf"$\{font}{{{escaped}}}$"
