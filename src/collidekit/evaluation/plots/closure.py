"""Injected, raw and corrected spin correlation of each method."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from collidekit.evaluation.dilepton.closure import Closure
from collidekit.evaluation.plots.style import Plot, colours, figure, mark, save


def plot_closure(stem: Path | None, found: Sequence[Closure], note: str = "") -> Plot:
    """Draw raw D (open) and corrected D (full) for each method (x) and correlation (colour); lines are the injected D."""
    methods = list(dict.fromkeys(one.method for one in found))
    kinds = list(dict.fromkeys(one.correlation for one in found))
    shifts = np.linspace(-0.25, 0.25, len(kinds)) if len(kinds) > 1 else np.zeros(1)
    with figure(7.4, 6.0) as canvas:
        axes = canvas.subplots()
        ends = [0.0]
        for kind, colour, shift, marker in zip(
            kinds, colours(len(kinds)), shifts, "os^vDP*X<>" * len(kinds), strict=False
        ):
            own = [one for one in found if one.correlation == kind]
            axes.axhline(own[0].truth, color=colour, linewidth=1.4, linestyle="--")
            places = np.array([methods.index(one.method) for one in own]) + shift
            for name, offset, fill in (("raw", -0.05, "none"), ("corrected", 0.05, colour)):
                values = np.array([getattr(one, name) for one in own])
                errors = np.array([getattr(one, f"{name}_error") for one in own])
                label = f"{kind}, {name}"
                axes.errorbar(
                    places + offset, values, errors, fmt=marker, color=colour, markerfacecolor=fill, linewidth=1.3, markersize=6, label=label
                )  # fmt: skip
                ends += [*(values - errors), *(values + errors), own[0].truth]
        known = np.array(ends)[np.isfinite(ends)]
        axes.set_ylim(known.min() - 0.08 * np.ptp(known) - 0.05, known.max() + 0.35 * np.ptp(known) + 0.05)
        for edge in np.arange(1, len(methods)) - 0.5:
            axes.axvline(edge, color="0.85", linewidth=0.8, zorder=0)
        slanted = len(methods) > 4
        axes.set_xticks(
            range(len(methods)), methods, rotation=25 if slanted else 0, ha="right" if slanted else "center"
        )
        axes.tick_params(axis="x", which="minor", length=0)
        axes.set_xlim(-0.5, len(methods) - 0.5)
        axes.set_ylabel(r"$D = -3\,\langle c_{hel}\rangle$")
        axes.legend(loc="upper center", ncols=len(kinds), fontsize=10, title="dashed: injected")
        mark(axes, note)
        return save(canvas, stem)
