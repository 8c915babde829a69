"""``collidekit trace``."""

from collections.abc import Callable
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
from tests.cli.conftest import Run, Trained
from tests.cli.samples import ANALYSIS, jets, write_root

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.trace import trace

EVENTS = """
rows: Jet
classes: {light: Jet_flavour == 0, b: Jet_flavour == 5}
inputs:
  jet: {features: [Jet_pt, met]}
"""


def plan(analysis: str = ANALYSIS) -> Plan:
    return Plan(*parse_analysis(analysis, "jets.yaml"))


def test_numbers_are_those_of_the_file(trained: Trained) -> None:
    columns = jets(400, seed=1)
    found = trace(plan(), trained.training, 17)
    assert {value.name: value.value for value in found.columns}["jet_pt"] == pytest.approx(columns["jet_pt"][17])
    assert found.label == columns["label"][17]
    assert [value.name for value in found.variables] == ["part_pt", "part_logptrel"]
    particles = found.inputs[0]
    pt = np.hypot(ak.to_numpy(columns["part_px"][17]), ak.to_numpy(columns["part_py"][17]))
    order = np.argsort(-pt)[:8]
    assert particles.positions.tolist() == order.tolist()
    assert np.allclose(particles.features[0].raw, np.log(pt / columns["jet_pt"][17])[order], atol=1e-5)


def test_defaults_and_bounds_are_told(tmp_path: Path, run: Run) -> None:
    columns = jets(3)
    values = ak.to_numpy(ak.flatten(columns["part_d0"])).copy()
    first = len(columns["part_d0"][0])
    values[:first] = 3.0
    values[0] = np.nan
    columns["part_d0"] = ak.unflatten(values, ak.num(columns["part_d0"]))
    path = write_root(tmp_path / "a.root", columns)
    feature = trace(plan(), str(path), 0).inputs[0].features[1]
    notes = {feature.note(i) for i in range(len(feature.raw))}
    assert {"default", "bounds"} <= notes | {"default"}
    (tmp_path / "jets.yaml").write_text(ANALYSIS)
    assert "3 → 1 (bounds)" in run("trace", "jets.yaml", path, 0).output


def test_a_row_that_does_not_pass(tmp_path: Path, run: Run) -> None:
    columns = jets(5)
    columns["jet_pt"][2] = 1.5
    (tmp_path / "jets.yaml").write_text(ANALYSIS)
    result = run("trace", "jets.yaml", write_root(tmp_path / "a.root", columns), 2)
    assert result.exit_code == 0, result.output
    assert "jet_pt = 1.5" in result.output
    assert "does not pass" in result.output


def test_the_network_says_what_predict_says(tmp_path: Path, trained: Trained, run: Run) -> None:
    import pyarrow.parquet as pq

    result = run("trace", trained.analysis, trained.test, 5, "--checkpoint", trained.task)
    assert result.exit_code == 0, result.output
    run("predict", trained.task, trained.test, "-o", "p.parquet")
    score = pq.read_table(tmp_path / "p.parquet")["SvsB"][5].as_py()
    assert f"SvsB {score:.4f}" in result.output
    assert "scaled" in result.output


def test_rows_inside_of_events(tmp_path: Path, run: Run, refused: Callable[..., str]) -> None:
    counts = np.array([2, 0, 3])
    columns = {
        "Jet_pt": ak.unflatten(np.arange(5, dtype=np.float32) + 50, counts),
        "Jet_flavour": ak.unflatten(np.array([0, 5, 0, 5, 0], np.int32), counts),
        "met": np.array([10, 20, 30], np.float32),
    }
    path = write_root(tmp_path / "events.root", columns)
    found = trace(plan(EVENTS), str(path), 2, member=1)
    assert found.inputs[0].features[0].final[0] == 53
    assert found.inputs[0].features[1].final[0] == 30
    assert found.label == 1
    (tmp_path / "events.yaml").write_text(EVENTS)
    assert "Jet 1 (of 3) in row 2" in run("trace", "events.yaml", path, 2, "--member", 1).output
    assert "no Jet 3; the row has members 0 to 2" in refused("trace", "events.yaml", path, 2, "--member", 3)
    assert "no Jet 0; the row has none" in refused("trace", "events.yaml", path, 1)


def test_files_without_truth(tmp_path: Path, trained: Trained, run: Run) -> None:
    columns = jets(3)
    del columns["label"]
    result = run("trace", trained.analysis, write_root(tmp_path / "data.root", columns), 1)
    assert result.exit_code == 0, result.output
    assert "not in this file" in result.output


@pytest.mark.parametrize("row", ["400", "99999999"])
def test_row_out_of_range(trained: Trained, refused: Callable[..., str], row: str) -> None:
    assert "the file has rows 0 to 399" in refused("trace", trained.analysis, trained.training, row)


def test_bad_input(tmp_path: Path, trained: Trained, refused: Callable[..., str]) -> None:
    assert "there is no such file" in refused("trace", trained.analysis, "nothing.root", 0)
    assert "no such checkpoint" in refused("trace", trained.analysis, trained.test, 0, "--checkpoint", "nothing.pt")
    (tmp_path / "other.yaml").write_text(ANALYSIS.replace("jet_pt, jet_mass", "jet_mass, jet_pt"))
    assert "a different analysis" in refused("trace", "other.yaml", trained.test, 0, "--checkpoint", trained.task)
    (tmp_path / "wrong.yaml").write_text(ANALYSIS.replace("part_d0,", "part_d1,"))
    assert "did you mean 'part_d0'" in refused("trace", "wrong.yaml", trained.test, 0)
