"""``collidekit reconstruct``: classical methods on files, without a network."""

import re
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import toys
import uproot
from typer.testing import CliRunner

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.scope import Plan
from collidekit.cli import app
from collidekit.errors import CollidekitError
from collidekit.evaluation.dilepton.doubts import doubts_of_files
from collidekit.evaluation.reconstruct_to_file import reconstruct_to_file

ROOT = Path(__file__).parents[2]
ANALYSIS = (ROOT / "analyses" / "ttbar_dilepton.yaml").read_text()
ROWS = 120


def events(**changed: object) -> ak.Array:
    with uproot.open(ROOT / "samples" / "ttbar_dilepton" / "test.root") as file:
        found = file["tree"].arrays(entry_stop=ROWS)
    for name, change in changed.items():
        found = ak.with_field(found, change(found), name)  # type: ignore[operator]
    return found


def plan(*replaced: tuple[str, str]) -> Plan:
    text = ANALYSIS
    for old, new in replaced:
        assert old in text
        text = text.replace(old, new)
    return Plan(*parse_analysis(text))


def written(folder: Path, **changed: object) -> str:
    return str(toys.write_table(folder / "events.parquet", events(**changed)))


def read(path: Path) -> dict[str, np.ndarray]:
    with uproot.open(path) as file:
        return dict(file["reconstruction"].arrays(library="np"))


def test_it_writes_the_answer_of_each_method_and_compares_with_the_truth(tmp_path: Path) -> None:
    path, out = written(tmp_path), tmp_path / "out.root"
    found = CliRunner().invoke(
        app, ["reconstruct", "ttbar_dilepton", path, "-o", str(out), "--methods", "max_m_lb,ellipse"]
    )
    assert found.exit_code == 0, found.output
    columns, truth = read(out), events()
    assert len(columns["weight"]) == ROWS
    np.testing.assert_array_equal(columns["event"], ak.to_numpy(truth["event"]))
    true = np.stack([ak.to_numpy(truth[f"truth_{b}_jet_index"]) for b in ("b", "bbar")], axis=1)
    given = np.stack([columns[f"max_m_lb_index_{slot}"] for slot in ("top_b", "antitop_b")], axis=1)
    complete = (true >= 0).all(axis=1)
    efficiency = re.search(r"max_m_lb +([0-9.]+) ±", found.output)
    assert efficiency is not None, found.output
    assert float(efficiency[1]) == pytest.approx((given == true).all(axis=1)[complete].mean(), abs=0.006)
    solved = columns["ellipse_status"] == 0
    assert 0.5 < solved.mean() < 1
    assert (columns["ellipse_m_tt"][solved] > 300).all()
    momenta = {p: columns[f"ellipse_nu_{p}"] + columns[f"ellipse_nubar_{p}"] for p in ("px", "py")}
    met, phi = ak.to_numpy(truth["met_met"]), ak.to_numpy(truth["met_phi"])
    np.testing.assert_allclose(momenta["px"][solved], (met * np.cos(phi))[solved], atol=1e-2)
    np.testing.assert_allclose(momenta["py"][solved], (met * np.sin(phi))[solved], atol=1e-2)


def test_truth_is_not_needed_and_settings_come_from_the_analysis(tmp_path: Path) -> None:
    table = events()
    table = table[[name for name in table.fields if not name.startswith(("truth", "weight_"))]]
    path = str(toys.write_table(tmp_path / "events.parquet", table))
    more = "dilepton:\n  methods: {tagged: {method: ellipse, choice: m_lb, jets: {rule: tagged, threshold: 3}}}\n"
    made = reconstruct_to_file(
        plan(("dilepton: # comparison with classical methods\n", more)),
        [path],
        tmp_path / "out.root",
        ["max_m_lb"],
    )
    assert (made.results, made.events) == ([], ROWS)
    columns = read(tmp_path / "out.root")
    assert {"max_m_lb_index_top_b", "tagged_index_top_b", "tagged_nu_pz"} <= columns.keys()


def test_plots_have_the_formats_of_the_analysis(tmp_path: Path) -> None:
    drawn_as = plan(("plots: {simulation: true}", "plots: {simulation: true, formats: []}"))
    reconstruct_to_file(drawn_as, [written(tmp_path)], tmp_path / "out.root", ["max_m_lb"], tmp_path / "plots")
    assert {path.suffix for path in (tmp_path / "plots").iterdir()} >= {".png"}
    assert not list((tmp_path / "plots").glob("*.pdf"))


