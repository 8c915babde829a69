"""Real CMS NanoAOD and PFNano against uproot and plain loops."""

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot
from makers import make_plan

from collidekit.dataset.batch import Batch, Ragged, concatenate
from collidekit.dataset.check import check_named
from collidekit.dataset.construct import construct
from collidekit.dataset.loader import Dataset, Loader
from collidekit.shipped import find_analysis

FILES = ["nano_tt_v12", "nano_tt_v15", "pfnano"]
JETS = """
source: {tree: Events}
rows: Jet
selection: Jet_pt > 20
classes: {c: Jet_hadronFlavour == 4, rest: Jet_hadronFlavour != 4}
inputs:
  muons: {limit: 9, order: Muon_pt, where: "delta_r(Muon_eta, Muon_phi, Jet_eta, Jet_phi) < 0.4", features: [Muon_pt]}
  jet: {features: [Jet_pt, PuppiMET_pt, PV_npvs, row_index]}
event: [run, luminosityBlock, event]
"""


def constructed(text: str, path: Path, folder: Path) -> Batch:
    dataset = Dataset(construct(make_plan(text), str(path), folder, progress=False))
    return concatenate(list(Loader(dataset, 100, threads=0)))


def events_of(path: Path, *patterns: str) -> list[dict[str, Any]]:
    with uproot.open(path) as file:
        return ak.to_list(file["Events"].arrays(filter_name=list(patterns)))


def members(batch: Batch, name: str, row: int) -> np.ndarray:
    entry = batch.inputs[name]
    assert isinstance(entry, Ragged)
    return entry.values[entry.offsets[row] : entry.offsets[row + 1]].numpy()


@pytest.mark.parametrize("name", FILES)
def test_jets_and_what_is_of_their_event(shared_data: Path, tmp_path: Path, name: str) -> None:
    path = shared_data / "nanoaod" / f"{name}.root"
    batch = constructed(JETS, path, tmp_path / "out")
    events = events_of(path, "Jet_*", "Muon_*", "PuppiMET_pt", "PV_npvs", "run", "luminosityBlock", "event")
    row = 0
    for number, event in enumerate(events):
        for jet, pt in enumerate(event["Jet_pt"]):
            if pt <= 20:
                continue
            expected = [pt, event["PuppiMET_pt"], event["PV_npvs"], jet]
            np.testing.assert_array_equal(batch.inputs["jet"][row], np.float32(expected))  # type: ignore[index]
            assert batch.labels[row] == (event["Jet_hadronFlavour"][jet] != 4)
            assert [int(values[row]) for values in batch.event.values()] == [
                event["run"], event["luminosityBlock"], event["event"]
            ]  # fmt: skip
            assert batch.source[row].tolist() == [0, number]
            near = [
                muon_pt
                for muon_pt, eta, phi in zip(event["Muon_pt"], event["Muon_eta"], event["Muon_phi"], strict=True)
                if np.hypot(eta - event["Jet_eta"][jet], (phi - event["Jet_phi"][jet] + np.pi) % (2 * np.pi) - np.pi)
                < 0.4
            ]
            np.testing.assert_array_equal(members(batch, "muons", row)[:, 0], np.float32(sorted(near, reverse=True)))
            row += 1
    assert row == len(batch) > 0


@pytest.mark.parametrize(("analysis", "name"), [*(("nanoaod_jets", name) for name in FILES), ("pfnano_jets", "pfnano")])
def test_analyses_that_ship_fit_real_files(shared_data: Path, analysis: str, name: str) -> None:
    """The ten events of PFNano have no b jets: that is all that is found wrong."""
    found = check_named(analysis, [str(shared_data / "nanoaod" / f"{name}.root")])
    said = [problem.text for problem in found.errors]
    assert said == (["training: no row is in class 'b' (Jet_hadronFlavour == 5)"] if name == "pfnano" else [])


