"""Jets in the HDF5 layout of SPANet (arXiv 2106.03898): padded arrays of a fixed length, with a mask."""

from __future__ import annotations

import numpy as np

from collidekit.errors import CollidekitError
from collidekit.simulation.b_tagging import TAGGED
from collidekit.simulation.columns import Columns
from collidekit.simulation.generator import FloatArray, IntArray
from collidekit.simulation.grouping import padded
from collidekit.simulation.ttbar_objects import MeasuredJets

MIN_JETS = 6
"""Minimum number of jets of an event, which is the number of quarks."""


def check_settings(max_jets: float, min_bjets: float) -> None:
    """Raise CollidekitError for an invalid length of lists or an invalid minimum number of b-tagged jets."""
    if max_jets not in range(MIN_JETS, 101):
        raise CollidekitError(f"max_jets={max_jets:g}: must be an integer from {MIN_JETS} to 100")
    if min_bjets not in range(7):
        raise CollidekitError(f"min_bjets={min_bjets:g}: must be an integer from 0 to 6")


def jet_columns(jets: MeasuredJets, events: int, max_jets: int, name: str) -> Columns:
    """Return the arrays (N, `max_jets`) of the sequential input `name`, padded with 0."""

    def table(values: FloatArray) -> FloatArray:
        return padded(jets.event, values, events, max_jets, 0.0)

    found = {
        "mass": jets.mass,
        "pt": jets.pt,
        "eta": jets.eta,
        "phi": jets.phi,
        "btag": (jets.b_tag >= TAGGED).astype(np.float64),
        "btag_quantile": jets.b_tag.astype(np.float64),
    }
    columns: Columns = {f"INPUTS/{name}/{key}": table(values).astype(np.float32) for key, values in found.items()}
    return columns | {f"INPUTS/{name}/MASK": table(np.ones(len(jets.pt))) > 0}


def jets_and_tags(jets: MeasuredJets, events: int) -> tuple[IntArray, IntArray]:
    """Return the number of jets and of b-tagged jets of each event, (N,) each."""
    counts = np.bincount(jets.event, minlength=events)
    return counts, np.bincount(jets.event[jets.b_tag >= TAGGED], minlength=events)
