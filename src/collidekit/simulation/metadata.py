"""Croissant metadata of simulated files and of the bundled samples."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from collidekit.croissant import LICENCE, DescribedFile, contents, describe, describe_beside, write_croissant
from collidekit.provenance import versions

WEBSITE = "https://collidekit.readthedocs.io"
KEYWORDS = ("high-energy physics", "LHC", "simulation")
WHAT = {
    "top-tagging": "jets of hadronic top quarks and of QCD dijets at 14 TeV (Pythia 8, anti-kT R = 0.8, a parametrised detector)",
    "jet-flavour": "b, c and light jets of ttbar events at 13 TeV (Pythia 8, anti-kT R = 0.4, tracks and secondary vertices)",
    "moons": "events of two moons in a plane with a mass, after scikit-learn's make_moons",
    "ttbar-dilepton": "dileptonic top pairs at 13 TeV (Pythia 8, a parametrised detector)",
    "ttbar-hadronic": "all-hadronic top pairs (Pythia 8, a parametrised detector), in the layout of SPANet",
    "tth-semileptonic": "semileptonic ttH events (Pythia 8, a parametrised detector), in the layout of SPANet",
}
CITATION = "@misc{{collidekit_{key}, title = {{{title}}}, author = {{The collidekit developers}}, howpublished = {{{website}}}}}"
SHIPPED = datetime(2026, 11, 30, tzinfo=UTC)
"""Date of publication of the bundled samples."""


def describe_simulated(path: Path, sample: str, rows: int, unit: str, seed: int, settings: Mapping[str, Any]) -> Path:
    """Write the metadata of a simulated file in the same folder, without a licence, which the publisher must add."""
    with_settings = f", {', '.join(f'{name} = {value:g}' for name, value in settings.items())}" if settings else ""
    description = f"{rows:,} {unit}: {_what(sample)}. Simulated with collidekit {versions(('collidekit',))['collidekit']}, seed {seed}{with_settings}."
    return describe_beside(
        path, f"{sample} {path.stem}", description, cite_as=_citation(sample), url=WEBSITE, keywords=KEYWORDS
    )


def describe_shipped(folder: Path) -> Path:
    """Write ``croissant.json`` of a bundled sample, with its training and test files."""
    sample = folder.name.replace("_", "-")
    files = [DescribedFile(folder / name, name, contents(folder / name)) for name in ("train.root", "test.root")]
    content = describe(
        f"collidekit {sample}", f"A small sample of {_what(sample)}; training and test set come from different seeds.", files,
        license=LICENCE, url=WEBSITE, cite_as=_citation(sample), keywords=KEYWORDS, date=SHIPPED,
    )  # fmt: skip
    return write_croissant(folder / "croissant.json", content)


def _what(sample: str) -> str:
    return WHAT.get(sample, f"the sample {sample}")


def _citation(sample: str) -> str:
    key, title = sample.replace("-", "_"), f"collidekit: simulated sample {sample}"
    return CITATION.format(key=key, title=title, website=WEBSITE)
