"""Events of a dataset as inputs of the methods for dileptonic top pairs."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from collidekit.analysis.schema import Analysis
from collidekit.analysis.targets import PLACE, Assignment
from collidekit.dataset.batch import Batch, Ragged, concatenate
from collidekit.errors import CollidekitError
from collidekit.inference.predictions import Array
from collidekit.reconstruction.events import DileptonEvents, opposite_charges, order_by_charge

MOST_LEPTONS = 2
"""Minimum length of blocks, so that each event has a place for both leptons."""


@dataclass(frozen=True)
class Dileptons:
    """Events of some rows as inputs of the methods, with the truth."""

    events: DileptonEvents
    usable: Array
    """Flags (N,) of rows with two leptons of opposite charge; methods get only these."""
    places: Array
    """Position in the file (N, J) of each jet."""
    odd: Array
    """Flags (N,) of rows with an odd event number; of several numbers, the exclusive or of their parities."""
    wrong_partner: int
    """Number of events in which the partner of the first parent is the negative lepton, or the partner of the second the positive one."""
    odd_charges: int
    """Number of events with a lepton whose charge is neither 1 nor -1."""

    def problems(self) -> dict[str, int]:
        """Return the number of events with each kind of doubtful input, among all events or (after the leptons) among usable events."""
        return {
            "without two leptons of opposite charge": int((~self.usable).sum()),
            **self.events[self.usable].problems(),
        }

    def bottoms(self, positions: Array) -> Array:
        """Return the four-momenta (N, 2, 4) of the jets at these positions in the file (N, 2), NaN if there is none."""
        same = (self.places[:, None, :] == positions[:, :, None]) & self.events.mask[:, None, :]
        chosen = self.events.jets[np.arange(len(positions))[:, None], same.argmax(axis=2)] if same.size else np.nan
        return np.where(same.any(axis=2)[:, :, None], chosen, np.nan)


def dilepton_events(analysis: Analysis, batches: Iterable[Batch]) -> Dileptons:
    """Return the events of all rows, in their order; momenta are those of the analysis, in GeV."""
    names = analysis.dilepton
    if names is None:
        raise CollidekitError(f"{analysis.name}: has no key 'dilepton', which names leptons, jets and missing momentum")
    batch = concatenate(list(batches))
    target = analysis.assignments[names.assignment]
    jet_name = target.collection
    jets, there = _momenta(batch, jet_name)
    leptons, leptons_there = _momenta(batch, names.leptons)
    charge = _column(analysis, batch, names.leptons, names.charge)[:, :2]
    usable = (leptons_there.sum(axis=1) == 2) & opposite_charges(charge)
    momenta = np.full((len(batch), 2, 4), np.nan)
    if usable.any():
        momenta[usable] = order_by_charge(leptons[usable, :2], charge[usable])
    b_tag = _column(analysis, batch, jet_name, names.b_tag)
    met = np.stack([_flat(analysis, batch, name) for name in names.met], axis=1)
    number = next(iter(batch.event.values()), batch.source[:, 1]).numpy()
    events = DileptonEvents(momenta, jets, there, b_tag, met, number, batch.weights.numpy())
    entry = _collection(batch, jet_name)
    assert entry.targets is not None
    places = entry.padded(entry.targets, MOST_LEPTONS).numpy()
    odd_charges = int((leptons_there[:, :2] & (np.abs(charge) != 1)).any(axis=1).sum())
    wrong = _wrong_partner(target, names.leptons, charge) & usable
    numbers = [values.numpy().astype(np.int64) for values in batch.event.values()] or [batch.source[:, 1].numpy()]
    odd = np.bitwise_xor.reduce(numbers, axis=0) % 2 == 1
    return Dileptons(
        events, usable, places[:, :, analysis.target_columns(jet_name).index(PLACE)], odd, int(wrong.sum()), odd_charges
    )


def _wrong_partner(target: Assignment, leptons: str, charge: Array) -> Array:
    """Return flags (N,) of events in which the partner of the first parent is the negative lepton, or that of the second the positive one."""
    wrong = np.zeros(len(charge), dtype=bool)
    for parent, sign in zip(target.parents, (1, -1), strict=True):
        partner = target.partner_of(parent)
        if partner and partner[0] == leptons and partner[1] < charge.shape[1]:
            wrong |= charge[:, partner[1]] * sign < 0
    return wrong


def _column(analysis: Analysis, batch: Batch, collection: str, name: str) -> Array:
    """Return a feature of a collection (N, L), padded."""
    entry = _collection(batch, collection)
    names = [feature.name for feature in analysis.collections[collection].features]
    found: Array = entry.padded(entry.values, MOST_LEPTONS).numpy()[:, :, names.index(name)]
    return found


def _momenta(batch: Batch, collection: str) -> tuple[Array, Array]:
    """Return four-momenta (E, px, py, pz) of a collection (N, L, 4), padded, and the flags (N, L) of existing members."""
    entry = _collection(batch, collection)
    found = entry.padded(entry.momenta.double(), MOST_LEPTONS).numpy()[:, :, [3, 0, 1, 2]]
    return found, np.arange(found.shape[1]) < entry.counts.numpy()[:, None]


def _collection(batch: Batch, name: str) -> Ragged:
    entry = batch.inputs[name]
    assert isinstance(entry, Ragged)
    return entry


def _flat(analysis: Analysis, batch: Batch, name: str) -> Array:
    for group, entry in analysis.groups.items():
        for column, feature in enumerate(entry.features):
            if feature.name == name:
                values: Array = batch.inputs[group][:, column].numpy().astype(np.float64)  # type: ignore[index]
                return values
    raise CollidekitError(f"{analysis.name}: there is no flat feature {name!r}")
