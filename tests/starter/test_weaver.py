"""``init data.yaml FILES``: converted parts give the same values as weaver, other parts are listed with their line, and no code is executed."""

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import uproot

from collidekit.analysis.expressions import Expression
from collidekit.analysis.load import read_analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.rows import build_rows, columns_to_read
from collidekit.errors import CollidekitError
from collidekit.readers import open_file
from collidekit.starter.spanet import Translated
from collidekit.starter.translate import translate
from collidekit.starter.weaver.expression import convert

TOPS = """
selection:
   ### use `&`, `|`, `~` for logical operations on numpy arrays
   (np.abs(jet_eta)<2) & (jet_pt>200) & ~((event_no%7==0) | (jet_id==9))
test_time_selection:
   (jet_pt>300)
new_variables:
   part_mask: ak.ones_like(part_px)
   part_pt: np.hypot(part_px, part_py)
   part_pt_log: np.log(part_pt)
   part_logptrel: np.log(part_pt/jet_pt)
   part_r: np.hypot(part_deta, part_dphi)
   n_hard: ak.sum(part_pt > 10, axis=1)
   jet_isTop: label
   jet_isQCD: 1-label
   never: np.float16(jet_pt)
preprocess:
   method: manual
   data_fraction:
inputs:
   pf_points:
      length: 8
      pad_mode: wrap
      vars:
         - [part_deta, null]
         - part_dphi
   pf_features:
      length: 8
      pad_mode: wrap
      vars:
         - [part_pt_log, 1.7, 0.7]
         - [part_logptrel, -4.7, -0.7, -2, 3]
         - [part_r, 0.2, 4.0]
         - [part_d0, 0, 1e-1, 0, 1]
         - part_deta
         - [part_charge, null]
   pf_vectors:
      length: 8
      vars: [[part_px, null], [part_py, null], [part_pz, null], [part_energy, null]]
   pf_mask:
      length: 8
      pad_mode: constant
      vars:
         - [part_mask, null]
   jet:
      length: 1
      vars: [[n_hard, 3, 0.5]]
labels:
   type: simple
   value: [jet_isTop, jet_isQCD]
observers:
   - event_no
   - jet_pt
   - part_px
weights:
   use_precomputed_weights: false
   reweight_method: ref
   reweight_vars:
      jet_pt: [200, 300, 1000]
      jet_eta: [-2, 0, 2]
   reweight_classes: [jet_isQCD, jet_isTop]
   class_weights: [1, 2]
"""
N = 300


def sample(folder: Path) -> tuple[Path, ak.Array]:
    """Jets with 0 to 12 constituents; some of zero momentum, some NaN, some far beyond every bound."""
    rng = np.random.default_rng(3)
    counts = rng.integers(0, 13, N)
    total = int(counts.sum())
    flat = {name: rng.normal(size=total) * 20 for name in ("px", "py", "pz")}
    flat["px"][5::40] = flat["py"][5::40] = 0
    flat["px"][9::40] = 1e8
    flat |= {name: rng.normal(size=total) * 0.3 for name in ("deta", "dphi", "d0")}
    flat["d0"][7::40] = np.nan
    flat["energy"] = np.sqrt(sum(flat[name] ** 2 for name in ("px", "py", "pz")))
    flat["charge"] = rng.integers(-1, 2, total)
    rows = {f"part_{name}": ak.unflatten(values, counts) for name, values in flat.items()}
    rows |= {"jet_pt": rng.uniform(150, 600, N), "jet_eta": rng.uniform(-2.5, 2.5, N), "jet_id": rng.integers(0, 12, N)}
    rows |= {"event_no": np.arange(N), "label": rng.integers(0, 2, N)}
    with uproot.recreate(folder / "jets.root") as file:
        file["tree"] = rows
    return folder / "jets.root", ak.Array(rows)


def converted(tmp_path: Path, text: str, files: list[Path], **options: Any) -> Translated:
    (tmp_path / "data.yaml").write_text(text)
    return translate(tmp_path / "data.yaml", [str(file) for file in files], tmp_path / "made.yaml", **options)


