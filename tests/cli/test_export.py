"""``collidekit export``: the graph on plain arrays gives the same numbers as ``collidekit predict`` on files."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pyarrow.parquet as pq
import pytest
import uproot
from tests.cli.conftest import Run, Trained, invoke

Refused = Callable[..., str]
WRITTEN = {
    "model.onnx", "schema.json", "golden.npz", "golden.bin", "calls.npz", "rows.npz", "agreement.json", "checksums.json", "README.md",
    "working_points.json", "working_points.yaml", "working_points_correctionlib.json",
}  # fmt: skip


@pytest.fixture(scope="module")
def bundle(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export") / "jets"
    result = invoke(["export", trained.task, "--files", trained.test, "-o", folder], folder.parent / "results")
    assert result.exit_code == 0, result.output
    assert "Exported" in result.output
    assert "SvsB" in result.output
    return folder


def by_hand(file: str, rows: int) -> dict[str, np.ndarray]:
    """Return the tensors of jets, made from branches only with numpy, as the card describes them."""
    with uproot.open(file) as opened:
        jets = opened["tree"].arrays(library="np")
    chosen = (jets["jet_pt"] > 20) & (np.abs(jets["jet_eta"]) < 2.5)
    tensors = {"particles": [], "particles_mask": [], "jet": []}
    for i in np.flatnonzero(chosen)[:rows]:
        pt = np.hypot(jets["part_px"][i], jets["part_py"][i])
        order = np.argsort(-pt, kind="stable")
        features = np.stack([np.log(pt / jets["jet_pt"][i]), jets["part_d0"][i]], axis=1)[order]
        padded, mask = np.zeros((30, 2)), np.zeros(30)
        padded[: len(features)], mask[: len(features)] = features, 1
        tensors["particles"].append(padded)
        tensors["particles_mask"].append(mask)
        tensors["jet"].append([jets["jet_pt"][i], jets["jet_mass"][i]])
    return {name: np.asarray(values, dtype=np.float32) for name, values in tensors.items()}


def test_the_graph_gives_what_predict_gives(bundle: Path, trained: Trained, run: Run, tmp_path: Path) -> None:
    out = tmp_path / "scores.parquet"
    assert run("predict", trained.task, trained.test, "-o", out).exit_code == 0
    wanted = pq.read_table(out).to_pandas()
    given = by_hand(trained.test, 50)
    session = onnxruntime.InferenceSession(bundle / "model.onnx")
    names = [one.name for one in session.get_outputs()]
    assert names == ["prob_background", "prob_signal", "SvsB"]
    for name, values in zip(names, session.run(None, given), strict=True):
        assert values.dtype == np.float32
        np.testing.assert_allclose(values, wanted[name][:50], rtol=0, atol=2e-6)


def test_all_that_belongs_to_it_is_there(bundle: Path) -> None:
    there = {path.name for path in bundle.iterdir() if not path.name.startswith("verify.")}
    (training_rows,) = there - WRITTEN
    assert there == {*WRITTEN, training_rows}
    assert training_rows.startswith("training_rows_")
    checksums = json.loads((bundle / "checksums.json").read_text())
    assert set(checksums) == {path.name for path in bundle.iterdir()} - {"checksums.json"}
    for name, checksum in checksums.items():
        assert hashlib.sha256((bundle / name).read_bytes()).hexdigest() == checksum, name
    schema = json.loads((bundle / "schema.json").read_text())
    model = onnx.load(bundle / "model.onnx")
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    inside = json.loads(metadata["collidekit"])
    assert inside["analysis"] == schema["analysis"]
    assert inside["fingerprint"] == schema["fingerprint"]
    assert "train.root" in metadata["trained_on"]
    assert [entry.version for entry in model.opset_import if not entry.domain] == [17]
    particles = next(entry for entry in schema["inputs"] if entry["name"] == "particles")
    assert (particles["limit"], particles["order"]) == (8, "part_pt")
    assert [column["default"] for column in particles["columns"]] == [None, 0.0]
    assert particles["columns"][1]["bounds"] == [-1.0, 1.0]


def test_golden_rows_hold_what_breaks_exporters(bundle: Path) -> None:
    with np.load(bundle / "golden.npz", allow_pickle=False) as golden:
        cases = golden["cases"].tolist()
        lengths = [golden[f"{i}.in.particles"].shape[1] for i in range(len(cases))]
    for case, length in (
        ("length 0", 0),
        ("length 1", 1),
        ("length 2", 2),
        ("at the limit", 8),
        ("5 beyond the limit", 13),
    ):
        assert lengths[cases.index(case)] == length
    for case in (
        "NaN in particles.part_d0",
        "NaN in jet.jet_mass",
        "+inf in particles",
        "-inf in jet",
        "extreme values in particles",
    ):
        assert case in cases
    assert "the same particles three times" in cases


def test_the_card_says_what_goes_in_and_comes_out(bundle: Path) -> None:
    card = (bundle / "README.md").read_text()
    for words in (
        "log(part_pt / jet_pt)",
        "pt(part_px, part_py)",
        "-1 to 1",
        "train.root",
        "The graph does not apply the selection",
        "SvsB",
        "AUC",
        "python verify.py",
        "mistag_0.1",
    ):
        assert words in card
    assert "AUTHOR" not in card


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--layout", "genric"], "did you mean 'generic'"),
        (["--opset", "23"], "--opset: 23 is not in the range 17 to 20"),
        (["--name", "a/b"], "--name"),
        (["--files", "nothere.root"], "nothere.root"),
    ],
)
def test_wrong_requests_are_one_line(
    trained: Trained, refused: Refused, tmp_path: Path, words: list[str], said: str
) -> None:
    files = [] if "--files" in words else ["--files", trained.test]
    assert said in refused("export", trained.task, "-o", tmp_path / "out", *files, *words)
    assert not list(tmp_path.iterdir())


def test_a_bundle_that_is_there_stays_unless_it_is_to_be_replaced(
    bundle: Path, trained: Trained, run: Run, refused: Refused
) -> None:
    before = {path.name: path.read_bytes() for path in bundle.iterdir()}
    assert "--force" in refused("export", trained.task, "--files", trained.test, "-o", bundle)
    assert {path.name: path.read_bytes() for path in bundle.iterdir()} == before
    assert run("export", trained.task, "--files", trained.test, "-o", bundle, "--force").exit_code == 0
    assert (bundle / "golden.npz").is_file()


def test_a_folder_with_other_files_is_not_touched(trained: Trained, refused: Refused, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    assert "not a bundle" in refused("export", trained.task, "--files", trained.test, "-o", tmp_path, "--force")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_rows_that_were_learned_from_do_not_judge_it(
    trained: Trained, refused: Refused, run: Run, tmp_path: Path
) -> None:
    result = run("export", trained.task, "--files", trained.training, "-o", tmp_path / "own")
    assert result.exit_code == 0
    agreement = json.loads((tmp_path / "own" / "agreement.json").read_text())
    with uproot.open(trained.training) as file:
        assert 0 < agreement["rows"] < 0.4 * file["tree"].num_entries, "the validation rows alone"
