"""The sample ttbar-dilepton: columns, selection, agreement of measured objects with the truth, and determinism."""

from dataclasses import replace
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from collidekit.errors import CollidekitError
from collidekit.reconstruction.spin import decay_directions
from collidekit.simulation import SAMPLES, simulate
from collidekit.simulation.b_tagging import tagging_efficiency
from collidekit.simulation.samples import check_settings
from collidekit.simulation.ttbar_objects import jet_resolution

EVENTS = 250
POLAR = ("pt", "eta", "phi", "mass")
MEASURED = """
nlep lep_pt lep_eta lep_phi lep_e lep_charge lep_pid N_jets jet_pt jet_eta jet_phi jet_e jet_b_tag jet_truth_flavour
m_l1j m_l2j dR_l1j dR_l2j N_bjets met_met met_phi dR_l1l2 event weight
"""
TRUE = """
truth_is_gg truth_c_hel truth_c_han weight_spin_sm weight_spin_singlet weight_spin_none truth_lplus_pid truth_lminus_pid
truth_b_jet_index truth_bbar_jet_index truth_lplus_lep_index truth_lminus_lep_index
"""
BRANCHES = {
    *MEASURED.split(),
    *TRUE.split(),
    *(f"truth_{name}_p{axis}" for name in ("nu", "nubar") for axis in "xyz"),
    *(
        f"truth_{name}_{part}"
        for name in ("top", "tbar", "ttbar", "wplus", "wminus", "b", "bbar", "lplus", "lminus")
        for part in POLAR
    ),
}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("pythia8mc")
    return simulate("ttbar-dilepton", tmp_path_factory.mktemp("ttbar") / "ttbar.root", jets=EVENTS, seed=3)


@pytest.fixture(scope="module")
def events(file: Path) -> ak.Array:
    with uproot.open(file) as content:
        return ak.values_astype(content["tree"].arrays(), np.float64)


def cartesian(pt: object, eta: object, phi: object, mass: object) -> np.ndarray:
    """(..., 4) as (E, px, py, pz)."""
    pt, eta, phi, mass = (ak.to_numpy(values) for values in (pt, eta, phi, mass))
    energy = np.sqrt((pt * np.cosh(eta)) ** 2 + mass**2)
    return np.stack([energy, pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)], axis=-1)


def truth(events: ak.Array, name: str) -> np.ndarray:
    return cartesian(*(events[f"truth_{name}_{part}"] for part in POLAR))


def neutrino(events: ak.Array, name: str) -> np.ndarray:
    p = np.stack([ak.to_numpy(events[f"truth_{name}_p{axis}"]) for axis in "xyz"], axis=-1)
    return np.concatenate([np.linalg.norm(p, axis=-1, keepdims=True), p], axis=-1)


def mass(p: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(p[..., 0] ** 2 - np.sum(p[..., 1:] ** 2, axis=-1), 0))


def jet_of(events: ak.Array, name: str) -> tuple[np.ndarray, ak.Array]:
    """Return a mask of events with a jet of this quark, and these jets."""
    index = ak.to_numpy(events[f"truth_{name}_jet_index"]).astype(int)
    rows = np.flatnonzero(index >= 0)
    return rows, ak.Array({key: events[key][rows, index[rows]] for key in events.fields if key[:4] == "jet_"})


def test_branches_and_settings(file: Path, events: ak.Array) -> None:
    assert set(events.fields) == BRANCHES
    with uproot.open(file) as content:
        assert content["simulated"] == '{"sample": "ttbar-dilepton", "settings": {"energy": 13.0, "taus": 0.0}}'
        types = {branch.name: branch.typename for branch in content["tree"].branches}
    assert types["event"] == "int64_t"
    assert types["jet_pt"] == "float[]"
    assert types["jet_b_tag"] == "int32_t[]"
    assert types["N_jets"] == types["N_bjets"] == types["truth_b_jet_index"] == "int32_t"
    assert events.event.tolist() == list(range(3_000_000_000, 3_000_000_000 + EVENTS))
    assert np.all(events.weight == 1)


def test_selection_and_order(events: ak.Array) -> None:
    assert np.all(events.lep_charge == [[1, -1]] * EVENTS)
    assert np.all(np.isin(events.lep_pid.to_numpy(), [-11, -13, 11, 13]))
    assert np.all(np.sign(events.lep_pid) == -events.lep_charge)
    assert ak.min(events.lep_pt) > 20
    assert ak.min(ak.max(events.lep_pt, axis=1)) > 25
    assert ak.max(np.abs(events.lep_eta)) < 2.4
    assert ak.min(events.jet_pt) > 25
    assert ak.max(np.abs(events.jet_eta)) < 2.5
    assert ak.min(events.N_jets) == 2
    assert ak.all(events.jet_pt[:, 1:] <= events.jet_pt[:, :-1])
    assert np.all(ak.num(events.jet_pt) == events.N_jets)
    assert np.all(ak.sum(events.jet_b_tag >= 3, axis=1) == events.N_bjets)
    assert ak.min(events.dR_l1j) > 0.4
    assert ak.min(events.dR_l2j) > 0.4