def test_a_wrong_setting_of_a_method_is_named_by_check_and_by_the_verb(tmp_path: Path) -> None:
    wrong = plan(
        (
            "dilepton: # comparison with classical methods\n",
            "dilepton:\n  methods: {ellipse: {choice: mlb}}\n",
        )
    )
    path = written(tmp_path)
    assert any(
        "dilepton.methods.ellipse" in line and "'mlb' is not one of" in line for line in doubts_of_files(wrong, [path])
    )
    with pytest.raises(CollidekitError, match="'mlb' is not one of"):
        reconstruct_to_file(wrong, [path], tmp_path / "out.root", ["max_m_lb"])


def test_bounds_and_defaults_of_the_network_are_not_seen_by_methods(tmp_path: Path) -> None:
    path = written(tmp_path)
    reconstruct_to_file(plan(), [path], tmp_path / "plain.root", ["ellipse"])
    clipped = plan(('"px(met_met, met_phi)", unit: GeV}', '"px(met_met, met_phi)", unit: GeV, bounds: [-20, 20]}'))
    reconstruct_to_file(clipped, [path], tmp_path / "clipped.root", ["ellipse"])
    one, other = read(tmp_path / "plain.root"), read(tmp_path / "clipped.root")
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_nan_in_a_jet_is_a_status_and_is_said(tmp_path: Path) -> None:
    spoilt = written(tmp_path, jet_e=lambda e: ak.where(np.arange(ROWS) < 7, e["jet_e"] * np.nan, e["jet_e"]))
    made = reconstruct_to_file(plan(), [spoilt], tmp_path / "out.root", ["max_m_lb", "ellipse"])
    assert f"7 of {ROWS} events: not finite" in made.notes
    columns = read(tmp_path / "out.root")
    for method in ("max_m_lb", "ellipse"):
        np.testing.assert_array_equal(columns[f"{method}_status"][:7], 5)
        np.testing.assert_array_equal(columns[f"{method}_index_top_b"][:7], -1)
        assert (columns[f"{method}_status"][7:] != 5).all()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"lep_charge": lambda e: abs(e["lep_charge"])}, "no event has two leptons of opposite charge"),
        ({"lep_charge": lambda e: -e["lep_charge"]}, "the partner of top is not the positive lepton"),
        ({"lep_charge": lambda e: 3 * e["lep_charge"]}, "the charge of a lepton is neither 1 nor -1"),
        ({"met_phi": lambda e: e["met_phi"] * 180 / np.pi}, "the missing momentum does not balance leptons and jets"),
        ({"met_met": lambda e: 1000 * e["met_met"]}, "the median transverse momentum of missing momentum is"),
        ({"jet_pt": lambda e: 1000 * e["jet_pt"]}, "the median transverse momentum of jets is"),
        ({"met_met": lambda e: 0 * e["met_met"]}, f"{ROWS} of {ROWS} events: no missing momentum"),
    ],
)  # fmt: skip
def test_doubtful_events_are_named_before_a_training(tmp_path: Path, changed: dict[str, object], said: str) -> None:
    found = doubts_of_files(plan(), [written(tmp_path, **changed)])
    assert any(said in line for line in found), found


def test_good_events_raise_no_doubts(tmp_path: Path) -> None:
    found = doubts_of_files(plan(), [written(tmp_path)])
    assert all("negative mass" in line for line in found)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["ttbar_dilepton", "--methods", "elipse"], "did you mean 'ellipse'?"),
        (["top_tagging"], "has no key 'dilepton'"),
        (["ttbar_dilepton", "-o", "out.csv"], "are written as .parquet or .root, not .csv"),
    ],
)
def test_what_cannot_be_done_is_one_line(tmp_path: Path, arguments: list[str], said: str) -> None:
    analysis, *more = arguments
    out = [] if "-o" in more else ["-o", str(tmp_path / "out.root")]
    found = CliRunner().invoke(app, ["reconstruct", analysis, written(tmp_path), *out, *more])
    assert found.exit_code == 2
    assert said in " ".join(found.output.split())
    assert "Traceback" not in found.output
