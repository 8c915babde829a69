"""What importance is asked of: a score, and the features, four-momenta and coordinates that the network sees."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from collidekit.analysis.schema import Analysis, Collection
from collidekit.dataset.batch import Input, Ragged
from collidekit.errors import CollidekitError, did_you_mean


@dataclass(frozen=True)
class Score:
    """A discriminator D, or a class against all others, as log odds: ln(p_signal / p_background) = ln(D / (1 - D))."""

    name: str
    signal: tuple[int, ...]
    background: tuple[int, ...]
    label: str
    """``ln(p(b) / p(light))``, for axes."""

    def log_odds(self, outputs: Tensor) -> Tensor:
        """Outputs (N, K) -> (N,)."""
        above = torch.logsumexp(outputs[:, self.signal], dim=1)
        return above - torch.logsumexp(outputs[:, self.background], dim=1)


def find_scores(analysis: Analysis, names: Sequence[str] = ()) -> list[Score]:
    """Those of the given names; without names the first discriminator, or the last class where there is none."""
    known = [*analysis.discriminators, *analysis.classes]
    chosen = list(names) or [next(iter(analysis.discriminators), list(analysis.classes)[-1])]
    for name in chosen:
        if name not in known:
            raise CollidekitError(
                f"--score: there is no discriminator or class {name!r}{did_you_mean(name, known)}; known are "
                f"{', '.join(known)}"
            )
    return [_score(analysis, name) for name in chosen]


def _score(analysis: Analysis, name: str) -> Score:
    classes = list(analysis.classes)
    if name in analysis.discriminators:
        definition = analysis.discriminators[name]
        signal, background = definition.signal, definition.background
    else:
        signal, background = [name], [other for other in classes if other != name]
    above, below = (f"p({' + '.join(side)})" for side in (signal, background))
    return Score(
        name,
        tuple(classes.index(c) for c in signal),
        tuple(classes.index(c) for c in background),
        f"ln({above} / {below})",
    )


@dataclass(frozen=True)
class Item:
    """Columns of an input that are looked at together: one feature, the four-momentum, the coordinates, or all of it."""

    input: str
    name: str
    label: str
    columns: slice
    whole: bool = False


def items(analysis: Analysis) -> list[Item]:
    """Every feature; four-momentum and coordinates of a collection, each as one."""
    found = []
    for name, entry in analysis.inputs.items():
        for i, feature in enumerate(entry.features):
            found.append(Item(name, feature.name, feature.label, slice(i, i + 1)))
        if isinstance(entry, Collection) and entry.momenta:
            columns = slice(entry.first_momentum, entry.first_coordinate)
            found.append(Item(name, "four-momentum", f"four-momentum of {name} [GeV]", columns))
        if isinstance(entry, Collection) and entry.coordinates:
            found.append(
                Item(name, "coordinates", f"coordinates of {name}", slice(entry.first_coordinate, entry.width))
            )
    return found


def whole_inputs(analysis: Analysis) -> list[Item]:
    """Each input as a whole."""
    return [Item(name, f"all of {name}", f"all of {name}", slice(None), whole=True) for name in analysis.inputs]


def values_of(entry: Input) -> Tensor:
    """All columns: (T, C) of a collection, (N, F) of a group."""
    return entry.data if isinstance(entry, Ragged) else entry