def rows_of(tmp_path: Path, path: Path) -> Any:
    plan = Plan(*read_analysis(tmp_path / "made.yaml"))
    with open_file(str(path), plan.analysis.source) as reader:
        needed = columns_to_read(plan, list(reader.columns), path=str(path))
        return plan, build_rows(plan, reader.read(needed, 0, reader.rows), str(path), 0, 0)


def chosen(rows: ak.Array) -> ak.Array:
    """The selection, computed from the columns as weaver evaluates it."""
    return rows[(np.abs(rows.jet_eta) < 2) & (rows.jet_pt > 200) & ~((rows.event_no % 7 == 0) | (rows.jet_id == 9))]


def test_features_have_the_values_that_weaver_gives_the_network(tmp_path):
    path, rows = sample(tmp_path)
    made = converted(tmp_path, TOPS, [path])
    plan, built = rows_of(tmp_path, path)
    kept = chosen(rows)
    batch = built.batch
    assert len(kept) == len(batch.labels) > 100
    np.testing.assert_array_equal(batch.labels, 1 - np.asarray(kept.label))
    values = np.asarray(batch.inputs["pf"].values)
    np.testing.assert_array_equal(np.diff(batch.inputs["pf"].offsets), np.minimum(ak.num(kept.part_px), 8))

    with np.errstate(divide="ignore"):
        pt = np.hypot(kept.part_px, kept.part_py)
        raw = {
            "part_pt_log": np.log(pt),
            "part_logptrel": np.log(pt / kept.jet_pt),
            "part_r": np.hypot(kept.part_deta, kept.part_dphi),
        }
    raw |= {"part_d0": kept.part_d0}
    steps = {
        "part_pt_log": (1.7, 0.7, -5, 5),
        "part_logptrel": (-4.7, -0.7, -2, 3),
        "part_r": (0.2, 4, -5, 5),
        "part_d0": (0, 0.1, 0, 1),
    }
    names = [feature.name for feature in made.analysis.inputs["pf"].features]
    assert names == ["part_pt_log", "part_logptrel", "part_r", "part_d0", "part_deta", "part_charge"]
    clipped = 0
    for name, (center, scale, low, high) in steps.items():
        x = np.asarray(ak.flatten(raw[name][:, :8]))
        weaver = np.clip((x - center) * scale, low, high)
        clipped += int(np.sum((weaver == low) | (weaver == high)))
        found = (values[:, names.index(name)].astype(np.float64) - center) * scale
        known = ~np.isnan(x)
        np.testing.assert_allclose(found[known], weaver[known], rtol=0, atol=3e-6, err_msg=name)
    assert clipped > 100
    assert np.isinf(np.asarray(ak.flatten(raw["part_pt_log"][:, :8]))).any()  # lies at the bound, and is not missing
    np.testing.assert_allclose(values[:, 4], ak.flatten(kept.part_deta[:, :8]), rtol=1e-6)
    np.testing.assert_allclose(
        np.asarray(batch.inputs["jet"])[:, 0], np.clip(ak.sum(pt > 10, axis=1), -7, 13), rtol=1e-6
    )
    scaling = {feature.name: feature.scaling for feature in made.analysis.inputs["pf"].features}
    assert scaling["part_deta"] == scaling["part_charge"] == "none"
    assert scaling["part_pt_log"] == "standard"
    assert plan.analysis.event == ["event_no"]
    assert plan.analysis.spectators == ["jet_pt"]
    assert plan.analysis.inputs["pf"].momenta == ["part_px", "part_py", "part_pz", "part_energy"]
    assert plan.analysis.inputs["pf"].coordinates == ["part_deta", "part_dphi"]
    assert plan.analysis.kinematics is not None
    assert plan.analysis.kinematics.reference == "jet_isQCD"


def test_what_is_not_converted_is_named_with_its_line(tmp_path):
    path, _ = sample(tmp_path)
    made = converted(tmp_path, TOPS, [path])
    said = "\n".join(made.not_translated)
    lines = TOPS.splitlines()
    for part, line in (
        (
            "test_time_selection: the selection applies to all files; for test files it would be jet_pt > 300",
            "test_time_selection:",
        ),
        ("part_px: is a list", "   - part_px"),
        ("class_weights: they set numbers of rows", "   class_weights: [1, 2]"),
        ("rows beyond the edges", "   reweight_vars:"),
        ("not used or not converted: never", "   never: np.float16(jet_pt)"),
    ):
        assert f"data.yaml:{lines.index(line) + 1}: " in next(one for one in made.not_translated if part in one), part
    written = (tmp_path / "made.yaml").read_text()
    assert all(f"# NOT CONVERTED: {' '.join(one.split())}" in written for one in made.not_translated)
    assert "part_mask" not in written
    assert said.count("data.yaml:") == len(made.not_translated)


