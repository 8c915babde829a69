"""Names with non-ASCII letters work in every locale."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import uproot

SRC = Path(__file__).parents[2] / "src"
ANALYSIS = """
classes: {γ_jets: label == 0, sig: label == 1}
inputs: {ev: {features: [{name: x, unit: "µm · GeV²", expression: x}]}}
spectators: [x]
discriminators: {SvsB: {signal: sig, background: γ_jets}}
training: {model_name: mlp, epochs: 1, batch_size: 256}
"""


@pytest.mark.parametrize("verb", ["check", "run"])
@pytest.mark.parametrize("locale", [{"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0"}, {"PYTHONIOENCODING": "latin-1"}])
def test_other_locales(tmp_path: Path, verb: str, locale: dict[str, str]) -> None:
    (tmp_path / "uni.yaml").write_text(ANALYSIS, encoding="utf-8")
    random = np.random.default_rng(1)
    for name in ("train", "test"):
        label = random.integers(0, 2, 1000)
        with uproot.recreate(tmp_path / f"{name}.root") as file:
            file["tree"] = {"label": label.astype(np.int32), "x": random.normal(label)}
    words = [sys.executable, "-X", "utf8=0", "-m", "collidekit", verb, "uni.yaml", "--files", "train.root"]
    environment = {**os.environ, "PYTHONPATH": str(SRC), "OMP_NUM_THREADS": "1", "PYTHONUTF8": "0", **locale}
    done = subprocess.run(
        [*words, "--test-files", "test.root"],
        check=False,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        timeout=300,
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode("utf-8", "replace")
