"""``init`` of files with dileptonic top pairs: another layout of the same events gives the same events and the same truth."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.starter.event_trees import EVENTS, SAMPLE, VECTORS, events, write, write_delphes, write_topcptoolkit

from collidekit.analysis.load import load_analysis, parse_analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.batch import Batch
from collidekit.dataset.rows import build_rows, columns_of, open_scope
from collidekit.evaluation.dilepton.events import dilepton_events
from collidekit.readers import open_file
from collidekit.reconstruction.events import DileptonEvents
from collidekit.reconstruction.methods import build_method
from collidekit.starter.starter import start_analysis

BUNDLED = Path(__file__).parents[2] / "analyses" / "ttbar_dilepton.yaml"


def plan_of(text: str) -> Plan:
    return Plan(*parse_analysis(text, "x.yaml"))


def rows(plan: Plan, path: Path) -> Batch:
    with open_file(str(path), plan.analysis.source) as reader:
        return build_rows(plan, reader.read(columns_of(plan, reader), 0, EVENTS), str(path), 0, 0).batch


def methods_events(plan: Plan, batch: Batch) -> DileptonEvents:
    return dilepton_events(plan.analysis, [batch]).events


def true_momenta(plan: Plan, path: Path) -> dict[str, list[np.ndarray]]:
    """Return pt, eta, phi and mass (N,) of the particles of ``dilepton.truth``."""
    truth = plan.analysis.dilepton and plan.analysis.dilepton.truth
    assert truth
    used = plan.under("dilepton", "truth")
    with open_file(str(path), plan.analysis.source) as reader:
        needed = plan.columns_of_expressions(used, reader.columns, str(path))
        scope = open_scope(plan, reader.read(needed, 0, EVENTS), str(path), 0)
    return {
        name: [np.asarray(scope.numbers(plan["dilepton", "truth", name, i])) for i in range(4)]
        for name in truth.particles
    }


@pytest.mark.parametrize(
    ("name", "make", "flags"),
    [
        ("flat", lambda path: SAMPLE, False),
        ("vectors", lambda path: VECTORS, False),
        ("delphes", write_delphes, True),
        ("topcptoolkit", write_topcptoolkit, False),
    ],
)
def test_the_events_are_those_of_the_bundled_analysis(
    name: str, make: Callable[[Path], Path], flags: bool, tmp_path: Path
) -> None:
    path = make(tmp_path / f"{name}.root")
    started = start_analysis([str(path)], tmp_path / "new.yaml")
    assert started.analysis.classes == {}
    assert not started.unreadable
    text = BUNDLED.read_text()
    b_tag = "{name: jet_b_tag, expression: jet_b_tag >= 3, kind: flag}" if flags else "{name: jet_b_tag, kind: integer}"
    bundled, plan = plan_of(text.replace("{name: jet_b_tag, kind: integer}", b_tag)), Plan(load_analysis(started.path))
    expected, found = rows(bundled, SAMPLE), rows(plan, path)
    for target in ("tops", "neutrinos", "pair"):
        tolerance = 0.0 if target == "tops" else 1e-4
        np.testing.assert_allclose(found.truth[target], expected.truth[target], rtol=tolerance, atol=10 * tolerance)
    np.testing.assert_array_equal(next(iter(found.event.values())), expected.event["event"])
    np.testing.assert_array_equal(found.weights, expected.weights)
    one, other = methods_events(plan, found), methods_events(bundled, expected)
    for part in ("leptons", "jets", "met", "btag"):
        rounding = 1e-3 if flags and part == "leptons" else 2e-5  # Delphes writes no energies of leptons with photons
        np.testing.assert_allclose(getattr(one, part), getattr(other, part), rtol=rounding, atol=5e-3)
    for method in ("delta_r", "sum_m_lb2"):
        given = [build_method(method).reconstruct(each).jets for each in (one, other)]
        assert np.mean((given[0] == given[1]).all(axis=1)) > 0.999  # momenta are rounded in another way
    truth, own = true_momenta(bundled, SAMPLE), true_momenta(plan, path)
    assert {"top", "antitop", "lepton_plus", "lepton_minus"} <= set(own) <= set(truth)
    for particle, parts in own.items():
        for value, right in zip(parts[:3], truth[particle][:3], strict=True):
            np.testing.assert_allclose(value, right, rtol=1e-4, atol=1e-4)


def test_momenta_pairs_and_settings(tmp_path: Path) -> None:
    started = start_analysis([str(SAMPLE)], tmp_path / "new.yaml")
    analysis = started.analysis
    assert analysis.collections["leptons"].order == "lep_charge"
    assert {"log_mass_leptons_0", "delta_r_leptons_1"} <= {f.name for f in analysis.inputs["jets"].features}
    assert analysis.training["model_name"] == "transformer_small"
    assert analysis.dilepton
    assert list(analysis.dilepton.spin_weights) == ["sm", "singlet", "none"]
    assert (analysis.weight, analysis.event) == ("weight", ["event"])
    text = started.path.read_text()
    assert "pairs: {leptons: [log_mass, delta_r]}" in text
    assert "truth_is_gg" not in text


def test_units_and_other_tools(tmp_path: Path) -> None:
    started = start_analysis([str(write_topcptoolkit(tmp_path / "toolkit.root"))], tmp_path / "new.yaml")
    analysis = started.analysis
    assert analysis.variables["jet_pt"] == "jet_pt_NOSYS / 1000"
    assert analysis.weight == "weight_mc_NOSYS"
    assert analysis.dilepton
    assert analysis.dilepton.given == {"nu_flows": [f"at(nuflows_nu_out_NOSYS, {i})" for i in range(6)]}
    parents = analysis.assignments["tops"].parents
    assert [parents[name]["b"].index for name in parents] == [
        "at(event_jet_truth_idx, 0)",
        "at(event_jet_truth_idx, 3)",
    ]
    assert "Ttbar_MC_t_afterFSR_pt / 1000" in started.path.read_text()


def without_truth() -> dict[str, object]:
    found = events()
    names = [name for name in found.fields if not name.startswith(("truth", "jet_truth", "weight_spin"))]
    return {name: found[name] for name in names if name not in ("nlep", "N_jets")}


def test_without_truth_the_inputs_are_there(tmp_path: Path) -> None:
    started = start_analysis([str(write(tmp_path / "data.root", "tree", without_truth()))], tmp_path / "new.yaml")
    assert list(started.analysis.inputs) == ["jets", "leptons", "event"]
    assert not started.analysis.targets
    assert "FILL IN: no truth of top pairs was found" in started.path.read_text()
    assert "no truth of top pairs was found: write targets or classes before you run" in started.notes


def test_padded_lists_and_positions_that_cannot_be(tmp_path: Path) -> None:
    """Lists of fixed length padded with -999, one jet for both quarks, and a position beyond the end."""
    found = events()
    columns: dict[str, np.ndarray] = {}
    for prefix, length in (("jet", 6), ("lep", 2)):
        for name in (n for n in found.fields if n.startswith(f"{prefix}_") and "truth" not in n):
            lists = [list(values)[:length] for values in found[name]]
            columns[name] = np.array([values + [-999] * (length - len(values)) for values in lists], dtype=np.float32)
    places = {"b": np.array(found.truth_b_jet_index), "bbar": np.array(found.truth_bbar_jet_index)}
    places["b"][5], places["bbar"][:2], places["b"][:2] = 8, 0, 0
    columns |= {f"truth_{name}_jet_index": values for name, values in places.items()}
    columns |= {
        "met_met": np.asarray(found.met_met),
        "met_phi": np.asarray(found.met_phi),
        "event": np.asarray(found.event),
    }
    np.savez(tmp_path / "padded.npz", **columns)
    plan = Plan(start_analysis([str(tmp_path / "padded.npz")], tmp_path / "new.yaml").analysis)
    batch = rows(plan, tmp_path / "padded.npz")
    assert batch.truth["tops"][:2].tolist() == [[-1, -1], [-1, -1]]
    assert batch.truth["tops"][5, 0] == -1
    assert len(batch) == EVENTS
    mask = methods_events(plan, batch).mask
    np.testing.assert_array_equal(mask.sum(axis=1), np.minimum([len(values) for values in found.jet_pt], 6))


def test_files_of_other_events_are_no_top_pairs(tmp_path: Path) -> None:
    columns = without_truth()
    columns["lep_charge"] = abs(columns["lep_charge"])  # type: ignore[arg-type]
    started = start_analysis([str(write(tmp_path / "data.root", "tree", columns))], tmp_path / "new.yaml")
    assert "pairs" not in started.path.read_text()