AK4 = """
treename: Events
selection: >-
   (np.abs(jet_eta)<4.7) & (jet_pt>15) & ( ~((jet_genjet_pt>0) & (jet_hadronFlavour==0)) | (jet_pt<61) )
new_variables:
   pfcand_mask: awkward.JaggedArray.ones_like(pfcand_etarel)
   label_b: (jet_genjet_pt>0) & (jet_nBHadrons==1)
   label_uds: (jet_genjet_pt>0) & (np.abs(jet_partonFlavour)<4)
   label_pu: (jet_genjet_pt<=0)
preprocess: {method: auto, data_fraction: 0.1}
inputs:
   pf_points: {length: 50, vars: [[pfcand_etarel, null], [pfcand_phirel, null]]}
   pf_features: {length: 50, vars: [pfcand_pt_log, [pfcand_dz, 0, 150], [pfcand_charge, null]]}
   pf_mask: {length: 50, vars: [pfcand_mask]}
   sv_features: {length: 5, vars: [[sv_mass, 1.1, 0.6]]}
   sv_mask: {length: 5, vars: [sv_good]}
labels: {type: simple, value: [label_b, label_uds, label_pu]}
observers: [event_no, jet_pt]
monitor_variables: []
weights:
   use_precomputed_weights: false
   reweight_method: flat
   reweight_vars: {jet_pt: [15, 100, 1000], jet_eta: [-4.7, 0, 4.7]}
   reweight_classes: [label_b, label_uds]
   reweight_threshold: 15
   reweight_hists:
"""


def test_flavours_with_automatic_scaling_and_two_collections(tmp_path):
    made = converted(tmp_path, AK4, [])
    analysis = made.analysis
    assert analysis.source.tree == "Events"
    assert Expression(analysis.selection).names == {"jet_eta", "jet_pt", "jet_genjet_pt", "jet_hadronFlavour"}
    assert "not (jet_genjet_pt > 0 and jet_hadronFlavour == 0)" in analysis.selection
    assert analysis.classes == {"b": "label_b", "uds": "label_uds", "pu": "label_pu"}
    assert analysis.variables["label_b"] == "jet_genjet_pt > 0 and jet_nBHadrons == 1"
    features = {feature.name: feature for group in analysis.inputs.values() for feature in group.features}
    assert features["pfcand_pt_log"].scaling == "robust"
    assert features["pfcand_dz"].bounds == pytest.approx((-5 / 150, 5 / 150))
    assert analysis.inputs["sv"].where == "sv_good != 0"
    assert analysis.kinematics is None
    assert (
        "# kinematics: {jet_pt: [15, 100, 1000], jet_eta: [-4.7, 0, 4.7], reference: uds}"
        in (tmp_path / "made.yaml").read_text()
    )
    assert any("flat: kinematics can only bring" in one for one in made.not_translated)
    assert set(analysis.discriminators) == {"b_vs_uds", "pu_vs_uds"}


def test_custom_labels_are_numbers_to_learn(tmp_path):
    text = AK4.replace(
        "labels: {type: simple, value: [label_b, label_uds, label_pu]}",
        'labels: {type: custom, value: {mass: "np.maximum(1, np.where(fj_isH, fj_gen_mass, fj_genjet_sdmass))"}}',
    )
    analysis = converted(tmp_path, text, []).analysis
    assert not analysis.classes
    (target,) = analysis.regressions.values()
    assert target.values == {"mass": "max(1, where(fj_isH != 0, fj_gen_mass, fj_genjet_sdmass))"}


