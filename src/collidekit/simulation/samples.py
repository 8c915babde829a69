"""The samples by name; a new one is a file with a generating function and a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec

import numpy as np
from attrs import asdict

from collidekit.errors import CollidekitError, did_you_mean
from collidekit.simulation.columns import Columns
from collidekit.simulation.jet_flavour import jet_flavour
from collidekit.simulation.moons import OF_THE_ANALYSIS, Moons, moons
from collidekit.simulation.top_tagging import top_tagging
from collidekit.simulation.ttbar_dilepton import SETTINGS as OF_DILEPTON
from collidekit.simulation.ttbar_dilepton import ttbar_dilepton
from collidekit.simulation.ttbar_hadronic import SETTINGS as OF_HADRONIC
from collidekit.simulation.ttbar_hadronic import ttbar_hadronic
from collidekit.simulation.tth_semileptonic import SETTINGS as OF_TTH
from collidekit.simulation.tth_semileptonic import tth_semileptonic


@dataclass(frozen=True, slots=True)
class Sample:
    """How a sample is made: `generate(rows, rng, **settings)` returns exactly that many, with `event` counting from 0."""

    generate: Callable[..., Columns]
    rows_per_job: int  # some seconds of work; part of what a seed means
    requires: tuple[str, ...] = ("pythia8mc", "fastjet")
    rows: str = "jets"
    settings: Mapping[str, float] = field(default_factory=dict)  # that it has, with their defaults
    is_hdf5: bool = False  # columns are named by their path in an HDF5 file; others are branches of a tree


OF_MOONS = {name: value for name, value in asdict(Moons()).items() if name not in OF_THE_ANALYSIS}

SAMPLES = {
    "top-tagging": Sample(top_tagging, rows_per_job=200),
    "jet-flavour": Sample(jet_flavour, rows_per_job=600),
    "moons": Sample(moons, rows_per_job=1_000_000, requires=(), rows="events", settings=OF_MOONS),
    "ttbar-dilepton": Sample(ttbar_dilepton, rows_per_job=500, rows="events", settings=OF_DILEPTON),
    "ttbar-hadronic": Sample(ttbar_hadronic, rows_per_job=500, rows="events", settings=OF_HADRONIC, is_hdf5=True),
    "tth-semileptonic": Sample(tth_semileptonic, rows_per_job=500, rows="events", settings=OF_TTH, is_hdf5=True),
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


def check_settings(name: str, given: Mapping[str, float]) -> None:
    """An error for a setting that the sample does not have, or a value that it cannot have."""
    known = find_sample(name).settings
    for setting in given:
        if name == "moons" and setting in OF_THE_ANALYSIS:
            raise CollidekitError(
                f"moons: {setting} changes no event, of which half are signal; write it into the analysis file as "
                f"`figure_of_merit: {{{OF_THE_ANALYSIS[setting]}: ...}}`"
            )
        if setting not in known:
            there = f"; it has {', '.join(known)}" if known else "; it has none"
            raise CollidekitError(f"{name} has no setting {setting!r}{did_you_mean(setting, list(known))}{there}")
    if given:
        find_sample(name).generate(1, np.random.default_rng(0), **given)


def parse_settings(words: Sequence[str]) -> dict[str, float]:
    """``noise=0.3`` and the like."""
    given = {}
    for word in words:
        name, equals, value = word.partition("=")
        try:
            given[name.strip()] = float(value)
        except ValueError:
            wrong = f"{value!r} is not a number" if equals else "needs NAME=VALUE"
            raise CollidekitError(f"--set {word}: {wrong}") from None
    return given
