"""Tables of a comparison of methods for dileptonic top pairs, and CSV files with all numbers."""

from collections.abc import Sequence
from math import isfinite
from pathlib import Path
from typing import Any

from collidekit.evaluation.binomial import Efficiency
from collidekit.evaluation.dilepton.accuracy import Accuracy, purity_in_bins
from collidekit.evaluation.dilepton.closure import INCLUSIVE, THRESHOLD, Closure
from collidekit.evaluation.dilepton.complementarity import Overlap
from collidekit.evaluation.dilepton.resolution import COMMON, OWN, QUANTITIES, Resolution
from collidekit.evaluation.dilepton.response import Response
from collidekit.evaluation.dilepton.sample import Sample
from collidekit.evaluation.dilepton.spin import ALL, SpinLine
from collidekit.evaluation.residuals import Spread
from collidekit.evaluation.sheet import NOTHING, Sheet, of_efficiency, shown, write_csv

SPREAD = ("bias", "bias_error", "width", "width_error", "deviation", "deviation_error")
MEANING = {
    "width": "Width: half the distance between the 16th and the 84th percentile",
    "bias": "Bias: weighted mean",
    "deviation": "Weighted standard deviation",
}
RESIDUALS = (
    "of (estimate - truth) / truth for pT(t), m(t), pT(W), m(W) and m(tt̄), of estimate - truth for all others (momenta in GeV), each "
    "for events with a solution of the method"
)


def accuracy_sheet(found: Sequence[Accuracy]) -> Sheet:
    """Return the fractions of right events of each method."""
    header = (
        "method", "right", "right, all", "right pair", "right pair, all", "order", "answered", "precision", "F1",
    )  # fmt: skip
    rows = tuple(
        (
            one.method, of_efficiency(one.both["matchable"]), of_efficiency(one.both["all"]), of_efficiency(one.either["matchable"]),
            of_efficiency(one.either["all"]), of_efficiency(one.order), of_efficiency(one.answered), of_efficiency(one.precision),
            shown(one.f1.value, one.f1.error) if one.f1 else NOTHING,
        )
        for one in found
    )  # fmt: skip
    caption = (
        "Assignment of both jets. Right: each jet with its lepton, among events that contain both true jets (recall); all: among all "
        "events. Right pair: with any lepton. Order: right among events with the right pair. Precision: right among events "
        "with a solution. F1: harmonic mean of precision and recall."
    )
    return Sheet("assignment", header, rows, caption)


def write_accuracy(folder: Path, found: Sequence[Accuracy]) -> Path:
    """Write ``assignment.csv``: a row for each method and number."""
    rows: list[list[Any]] = []
    for one in found:
        numbers: dict[tuple[str, str], Efficiency | None] = {
            **{("right", among): entry for among, entry in one.both.items()},
            **{("right pair", among): entry for among, entry in one.either.items()},
            **{(slot, among): entry for slot, own in one.slots.items() for among, entry in own.items()},
            ("order", "right pair"): one.order,
            ("answered", "all"): one.answered,
            ("precision", "answered"): one.precision,
            ("recall", "matchable"): one.recall,
        }
        for (what, among), entry in numbers.items():
            cells = (entry.value, entry.error, entry.passed, entry.total) if entry else (None,) * 4
            rows.append([one.method, what, among, *cells])
        rows.append([one.method, "F1", "all", *((one.f1.value, one.f1.error) if one.f1 else (None, None)), None, None])
    return write_csv(folder / "assignment.csv", ["method", "what", "among", "value", "error", "passed", "events"], rows)


def write_purities(folder: Path, sample: Sample) -> Path:
    """Write ``purity.csv``: fraction of right events among events with a solution, with a row for each method and bin."""
    rows: list[list[Any]] = []
    for number, bins in enumerate(sample.bins):
        for name in sample.positions:
            purity = purity_in_bins(sample, name, number)
            for k, text in enumerate(bins.texts):
                one = purity[k]
                rows.append([name, bins.name, text, one.value, one.error, one.passed, one.total])
    return write_csv(folder / "purity.csv", ["method", "quantity", "bin", "purity", "error", "right", "answered"], rows)


def overlap_sheet(found: Sequence[Overlap], united: Efficiency | None) -> Sheet:
    """Return a table with each pair of methods once."""
    names = list(dict.fromkeys(one.first for one in found))
    rows = tuple(
        (one.first, one.second, *(of_efficiency(getattr(one, part)) for part in PARTS))
        for one in found
        if names.index(one.first) < names.index(one.second)
    )
    caption = (
        "Complementarity of two methods in events that contain both true jets: both are right, only the first, only the second, "
        f"neither; union: at least one is. At least one of all methods is right in {of_efficiency(united)}."
    )
    header = ("first", "second", *(part.replace("_", " ") for part in PARTS))
    return Sheet("complementarity", header, rows, caption, 2, most=len(names) - 1)


PARTS = ("both", "only_first", "only_second", "neither", "union")


def write_overlaps(folder: Path, found: Sequence[Overlap]) -> Path:
    """Write ``complementarity.csv``: a row for each ordered pair of methods."""
    header = ["first", "second", *(f"{part}{more}" for part in PARTS for more in ("", "_error"))]
    rows = [
        [one.first, one.second, *(n for part in PARTS for n in (getattr(one, part).value, getattr(one, part).error))]
        for one in found
    ]
    return write_csv(folder / "complementarity.csv", header, rows)


