"""Common parts of all methods, which return one result for each event."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from collidekit.reconstruction.events import DileptonEvents, Reconstruction, Status, join
from collidekit.reconstruction.four_momenta import Floats
from collidekit.reconstruction.jet_selection import JetRule, allowed_jets, check_rule


class Method(Protocol):
    """Protocol of methods that assign jets to leptons, find the neutrinos, or both."""

    def reconstruct(self, events: DileptonEvents) -> Reconstruction:
        """Return the result of each event, in the order of the events."""


@dataclass(frozen=True)
class Jets:
    """Rule for the candidates of b jets: see ``allowed_jets``."""

    rule: JetRule = "two_tagged"
    threshold: float | None = None

    def __post_init__(self) -> None:
        check_rule(self.rule, self.threshold)

    def allowed(self, events: DileptonEvents) -> NDArray[np.bool_]:
        """Return ``(N, J)``: True for candidates of b jets; events that no method can use have none."""
        usable = events.status() == Status.SOLVED
        return np.asarray(allowed_jets(events, self.rule, self.threshold) & usable[:, None])


def in_chunks(
    events: DileptonEvents, jets: Jets, pairings: int, reconstruct: Callable[[DileptonEvents, slice], Reconstruction]
) -> Reconstruction:
    """Return the results of a function of events and their rows, for all events, called in chunks.

    A chunk has at most ``pairings`` pairs of allowed jets, or one event, so that the memory is bounded.
    """
    most = int(jets.allowed(events).sum(axis=1).max(initial=0))
    size = max(1, pairings // max(most * (most - 1), 1))
    parts = [
        reconstruct(events[rows], rows)
        for rows in (slice(begin, begin + size) for begin in range(0, max(len(events), 1), size))
    ]
    return join(parts)


def with_input_problems(events: DileptonEvents, answer: Reconstruction) -> Reconstruction:
    """Return a result with the status of the problem for events that no method can use."""
    usable = events.status()
    status = np.where(usable == Status.SOLVED, answer.status, usable).astype(np.int8)
    return Reconstruction(answer.jets, answer.neutrinos, answer.score, status)


def jets_of_choice(pairs: NDArray[np.intp], pairing: NDArray[np.intp], known: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the jets ``(N, 2)`` of the chosen pairing ``(N,)`` among ``pairs (N, P, 2)``; -1 without one."""
    if not pairs.shape[1]:
        return np.full((len(pairs), 2), -1)
    chosen = pairs[np.arange(len(pairs)), pairing]
    return np.where(known[:, None], chosen, -1).astype(np.int64)


def best_pairing(
    pairs: NDArray[np.intp], exists: NDArray[np.bool_], neutrinos: Floats, score: Floats
) -> tuple[Reconstruction, NDArray[np.intp]]:
    """Return the pairing with the highest score ``(N, P)``, with its neutrinos ``(N, P, 2, 4)``, and its index ``(N,)``.

    Pairings that do not exist or have a score of NaN are not used. Without any other pairing the status is NO_SOLUTION.
    """
    count = len(pairs)
    if not pairs.shape[1]:
        score, neutrinos = np.full((count, 1), np.nan), np.full((count, 1, 2, 4), np.nan)
        exists = np.zeros((count, 1), dtype=bool)
    ranked = np.where(exists & ~np.isnan(score), score, -np.inf)
    best = ranked.argmax(axis=1)
    rows = np.arange(count)
    known = np.isfinite(ranked[rows, best])
    answer = Reconstruction(
        jets_of_choice(pairs, best, known),
        np.where(known[:, None, None], neutrinos[rows, best], np.nan),
        np.where(known, score[rows, best], np.nan),
        np.where(known, Status.SOLVED, Status.NO_SOLUTION).astype(np.int8),
    )
    return answer, best
