"""Scores and items of importance: features, four-momenta and coordinates of the inputs."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from collidekit.analysis.discriminators import Discriminator
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

    weights: tuple[float, ...] = ()
    """Factors of the probabilities of signal and background, if they are not 1."""

    def log_odds(self, outputs: Tensor) -> Tensor:
        """Return the log odds (N,) of outputs (N, K)."""
        chosen = outputs[:, (*self.signal, *self.background)]
        if self.weights:
            chosen = chosen + torch.tensor(self.weights, dtype=outputs.dtype, device=outputs.device).log()
        above, below = chosen[:, : len(self.signal)], chosen[:, len(self.signal) :]
        return torch.logsumexp(above, dim=1) - torch.logsumexp(below, dim=1)


def find_scores(analysis: Analysis, names: Sequence[str] = ()) -> list[Score]:
    """Return the scores with these names; without names the first discriminator, or the last class if there is none."""
    known = [*analysis.discriminators, *analysis.classes]
    chosen = list(names) or [next(iter(analysis.discriminators), list(analysis.classes)[-1])]
    for name in chosen:
        if name not in known:
            raise CollidekitError(
                f"--score: unknown discriminator or class {name!r}{did_you_mean(name, known)}; allowed are "
                f"{', '.join(known)}"
            )
    return [_score(analysis, name) for name in chosen]


def _score(analysis: Analysis, name: str) -> Score:
    classes = list(analysis.classes)
    others = [other for other in classes if other != name]
    definition = analysis.discriminators.get(name) or Discriminator(signal=[name], background=others)
    signal, background = definition.signal, definition.background
    sides = definition.formula_of({name: analysis.labels.get(name, name) for name in classes})
    above, below = (f"({text})" if " + " in text or text[0].isdigit() else text for text in sides)
    return Score(
        name,
        tuple(classes.index(c) for c in signal),
        tuple(classes.index(c) for c in background),
        f"ln({above} / {below})",
        tuple(definition.weight(c) for c in (*signal, *background)) if definition.weights else (),
    )


@dataclass(frozen=True)
class Item:
    """Columns of an input that form one item: one feature, the four-momentum, the coordinates, or all of them."""

    input: str
    name: str
    label: str
    columns: slice
    whole: bool = False


def items(analysis: Analysis) -> list[Item]:
    """Return all features, and the four-momentum and the coordinates of each collection as one item each."""
    found = []
    for name, entry in analysis.inputs.items():
        for i, feature in enumerate(entry.features):
            found.append(Item(name, feature.name, analysis.axis(feature), slice(i, i + 1)))
        if isinstance(entry, Collection) and entry.momenta:
            columns = slice(entry.first_momentum, entry.first_coordinate)
            found.append(Item(name, "four-momentum", f"four-momentum of {name} [GeV]", columns))
        if isinstance(entry, Collection) and entry.coordinates:
            found.append(
                Item(name, "coordinates", f"coordinates of {name}", slice(entry.first_coordinate, entry.width))
            )
    return found


def whole_inputs(analysis: Analysis) -> list[Item]:
    """Return each input as one item."""
    return [Item(name, f"all of {name}", f"all of {name}", slice(None), whole=True) for name in analysis.inputs]


def values_of(entry: Input) -> Tensor:
    """Return all columns: (T, C) for a collection, (N, F) for a group."""
    return entry.data if isinstance(entry, Ragged) else entry
