"""Parts of the report that are drawn from predictions."""

from pathlib import Path

import numpy as np
import pytest

from collidekit.analysis.schema import Analysis, Discriminator
from collidekit.analysis.scope import Plan
from collidekit.evaluation.classification.working_points import working_points
from collidekit.evaluation.look import SITE, look_of
from collidekit.inference.predictions import Predictions
from collidekit.shipped import load_plan
from collidekit.tasks.report import _spectra


def predictions() -> Predictions:
    random = np.random.default_rng(3)
    labels = random.integers(0, 2, 400)
    signal = np.clip(random.normal(0.35 + 0.3 * labels, 0.15), 0.01, 0.99)
    spectators = {name: random.normal(100, 10, 400) for name in ("jet_mass", "jet_pt")}
    return Predictions(
        ("background", "signal"), np.stack([1 - signal, signal], axis=1), labels, np.ones(400),
        {"SvsB": Discriminator(signal=["signal"], background=["background"])}, spectators,
    )  # fmt: skip


def drawn(analysis: Analysis, folder: Path) -> list[str]:
    rows = predictions()
    with look_of(analysis):
        return [path.stem for path in _spectra(folder, rows, working_points(rows, [0.1]), analysis, "toy")]


def test_spectra_of_the_masses_of_the_site(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan: Plan = load_plan("toy.yaml")
    assert drawn(plan.analysis, place) == ["spectrum_SvsB_jet_mass"]
    (place / "site.yaml").write_text("masses: [jet_pt, mass_of_another_analysis]\n")
    monkeypatch.setenv(SITE, str(place / "site.yaml"))
    assert drawn(plan.analysis, place) == ["spectrum_SvsB_jet_pt"]
