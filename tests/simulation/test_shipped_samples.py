"""The bundled samples: counts, sizes, and physics."""

from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from collidekit.reconstruction.spin import spin_marker

SAMPLES = Path(__file__).parents[2] / "samples"


def read(name: str) -> ak.Array:
    with uproot.open(SAMPLES / name) as file:
        return file["tree"].arrays()


@pytest.fixture(scope="module")
def top() -> ak.Array:
    return read("top_tagging/train.root")


@pytest.fixture(scope="module")
def flavour() -> ak.Array:
    return read("jet_flavour/train.root")


@pytest.mark.parametrize("sample", ["top_tagging", "jet_flavour", "ttbar_dilepton"])
def test_sizes(sample: str) -> None:
    assert sum(path.stat().st_size for path in (SAMPLES / sample).glob("*.root")) < 8_000_000


@pytest.mark.parametrize(("sample", "key"), [("top_tagging", "label"), ("jet_flavour", "jet_flavour")])
def test_counts_and_no_overlap_of_train_and_test(sample: str, key: str) -> None:
    train, test = read(f"{sample}/train.root"), read(f"{sample}/test.root")
    for jets, size in ((train, 9000), (test, 3000)):
        assert len(jets) == size
        classes, counts = np.unique(jets[key], return_counts=True)
        assert counts.tolist() == [size // len(classes)] * len(classes)
    assert not set(train.event.tolist()) & set(test.event.tolist())
    pt, eta = (np.concatenate([train[name], test[name]]).tolist() for name in ("jet_pt", "jet_eta"))
    assert len(set(zip(pt, eta, strict=True))) == 12_000, "no jet stands there twice"


def test_tops_peak_at_the_top_mass_and_qcd_does_not(top: ak.Array) -> None:
    mass, is_top = top.jet_mass.to_numpy(), top.label.to_numpy() == 1
    assert 170 < np.median(mass[is_top]) < 180
    assert np.median(mass[~is_top]) < 100
    assert np.all((top.jet_pt > 550) & (top.jet_pt < 650) & (np.abs(top.jet_eta) < 2))


def test_multiplicity_is_that_of_the_reference_data(top: ak.Array) -> None:
    """43.7 for QCD and 54.7 for tops in the Top Quark Tagging Reference Dataset."""
    multiplicity, is_top = ak.num(top.part_px), top.label == 1
    assert ak.mean(multiplicity[~is_top]) == pytest.approx(43.7, rel=0.1)
    assert ak.mean(multiplicity[is_top]) == pytest.approx(54.7, rel=0.1)
    assert ak.max(multiplicity) <= 200


def test_rounding_leaves_the_jets_what_they_are(top: ak.Array) -> None:
    px, py, pz, energy = (
        ak.sum(ak.values_astype(top[f"part_{name}"], np.float64), axis=1) for name in ("px", "py", "pz", "energy")
    )
    np.testing.assert_allclose(np.hypot(px, py), top.jet_pt, rtol=2e-4)
    mass = np.sqrt(np.maximum(energy**2 - px**2 - py**2 - pz**2, 0))
    assert np.quantile(np.abs(mass - top.jet_mass), 0.99) < 1.0


def test_impact_parameters_tell_flavours_apart(flavour: ak.Array) -> None:
    significance = flavour.trk_d0 / flavour.trk_d0_err
    width = {}
    for value in (5, 4, 0):
        flat = ak.flatten(significance[flavour.jet_flavour == value]).to_numpy()
        width[value] = np.diff(np.quantile(flat, [0.16, 0.84]))[0]
        assert np.mean(flat > 4) > np.mean(flat < -4), "lifetime shows on the positive side"
    assert width[0] < 2.6, "close to two standard deviations"
    assert width[0] < width[4] < width[5]


def test_secondary_vertices(flavour: ak.Array) -> None:
    share = {value: ak.mean(flavour.nsv[flavour.jet_flavour == value] > 0) for value in (5, 4, 0)}
    assert share[5] > 0.5 > share[4] > 0.1
    assert 0 < share[0] < 0.05, "fakes and long-lived hadrons"
    mass = {value: ak.mean(flavour.sv_mass[flavour.jet_flavour == value]) for value in (5, 4)}
    assert mass[5] > mass[4]


@pytest.fixture(scope="module")
def ttbar() -> ak.Array:
    return ak.concatenate([read(f"ttbar_dilepton/{part}.root") for part in ("train", "test")])


def test_top_pairs_are_counted_once(ttbar: ak.Array) -> None:
    event = ttbar.event.to_numpy()
    assert np.bincount(event // 10**9).tolist() == [0, 7000, 3000]
    measured = zip(ttbar.met_met.tolist(), ttbar.met_phi.tolist(), strict=True)
    assert len(set(event.tolist())) == len(set(measured)) == 10_000, "no event stands there twice"


def test_jets_of_top_pairs(ttbar: ak.Array) -> None:
    b, bbar = (ttbar[f"truth_{name}_jet_index"].to_numpy() for name in ("b", "bbar"))
    assert np.mean((b >= 0) & (bbar >= 0)) == pytest.approx(0.72, abs=0.02)
    flavour, tag = (ak.flatten(ttbar[name]).to_numpy() for name in ("jet_truth_flavour", "jet_b_tag"))
    for quantile, efficiency in ((2, 0.85), (3, 0.77), (4, 0.70), (5, 0.60)):
        assert np.mean(tag[flavour == 5] >= quantile) == pytest.approx(efficiency, abs=0.02)
    assert np.mean(tag[flavour == 0] >= 3) == pytest.approx(0.009, abs=0.002)


def test_spin_of_top_pairs(ttbar: ak.Array) -> None:
    """The selection moves D by less than the error of 10,000 events."""
    for kind, injected in (("none", 0.0), ("sm", -0.2265), ("singlet", -1.0)):
        d, error = spin_marker(ttbar.truth_c_hel.to_numpy(), ttbar[f"weight_spin_{kind}"].to_numpy())
        assert error < 0.02
        assert abs(d - injected) < 3 * error


def test_neutrinos_of_top_pairs(ttbar: ak.Array) -> None:
    x = ttbar.met_met * np.cos(ttbar.met_phi) - ttbar.truth_nu_px - ttbar.truth_nubar_px
    low, high = np.quantile(x.to_numpy(), [0.16, 0.84])
    assert (high - low) / 2 == pytest.approx(16, abs=1)
