"""Units that ``init`` finds and ``check`` verifies: degrees and radians, MeV and GeV."""

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
from tests.starter import foreign

from collidekit.analysis.angles import in_degrees
from collidekit.analysis.load import read_analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.check import check
from collidekit.dataset.rows import open_scope
from collidekit.errors import CollidekitError
from collidekit.readers import open_file
from collidekit.starter.columns import Column
from collidekit.starter.starter import start_analysis
from collidekit.starter.top_pair import find_top_pairs


def write_jets(path: Path, seed: int, gev: float = 1.0, degrees: bool = False, pt: float = 5.0) -> Path:
    """Write jets with constituents; without ``gev`` and ``degrees``, the units are GeV and radians."""
    random = np.random.default_rng(seed)
    label = random.integers(0, 2, 400).astype(np.int32)
    counts = random.poisson(5, 400) + 1
    members = int(counts.sum())
    phi = random.uniform(-np.pi, np.pi, 400)
    part_phi = (np.repeat(phi, counts) + random.normal(0, 0.1, members) + np.pi) % (2 * np.pi) - np.pi
    eta = random.normal(0, 1, 400)
    turn = np.degrees if degrees else np.asarray
    part_pt = random.exponential(pt, members) + pt / 10
    lists = {"pt": gev * part_pt, "eta": np.repeat(eta, counts) + random.normal(0, 0.1, members), "phi": turn(part_phi)}
    columns: dict[str, Any] = {
        "label": label,
        "jet_pt": gev * (random.exponential(60, 400) + 20),
        "jet_eta": eta,
        "jet_phi": turn(phi),
        "jet_m": gev * random.exponential(8 + 4 * label),
        **{f"part_{name}": ak.unflatten(values, counts) for name, values in lists.items()},
    }
    return foreign.write_tree(path, columns)


def problems(analysis: Path, files: list[Path]) -> str:
    plan = Plan(*read_analysis(analysis))
    return "\n".join(problem.text for problem in check(plan, [str(file) for file in files]).problems)


def test_angles_in_degrees_are_multiplied(tmp_path: Path) -> None:
    """The angle to the jet axis is that of the same jets in radians, also in the four-momenta."""
    values = {}
    for name in ("radians", "degrees"):
        file = write_jets(tmp_path / f"{name}.root", 1, degrees=name == "degrees")
        made = start_analysis([str(file)], tmp_path / f"{name}.yaml")
        assert any("multiplied by pi / 180" in note for note in made.notes) == (name == "degrees")
        plan = Plan(*read_analysis(tmp_path / f"{name}.yaml"))
        with open_file(str(file), plan.analysis.source) as reader:
            chunk = reader.read(plan.columns(list(reader.columns)), 0, reader.rows)
        scope = open_scope(plan, chunk, str(file), 0)
        momenta = [scope.value(part) for part in plan.under("inputs", "part", "momenta")]
        values[name] = np.stack([ak.to_numpy(ak.flatten(part)) for part in (scope["part_dphi"], *momenta)])
        assert problems(tmp_path / f"{name}.yaml", [file]) == ""
    np.testing.assert_allclose(values["degrees"], values["radians"], rtol=1e-9, atol=1e-9)


def test_check_finds_degrees_and_files_in_gev_and_mev(tmp_path: Path) -> None:
    good, degrees = write_jets(tmp_path / "a.root", 1), write_jets(tmp_path / "b.root", 2, degrees=True)
    mev = write_jets(tmp_path / "c.root", 3, gev=1000)
    start_analysis([str(good)], tmp_path / "a.yaml")
    found = problems(tmp_path / "a.yaml", [degrees])
    assert "jet_phi is used as an angle in radians, but 9" in found
    assert "part_phi is used as an angle in radians, but 9" in found
    assert f"of its values in {degrees} are beyond 2 pi" in problems(tmp_path / "a.yaml", [good, degrees])
    found = problems(tmp_path / "a.yaml", [good, mev])
    assert found.count("in GeV and one in MeV?") == 1
    assert str(good) in found
    assert str(mev) in found
    assert "part_pt" in found
    assert problems(tmp_path / "a.yaml", [good]) == ""


