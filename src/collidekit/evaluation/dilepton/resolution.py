"""Resolution and bias of tops, W bosons, the top pair and neutrinos for each method, for all events and in bins."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from collidekit.evaluation.dilepton.kinematics import TopPair
from collidekit.evaluation.dilepton.sample import MASS, Sample
from collidekit.evaluation.residuals import Spread
from collidekit.evaluation.rows import Bools, Floats
from collidekit.reconstruction.four_momenta import mass, phi, pt, rapidity, wrap_angle

Kind = Literal["relative", "absolute", "angle"]


@dataclass(frozen=True)
class Quantity:
    """Quantity of a particle whose estimate is compared with the truth."""

    name: str
    label: str
    kind: Kind
    """relative: (estimate - truth) / truth; absolute: estimate - truth; angle: the same from -pi to pi."""
    unit: str
    """Unit of the residual."""
    of: Callable[[TopPair], Floats | None]
    """Values (N,), or (N, 2) for the particles of top and antitop; None if they are unknown."""

    @property
    def residual(self) -> str:
        """Return the label of the residual on an axis, without the unit."""
        return f"Δ{self.label} / {self.label}" if self.kind == "relative" else f"Δ{self.label}"

    def residuals(self, estimate: TopPair, truth: TopPair) -> Floats | None:
        """Return the residuals (N, 1) or (N, 2), NaN if estimate or truth of an event is unknown."""
        found, true = self.of(estimate), self.of(truth)
        if found is None or true is None:
            return None
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            values = found - true
            if self.kind == "relative":
                values = values / true
            elif self.kind == "angle":
                values = wrap_angle(values)
        values = values.reshape(len(values), -1)
        return np.where(np.isfinite(values), values, np.nan)


def _momenta(particle: str, number: Callable[[Floats], Floats]) -> Callable[[TopPair], Floats | None]:
    def of(pair: TopPair) -> Floats | None:
        momenta: Floats | None = getattr(pair, particle)
        return None if momenta is None else number(momenta)

    return of


def _spin(name: str) -> Callable[[TopPair], Floats | None]:
    def of(pair: TopPair) -> Floats | None:
        directions = pair.directions
        return None if directions is None else getattr(directions, name)

    return of


def _component(number: int) -> Callable[[Floats], Floats]:
    return lambda momenta: momenta[..., number]


QUANTITIES = (
    Quantity("top_pt", "pT(t)", "relative", "", _momenta("tops", pt)),
    Quantity("top_y", "y(t)", "absolute", "", _momenta("tops", rapidity)),
    Quantity("top_phi", "φ(t)", "angle", "", _momenta("tops", phi)),
    Quantity("top_mass", "m(t)", "relative", "", _momenta("tops", mass)),
    Quantity("ttbar_mass", MASS, "relative", "", _momenta("pair", mass)),
    Quantity("ttbar_pt", "pT(tt̄)", "absolute", "GeV", _momenta("pair", pt)),
    Quantity("ttbar_y", "y(tt̄)", "absolute", "", _momenta("pair", rapidity)),
    Quantity("w_pt", "pT(W)", "relative", "", _momenta("ws", pt)),
    Quantity("w_mass", "m(W)", "relative", "", _momenta("ws", mass)),
    Quantity("neutrino_px", "px(ν)", "absolute", "GeV", _momenta("neutrinos", _component(1))),
    Quantity("neutrino_py", "py(ν)", "absolute", "GeV", _momenta("neutrinos", _component(2))),
    Quantity("neutrino_pz", "pz(ν)", "absolute", "GeV", _momenta("neutrinos", _component(3))),
    Quantity("c_hel", "c_hel", "absolute", "", _spin("c_hel")),
    Quantity("c_han", "c_han", "absolute", "", _spin("c_han")),
)
"""Quantities that are compared. pT(tt) is not divided by its truth, which may be 0."""
OWN, COMMON = "answered", "common"


@dataclass(frozen=True)
class Resolution:
    """Residuals of one quantity for one method: all its events, events with solutions of all methods, and bins."""

    method: str
    quantity: Quantity
    all: Spread
    common: Spread
    bins: Mapping[str, tuple[Spread, ...]]
    """Spreads in bins, by the name of the bins."""


def measure_resolutions(sample: Sample, quantities: Sequence[Quantity] = QUANTITIES) -> list[Resolution]:
    """Return the resolutions of the quantities that are known for truth and method, by quantity and method.

    Top and antitop (and their decay products) count as two residuals of one event, which the bootstrap draws together.
    """
    found = []
    for quantity in quantities:
        residuals = {name: quantity.residuals(pair, sample.truth) for name, pair in sample.methods.items()}
        known = {name: values for name, values in residuals.items() if values is not None and np.isfinite(values).any()}
        if not known:
            continue
        common = np.all([np.isfinite(values).all(axis=1) for values in known.values()], axis=0)
        for name, values in known.items():
            binned = {
                bins.name: tuple(_spread(sample, values, bins[number]) for number in range(len(bins)))
                for bins in sample.bins
            }
            everything = np.ones(len(values), dtype=bool)
            found.append(
                Resolution(name, quantity, _spread(sample, values, everything), _spread(sample, values, common), binned)
            )
    return found


def _spread(sample: Sample, values: Floats, chosen: Bools) -> Spread:
    """Return the spread of residuals (N, 1) or (N, 2) for some events (N,)."""
    kept = np.isfinite(values) & chosen[:, None]
    events = np.broadcast_to(np.arange(len(values))[:, None], values.shape)[kept]
    return Spread.of(values[kept], sample.weights[events], events=events)