def resolution_sheets(found: Sequence[Resolution]) -> list[Sheet]:
    """Return width, bias and standard deviation of each quantity (rows) for each method (columns)."""
    methods = list(dict.fromkeys(one.method for one in found))
    by_place = {(one.quantity.name, one.method): one.all for one in found}
    sheets = []
    for number, meaning in MEANING.items():
        rows = []
        for quantity in QUANTITIES:
            if any((quantity.name, method) in by_place for method in methods):
                unit = f" [{quantity.unit}]" if quantity.unit else ""
                cells = [_of_spread(by_place.get((quantity.name, method)), number) for method in methods]
                rows.append((quantity.residual + unit, *cells))
        sheets.append(Sheet(f"resolution_{number}", ("residual", *methods), tuple(rows), f"{meaning} {RESIDUALS}."))
    return sheets if found else []


def _of_spread(spread: Spread | None, number: str) -> str:
    return NOTHING if spread is None else shown(getattr(spread, number), getattr(spread, f"{number}_error"))


def write_resolutions(folder: Path, found: Sequence[Resolution], sample: Sample) -> Path:
    """Write ``resolution.csv``: all events of a method, events with solutions of all methods, and each bin."""
    rows: list[list[Any]] = []
    for one in found:
        parts = [(OWN, "", one.all), (COMMON, "", one.common)]
        parts += [
            (bins.name, text, spread)
            for bins in sample.bins
            for text, spread in zip(bins.texts, one.bins[bins.name], strict=True)
        ]
        for events, text, spread in parts:
            cells = (getattr(spread, name) for name in SPREAD)
            rows.append(
                [one.method, one.quantity.name, one.quantity.kind, one.quantity.unit, events, text, spread.rows, *cells]
            )
    header = ["method", "quantity", "residual", "unit", "events_or_variable", "bin", "residuals", *SPREAD]
    return write_csv(folder / "resolution.csv", header, rows)


def spin_sheet(found: Sequence[SpinLine]) -> Sheet:
    """Return D of truth and methods in the bins of m(tt)."""
    bins = list(dict.fromkeys(line.mass_bin for line in found))
    by_place = {(line.correlation, line.method, line.mass_bin): line for line in found}
    rows = []
    for correlation, method in dict.fromkeys((line.correlation, line.method) for line in found):
        lines = [by_place[correlation, method, text] for text in bins]
        rows.append((correlation, method, *(shown(line.d, line.d_error) for line in lines)))
    header = ("correlation", "method", *(f"D, {'all' if text == ALL else f'm(tt̄) {text} GeV'}" for text in bins))
    caption = "D = -3 ⟨c_hel⟩ before any correction, in bins of the m(tt̄) of the truth or of the method itself. Errors: statistical."
    return Sheet("spin", header, tuple(rows), caption, 2)


def write_spin(folder: Path, found: Sequence[SpinLine]) -> Path:
    """Write ``spin.csv``."""
    header = ["correlation", "method", "m_tt", "events", "D", "D_error", "c_han", "c_han_error"]
    rows = [
        [e.correlation, e.method, e.mass_bin, e.events, e.d, e.d_error, e.c_han, e.c_han_error] for e in found
    ]  # fmt: skip
    return write_csv(folder / "spin.csv", header, rows)


def closure_sheet(found: Sequence[Closure], threshold: float) -> Sheet:
    """Return injected, raw and corrected D."""
    header = ("region", "method", "correlation", "D injected", "D raw", "slope", "D corrected", "pull")
    rows = tuple(
        (
            one.region, one.method, one.correlation, shown(one.truth, one.truth_error), shown(one.raw, one.raw_error),
            shown(one.slope, one.slope_error), shown(one.corrected, one.corrected_error),
            f"{one.pull:+.1f}" if isfinite(one.pull) else NOTHING,
        )
        for one in found
        if one.observable == "D" and one.region in (INCLUSIVE, THRESHOLD)
    )  # fmt: skip
    caption = (
        f"Closure of D. Region threshold: m(tt̄) below {threshold:g} GeV, the true one for the injected D, that of the method for the raw "
        "one. The response D raw = a + slope × D injected is fitted to all correlations in the events of even number and inverted in those "
        "of odd number, of which all other numbers are. Errors: bootstrap of events and response. Pull: corrected minus injected over the "
        "error of the difference and how far the correlations lie from the response, in quadrature. No correction where the slope is less than three errors from 0. Bins of m(tt̄) are corrected together, and "
        "their slope is of the events that stay in their bin. "
        "The other bins of m(tt̄), and c_han, are in spin_closure.csv."
    )
    return Sheet("spin_closure", header, rows, caption, 3)


def write_closure(folder: Path, found: Sequence[Closure]) -> Path:
    """Write ``spin_closure.csv``."""
    names = (
        "observable", "region", "method", "correlation", "truth", "truth_error", "raw", "raw_error", "slope", "slope_error", "corrected",
        "corrected_error", "difference_error", "model_error", "pull",
    )  # fmt: skip
    return write_csv(folder / "spin_closure.csv", names, [[getattr(one, name) for name in names] for one in found])


def write_responses(folder: Path, found: Sequence[Response]) -> Path:
    """Write ``response.csv``: a row for each cell, with stability and purity on the diagonal."""
    rows: list[list[Any]] = []
    for one in found:
        for (row, column), fraction in ((place, float(one.matrix[place])) for place in _places(len(one.texts))):
            same = row == column
            more = [
                float(getattr(entry, name)[row]) if same else None
                for entry in (one.stability, one.purity)
                for name in ("value", "error")
            ]
            rows.append([one.method, one.name, one.texts[row], one.texts[column], fraction, *more])
    header = [
        "method",
        "quantity",
        "true_bin",
        "bin",
        "fraction",
        "stability",
        "stability_error",
        "purity",
        "purity_error",
    ]
    return write_csv(folder / "response.csv", header, rows)


def _places(size: int) -> list[tuple[int, int]]:
    return [(row, column) for row in range(size) for column in range(size)]