def constituents_by_hand(event: dict[str, Any], jet: int) -> list[dict[str, float]]:
    """Some features of the constituents of a jet in PFNano, in descending order of pT."""
    raw_pt = event["Jet_pt"][jet] * (1 - event["Jet_rawFactor"][jet])
    found = []
    for k in np.flatnonzero(np.array(event["JetPFCands_jetIdx"]) == jet):
        i = event["JetPFCands_pFCandsIdx"][k]
        of = {
            name: event[f"PFCands_{name}"][i] for name in ("pt", "eta", "phi", "charge", "d0", "d0Err", "dz", "dzErr")
        }
        assert of["pt"] == event["JetPFCands_pt"][k]
        found.append(
            {
                "pf_logpt": np.log(of["pt"]),
                "pf_logptrel": np.log(of["pt"] / raw_pt),
                "pf_deta": of["eta"] - event["Jet_eta"][jet],
                "pf_dphi": (of["phi"] - event["Jet_phi"][jet] + np.pi) % (2 * np.pi) - np.pi,
                "pf_charge": of["charge"],
                "pf_is_photon": float(event["PFCands_pdgId"][i] == 22),
                "pf_puppi_weight": event["PFCands_puppiWeight"][i],
                "pf_d0_significance": np.arcsinh(of["d0"] / of["d0Err"]) if of["d0Err"] > 0 else 0,
                "pf_dz_significance": np.arcsinh(of["dz"] / of["dzErr"]) if of["dzErr"] > 0 else 0,
                "pf_sip3d_significance": np.arcsinh(np.nan_to_num(event["JetPFCands_btagSip3dSig"][k])),
                "pf_vertex_quality": event["PFCands_pvAssocQuality"][i],
            }
        )
    return sorted(found, key=lambda constituent: -constituent["pf_logpt"])


def test_constituents_and_vertices_of_pfnano(shared_data: Path, tmp_path: Path) -> None:
    """The analysis that ships, with all jets and classes that the ten events have, against loops over the file."""
    path = shared_data / "nanoaod" / "pfnano.root"
    text = find_analysis("pfnano_jets").read_text().replace("selection: Jet_pt > 20 and abs(Jet_eta) < 2.5", "")
    for flavour, condition in ((0, "Jet_pt < 50"), (4, "50 <= Jet_pt < 500"), (5, "Jet_pt >= 500")):
        text = text.replace(f"Jet_hadronFlavour == {flavour}", condition)
    batch = constructed(text, path, tmp_path / "out")
    names = [feature.name for feature in make_plan(text).analysis.collections["constituents"].features]
    entry = batch.inputs["constituents"]
    assert isinstance(entry, Ragged)
    row = 0
    for event in events_of(path, "/(Jet|PFCands|JetPFCands|JetSVs)_.*/"):
        for jet, pt in enumerate(event["Jet_pt"]):
            expected = constituents_by_hand(event, jet)
            assert len(expected) == event["Jet_nConstituents"][jet]
            found = members(batch, "constituents", row)
            assert len(found) == min(len(expected), 64)
            for constituent, values in zip(expected, found, strict=False):
                seen = dict(zip(names, values.tolist(), strict=True))
                assert {name: seen[name] for name in constituent} == pytest.approx(constituent, rel=1e-4, abs=1e-5)
            if len(expected) <= 64:
                momentum = entry.momenta[entry.offsets[row] : entry.offsets[row + 1]].sum(dim=0)
                raw_pt = pt * (1 - event["Jet_rawFactor"][jet])
                assert float(momentum[:2].norm()) == pytest.approx(raw_pt, rel=5e-3)
            vertices = np.flatnonzero(np.array(event["JetSVs_jetIdx"]) == jet)
            vertices = sorted(vertices, key=lambda k: -event["JetSVs_dxysig"][k])[:4]
            masses = [min(event["JetSVs_mass"][k], 10) for k in vertices]
            np.testing.assert_allclose(members(batch, "vertices", row)[:, 0], masses, rtol=1e-6)
            row += 1
    assert row == len(batch) == 64


def test_constituents_of_wide_jets_in_nanoaod_v15(shared_data: Path, tmp_path: Path) -> None:
    """Central NanoAOD has the candidates of AK8 jets; they add up to the jet before corrections."""
    text = """
    source: {tree: Events}
    rows: FatJet
    members: {FatJetPFCand: FatJetPFCand_jetIdx}
    variables:
      pt: pick(PFCand_pt, FatJetPFCand_pfCandIdx)
      phi: pick(PFCand_phi, FatJetPFCand_pfCandIdx)
    classes: {near: abs(FatJet_eta) < 1, far: abs(FatJet_eta) >= 1}
    inputs:
      constituents: {limit: 500, features: [pt]}
      jet:
        features:
          - FatJet_nConstituents
          - {name: raw_pt, expression: FatJet_pt * (1 - FatJet_rawFactor)}
          - {name: sum_pt, expression: "hypot(sum(px(pt, phi)), sum(py(pt, phi)))"}
    """
    batch = constructed(text, shared_data / "nanoaod" / "nano_tt_v15.root", tmp_path / "out")
    constituents, raw_pt, sum_pt = batch.inputs["jet"].numpy().T  # type: ignore[union-attr]
    entry = batch.inputs["constituents"]
    assert isinstance(entry, Ragged)
    stored = entry.counts.numpy() > 0  # those of the softest jets are not
    assert stored.mean() > 0.9
    np.testing.assert_array_equal(entry.counts.numpy()[stored], constituents[stored])
    np.testing.assert_allclose(sum_pt[stored], raw_pt[stored], rtol=5e-3)
