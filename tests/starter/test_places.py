"""Indices of list members and their masks are simulated truth under any name: SPANet's first layout has ``t1/b`` and ``t1/mask``."""

from pathlib import Path

import h5py
import numpy as np

from collidekit.starter.starter import start_analysis


def test_places_of_decay_products_are_no_inputs(tmp_path: Path) -> None:
    chance = np.random.default_rng(1)
    rows, jets = 500, 8
    there = np.arange(jets) < chance.integers(4, jets + 1, rows)[:, None]
    with h5py.File(tmp_path / "v1.h5", "w") as file:
        for name, low, high in (("pt", 25, 300), ("eta", -2.5, 2.5), ("phi", -3.1, 3.1), ("mass", 1, 30)):
            file[f"source/{name}"] = (chance.uniform(low, high, (rows, jets)) * there).astype("float32")
        file["source/mask"] = there
        for parent in ("t1", "t2"):
            for slot in ("b", "q1", "q2"):
                file[f"{parent}/{slot}"] = chance.integers(-1, jets - 1, rows)
            file[f"{parent}/mask"] = chance.random(rows) < 0.5
        file["event/njets"] = there.sum(axis=1)
        file["event/charge"] = chance.integers(-1, 2, rows)
    made = start_analysis([str(tmp_path / "v1.h5")], tmp_path / "v1.yaml")
    used = {feature.expression for entry in made.analysis.inputs.values() for feature in entry.features}
    assert not [name for name in used if name.startswith(("t1", "t2"))]
    assert any("pt" in name for name in used)
    assert any("charge" in name for name in used)
    text = (tmp_path / "v1.yaml").read_text()
    assert "t1_b" in text
    assert "index of a list member" in text
