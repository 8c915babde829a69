"""Refuse files whose momenta or angles are in different units."""

from collections.abc import Mapping, Sequence

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from collidekit.analysis.angles import beyond_turn, in_degrees
from collidekit.analysis.factors import different_units, typical
from collidekit.analysis.scope import flat_numbers
from collidekit.errors import CollidekitError
from collidekit.starter.columns import plain_name
from collidekit.starter.momenta import find_momenta, find_momentum
from collidekit.starter.treat import Sampled


def refuse_mixed_units(samples: Sequence[Sampled], names: Mapping[str, str]) -> None:
    """Raise an error that names two files if their momenta are in GeV and MeV, or their angles in radians and degrees.

    ``names`` maps columns to their names in expressions.
    """
    paths = list(dict.fromkeys(sample.path for sample in samples))
    if len(paths) < 2:
        return
    momenta, angles = _columns(names)
    for name in momenta:
        sizes = [typical(values) for values in _values(samples, paths, name)]
        if pair := different_units(sizes):
            (low, high), (small, large) = [paths[i] for i in pair], [sizes[i] for i in pair]
            raise CollidekitError(
                f"{low} and {high}: the median of {name} is {small:.3g} in the first file and {large:.3g} in the second, as if in GeV and "
                "MeV; write one analysis file for each unit, or convert one of the files"
            )
    for name in angles:
        values = _values(samples, paths, name)
        degrees = [path for path, part in zip(paths, values, strict=True) if in_degrees(part)]
        others = [
            p for p, part in zip(paths, values, strict=True) if len(np.unique(part)) > 10 and not beyond_turn(part)
        ]
        if degrees and others:
            raise CollidekitError(
                f"{degrees[0]} and {others[0]}: {name} is in degrees in the first file and in radians in the second; "
                "convert one of the files"
            )


def _columns(names: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the columns of momenta without masses, and the columns of azimuths."""
    plain = {plain_name(name): name for name in names}
    found = list(find_momenta(plain).values())
    found += [one for one in (find_momentum(names), find_momentum(names, "jet")) if one]
    momenta = {c: None for one in found for c in (one.pt, one.energy, one.px, one.py, one.pz) if c in names}
    return list(momenta), list({one.phi: None for one in found if one.phi in names})


def _values(samples: Sequence[Sampled], paths: Sequence[str], name: str) -> list[NDArray[np.float64]]:
    """Return the values of a column in each file."""
    parts: dict[str, list[NDArray[np.float64]]] = {path: [] for path in paths}
    for sample in samples:
        if name in sample.chunk.fields:
            numbers = flat_numbers(ak.flatten(sample.chunk[name], axis=None))
            parts[sample.path].append(np.asarray(numbers, dtype=np.float64))
    return [np.concatenate(part) if part else np.zeros(0) for part in parts.values()]
