"""Anti-kT clustering (arXiv 0802.1189) of flat constituents, for whole batches."""

from __future__ import annotations

from dataclasses import dataclass

import awkward as ak
import numpy as np

from collidekit.simulation.detector import Constituents
from collidekit.simulation.generator import BoolArray, FloatArray, IntArray, Momenta


@dataclass(frozen=True, slots=True)
class Jets(Momenta):
    """Jets of a batch, sorted by event and descending pT; `members` are rows of the constituents, in descending pT."""

    event: IntArray
    px: FloatArray
    py: FloatArray
    pz: FloatArray
    energy: FloatArray
    members: ak.Array  # (J, var)

    @property
    def mass(self) -> FloatArray:
        return np.sqrt(np.maximum(self.energy**2 - self.px**2 - self.py**2 - self.pz**2, 0.0))

    def select(self, rows: BoolArray | IntArray) -> Jets:
        return Jets(*(getattr(self, name)[rows] for name in ("event", "px", "py", "pz", "energy", "members")))

    def leading(self) -> Jets:
        """Return the jet with the highest pT of each event."""
        return self.select(np.unique(self.event, return_index=True)[1])


def cluster(constituents: Constituents, events: int, radius: float, pt_min: float, limit: int | None = None) -> Jets:
    """Return jets above `pt_min` (GeV); their momentum is the sum of the `limit` constituents with the highest pT."""
    import fastjet

    fastjet._swig.ClusterSequence.set_fastjet_banner_stream(None)
    counts = np.bincount(constituents.event, minlength=events)
    record = {
        "px": constituents.px,
        "py": constituents.py,
        "pz": constituents.pz,
        "E": constituents.energy,
    }
    inputs = ak.unflatten(ak.zip(record), counts)
    sequence = fastjet.ClusterSequence(inputs, fastjet.JetDefinition(fastjet.antikt_algorithm, radius))
    local = sequence.constituent_index(min_pt=pt_min)  # (events, jets, members), rows within the event
    rows = local + (np.cumsum(counts) - counts)
    event = np.repeat(np.arange(events), ak.to_numpy(ak.num(rows)))
    members = ak.flatten(rows)

    pt = np.hypot(constituents.px, constituents.py)
    members = members[ak.argsort(pick(pt, members), ascending=False, stable=True)]
    if limit is not None:
        members = members[:, :limit]
    total = {name: ak.to_numpy(ak.sum(pick(column, members), axis=1)) for name, column in record.items()}
    jets = Jets(event, total["px"], total["py"], total["pz"], total["E"], members)
    return jets.select(np.lexsort((-jets.pt, jets.event)))


def pick(column: FloatArray | IntArray, rows: ak.Array) -> ak.Array:
    """Return `column` (P,) at ragged rows (J, var), in the same shape."""
    return ak.unflatten(column[ak.to_numpy(ak.flatten(rows))], ak.num(rows))
