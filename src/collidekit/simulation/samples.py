"""Samples by name. A new sample needs a file with a generating function and an entry here."""

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
    """Definition of a sample: `generate(rows, rng, **settings)` returns exactly this number of rows, with `event` counting from 0."""

    generate: Callable[..., Columns]
    rows_per_job: int  # a few seconds of work; changing it changes the content for a given random seed
    requires: tuple[str, ...] = ("pythia8mc", "fastjet")
    rows: str = "jets"
    settings: Mapping[str, float] = field(default_factory=dict)  # settings of the sample with their defaults
    is_hdf5: bool = False  # whether columns are datasets of an HDF5 file, named by their path, or branches of a tree

    @property
    def missing(self) -> list[str]:
        """Return the names of the packages that the sample needs and that are not installed."""
        return [module for module in self.requires if find_spec(module) is None]


OF_MOONS = {name: value for name, value in asdict(Moons()).items() if name not in OF_THE_ANALYSIS}

SAMPLES = {
    "top-tagging": Sample(top_tagging, rows_per_job=200),
    "jet-flavour": Sample(jet_flavour, rows_per_job=600),
    "moons": Sample(moons, rows_per_job=1_000_000, requires=(), rows="events", settings=OF_MOONS),
    "ttbar-dilepton": Sample(ttbar_dilepton, rows_per_job=500, rows="events", settings=OF_DILEPTON),
    "ttbar-hadronic": Sample(ttbar_hadronic, rows_per_job=500, rows="events", settings=OF_HADRONIC, is_hdf5=True),
    "tth-semileptonic": Sample(tth_semileptonic, rows_per_job=500, rows="events", settings=OF_TTH, is_hdf5=True),
}


def named_sample(name: str) -> Sample:
    """Return a sample by its name, also if a package is missing. Raises CollidekitError for an unknown name."""
    if name not in SAMPLES:
        known = ", ".join(SAMPLES)
        raise CollidekitError(f"unknown sample {name!r}{did_you_mean(name, list(SAMPLES))}; known are {known}")
    return SAMPLES[name]


def find_sample(name: str) -> Sample:
    """Return a sample by its name. Raises CollidekitError for an unknown name, or if a package is missing."""
    sample = named_sample(name)
    if missing := sample.missing:
        raise CollidekitError(
            f"simulation of {name} needs {' and '.join(missing)}, which is not installed: pip install 'collidekit[simulate]'"
        )
    return sample


def check_settings(name: str, given: Mapping[str, float]) -> None:
    """Raise CollidekitError for a setting that the sample does not have, or for an invalid value."""
    known = named_sample(name).settings
    for setting in given:
        if name == "moons" and setting in OF_THE_ANALYSIS:
            raise CollidekitError(
                f"moons: {setting} does not change the sample, which is always half signal; set it in the analysis file: "
                f"`figure_of_merit: {{{OF_THE_ANALYSIS[setting]}: ...}}`"
            )
        if setting not in known:
            there = f"; it has {', '.join(known)}" if known else "; it has none"
            raise CollidekitError(f"{name} has no setting {setting!r}{did_you_mean(setting, list(known))}{there}")
    if given and not named_sample(name).missing:
        named_sample(name).generate(1, np.random.default_rng(0), **given)


def parse_settings(words: Sequence[str]) -> dict[str, float]:
    """Return settings from words such as ``noise=0.3``."""
    given = {}
    for word in words:
        name, equals, value = word.partition("=")
        try:
            given[name.strip()] = float(value)
        except ValueError:
            wrong = f"{value!r} is not a number" if equals else "needs NAME=VALUE"
            raise CollidekitError(f"--set {word}: {wrong}") from None
    return given
