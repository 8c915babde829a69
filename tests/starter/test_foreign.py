"""Files of several experiments: no truth, weight or other tagger among the inputs, right units, classes and lists."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
from tests.starter import foreign

from collidekit.analysis.load import parse_analysis, read_analysis
from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.construct import construct
from collidekit.dataset.rows import build_rows, columns_of
from collidekit.readers import open_file
from collidekit.starter.starter import Started, start_analysis

FILES = {
    "lhcb_like.root": (
        ["background", "signal"],
        "BKGCAT TRUE MC_MOTHER _sw Polarity Number",
        "B_IPCHI2_OWNPV mup_isMuon mup_MC12TuneV2_ProbNNmu nTracks",
    ),
    "belle_like.root": (
        ["background", "signal"],
        "mc MC PDG __ isSignal isContinuum",
        "Mbc deltaE mu_muonID R2 chiProb",
    ),
    "atlas_parquet.parquet": (
        ["light", "c", "b", "tau"],
        "LabDr Ghost truth Label dl1r orig pdg Weight weight Channel",
        "jet_trk_d0 jet_trk_nInnHits jet_JVT",
    ),
    "atlas_ftag.h5": (
        ["light", "c", "b", "tau"],
        "Truth truth GN2 DL1 Weight eventNumber",
        "pt_btagJes secondaryVtx_m numberOfPixelHits",
    ),
    "jetclass.root": (
        ["QCD", "Hbb", "Hcc", "Hgg", "H4q", "Hqql", "Zqq", "Wqq", "Tbqq", "Tbl"],
        "label aux_ genpart",
        "part_isChargedHadron part_charge jet_tau1",
    ),
    "open_data_jets.root": (["PhysG", "PhysUDS"], "Flav isPh isParton gen Gen QGl Weight", "QG_ptD rhoall PF_dR"),
    "delphes.root": (["light", "c", "b"], "Flavor BTag Particle Weight", "Jet_Charge Jet_NCharged"),
    "odd_truth.root": (
        ["background", "signal"],
        "origin process dsid sample xsec sf_ Wgt",
        "isTight n_jets mll dphi_ll",
    ),
    "flat_tops.parquet": (["background", "signal"], "truth ttv signal", "part_deta PX"),
}


@pytest.fixture
def started(tmp_path: Path) -> Callable[[str], tuple[Started, Analysis, str]]:
    def begin(name: str) -> tuple[Started, Analysis, str]:
        getattr(foreign, name.partition(".")[0])(tmp_path / name)
        made = start_analysis([str(tmp_path / name)], tmp_path / "a.yaml")
        return made, read_analysis(tmp_path / "a.yaml")[0], (tmp_path / "a.yaml").read_text()

    return begin


def texts(analysis: Analysis) -> list[str]:
    return [feature.expression for entry in analysis.inputs.values() for feature in entry.features]


@pytest.mark.parametrize("name", FILES)
def test_inputs_and_classes(name: str, tmp_path: Path, started: Callable[..., Any]) -> None:
    classes, never, always = FILES[name]
    _, analysis, _ = started(name)
    assert list(analysis.classes) == classes
    used = texts(analysis)
    assert not [(word, text) for word in never.split() for text in used if word in text]
    momenta = [t for entry in analysis.collections.values() for t in (entry.momenta or [])]
    assert [word for word in always.split() if not any(word in text for text in [*used, *momenta])] == []
    manifest = construct(Plan(analysis), str(tmp_path / name), tmp_path / "dataset", progress=False)
    assert manifest.rows > 400


def test_lists_in_lists_are_those_of_a_jet(tmp_path: Path, started: Callable[..., Any]) -> None:
    made, analysis, text = started("atlas_parquet.parquet")
    assert analysis.rows == "jet"
    assert "jet_trk: momenta are in MeV" in "; ".join(made.notes)
    assert analysis.variables["jet_pt_gev"] == "jet_pt / 1000"
    assert analysis.units["jet_pt_gev"] == "GeV"
    plan = Plan(analysis)
    with open_file(str(tmp_path / "atlas_parquet.parquet")) as reader:
        whole = reader.read(list(reader.columns), 0, reader.rows)
        batch = build_rows(plan, reader.read(columns_of(plan, reader), 0, reader.rows), "x", 0, 0).batch
    tracks = batch.inputs["jet_trk"]
    index = [feature.name for feature in analysis.inputs["jet_trk"].features].index("jet_trk_logptrel")
    true = np.log(
        np.clip(ak.to_numpy(ak.flatten(ak.sum(whole["jet_trk_pt"], axis=2))), 1e-9, None)
        / ak.to_numpy(ak.flatten(whole["jet_pt"]))
    )
    sums = np.array([float(part.exp().sum()) for part in tracks.values[:, index].split(tracks.counts.tolist())])
    there = sums > 0
    np.testing.assert_allclose(np.log(sums[there]), true[there], atol=0.02)
    assert "jet_trk_d0_signed_significance" in text


def test_lifetime_sign(started: Callable[..., Any]) -> None:
    """A track that crosses the axis in front of the vertex has a positive sign, from either side of the axis."""
    _, analysis, _ = started("jetclass.root")
    signed = next(
        f for f in analysis.inputs["part"].features if f.name.startswith("part_d0val_signed") and "signif" not in f.name
    )
    assert "-sign(part_dphi) * part_d0val" in signed.expression
    error = next(f for f in analysis.inputs["part"].features if "part_d0val_signed_significance" in f.name)
    assert "part_d0val / part_d0err if part_d0err > 0 else 0" in error.expression
    distance = 3.0
    for angle in (0.2, -0.2):  # of the flight from the axis; x and y of the decay, and the perigee of its track
        track = 2 * angle
        x, y = distance * np.cos(angle), distance * np.sin(angle)
        d0 = y * np.cos(track) - x * np.sin(track)  # of ATLAS and CMS: (-d0 sin, d0 cos) is the perigee
        assert -np.sign(track) * d0 > 0


def test_units_that_are_not_sure_are_not_written(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    counts = random.integers(1, 8, 600)
    total = int(counts.sum())
    columns = {f"trk_{part}": ak.unflatten(values, counts) for part, values in (
        ("pt", random.exponential(140, total) + 5), ("eta", random.normal(0, 1, total)), ("phi", random.uniform(-3, 3, total)))}  # fmt: skip
    foreign.write_tree(tmp_path / "x.root", {"label": np.arange(600) % 2, **columns})
    made = start_analysis([str(tmp_path / "x.root")], tmp_path / "a.yaml")
    assert any("GeV or MeV?" in note for note in made.notes)
    assert made.analysis.collections["trk"].momenta is None
    assert not any(feature.unit for entry in made.analysis.inputs.values() for feature in entry.features)


def test_measured_flags_are_no_truth(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    columns = {
        "isTight": (random.random(400) < 0.5).astype(np.int8),
        "mu_isMuon": (random.random(400) < 0.9).astype(np.int8),
        "x": random.normal(0, 1, 400),
    }
    foreign.write_tree(tmp_path / "x.root", columns)
    made = start_analysis([str(tmp_path / "x.root")], tmp_path / "a.yaml")
    assert made.class_counts == {"background": 0, "signal": 0}
    assert "FILL IN: no column looks like the truth" in (tmp_path / "a.yaml").read_text()


def test_unknown_truth_is_left_out_of_the_rows(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    label = np.where(random.random(600) < 0.2, np.nan, random.integers(0, 2, 600))
    foreign.write_tree(tmp_path / "x.root", {"isSignal": label, "x": random.normal(0, 1, 600)})
    made = start_analysis([str(tmp_path / "x.root")], tmp_path / "a.yaml")
    assert made.analysis.selection == "isfinite(isSignal)"
    assert sum(made.class_counts.values()) == int(np.isfinite(label).sum())


def test_two_columns_of_truth_are_both_named(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    columns = {
        "a_label": random.integers(0, 2, 400),
        "b_label": random.integers(0, 2, 400),
        "x": random.normal(0, 1, 400),
    }
    foreign.write_tree(tmp_path / "x.root", columns)
    start_analysis([str(tmp_path / "x.root")], tmp_path / "a.yaml")
    text = (tmp_path / "a.yaml").read_text()
    assert "# These columns may also hold the truth: b_label" in text
    assert "b_label" not in str(texts(parse_analysis(text)[0]))


def test_a_copy_of_the_truth_under_another_name(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    label = random.integers(0, 2, 2000)
    copy = np.where(np.arange(2000) < 40, 2, label)
    foreign.write_tree(tmp_path / "x.root", {"label": label, "ltrain": copy, "x": random.normal(label, 1)})
    start_analysis([str(tmp_path / "x.root")], tmp_path / "a.yaml")
    text = (tmp_path / "a.yaml").read_text()
    assert "# - {name: ltrain, kind: integer}  # is it truth?" in text


def test_files_with_other_columns(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    for name, column in (("a", "x"), ("b", "z")):
        columns = {
            "label": random.integers(0, 2, 300),
            "y1": random.normal(0, 1, 300),
            column: random.normal(0, 1, 300),
        }
        foreign.write_tree(tmp_path / f"{name}.root", columns)
    made = start_analysis([str(tmp_path / "a.root"), str(tmp_path / "b.root")], tmp_path / "a.yaml")
    assert texts(made.analysis) == ["y1"]
    assert "left out, because only some of the files have them: x, z" in made.notes
