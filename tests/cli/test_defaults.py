"""``collidekit defaults``: the table, and the lines to paste."""

from pathlib import Path

import numpy as np
from tests.cli.conftest import Run
from tests.cli.samples import jets, write_root

TEXT = """
classes: {background: label == 0, signal: label == 1}
inputs:
  jet:
    features:
      - {name: angle, default: -3}
      - jet_pt
training: {model_name: mlp}
"""


def test_a_far_default_is_named_and_mended(tmp_path: Path, run: Run) -> None:
    random = np.random.default_rng(1)
    angle = np.where(random.random(2000) < 0.8, -3, 0.05 * random.normal(size=2000))
    write_root(tmp_path / "jets.root", jets(2000) | {"angle": angle})
    (tmp_path / "my.yaml").write_text(TEXT)
    result = run("defaults", "my.yaml", "--files", "jets.root")
    assert result.exit_code == 0, result.output
    assert "jet.angle" in result.output
    assert " far" in result.output
    assert "jet_pt" not in result.output
    (line,) = [line for line in result.output.splitlines() if line.startswith("      - {name: angle")]
    (tmp_path / "my.yaml").write_text(TEXT.replace("      - {name: angle, default: -3}", line))
    angle[angle == -3] = np.nan
    write_root(tmp_path / "mended.root", jets(2000) | {"angle": angle})
    again = run("defaults", "my.yaml", "--files", "mended.root")
    assert "near" in again.output
    assert "To paste" not in again.output


def test_nothing_is_missing(tmp_path: Path, run: Run) -> None:
    write_root(tmp_path / "jets.root", jets(300))
    (tmp_path / "my.yaml").write_text(TEXT.replace("{name: angle, default: -3}", "jet_mass"))
    assert "No value is missing" in run("defaults", "my.yaml", "--files", "jets.root").output
    assert "jet.jet_mass" in run("defaults", "my.yaml", "--files", "jets.root", "--all").output
