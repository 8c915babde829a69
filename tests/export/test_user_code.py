"""A user's processor: the bundle holds its source, which runs only with permission of the user."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import toys
from toy_bundles import make_model

from collidekit import Bundle, trust
from collidekit.analysis.load import load_analysis
from collidekit.errors import CollidekitError
from collidekit.export.options import Options
from collidekit.export.sample import read_sample
from collidekit.export.write import Exported, write_bundle
from collidekit.trust import code_of

PROCESSOR = """
import awkward as ak
from coffea import processor
from my_units import scale


class Rows(processor.ProcessorABC):
    def process(self, events):
        return ak.with_field(events, scale * events.jet_pt, "jet_pt")

    def postprocess(self, accumulator):
        return accumulator
"""


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Exported:
    pytest.importorskip("coffea.processor")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(trust, "_own", set())
    mine = tmp_path / "home"
    mine.mkdir()
    toys.write_table(tmp_path / "rows.root", toys.toy_table(60))
    (mine / "my_rows.py").write_text(PROCESSOR)
    (mine / "my_units.py").write_text("scale = 1.0\n")
    (mine / "toy.yaml").write_text("processor: my_rows.py:Rows\n" + toys.TOY)
    analysis = load_analysis(mine / "toy.yaml")
    model = replace(make_model(analysis), code=code_of({"processor": analysis.processor}))
    sample = read_sample({"m": model}, [str(tmp_path / "rows.root")], 60)
    return write_bundle({"m": model}, sample, tmp_path / "bundle", "toy", Options())


def test_the_source_is_in_the_bundle_and_no_path_of_the_exporter(made: Exported, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    assert (made.folder / "code/processor/my_rows.py").read_text() == PROCESSOR
    assert (made.folder / "code/processor/my_units.py").is_file()
    assert "code/processor/my_rows.py" in json.loads((made.folder / "checksums.json").read_text())
    assert made.schema.analysis["processor"] == "code/processor/my_rows.py:Rows"
    assert set(made.schema.code["processor"]) == {"file", "sha256"}
    texts = [(made.folder / name).read_text() for name in ("schema.json", "README.md")]
    texts += [entry.value for entry in onnx.load(made.folder / "model.onnx").metadata_props]
    assert not [text for text in texts if str(tmp_path / "home") in text]


def test_it_runs_on_another_machine_only_when_somebody_says_so(
    made: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = str(tmp_path / "rows.root")
    wanted = Bundle(made.folder).predict(file).probabilities  # the user's own
    shutil.rmtree(tmp_path / "home")
    moved = made.folder.rename(tmp_path / "elsewhere")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "other"))
    monkeypatch.setattr(trust, "_own", set())
    with pytest.raises(CollidekitError, match=r"would run \S+/elsewhere/code/processor/my_rows\.py .* --trust-code"):
        Bundle(moved).predict(file)
    monkeypatch.setenv("COLLIDEKIT_TRUST_CODE", "1")
    assert (Bundle(moved).predict(file).probabilities == wanted).all()
    monkeypatch.delenv("COLLIDEKIT_TRUST_CODE")
    (moved / "code/processor/my_units.py").write_text("scale = 1000.0\n")
    with pytest.raises(CollidekitError, match="code that has changed since"):
        Bundle(moved).predict(file)


def test_the_verifier_does_not_run_it(made: Exported) -> None:
    (made.folder / "code/processor/my_rows.py").write_text("raise SystemExit('ran')")
    done = subprocess.run(
        [sys.executable, "-I", str(made.folder / "verify.py")], capture_output=True, text=True, check=False
    )
    assert "FAILED checksums - code/processor/my_rows.py is changed" in done.stdout
    assert "1 of " in done.stderr
