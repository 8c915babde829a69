"""Comparison of methods for dileptonic top pairs: tables, CSV and LaTeX files, and plots in one folder."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from collidekit.evaluation.dilepton import draw, tables
from collidekit.evaluation.dilepton.accuracy import measure_accuracy
from collidekit.evaluation.dilepton.closure import measure_closure
from collidekit.evaluation.dilepton.complementarity import any_right, measure_overlaps
from collidekit.evaluation.dilepton.resolution import measure_resolutions
from collidekit.evaluation.dilepton.response import measure_response
from collidekit.evaluation.dilepton.sample import Sample
from collidekit.evaluation.dilepton.spin import measure_spin
from collidekit.evaluation.sheet import Sheet

QUANTITIES_OF_RESPONSE = ("m_tt", "c_hel", "c_han")


@dataclass(frozen=True)
class Part:
    """A table (or none) with its plots."""

    title: str
    sheets: tuple[Sheet, ...]
    pictures: tuple[str, ...]
    """Names of the PNG files in the folder."""

    def as_dict(self) -> dict[str, Any]:
        return {"title": self.title, "sheets": [s.as_dict() for s in self.sheets], "pictures": list(self.pictures)}

    @classmethod
    def read(cls, content: dict[str, Any]) -> "Part":
        """Return the object that ``as_dict`` wrote."""
        sheets = tuple(Sheet.read(entry) for entry in content["sheets"])
        return cls(str(content["title"]), sheets, tuple(str(name) for name in content["pictures"]))


def evaluate_dilepton(folder: Path, sample: Sample, note: str = "") -> list[Part]:
    """Measure, write and draw everything that truth and methods allow; return the parts of the report in their order."""
    threshold = sample.mass_limits[0]
    accuracies = [measure_accuracy(sample, name) for name in sample.positions]
    tables.write_accuracy(folder, accuracies)
    tables.write_purities(folder, sample)
    parts = [("Assignment", [tables.accuracy_sheet(accuracies)], draw.draw_purities(folder, sample, note))]
    if overlaps := measure_overlaps(sample):
        tables.write_overlaps(folder, overlaps)
        sheet = tables.overlap_sheet(overlaps, any_right(sample))
        parts.append(("Complementarity", [sheet], draw.draw_overlaps(folder, overlaps, note)))
    if resolutions := measure_resolutions(sample):
        tables.write_resolutions(folder, resolutions, sample)
        sheets = tables.resolution_sheets(resolutions)
        parts.append(("Resolution and bias", sheets, draw.draw_resolutions(folder, sample, resolutions, note)))
    if spin := measure_spin(sample):
        tables.write_spin(folder, spin)
        parts.append(("Spin correlation", [tables.spin_sheet(spin)], draw.draw_spin(folder, sample, spin, note)))
    if closure := measure_closure(sample):
        tables.write_closure(folder, closure)
        sheet = tables.closure_sheet(closure, threshold)
        parts.append(("Closure of spin correlation", [sheet], draw.draw_closure(folder, closure, threshold, note)))
    pairs = [(name, kind) for kind in QUANTITIES_OF_RESPONSE for name in sample.methods]
    if responses := [found for name, kind in pairs if (found := measure_response(sample, name, kind))]:
        tables.write_responses(folder, responses)
        parts.append(("Response", [], draw.draw_responses(folder, sample, responses, note)))
    for _, sheets, _ in parts:
        for sheet in sheets:
            sheet.write_latex(folder)
    return [Part(title, tuple(sheets), tuple(f"{stem.name}.png" for stem in stems)) for title, sheets, stems in parts]


def unknown_truths(sample: Sample) -> int:
    """Return the number of events with unknown true top pair; 0 if there is no truth at all."""
    pair = sample.truth.pair
    return 0 if pair is None else int((~np.isfinite(pair).all(axis=1)).sum())
