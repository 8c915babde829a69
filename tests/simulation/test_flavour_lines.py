"""Simulated jets as JSON lines of the public layout, and back through the reader."""

import gzip
import json
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot
from typer.testing import CliRunner

from collidekit.analysis.schema import Source
from collidekit.cli import app
from collidekit.dataset.construct import construct
from collidekit.dataset.loader import Dataset
from collidekit.errors import CollidekitError
from collidekit.readers import open_file
from collidekit.shipped import load_plan
from collidekit.simulation import simulate

SAMPLE = Path(__file__).parents[2] / "samples" / "jet_flavour" / "test.root"
JETS = 300


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate("jet-flavour", tmp_path_factory.mktemp("lines") / "test.json.gz", JETS, source=SAMPLE)


def test_the_layout(written: Path) -> None:
    """jet_pt, jet_eta, flavor, 8 and 6 variables, vertices of tracks of 28 numbers; what is missing is a string."""
    with gzip.open(written, "rt") as file:
        lines = [json.loads(line) for line in file]
    assert len(lines) == JETS
    for line in lines:
        pt, eta, flavour, tracks, vertices, lists = line
        assert pt > 20
        assert abs(eta) < 2.5
        assert flavour in (0, 4, 5)
        assert (len(tracks), len(vertices)) == (8, 6)
        assert all(len(track) == 28 for members in lists for track in members)
        assert all(members for members in lists)
    text = gzip.decompress(written.read_bytes()).decode()
    assert '"NaN"' in text
    assert "Infinity" not in text
    assert ", NaN" not in text, "no bare NaN, which is not JSON"


def test_the_reader_gives_what_was_written(written: Path) -> None:
    tree = uproot.open(SAMPLE)["tree"].arrays(entry_stop=JETS)
    with open_file(str(written), Source(format="jsonlines", layout="jet_flavour_2016")) as reader:
        names = [
            "jet_pt",
            "flavor",
            "n_secondary_vertices",
            "vertex_mass",
            "track_d0",
            "track_d0d0",
            "track_vertex_mass",
        ]
        names += ["track_2_d0_significance", "vertex_significance"]
        found = reader.read(names, 0, JETS)
    np.testing.assert_allclose(found["jet_pt"], tree["jet_pt"], rtol=1e-6)
    assert found["flavor"].tolist() == tree["jet_flavour"].tolist()
    assert found["n_secondary_vertices"].tolist() == ak.num(tree["sv_mass"]).tolist()
    assert ak.num(found["track_d0"]).tolist() == ak.num(tree["trk_d0"]).tolist()
    np.testing.assert_allclose(
        np.sort(ak.to_numpy(ak.flatten(found["track_d0"]))), np.sort(ak.to_numpy(ak.flatten(tree["trk_d0"]))), rtol=1e-5
    )
    np.testing.assert_allclose(ak.max(found["track_d0d0"]), ak.max(tree["trk_d0_err"]) ** 2, rtol=1e-5)
    # tracks of a secondary vertex carry its numbers: as many as were fitted to it, or as there are
    fitted = ak.to_numpy(ak.sum(~np.isnan(found["track_vertex_mass"]), axis=1))
    expected = np.minimum(ak.to_numpy(ak.sum(tree["sv_ntracks"], axis=1)), ak.to_numpy(ak.num(tree["trk_d0"])))
    assert fitted.tolist() == expected.tolist()
    significance = ak.sort(abs(tree["trk_d0"] / tree["trk_d0_err"]), ascending=False)
    two = ak.num(significance) >= 2
    np.testing.assert_allclose(
        np.abs(ak.to_numpy(found["track_2_d0_significance"][two])), significance[two][:, 1], rtol=1e-4
    )
    assert np.isnan(ak.to_numpy(found["track_2_d0_significance"][~two])).all()


def test_the_analysis_sees_184_inputs(written: Path, tmp_path: Path) -> None:
    dataset = Dataset(
        construct(load_plan("jet_flavour_2016"), [str(written)], tmp_path / "dataset", progress=False).folder
    )
    assert len(dataset) == JETS
    inputs = dataset.analysis.inputs
    assert 6 * len(inputs["tracks"].features) + len(inputs["jet"].features) == 184
    assert all(feature.default is not None for entry in inputs.values() for feature in entry.features)
    assert [len(edges) for edges in dataset.analysis.kinematics.bins.values()] == [51, 51]  # type: ignore[union-attr]


def test_plain_lines_and_new_jets_go_the_same_way(tmp_path: Path) -> None:
    pytest.importorskip("pythia8mc", reason="simulating jets needs collidekit[simulate]")
    path = simulate("jet-flavour", tmp_path / "new.jsonl", 6, seed=3)
    again = simulate("jet-flavour", tmp_path / "new.root", 6, seed=3)
    both = simulate("jet-flavour", tmp_path / "both.jsonl", 6, source=again)
    assert path.read_text() == both.read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["simulate", "moons", "-n", "10", "-o", "m.json.gz"],
            "m.json.gz: JSON lines are for the sample jet-flavour, not for moons",
        ),
        (
            ["simulate", "moons", "-n", "10", "-o", "m.root", "--from", str(SAMPLE)],
            "--from is for the sample jet-flavour",
        ),
        (
            ["simulate", "jet-flavour", "-n", "9999999", "-o", "m.json", "--from", str(SAMPLE)],
            "9,999,999 are needed",
        ),
        (
            ["simulate", "jet-flavour", "-n", "10", "-o", "m.json", "--from", "nowhere.root"],
            "nowhere.root: cannot be read",
        ),
    ],
)
def test_bad_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, words)
    assert said in " ".join(f"{done.output}{done.exception}".split())
    assert done.exit_code == 2 or isinstance(done.exception, CollidekitError)
    assert not list(tmp_path.iterdir())
