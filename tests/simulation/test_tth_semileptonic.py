"""The sample tth-semileptonic: SPANet's layout with two sequential inputs, and targets with the correct masses."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from collidekit.dataset.rows import build_rows, columns_to_read
from collidekit.errors import CollidekitError
from collidekit.readers import open_file
from collidekit.shipped import load_plan
from collidekit.simulation import simulate
from collidekit.simulation.samples import check_settings
from collidekit.simulation.tth_semileptonic import SLOTS

EVENTS = 120
Events = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("pythia8mc")
    return simulate("tth-semileptonic", tmp_path_factory.mktemp("tth") / "tth.h5", jets=EVENTS, seed=3)


@pytest.fixture(scope="module")
def events(file: Path) -> Events:
    found: Events = {}
    with h5py.File(file) as content:
        content.visititems(lambda name, item: found.update({name: item[:]}) if isinstance(item, h5py.Dataset) else None)
    return found


def momenta(events: Events) -> np.ndarray:
    """(N, 12, 4) as (E, px, py, pz)."""
    pt, eta, phi, mass = (events[f"INPUTS/Jets/{name}"].astype(float) for name in ("pt", "eta", "phi", "mass"))
    return np.stack([np.hypot(pt * np.cosh(eta), mass), pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)], axis=-1)


def masses(events: Events, *slots: str) -> np.ndarray:
    """Masses of the sum of the jets of some slots, in events that have them all."""
    jets = np.stack([events[f"TARGETS/{slot}"] for slot in slots], axis=1)
    rows = np.flatnonzero((jets >= 0).all(axis=1))
    total = momenta(events)[rows[:, None], jets[rows]].sum(axis=1)
    return np.sqrt(total[:, 0] ** 2 - np.sum(total[:, 1:] ** 2, axis=1))


def test_selection(events: Events) -> None:
    mask, pt = events["INPUTS/Jets/MASK"], events["INPUTS/Jets/pt"]
    assert mask.shape == (EVENTS, 12)
    assert np.all(mask[:, :6])
    assert np.all(pt[mask] > 25)
    lepton = {name: events[f"INPUTS/Lepton/{name}"][:, 0] for name in ("pt", "eta", "phi", "energy", "charge", "muon")}
    assert np.all(lepton["pt"] > 25)
    assert np.all(np.abs(lepton["eta"]) < 2.4)
    assert set(np.unique(lepton["charge"])) == {-1, 1}
    assert 0.35 < np.mean(lepton["charge"] > 0) < 0.65, "either top decays to the lepton"
    assert 0.35 < np.mean(lepton["muon"]) < 0.65
    dphi = np.abs(events["INPUTS/Jets/phi"] - lepton["phi"][:, None])
    distance = np.hypot(events["INPUTS/Jets/eta"] - lepton["eta"][:, None], np.minimum(dphi, 2 * np.pi - dphi))
    assert np.all(distance[mask] > 0.4)


def test_targets_have_the_masses_of_their_parents(events: Events) -> None:
    assert 100 < np.median(masses(events, "h/b1", "h/b2")) < 130
    assert 70 < np.median(masses(events, "ht/q1", "ht/q2")) < 84
    assert 150 < np.median(masses(events, "ht/b", "ht/q1", "ht/q2")) < 178


def test_the_leptonic_top_belongs_to_the_lepton(events: Events) -> None:
    """The mass of lepton and b quark of one top stays below 153 GeV, except for radiation and resolution."""
    lepton = {name: events[f"INPUTS/Lepton/{name}"][:, 0].astype(float) for name in ("pt", "eta", "phi", "energy")}
    p4 = np.stack(
        [
            lepton["energy"],
            lepton["pt"] * np.cos(lepton["phi"]),
            lepton["pt"] * np.sin(lepton["phi"]),
            lepton["pt"] * np.sinh(lepton["eta"]),
        ],
        axis=-1,
    )

    def fraction_above(slot: str) -> float:
        jet = events[f"TARGETS/{slot}"]
        rows = np.flatnonzero(jet >= 0)
        total = momenta(events)[rows, jet[rows]] + p4[rows]
        return float(np.mean(total[:, 0] ** 2 - np.sum(total[:, 1:] ** 2, axis=1) > 160**2))

    assert fraction_above("lt/b") < 0.06
    assert fraction_above("ht/b") > 0.15


def test_targets_are_unique_and_often_tagged(events: Events) -> None:
    target = np.stack([events[f"TARGETS/{slot}"] for slot in SLOTS], axis=1)
    for row in target:
        matched = row[row >= 0]
        assert len(set(matched)) == len(matched)
    for k, slot in enumerate(SLOTS):
        rows = np.flatnonzero(target[:, k] >= 0)
        tagged = events["INPUTS/Jets/btag"][rows, target[rows, k]].mean()
        assert (tagged > 0.6) == (slot in ("ht/b", "lt/b", "h/b1", "h/b2")), slot


def test_the_bundled_analysis_reads_them(file: Path, events: Events) -> None:
    plan = load_plan("tth_semileptonic")
    with open_file(str(file)) as reader:
        chunk = reader.read(columns_to_read(plan, list(reader.columns)), 0, EVENTS)
    batch = build_rows(plan, chunk, str(file), 0, 0).batch
    truth = np.stack([events[f"TARGETS/{slot}"] for slot in SLOTS], axis=1)
    assert list(plan.analysis.assignments["decays"].values) == [slot.replace("/", "_") for slot in SLOTS]
    assert batch.truth["decays"].tolist() == truth.tolist()
    assert len(batch.inputs["leptons"].data) == EVENTS


def test_settings_that_cannot_be() -> None:
    pytest.importorskip("pythia8mc")
    with pytest.raises(CollidekitError, match="max_jets=5: must be an integer from 6 to 100"):
        check_settings("tth-semileptonic", {"max_jets": 5.0})
