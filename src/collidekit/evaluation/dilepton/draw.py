"""Plots of a comparison of methods for dileptonic top pairs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from collidekit.evaluation.dilepton.accuracy import purity_in_bins
from collidekit.evaluation.dilepton.closure import INCLUSIVE, THRESHOLD, Closure
from collidekit.evaluation.dilepton.complementarity import Overlap
from collidekit.evaluation.dilepton.resolution import Resolution
from collidekit.evaluation.dilepton.response import Response
from collidekit.evaluation.dilepton.sample import MASS, Sample
from collidekit.evaluation.dilepton.spin import ALL, TRUTH, SpinLine
from collidekit.evaluation.plots.closure import plot_closure
from collidekit.evaluation.plots.heat_maps import plot_overlaps, plot_responses
from collidekit.evaluation.plots.methods import plot_methods
from collidekit.evaluation.rows import Floats

EVERYWHERE = ("top_pt", "ttbar_mass", "neutrino_pz")
"""Quantities that are drawn in all bins."""
IN_MASS = ("top_y", "top_phi", "ttbar_pt", "w_pt", "c_hel")
"""Quantities that are drawn in bins of known m(tt) only. The CSV file has all quantities in all bins."""


def draw_purities(folder: Path, sample: Sample, note: str) -> list[Path]:
    """Draw the fraction of right events among events with a solution, in each kind of bins."""
    found = []
    for number, bins in enumerate(sample.bins):
        points = {}
        for name in sample.positions:
            purity = purity_in_bins(sample, name, number)
            points[name] = (purity.value, purity.error)
        stem = folder / f"purity_{bins.name}"
        panel = ("fraction right (with solution)", points)
        plot_methods(stem, bins.texts, bins.label, [panel], list(sample.positions), note, limits=(0.0, 1.15))
        found.append(stem)
    return found


def draw_overlaps(folder: Path, overlaps: Sequence[Overlap], note: str) -> list[Path]:
    """Draw heat maps of the union, and of the events that only one method assigns correctly."""
    stems = []
    for part, name in (("union", "complementarity"), ("only_first", "only_one_right")) if overlaps else ():
        plot_overlaps(folder / name, overlaps, part, note)
        stems.append(folder / name)
    return stems


def draw_resolutions(folder: Path, sample: Sample, found: Sequence[Resolution], note: str) -> list[Path]:
    """Draw width and bias of each quantity in bins."""
    stems = []
    order = list(sample.methods)
    for quantity in dict.fromkeys(one.quantity for one in found):
        own = {one.method: one for one in found if one.quantity == quantity}
        unit = f" [{quantity.unit}]" if quantity.unit else ""
        drawn = sample.bins if quantity.name in EVERYWHERE else ()
        if quantity.name in IN_MASS:
            drawn = tuple(bins for bins in sample.bins if bins.name == "m_tt")
        for bins in drawn:
            panels = []
            for number, title in (("width", f"width of {quantity.residual}{unit}"), ("bias", f"bias{unit}")):
                points: dict[str, tuple[Floats, Floats]] = {}
                for name, one in own.items():
                    spreads = one.bins[bins.name]
                    values, errors = ([getattr(s, key) for s in spreads] for key in (number, f"{number}_error"))
                    points[name] = (np.array(values), np.array(errors))
                panels.append((title, points))
            stem = folder / f"resolution_{quantity.name}_{bins.name}"
            plot_methods(stem, bins.texts, bins.label, panels, order, note, zero=True)
            stems.append(stem)
    return stems


def draw_responses(folder: Path, sample: Sample, found: Sequence[Response], note: str) -> list[Path]:
    """Draw the response matrices of all methods, and stability and purity, of m(tt) and c_hel."""
    stems = []
    for name in dict.fromkeys(one.name for one in found if one.name != "c_han"):
        own = [one for one in found if one.name == name]
        plot_responses(folder / f"response_{name}", own, note)
        panels = [
            (what, {one.method: (getattr(one, what).value, getattr(one, what).error) for one in own})
            for what in ("stability", "purity")
        ]
        label = f"{own[0].label}, true (stability) or of the method (purity)"
        plot_methods(folder / f"stability_{name}", own[0].texts, label, panels, list(sample.methods), note)
        stems += [folder / f"response_{name}", folder / f"stability_{name}"]
    return stems


def draw_spin(folder: Path, sample: Sample, found: Sequence[SpinLine], note: str) -> list[Path]:
    """Draw D in bins of m(tt) before any correction, for each injected correlation."""
    stems = []
    texts = list(dict.fromkeys(line.mass_bin for line in found if line.mass_bin != ALL))
    for kind in dict.fromkeys(line.correlation for line in found):
        points = {}
        for name in (TRUTH, *sample.methods):
            lines = [e for e in found if (e.correlation, e.method) == (kind, name) and e.mass_bin != ALL]
            if lines:
                points[name] = (np.array([e.d for e in lines]), np.array([e.d_error for e in lines]))
        truth = points.pop(TRUTH)
        stem = folder / f"spin_correlation_{kind.replace(' ', '_')}"
        label = f"{MASS} of truth or method [GeV]"
        plot_methods(
            stem, texts, label, [(f"D before correction, {kind}", points)], list(sample.methods), note, truth=truth
        )
        stems.append(stem)
    return stems


def draw_closure(folder: Path, found: Sequence[Closure], threshold: float, note: str) -> list[Path]:
    """Draw injected, raw and corrected D, for all events and in the threshold region."""
    stems = []
    for region in (INCLUSIVE, THRESHOLD):
        where = "all events" if region == INCLUSIVE else f"{MASS} < {threshold:g} GeV"
        stem = folder / f"spin_closure_{region}"
        plot_closure(stem, [one for one in found if (one.observable, one.region) == ("D", region)], f"{note}, {where}")
        stems.append(stem)
    return stems