def test_scales_that_weaver_found_are_taken(tmp_path):
    params = "{pfcand_pt_log: {length: 50, pad_mode: wrap, center: 1.5, scale: 0.5, min: -5, max: 5, pad_value: 0}}"
    text = AK4.replace("data_fraction: 0.1}", f"data_fraction: 0.1, params: {params}}}")
    features = {feature.name: feature for feature in converted(tmp_path, text, []).analysis.inputs["pf"].features}
    assert features["pfcand_pt_log"].bounds == (-8.5, 11.5)


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').system('true')",
        "label.argmax(1)",
        "ak.sum(x)",
        "(lambda: 1)()",
        "~flags",
        "np.load(x)",
        "x.__class__",
        "open(x)",
        "[y for y in x]",
        "np.where(x, y)",
        "1 +",
        "(" * 500 + "x" + ")" * 500,
    ],
)
def test_expressions_without_counterpart_are_errors(text):
    with pytest.raises(CollidekitError):
        convert(text)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("(a > 0) + (b > 0)", lambda a, b, k: (a > 0) + (b > 0)),
        ("(a > 0) * (b > 0)", lambda a, b, k: (a > 0) * (b > 0)),
        ("k & (a > 0)", lambda a, b, k: k & (a > 0)),
        ("k | (a > 0)", lambda a, b, k: k | (a > 0)),
        ("(a > 0) | ~(b > 0)", lambda a, b, k: (a > 0) | ~(b > 0)),
        ("np.sign(a) * b ** 2 % 3", lambda a, b, k: np.sign(a) * b**2 % 3),
        ("np.where(k, a, b)", lambda a, b, k: np.where(k, a, b)),
        ("np.logical_and(k, a > 0)", lambda a, b, k: np.logical_and(k, a > 0)),
        ("np.clip(a / b, -1, 1)", lambda a, b, k: np.clip(a / b, -1, 1)),
        ("k & 2", lambda a, b, k: k & 2),
        ("np.power(a, 2) - np.square(b)", lambda a, b, k: np.power(a, 2) - np.square(b)),
        ("-a**2", lambda a, b, k: -(a**2)),
        ("1 - (k == 1)", lambda a, b, k: 1 - (k == 1)),
    ],
)
def test_expressions_mean_what_numpy_means(text, want):
    rng = np.random.default_rng(1)
    scope = {"a": rng.normal(size=50), "b": rng.normal(size=50), "k": rng.integers(0, 4, 50)}
    found = np.asarray(Expression(convert(text).text).evaluate(scope))
    np.testing.assert_allclose(found.astype(np.float64), np.asarray(want(**scope)).astype(np.float64))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "length: 50, vars: [[pfcand_etarel",
            "length: none, vars: [[pfcand_etarel",
            "length of pf_points must be a positive integer",
        ),
        ("[pfcand_dz, 0, 150]", "[pfcand_dz, zero, 150]", "'zero' must be a number"),
        ("[pfcand_dz, 0, 150]", "[pfcand_dz, 0, 150, 5, -5]", "the minimum 5 must be below the maximum -5"),
        ("value: [label_b, label_uds, label_pu]", "value: [label_b, label_b]", "label_b is listed twice"),
        ("value: [label_b, label_uds, label_pu]", "value: [label_b]", "at least two labels"),
        ("observers: [event_no, jet_pt]", "observers: jet_pt", "observers must be a list of names"),
        ("treename: Events", "treename: Events\ntreename: other", "is given twice"),
    ],
)
def test_a_wrong_configuration_is_an_error_that_names_the_line(tmp_path, old, new, said):
    assert old in AK4
    with pytest.raises(CollidekitError, match=said) as raised:
        converted(tmp_path, AK4.replace(old, new), [])
    assert "data.yaml:" in str(raised.value)
    assert not (tmp_path / "made.yaml").exists()


def test_a_branch_that_the_data_lack_is_an_error_and_writes_nothing(tmp_path):
    path, _ = sample(tmp_path)
    with pytest.raises(CollidekitError, match="part_missing"):
        converted(tmp_path, TOPS.replace("[part_charge, null]", "[part_missing, null]"), [path])
    assert not (tmp_path / "made.yaml").exists()


def test_a_label_that_cannot_be_converted_never_holds_and_is_named(tmp_path):
    made = converted(tmp_path, AK4.replace("label_pu: (jet_genjet_pt<=0)", "label_pu: np.float16(jet_pt)"), [])
    assert made.analysis.classes["pu"] == "0 == 1"
    assert any(
        "label label_pu: the variable label_pu: np.float16 has no counterpart" in one for one in made.not_translated
    )
