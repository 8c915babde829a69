"""The look of plots: labels, experiment, style and formats from the analysis and from the site.

Plots read the look from the context, like the settings of matplotlib: ``with look_of(analysis): plot_roc(...)``.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from collidekit.analysis.labels import without_latex
from collidekit.analysis.load import parse_yaml
from collidekit.analysis.plot_settings import PlotSettings
from collidekit.analysis.schema import RELEGATED, Analysis
from collidekit.errors import CollidekitError, did_you_mean

SITE = "COLLIDEKIT_PLOTS"
"""Environment variable with the path of the style file of a site: YAML with the keys of ``plots:``."""


@dataclass(frozen=True)
class Look:
    """Settings of plots, and labels by name."""

    settings: PlotSettings = field(default_factory=PlotSettings)
    classes: Mapping[str, str] = field(default_factory=dict)
    discriminators: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, analysis: Analysis | None) -> "Look":
        """Return the look of an analysis, which overrides the look of the site."""
        if analysis is None:
            return cls(site_settings())
        named = {name: entry.label for name, entry in analysis.discriminators.items() if entry.label}
        classes = {name: analysis.labels[name] for name in analysis.classes if name in analysis.labels}
        values = {
            name: analysis.labels[name]
            for name in (one for target in analysis.row_targets.values() for one in target.values)
            if name in analysis.labels
        }
        return cls(analysis.plots.over(site_settings()), classes, named, values)


_LOOK: ContextVar[Look | None] = ContextVar("look", default=None)


def look() -> Look:
    """Return the current look."""
    return _LOOK.get() or Look(site_settings())


@contextmanager
def look_of(analysis: Analysis | None, settings: PlotSettings | None = None) -> Iterator[Look]:
    """Use the labels and settings of an analysis, or other settings, for all plots in the block."""
    chosen = Look.of(analysis)
    if settings is not None:
        chosen = replace(chosen, settings=settings.over(chosen.settings))
    token = _LOOK.set(chosen)
    try:
        yield chosen
    finally:
        _LOOK.reset(token)


def class_label(name: str) -> str:
    """Return the label in plots for a class, or for a sum of classes such as ``c + light``."""
    known = look().classes
    return " + ".join(known.get(one, one) for one in name.split(" + "))


def discriminator_label(name: str) -> str:
    """Return the label in plots for a discriminator."""
    return look().discriminators.get(name, name)


def value_label(name: str) -> str:
    """Return the label in plots for a value of a target."""
    return look().values.get(name, name)


def class_text(name: str) -> str:
    """Return the label in tables for a class, without LaTeX."""
    return without_latex(class_label(name))


def discriminator_text(name: str) -> str:
    """Return the label in tables for a discriminator, without LaTeX."""
    return without_latex(discriminator_label(name))


def identity(analysis: Analysis) -> dict[str, Any]:
    """Return the part of the look that changes the content of plots and tables; empty if neither analysis nor site defines a look."""
    shown = analysis.shown
    settings = analysis.plots.over(site_settings()).model_dump(mode="json", exclude_none=True)
    return {"look": {**shown, "plots": settings} if settings else shown} if shown or settings else {}


def site_settings() -> PlotSettings:
    """Return the settings of the file in COLLIDEKIT_PLOTS; none if it is not set."""
    if not (named := os.environ.get(SITE, "")):
        return PlotSettings()
    path = Path(named).expanduser()
    try:
        return _read(str(path), path.stat().st_mtime_ns)
    except OSError as error:
        raise CollidekitError(
            f"{SITE}={named}: cannot be read ({error.strerror}); set it to a YAML file with plot settings"
        ) from None


@cache
def _read(name: str, modified: int) -> PlotSettings:
    try:
        text = Path(name).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CollidekitError(f"{name}: cannot be read as a text file ({error})") from None
    content, lines = parse_yaml(text, name, "a file of plot settings")
    if content is not None and not isinstance(content, dict):
        raise CollidekitError(f"{name}:1: a file of plot settings must contain lines 'key: value'; see docs/plots.md")
    try:
        return PlotSettings.model_validate(content or {})
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else ""
        where = lines.at((key,))
        if first["type"] == "extra_forbidden":
            known = sorted(PlotSettings.model_fields)
            raise CollidekitError(
                f"{where}: {key}: unknown key{did_you_mean(key, known)}; allowed are {', '.join(known)}"
            ) from None
        raise CollidekitError(f"{where}: {key}: {first['msg'].removeprefix('Value error, ')}") from None


def decision_label(name: str) -> str:
    """Return the label in plots for a decision: a class, or ``relegated``."""
    return name if name == RELEGATED else class_label(name)