@pytest.mark.parametrize(
    "feature", ["{name: logpt, expression: log(pt)}", "pt", "{name: e, expression: 2 * pt, unit: GeV}"]
)
def test_check_finds_gev_and_mev_without_directions(tmp_path: Path, feature: str) -> None:
    random = np.random.default_rng(1)
    files = [tmp_path / "a.root", tmp_path / "b.root"]
    for file, unit in zip(files, (1, 1000), strict=True):
        pt = unit * random.uniform(20, 100, 300)
        foreign.write_tree(file, {"pt": pt, "x": random.normal(0, 1, 300), "label": np.arange(300) % 2})
    classes = "classes: {background: label == 0, signal: label == 1}"
    (tmp_path / "a.yaml").write_text(f"{classes}\ninputs: {{row: {{features: [{feature}, x]}}}}\n")
    assert "in GeV and one in MeV?" in problems(tmp_path / "a.yaml", files)
    assert "GeV" not in problems(tmp_path / "a.yaml", files[:1])


def test_files_in_different_units_are_refused(tmp_path: Path) -> None:
    files = [write_jets(tmp_path / f"{gev}.root", gev, gev=gev) for gev in (1, 1000)]
    with pytest.raises(CollidekitError, match=r"1\.root and .*1000\.root: the median of jet_pt is .* GeV and MeV"):
        start_analysis([str(file) for file in files], tmp_path / "a.yaml")
    other = write_jets(tmp_path / "degrees.root", 4, degrees=True)
    with pytest.raises(CollidekitError, match="phi is in degrees in the first file and in radians in the second"):
        start_analysis([str(files[0]), str(other)], tmp_path / "a.yaml")
    assert not (tmp_path / "a.yaml").exists()


def test_unclear_momenta_have_the_unit_of_the_clear_ones(tmp_path: Path) -> None:
    """A median of about 80 is unclear for constituents, and the jets are clearly in MeV."""
    file = write_jets(tmp_path / "a.root", 1, gev=1000, pt=0.1)
    made = start_analysis([str(file)], tmp_path / "a.yaml")
    assert not any("GeV or MeV" in note for note in made.notes)
    assert "part_pt / 1000" in (tmp_path / "a.yaml").read_text()


@pytest.mark.parametrize("marker", [-999.0, -99.0, 99.0])
def test_markers_of_missing_values_are_no_degrees(marker: float) -> None:
    random = np.random.default_rng(1)
    values = np.where(random.random(1000) < 0.5, marker, random.uniform(-np.pi, np.pi, 1000))
    assert not in_degrees(values)
    assert not in_degrees(np.where(values == marker, marker - random.uniform(-np.pi, np.pi, 1000), values))
    assert in_degrees(np.where(values == marker, marker, np.degrees(values)))


def test_top_pairs_in_degrees() -> None:
    random = np.random.default_rng(1)
    counts = np.full(100, 4)
    columns: dict[str, Column] = {}
    for name, number in (("jet", 4), ("lep", 2)):
        for part, values in {
            "pt": random.exponential(50, 100 * number), "eta": random.normal(0, 1, 100 * number),
            "phi": random.uniform(-180, 180, 100 * number), "e": random.exponential(90, 100 * number),
            "charge": random.choice([-1.0, 1.0], 100 * number),
        }.items():  # fmt: skip
            columns[f"{name}_{part}"] = Column(f"{name}_{part}", "float", values, counts * 0 + number)
    columns["met_met"] = Column("met_met", "float", random.exponential(50, 100))
    columns["met_phi"] = Column("met_phi", "float", random.uniform(-180, 180, 100))
    found = find_top_pairs(columns)
    assert found is not None
    assert found.variables.named["jet_phi_"] == "jet_phi * pi / 180"
    assert found.variables.named["met_px"] == "px(met_met, met_phi * pi / 180)"
    assert any("jet_phi, lep_phi, met_phi" in note for note in found.truth.notes)
