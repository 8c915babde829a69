"""Energies of exported events in another unit."""

from pathlib import Path

import numpy as np
import pytest
from makers import make_plan, write_parquet
from tests.dataset.test_export import ANALYSIS, columns

from collidekit.dataset.export import export_events
from collidekit.errors import CollidekitError


def test_powers_and_logarithms(tmp_path: Path) -> None:
    file = str(write_parquet(tmp_path / "rows.parquet", columns()))
    text = ANALYSIS.replace("{name: part_pt, unit: GeV}", "{name: part_pt, unit: GeV, default: -7}")
    plan = make_plan(text)
    export_events(plan, file, tmp_path / "gev.npz")
    made = export_events(plan, file, tmp_path / "mev.npz", units="MeV")
    gev, mev = np.load(tmp_path / "gev.npz"), np.load(made.path)
    there = np.arange(4) < gev["n_parts"][:, None]
    assert (mev["part_pt"][there] == (gev["part_pt"][there] * 1e3).astype(np.float32)).all()
    np.testing.assert_allclose(mev["part_log"][there], np.log(mev["part_pt"][there]), rtol=1e-6)
    np.testing.assert_allclose(mev["mass2"], gev["mass2"].astype(float) * 1e6, rtol=1e-7)
    np.testing.assert_array_equal(mev["m"], gev["m"] * 1000)
    np.testing.assert_array_equal(mev["spectator_jet_pt"], gev["spectator_jet_pt"] * 1000)
    np.testing.assert_array_equal(mev["parts_E"][there], mev["part_pt"][there])
    for name in ("part_d0", "parts_coordinate_1", "weight", "a_b"):
        np.testing.assert_array_equal(mev[name], gev[name])
    assert (mev["part_pt"][~there] == -999).all()
    about = {column.name: column.unit for column in made.columns}
    assert (about["part_log"], about["mass2"]) == ("log MeV", "MeV^2")
    assert any("without a unit stay unchanged: part_d0" in note for note in made.notes)


def test_missing_values_stay(tmp_path: Path) -> None:
    given = {"x": np.array([1.0, np.nan, -7.0, 4.0]), "y": np.array([2, 4, 6, 8]), "z": np.array([np.nan, 0, 1, 2])}
    text = """
    classes: {a: y < 5, b: y > 5}
    inputs: {row: {features: [{name: x, unit: GeV, default: -7}, {name: lz, expression: log(z + 1), unit: log GeV}]}}
    spectators: [y]
    units: {y: 1/GeV}
    """
    file = str(write_parquet(tmp_path / "rows.parquet", given))
    found = np.load(export_events(make_plan(text), file, tmp_path / "e.npz", units="MeV").path)
    assert found["x"].tolist() == [1000, -7, -7, 4000]
    assert found["lz"][0] == 0  # the default of what was NaN
    np.testing.assert_allclose(found["lz"][1:], np.log([1000, 2000, 3000]), rtol=1e-6)
    np.testing.assert_allclose(found["y"], [0.002, 0.004, 0.006, 0.008])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ("expression: log10(part_pt), unit: log GeV", r"'log GeV', but its expression 'log10\(part_pt\)' uses log10"),
        ("expression: log(part_pt), unit: log10 GeV", "uses log:"),
        ("expression: part_pt * part_d0, unit: GeV mm", "'GeV mm' of part_log is not a power"),
    ],
)
def test_units_that_cannot_be_converted(tmp_path: Path, changed: str, said: str) -> None:
    file = str(write_parquet(tmp_path / "rows.parquet", columns(50)))
    plan = make_plan(ANALYSIS.replace("expression: log(part_pt), unit: log GeV", changed))
    with pytest.raises(CollidekitError, match=said):
        export_events(plan, file, tmp_path / "e.npz", units="MeV")
    with pytest.raises(CollidekitError, match="'mev' is none of eV, keV, MeV"):
        export_events(plan, file, tmp_path / "e.npz", units="mev")
