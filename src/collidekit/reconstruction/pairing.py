"""Pairing of jets with leptons by distances, masses or chi-square."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from collidekit.reconstruction.events import DileptonEvents, Reconstruction, Status, no_neutrinos
from collidekit.reconstruction.four_momenta import Floats, eta, phi

Indices = NDArray[np.int64]


def delta_r_costs(events: DileptonEvents) -> Floats:
    """Return the distances ``(N, 2, J)`` in pseudorapidity and azimuth between leptons and jets."""
    with np.errstate(invalid="ignore"):
        across = np.abs(phi(events.leptons)[:, :, None] - phi(events.jets)[:, None])
        across = np.minimum(across, 2 * np.pi - across)
        along = eta(events.leptons)[:, :, None] - eta(events.jets)[:, None]
        distance: Floats = np.sqrt(across**2 + along**2)
    return distance


def squared_masses(parts: Floats, jets: Floats) -> Floats:
    """Return squared masses ``(N, 2, J)`` of the sums of each of two momenta ``(N, 2, 4)`` and each jet ``(N, J, 4)``.

    Negative squared masses are set to 0.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        metric = np.array([1.0, -1.0, -1.0, -1.0])
        squares = (parts * parts) @ metric, (jets * jets) @ metric
        products = (parts * metric) @ np.swapaxes(jets, 1, 2)
        found: Floats = np.maximum(squares[0][:, :, None] + squares[1][:, None] + 2 * products, 0.0)
    return found


def top_mass_costs(events: DileptonEvents, neutrinos: Floats, mass: float = 172.5, width: float = 20.0) -> Floats:
    """Return ((m(l nu j) - mass) / width)^2 ``(N, 2, J)`` for neutrinos ``(N, 2, 4)``; NaN where these are NaN."""
    found = np.sqrt(squared_masses(events.leptons + neutrinos, events.jets))
    return ((found - mass) / width) ** 2


def best_pair(
    costs: Floats, allowed: NDArray[np.bool_], combine: Literal["sum", "max"] = "sum"
) -> tuple[Indices, Floats]:
    """Return the two different jets ``(N, 2)`` with the smallest sum (or maximum) of costs ``(N, 2, J)``, and this value.

    Only jets with ``allowed (N, J)`` and a cost other than NaN are used; with fewer than two of them the jets are -1 and the value is NaN.
    The result is exact, because only the two best jets of each lepton can be in the best pair. Of equal pairs, the one with the
    lower cost of the first lepton is chosen, then the one with the lower index.
    """
    count, _, jets = costs.shape
    if jets < 2:
        return np.full((count, 2), -1), np.full(count, np.nan)
    costs = np.where(allowed[:, None] & ~np.isnan(costs), costs, np.inf)
    rows = np.arange(count)
    first = costs.argmin(axis=2)  # (N, 2)
    lowest = np.take_along_axis(costs, first[..., None], axis=2)[..., 0]
    np.put_along_axis(costs, first[..., None], np.inf, axis=2)
    second = costs.argmin(axis=2)
    higher = costs[rows[:, None], np.arange(2), second]
    join: Callable[[Floats, Floats], Floats] = np.add if combine == "sum" else np.maximum
    both = np.where(first[:, 0] != first[:, 1], join(lowest[:, 0], lowest[:, 1]), np.inf)
    values = np.stack([both, join(lowest[:, 0], higher[:, 1]), join(higher[:, 0], lowest[:, 1])])
    choice = values.argmin(axis=0)
    chosen = np.where(choice == 2, second[:, 0], first[:, 0]), np.where(choice == 1, second[:, 1], first[:, 1])
    value = values[choice, rows]
    known = np.isfinite(value)
    return np.where(known[:, None], np.stack(chosen, axis=1), -1), np.where(known, value, np.nan)


def greedy_pair(costs: Floats, allowed: NDArray[np.bool_]) -> tuple[Indices, Floats]:
    """Return two different jets ``(N, 2)``, starting with the smallest cost, and the sum of both costs.

    The lepton and the jet with the smallest cost are paired first. The other lepton gets the remaining jet with the lowest cost.
    """
    count, _, jets = costs.shape
    if jets < 2:
        return np.full((count, 2), -1), np.full(count, np.nan)
    costs = np.where(allowed[:, None] & ~np.isnan(costs), costs, np.inf)
    rows = np.arange(count)
    lepton, jet = np.divmod(costs.reshape(count, 2 * jets).argmin(axis=1), jets)
    smallest = costs[rows, lepton, jet]
    costs[rows, :, jet] = np.inf
    other = costs[rows, 1 - lepton].argmin(axis=1)
    value = smallest + costs[rows, 1 - lepton, other]
    chosen = np.empty((count, 2), dtype=np.int64)
    chosen[rows, lepton], chosen[rows, 1 - lepton] = jet, other
    known = np.isfinite(value)
    return np.where(known[:, None], chosen, -1), np.where(known, value, np.nan)


def as_reconstruction(
    events: DileptonEvents, chosen: tuple[Indices, Floats], neutrinos: Floats | None = None
) -> Reconstruction:
    """Return a pairing as the result of a method; the score is minus the cost.

    Events with too few jets or with values that are not finite have no result.
    """
    jets, value = chosen
    status = events.status()
    status = np.where((status == Status.SOLVED) & (jets[:, 0] < 0), Status.NO_SOLUTION, status).astype(np.int8)
    solved = status == Status.SOLVED
    given = no_neutrinos(len(events)) if neutrinos is None else neutrinos
    return Reconstruction(
        np.where(solved[:, None], jets, -1),
        np.where(solved[:, None, None], given, np.nan),
        np.where(solved, -value, np.nan),
        status,
    )