def test_event_variables_follow_from_the_momenta(events: ak.Array) -> None:
    leptons = np.stack(
        [cartesian(events.lep_pt[:, i], events.lep_eta[:, i], events.lep_phi[:, i], np.zeros(EVENTS)) for i in (0, 1)]
    )
    leptons[..., 0] = np.stack([ak.to_numpy(events.lep_e[:, i]) for i in (0, 1)])  # with photons they have a mass
    assert mass(leptons.sum(axis=0)).min() > 20 - 1e-3
    counts = ak.to_numpy(ak.num(events.jet_pt))
    pt, eta, phi, energy = (ak.to_numpy(ak.flatten(events[f"jet_{name}"])) for name in ("pt", "eta", "phi", "e"))
    jet = np.stack([energy, pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)], axis=-1)
    for i in (0, 1):
        own = np.repeat(leptons[i], counts, axis=0)
        np.testing.assert_allclose(ak.flatten(events[f"m_l{i + 1}j"]), mass(own + jet), rtol=1e-4, atol=0.1)
        deta = np.repeat(events.lep_eta[:, i].to_numpy(), counts) - eta
        dphi = np.angle(np.exp(1j * (np.repeat(events.lep_phi[:, i].to_numpy(), counts) - phi)))
        np.testing.assert_allclose(ak.flatten(events[f"dR_l{i + 1}j"]), np.hypot(deta, dphi), atol=1e-5)


def test_truth_adds_up(events: ak.Array) -> None:
    top, tbar = truth(events, "top"), truth(events, "tbar")
    np.testing.assert_allclose(mass(top + tbar), events.truth_ttbar_mass, rtol=1e-4)
    np.testing.assert_allclose(np.hypot(*(top + tbar)[:, 1:3].T), events.truth_ttbar_pt, rtol=1e-3, atol=0.01)
    for top_name, w_name, b_name, lepton_name, nu_name in (
        ("top", "wplus", "b", "lplus", "nu"), ("tbar", "wminus", "bbar", "lminus", "nubar"),
    ):  # fmt: skip
        w = truth(events, w_name)
        lost = (w - truth(events, lepton_name) - neutrino(events, nu_name))[:, 0] / w[:, 0]
        assert lost.min() > -1e-4
        assert np.median(lost) < 1e-4, "most Ws give all to lepton and neutrino"
        assert np.quantile(lost, 0.9) < 0.05, "others radiate photons"
        ratio = mass(w + truth(events, b_name)) / events[f"truth_{top_name}_mass"]
        assert np.median(ratio) > 0.99
        assert np.max(ratio) < 1.001


def test_spin_columns_follow_from_the_truth(events: ak.Array) -> None:
    directions = decay_directions(*(truth(events, name) for name in ("top", "tbar", "lplus", "lminus")))
    np.testing.assert_allclose(directions.c_hel, events.truth_c_hel, atol=1e-4)
    np.testing.assert_allclose(directions.c_han, events.truth_c_han, atol=1e-4)
    np.testing.assert_allclose(events.weight_spin_singlet, 1 + events.truth_c_hel, atol=1e-6)
    assert np.all(events.weight_spin_none == 1)
    assert ak.min(events.weight_spin_sm) >= 0
    assert ak.max(events.weight_spin_sm) <= 2
    assert np.corrcoef(events.weight_spin_sm, events.truth_c_hel)[0, 1] > 0.3, "D of the standard model is negative"


def test_matched_jets_are_unique_and_near_their_quark(events: ak.Array) -> None:
    found = np.stack([ak.to_numpy(events[f"truth_{name}_jet_index"]) for name in ("b", "bbar")], axis=1)
    assert np.all(found < ak.to_numpy(events.N_jets)[:, None])
    assert not np.any((found[:, 0] == found[:, 1]) & (found[:, 0] >= 0))
    assert 0.78 < np.mean(found >= 0) < 0.92, "both jets are within acceptance in about seven of ten events"
    assert 0.6 < np.mean(np.all(found >= 0, axis=1)) < 0.85
    for name in ("b", "bbar"):
        rows, jet = jet_of(events, name)
        dphi = np.angle(np.exp(1j * (jet.jet_phi - events[f"truth_{name}_phi"][rows])))
        assert np.max(np.hypot(jet.jet_eta - events[f"truth_{name}_eta"][rows], dphi)) < 0.4
        assert np.mean(jet.jet_truth_flavour == 5) > 0.9
        ratio = ak.to_numpy(jet.jet_pt / events[f"truth_{name}_pt"][rows])
        assert 0.85 < np.median(ratio) < 1.0, "neutrinos of B hadrons and radiation out of the cone"


