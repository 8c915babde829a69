"""Dileptonic events as padded arrays, and results of methods."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from collidekit.errors import CollidekitError
from collidekit.reconstruction.four_momenta import Floats, mass_squared, pt

LARGEST_MEDIAN_PT = 5000.0
"""A higher median transverse momentum (in GeV) means that the input is in MeV."""
MASS_TOLERANCE = 1e-6
"""A squared mass within MASS_TOLERANCE E^2 is zero within the precision of files."""


class Status(IntEnum):
    """Status of the reconstruction of an event."""

    SOLVED = 0
    CLOSEST = 1
    """No exact solution; the neutrinos are the closest approach."""
    NO_SOLUTION = 2
    IMPOSSIBLE_MASSES = 3
    """No neutrino momentum gives the assumed masses of top and W with these leptons and jets."""
    TOO_FEW_JETS = 4
    NOT_FINITE = 5
    """NaN or infinity in a lepton, a jet or the missing transverse momentum; a lepton without momentum or along its jet."""
    NOT_CONVERGED = 6
    """A fit stopped before its maximum; the result holds its last values."""


@dataclass(frozen=True)
class DileptonEvents:
    """N events with two leptons of opposite charge and up to J jets; momenta in GeV.

    Raises CollidekitError if shapes disagree, or if momenta are in MeV. NaN and events with too few jets are
    allowed: methods give them a status, and ``problems`` counts them.
    """

    leptons: Floats
    """``(N, 2, 4)`` four-momenta (E, px, py, pz): the positive lepton first."""
    jets: Floats
    """``(N, J, 4)`` four-momenta; the padding may hold any values."""
    mask: NDArray[np.bool_]
    """``(N, J)``: False for padding."""
    btag: Floats
    """``(N, J)`` b-tag discriminator or quantile; larger values are more b-like."""
    met: Floats
    """``(N, 2)`` missing transverse momentum (x, y)."""
    event: NDArray[np.int64 | np.uint64]
    """``(N,)`` event numbers."""
    weights: Floats
    """``(N,)`` event weights."""

    def __post_init__(self) -> None:
        for name in ("leptons", "jets", "btag", "met", "weights"):
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=np.float64))
        object.__setattr__(self, "mask", np.asarray(self.mask, dtype=bool))
        object.__setattr__(self, "event", np.asarray(self.event))
        count, jets = self.mask.shape if self.mask.ndim == 2 else (-1, -1)
        shapes = {
            "leptons": (count, 2, 4), "jets": (count, jets, 4), "mask": (count, jets), "btag": (count, jets),
            "met": (count, 2), "event": (count,), "weights": (count,),
        }  # fmt: skip
        for name, shape in shapes.items():
            found = getattr(self, name).shape
            if found != shape:
                expected = f"{shape}, as the mask is {self.mask.shape}" if count >= 0 else "(N, J) for the mask"
                raise CollidekitError(f"events: {name} has the shape {found}, but it must be {expected}")
        for what, momenta in (
            ("leptons", pt(self.leptons)), ("jets", pt(self.jets)[self.mask]), ("missing momentum", np.hypot(*self.met.T))
        ):  # fmt: skip
            found = momenta[np.isfinite(momenta)]
            if len(found) and np.median(found) > LARGEST_MEDIAN_PT:
                raise CollidekitError(
                    f"events: the median transverse momentum of {what} is {np.median(found):,.0f}; momenta must be in GeV: divide "
                    "values in MeV by 1000"
                )

    def __len__(self) -> int:
        return len(self.mask)

    def __getitem__(self, rows: "slice | NDArray[np.bool_] | NDArray[np.intp]") -> "DileptonEvents":
        """Return some of the events."""
        part = object.__new__(DileptonEvents)  # checked already; a median of few events does not tell the unit
        for name in ("leptons", "jets", "mask", "btag", "met", "event", "weights"):
            object.__setattr__(part, name, getattr(self, name)[rows])
        return part

    def finite(self) -> NDArray[np.bool_]:
        """Return ``(N,)``: True if leptons, jets and missing momentum are finite, and both leptons have transverse momentum."""
        jets = np.isfinite(self.jets).all(axis=-1) | ~self.mask
        leptons = np.isfinite(self.leptons).all(axis=(1, 2)) & (pt(self.leptons) > 0).all(axis=1)
        return np.asarray(leptons & np.isfinite(self.met).all(axis=1) & jets.all(axis=1))

    def status(self) -> NDArray[np.int8]:
        """Return ``(N,)`` ``Status``: SOLVED for events that a method can use, else the reason why it cannot."""
        status = np.where(self.mask.sum(axis=1) < 2, Status.TOO_FEW_JETS, Status.SOLVED)
        return np.where(self.finite(), status, Status.NOT_FINITE).astype(np.int8)

    def problems(self) -> dict[str, int]:
        """Return the number of events with each kind of doubtful input; an event may have several.

        Only events with too few jets, with values that are not finite, or with a lepton without transverse momentum get no result.
        Jets with negative squared mass are used as massless; jets without transverse momentum are not used.
        """
        with np.errstate(invalid="ignore"):
            squared = mass_squared(self.jets) / np.where(self.jets[..., 0] == 0, 1, self.jets[..., 0]) ** 2
            real = self.mask & np.isfinite(squared)
            found = {
                "fewer than two jets": self.mask.sum(axis=1) < 2,
                "not finite": ~self.finite(),
                "jet of negative mass": (real & (squared < -MASS_TOLERANCE)).any(axis=1),
                "massless jet": (real & (np.abs(squared) <= MASS_TOLERANCE)).any(axis=1),
                "lepton without momentum": (pt(self.leptons) == 0).any(axis=1),
                "jet without momentum": (self.mask & (pt(self.jets) == 0)).any(axis=1),
                "no missing momentum": (self.met == 0).all(axis=1),
            }
        return {name: int(rows.sum()) for name, rows in found.items()}


def order_by_charge(leptons: ArrayLike, charges: ArrayLike) -> Floats:
    """Return leptons ``(N, 2, 4)`` with the positive one first, from leptons in any order and their charges ``(N, 2)``.

    Raises CollidekitError if two charges are not opposite; ``opposite_charges`` finds these events.
    """
    leptons, charges = np.asarray(leptons, dtype=np.float64), np.asarray(charges)
    if charges.shape != leptons.shape[:2] or leptons.shape[1:] != (2, 4):
        raise CollidekitError(
            f"leptons have the shape {leptons.shape} and charges {charges.shape}, but they must be (N, 2, 4) and (N, 2)"
        )
    wrong = np.flatnonzero(~opposite_charges(charges))
    if len(wrong):
        first = charges[wrong[0]].tolist()
        raise CollidekitError(
            f"leptons: row {wrong[0]} has the charges {first[0]} and {first[1]}, and {len(wrong)} of {len(charges)} rows have no "
            "opposite charges; select rows with one positive and one negative lepton"
        )
    return np.where((charges[:, 0] > 0)[:, None, None], leptons, leptons[:, ::-1])


def opposite_charges(charges: ArrayLike) -> NDArray[np.bool_]:
    """Return ``(N,)``: True if one of two charges ``(N, 2)`` is positive and the other negative."""
    signs = np.sign(np.asarray(charges, dtype=np.float64))
    return np.asarray((signs[:, 0] * signs[:, 1]) < 0)


@dataclass(frozen=True)
class Reconstruction:
    """Result of a method: the jet of each lepton, and both neutrinos."""

    jets: NDArray[np.int64]
    """``(N, 2)``: the jet of the positive and of the negative lepton, -1 without a result."""
    neutrinos: Floats
    """``(N, 2, 4)``: neutrino (with the positive lepton) and antineutrino, NaN without a result."""
    score: Floats
    """``(N,)``: larger is better; the meaning depends on the method. NaN without a result."""
    status: NDArray[np.int8]
    """``(N,)`` ``Status``."""

    def __len__(self) -> int:
        return len(self.status)

    def counts(self) -> dict[str, int]:
        """Return the number of events of each status."""
        return {status.name.lower(): int((self.status == status).sum()) for status in Status}


def no_neutrinos(count: int) -> Floats:
    """Return ``(N, 2, 4)`` of NaN."""
    return np.full((count, 2, 4), np.nan)


def join(parts: list[Reconstruction]) -> Reconstruction:
    """Return the concatenated results of several groups of events."""
    fields = ("jets", "neutrinos", "score", "status")
    return Reconstruction(*(np.concatenate([getattr(part, name) for part in parts]) for name in fields))
