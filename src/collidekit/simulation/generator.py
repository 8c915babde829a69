"""Batches of Pythia events as flat NumPy columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import awkward as ak
import numpy as np
import numpy.typing as npt

from collidekit.errors import CollidekitError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

EVENTS_PER_BATCH = 100
MAX_PYTHIA_SEED = 900_000_000
NEUTRINOS = (12, 14, 16)
CHARGED = (11, 13, 211, 321, 2212, 3112, 3222, 3312, 3334)
"""Charged species that live long enough to leave a track; all others decay, are neutral, or are invisible."""


class Momenta:
    """Base of classes with columns px, py, pz: transverse momentum and directions."""

    __slots__ = ()
    px: FloatArray
    py: FloatArray
    pz: FloatArray

    @property
    def pt(self) -> FloatArray:
        return np.hypot(self.px, self.py)

    @property
    def eta(self) -> FloatArray:
        return pseudorapidity(self.px, self.py, self.pz)

    @property
    def phi(self) -> FloatArray:
        return np.arctan2(self.py, self.px)


@dataclass(frozen=True, slots=True)
class Particles(Momenta):
    """The full event records of a batch, with one row per particle; momenta and energies in GeV, vertices in mm."""

    event: IntArray  # (P,) index of the event in the batch, ascending
    pdg: IntArray
    status: IntArray  # Pythia's code: positive for final particles
    mother: IntArray  # (P,) row of the first mother
    px: FloatArray
    py: FloatArray
    pz: FloatArray
    energy: FloatArray
    x: FloatArray  # production vertex
    y: FloatArray
    z: FloatArray

    @property
    def charge(self) -> IntArray:
        """Electric charge of particles that leave tracks; 0 for the others."""
        sign = np.where(np.isin(np.abs(self.pdg), (11, 13, 3112, 3312, 3334)), -1, 1) * np.sign(self.pdg)
        return np.where(np.isin(np.abs(self.pdg), CHARGED), sign, 0).astype(np.int64)

    def select(self, rows: BoolArray | IntArray) -> Self:
        """Return the given rows; `mother` still refers to rows of the whole record."""
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))

    def visible(self) -> Self:
        """Return the final particles that a detector can see."""
        return self.select((self.status > 0) & ~np.isin(np.abs(self.pdg), NEUTRINOS))


def pseudorapidity(px: FloatArray, py: FloatArray, pz: FloatArray) -> FloatArray:
    """Return the pseudorapidity, which is finite also along the beam."""
    return np.arcsinh(pz / np.maximum(np.hypot(px, py), 1e-12))


def generate(settings: Sequence[str], seed: int) -> Iterator[tuple[int, Particles]]:
    """Yield batches of events without end: the number of events in the batch, and their particles."""
    pythia = _pythia(settings, seed)
    while True:
        batch = pythia.nextBatch(EVENTS_PER_BATCH)
        yield len(batch), _flatten(batch.prt)


def _pythia(settings: Sequence[str], seed: int) -> Any:
    import pythia8mc

    pythia = pythia8mc.Pythia("", False)
    for line in ("Print:quiet = on", "Random:setSeed = on", f"Random:seed = {1 + seed % MAX_PYTHIA_SEED}", *settings):
        if not pythia.readString(line):
            raise CollidekitError(f"unknown setting of Pythia: {line!r}")
    if not pythia.init():
        raise CollidekitError("Pythia could not be initialised with: " + "; ".join(settings))
    return pythia


def _flatten(records: ak.Array) -> Particles:
    counts = ak.to_numpy(ak.num(records.id))
    starts = np.cumsum(counts) - counts

    def column(values: ak.Array) -> FloatArray:
        return np.asarray(ak.flatten(values), dtype=np.float64)

    def integers(values: ak.Array) -> IntArray:
        return np.asarray(ak.flatten(values), dtype=np.int64)

    vertex = ak.fill_none(records.vProd, {"px": 0.0, "py": 0.0, "pz": 0.0, "e": 0.0}, axis=None)
    return Particles(
        event=np.repeat(np.arange(len(counts)), counts),
        pdg=integers(records.id),
        status=integers(records.status),
        mother=integers(records.mother1) + np.repeat(starts, counts),
        px=column(records.p.px),
        py=column(records.p.py),
        pz=column(records.p.pz),
        energy=column(records.p.e),
        x=column(vertex.px),
        y=column(vertex.py),
        z=column(vertex.pz),
    )