def test_pairing_with_the_right_lepton_stays_below_the_top_mass(events: ak.Array) -> None:
    """m(lb) of correct pairs is below sqrt(mt^2 - mW^2) = 153 GeV except for resolution and widths; wrong pairs can exceed it."""
    shares = []
    for name, right, wrong in (("b", "m_l1j", "m_l2j"), ("bbar", "m_l2j", "m_l1j")):
        index = ak.to_numpy(events[f"truth_{name}_jet_index"]).astype(int)
        rows = np.flatnonzero(index >= 0)
        shares.append([np.mean(events[column][rows, index[rows]] > 160) for column in (right, wrong)])
    (right_share, wrong_share) = np.mean(shares, axis=0)
    assert right_share < 0.04
    assert wrong_share > 0.2


def test_leptons_are_those_of_the_truth(events: ak.Array) -> None:
    for i, name in enumerate(("lplus", "lminus")):
        assert np.all(events[f"truth_{name}_lep_index"] == i)
        assert np.all(events[f"truth_{name}_pid"] == events.lep_pid[:, i])
        ratio = (events.lep_pt[:, i] / events[f"truth_{name}_pt"]).to_numpy()
        low, median, high = np.quantile(ratio, [0.16, 0.5, 0.84])
        assert median == pytest.approx(1.0, abs=0.01)
        assert (high - low) / 2 < 0.04


def test_missing_momentum_is_that_of_the_neutrinos(events: ak.Array) -> None:
    met = np.stack([events.met_met * np.cos(events.met_phi), events.met_met * np.sin(events.met_phi)], axis=1)
    true = (neutrino(events, "nu") + neutrino(events, "nubar"))[:, 1:3]
    for axis in (0, 1):
        assert np.corrcoef(met[:, axis], true[:, axis])[0, 1] > 0.9
        low, median, high = np.quantile(met[:, axis] - true[:, axis], [0.16, 0.5, 0.84])
        assert 10 < (high - low) / 2 < 22  # GeV
        assert abs(median) < 5


def test_tags_reproduce_the_parametrisation(events: ak.Array) -> None:
    flavour, pt, quantile = (
        ak.to_numpy(ak.flatten(events[name])) for name in ("jet_truth_flavour", "jet_pt", "jet_b_tag")
    )
    expected = tagging_efficiency(flavour.astype(int), pt)
    for i in range(4):
        for value in (5, 0):
            rows = flavour == value
            total, error = expected[rows, i].sum(), np.sqrt((expected[rows, i] * (1 - expected[rows, i])).sum())
            assert abs(np.sum(quantile[rows] >= i + 2) - total) < 4 * error + 1


def test_jet_resolution_is_the_stated_one() -> None:
    assert jet_resolution(np.array([100.0]))[0] == pytest.approx(np.sqrt(0.04**2 + 0.08**2 + 0.04**2))


def test_workers_do_not_matter_and_seeds_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pythia8mc")
    monkeypatch.setitem(SAMPLES, "ttbar-dilepton", replace(SAMPLES["ttbar-dilepton"], rows_per_job=12))
    read = [
        uproot.open(simulate("ttbar-dilepton", tmp_path / f"{i}.root", 20, seed, workers))["tree"].arrays()
        for i, (seed, workers) in enumerate(((7, 1), (7, 2), (8, 1)))
    ]
    assert ak.array_equal(read[0], read[1])
    assert not set(read[0].met_met.tolist()) & set(read[2].met_met.tolist())
    assert not set(read[0].event.tolist()) & set(read[2].event.tolist())


def test_taus_and_energy() -> None:
    pytest.importorskip("pythia8mc")
    columns = SAMPLES["ttbar-dilepton"].generate(60, np.random.default_rng(4), energy=13.6, taus=1)
    pid = np.abs(np.stack([columns["truth_lplus_pid"], columns["truth_lminus_pid"]], axis=1))
    assert 0 < np.sum(pid == 15) < 60, "some leptons come through taus"
    assert np.all(np.isin(np.abs(ak.to_numpy(columns["lep"].pid)), (11, 13)))
    direct = pid != 15
    assert np.all(np.abs(ak.to_numpy(columns["lep"].pid))[direct] == pid[direct])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"taus": 2.0}, "taus=2: must be 0"),
        ({"taus": float("nan")}, "taus=nan"),
        ({"energy": 0.5}, "energy=0.5: the energy of the collision in TeV"),
        ({"energy": 13000.0}, "between 1 and 100"),
        ({"enrgy": 13.0}, "did you mean 'energy'"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, float], message: str) -> None:
    pytest.importorskip("pythia8mc")
    with pytest.raises(CollidekitError, match=message):
        check_settings("ttbar-dilepton", settings)


def test_the_name_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collidekit.simulation.samples.find_spec", lambda name: name)
    with pytest.raises(CollidekitError, match=r"x.h5: the name of a file of ttbar-dilepton must end in .root"):
        simulate("ttbar-dilepton", tmp_path / "x.h5", 5)
