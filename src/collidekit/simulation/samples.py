"""The samples by name; a new one is a file with a generating function and a line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from collidekit.errors import CollidekitError, did_you_mean
from collidekit.simulation.columns import Columns
from collidekit.simulation.jet_flavour import jet_flavour
from collidekit.simulation.top_tagging import top_tagging


@dataclass(frozen=True, slots=True)
class Sample:
    """How a sample is made: `generate(jets, rng)` returns exactly that many jets, with `event` counting from 0."""

    generate: Callable[[int, np.random.Generator], Columns]
    jets_per_job: int  # some seconds of work; part of what a seed means
    requires: tuple[str, ...] = ("pythia8mc", "fastjet")


SAMPLES = {
    "top-tagging": Sample(top_tagging, jets_per_job=200),
    "jet-flavour": Sample(jet_flavour, jets_per_job=600),
}


def find_sample(name: str) -> Sample:
    """The sample of that name; an error says which there are and what must be installed."""
    if name not in SAMPLES:
        known = ", ".join(SAMPLES)
        raise CollidekitError(f"no sample is called {name!r}{did_you_mean(name, list(SAMPLES))}; there are: {known}")
    sample = SAMPLES[name]
    missing = [module for module in sample.requires if find_spec(module) is None]
    if missing:
        raise CollidekitError(
            f"simulating {name} needs {' and '.join(missing)}, not installed here: pip install 'collidekit[simulate]'"
        )
    return sample
