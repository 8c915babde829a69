"""The mass before and after a selection: the remaining peak and the background below it."""

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from matplotlib.axes import Axes

from collidekit.errors import CollidekitError
from collidekit.evaluation.numbers import with_error
from collidekit.evaluation.plots.style import Plot, colours, figure, mark, save
from collidekit.evaluation.rows import Bools, Floats
from collidekit.evaluation.significance.peak_fit import PeakFit, fit_range

BINS = 50
ROOM, ROOM_FIT = 1.5, 1.8
"""Height of the axis over the height of the highest bin, without and with a fit, to leave room for text and legend."""
SIMPLE = r"$S/\sqrt{S+B}$"


class WindowYields(Protocol):
    """Expected events in the window, and their significance with its statistical error."""

    @property
    def signal(self) -> float: ...
    @property
    def background(self) -> float: ...
    @property
    def value(self) -> float: ...
    @property
    def error(self) -> float: ...


def plot_masses(
    stem: Path | None,
    mass: Floats,
    signal: Bools,
    selected: Bools,
    weights: Floats,
    window: tuple[float, float],
    label: str,
    fit: PeakFit | tuple[PeakFit | None, PeakFit | None] | None,
    significances: tuple[WindowYields, WindowYields],
    note: str = "",
    measure: str = SIMPLE,
) -> Plot:
    """Draw expected events in bins of the mass: all events on the left, selected events on the right.

    ``mass``, ``signal``, ``selected`` and the expected yields ``weights`` are (N,). ``fit`` is the fit to the selected events, or
    a pair (all, selected). ``label`` is the mass with its unit; ``measure`` the formula of the significance.
    """
    if not len(mass):
        raise CollidekitError("no events: there is no mass to draw")
    fits = fit if isinstance(fit, tuple) else (None, fit)
    edges = np.linspace(*fit_range(mass, window), BINS + 1)
    with figure(12.0, 5.6) as canvas:
        panels = canvas.subplots(1, 2)
        kept = (("before the selection", np.ones(len(mass), bool)), ("after the selection", selected))
        for axes, (title, rows), fitted, found in zip(panels, kept, fits, significances, strict=True):
            top = _draw_stack(axes, mass[rows], signal[rows], weights[rows], edges)
            room = ROOM if fitted is None else ROOM_FIT
            _draw_window(axes, window)
            if fitted is not None:
                _draw_fit(axes, fitted, edges)
            axes.set_xlim(edges[0], edges[-1])
            axes.set_ylim(0, room * top)
            axes.set_xlabel(label)
            axes.set_ylabel(f"expected events / {edges[1] - edges[0]:.3g}{_unit(label)}")
            axes.legend(loc="upper left", fontsize=10)
            _write(axes, title, found, measure, fitted, _unit(label))
        mark(panels[0], note, panels[1])
        return save(canvas, stem)


def _draw_stack(axes: Axes, mass: Floats, signal: Bools, weights: Floats, edges: Floats) -> float:
    """Draw the background, the signal on top, and the statistical error of the sum; return the height of the highest bin."""
    sides = [np.histogram(mass[side], edges, weights=weights[side])[0] for side in (~signal, signal)]
    base: Floats = np.zeros(len(edges) - 1)
    for name, height, colour in zip(("background", "signal"), sides, colours(2), strict=True):
        axes.stairs(base + height, edges, baseline=base, fill=True, color=colour, alpha=0.75, linewidth=0, label=name)
        base = base + height
    error = np.sqrt(np.histogram(mass, edges, weights=weights**2)[0])
    hatch: dict[str, Any] = {"fill": True, "facecolor": "none", "edgecolor": "black", "hatch": "/////", "linewidth": 0}
    axes.stairs(base + error, edges, baseline=base - error, label="statistical error", **hatch)
    return float(max((base + error).max(), 1e-9))


def _draw_window(axes: Axes, window: tuple[float, float]) -> None:
    axes.axvspan(*window, facecolor="black", alpha=0.08, linewidth=0, label="window", zorder=0.5)
    for end in window:
        axes.axvline(end, color="0.4", linestyle=":", linewidth=1.0, zorder=0.6)


def _draw_fit(axes: Axes, fit: PeakFit, edges: Floats) -> None:
    x, step = np.linspace(edges[0], edges[-1], 600), edges[1] - edges[0]
    quality = rf"fit, $\chi^2$/ndf = {fit.chi2:.0f}/{fit.degrees}" if fit.degrees > 0 else "fit"
    colour = "0.55" if fit.doubt else "black"
    axes.plot(x, step * fit.total(x), color=colour, linewidth=1.6, label=quality)
    axes.plot(x, step * fit.background(x), color=colour, linestyle="--", linewidth=1.4, label="background of the fit")


def _write(axes: Axes, title: str, found: WindowYields, measure: str, fit: PeakFit | None, unit: str) -> None:
    lines = [f"in the window: $S$ = {_events(found.signal)},  $B$ = {_events(found.background)}"]
    lines += [f"{measure} = {with_error(found.value, found.error)}"]
    if fit is not None:
        lines += [f"fitted peak: {with_error(fit.amplitude, fit.amplitude_error)} events"]
        lines += [f"mean {with_error(fit.mean, fit.mean_error)}{unit}"]
        lines += [f"width {with_error(fit.width, fit.width_error)}{unit}"]
        lines += [fit.doubt] if fit.doubt else []
    place: dict[str, Any] = {"transform": axes.transAxes, "ha": "right", "va": "top"}
    axes.text(0.97, 0.97, title, fontsize=12, fontweight="bold", **place)
    for number, line in enumerate(lines):  # one text for each line: a root would push the next line down
        axes.text(0.97, 0.905 - 0.052 * number, line, fontsize=10.5, **place | {"va": "center_baseline"})


def _events(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 100 else f"{number:.3g}"


def _unit(label: str) -> str:
    return " " + label[label.rindex("[") + 1 : -1] if label.endswith("]") and "[" in label else ""
