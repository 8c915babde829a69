"""``collidekit init``: what it writes loads, constructs and makes sense."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.cli.conftest import Run
from tests.cli.samples import jets, write_parquet, write_root, write_structured_hdf5

from collidekit.analysis.load import load_analysis, read_analysis
from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.construct import construct
from collidekit.dataset.manifest import Manifest


@pytest.fixture
def started(tmp_path: Path, run: Run) -> Callable[[Path], tuple[Analysis, Manifest, str]]:
    """The analysis of a file, the dataset it gives, and its text."""

    def begin(path: Path, *words: str) -> tuple[Analysis, Manifest, str]:
        result = run("init", path, "-o", "my.yaml", *words)
        assert result.exit_code == 0, result.output
        plan = Plan(*read_analysis(tmp_path / "my.yaml"))
        manifest = construct(plan, str(path), tmp_path / "dataset", progress=False)
        return plan.analysis, manifest, (tmp_path / "my.yaml").read_text()

    return begin


def names(analysis: Analysis) -> list[str]:
    return [feature.name for entry in analysis.inputs.values() for feature in entry.features]


def test_jets_with_constituents(tmp_path: Path, started: Callable[..., Any]) -> None:
    analysis, manifest, text = started(write_root(tmp_path / "jets.root", jets(300)))
    assert manifest.rows == 300
    assert analysis.classes == {"background": "label == 0", "signal": "label == 1"}
    assert analysis.event == ["event"]
    assert analysis.collections["part"].momenta == ["part_px", "part_py", "part_pz", "part_energy"]
    assert analysis.collections["part"].coordinates == ["part_deta", "part_dphi"]
    assert {"part_logpt", "part_logptrel", "part_deta", "part_dphi", "part_d0", "jet_logpt", "jet_mass"} <= set(
        names(analysis)
    )
    assert not {"label", "event", "part_truth_origin", "jet_phi"} & set(names(analysis))
    assert "part_truth_origin, kind: integer}  # looks like simulated truth" in text
    assert list(analysis.kinematics.bins) == ["jet_pt", "jet_eta"] if analysis.kinematics else False


def test_constituents_only(tmp_path: Path, started: Callable[..., Any]) -> None:
    columns = jets(200)
    bare = {
        name[5:].upper() if name != "part_energy" else "E": columns[name]
        for name in columns
        if name[5:] in ("px", "py", "pz", "energy")
    }
    bare["is_signal_new"] = columns["label"]
    analysis, manifest, _ = started(write_parquet(tmp_path / "bare.parquet", bare))
    assert manifest.rows == 200
    assert analysis.variables["jet_pt"] == "pt(jet_px, jet_py)"
    assert analysis.collections["constituents"].momenta == ["PX", "PY", "PZ", "E"]


def test_one_flag_for_each_class(tmp_path: Path, started: Callable[..., Any]) -> None:
    columns = jets(200)
    label = columns.pop("label")
    columns |= {"label_QCD": (label == 0).astype(np.float32), "label_Tbqq": (label == 1).astype(np.float32)}
    analysis, manifest, _ = started(write_root(tmp_path / "jets.root", columns))
    assert analysis.classes == {"QCD": "label_QCD == 1", "Tbqq": "label_Tbqq == 1"}
    assert manifest.rows == 200


def test_jets_inside_of_events(tmp_path: Path, started: Callable[..., Any]) -> None:
    random = np.random.default_rng(1)
    counts, muons = random.integers(1, 5, 120), random.integers(0, 3, 120)

    def of(numbers: np.ndarray, values: Any) -> ak.Array:
        return ak.unflatten(values, numbers)

    total = int(counts.sum())
    columns = {
        "run": np.ones(120, np.uint32), "event": np.arange(120, dtype=np.uint64), "HLT_PFJet500": np.arange(120) % 2 == 0,
        "Jet_pt": of(counts, random.uniform(20, 200, total).astype(np.float32)),
        "Jet_eta": of(counts, random.normal(0, 1, total).astype(np.float32)),
        "Jet_phi": of(counts, random.uniform(-3, 3, total).astype(np.float32)),
        "Jet_btagDeepFlavB": of(counts, random.uniform(0, 1, total).astype(np.float32)),
        "Jet_hadronFlavour": of(counts, random.choice([0, 4, 5], total).astype(np.int32)),
        "Muon_pt": of(muons, random.uniform(3, 50, int(muons.sum())).astype(np.float32)),
        "JetSVs_mass": of(muons + 1, random.uniform(0, 5, int(muons.sum()) + 120).astype(np.float32)),
        "JetSVs_jetIdx": of(muons + 1, np.zeros(int(muons.sum()) + 120, np.int32)),
    }  # fmt: skip
    analysis, manifest, text = started(write_root(tmp_path / "nano.root", columns, "Events"))
    assert analysis.rows == "Jet"
    assert list(analysis.classes) == ["light", "c", "b"]
    assert manifest.rows == total
    assert not {"Jet_btagDeepFlavB", "Jet_hadronFlavour", "HLT_PFJet500"} & set(names(analysis))
    assert analysis.training == {"model_name": "mlp"}  # there is nothing for a pfn to look at
    assert "another tagger's score" in text
    assert "# members: {JetSVs: JetSVs_jetIdx}" in text
    assert set(analysis.discriminators) == {"CvsL", "BvsL", "BvsC", "CvsB"}


def test_structured_hdf5(tmp_path: Path, started: Callable[..., Any]) -> None:
    analysis, manifest, _ = started(write_structured_hdf5(tmp_path / "atlas.h5", 300))
    assert list(analysis.classes) == ["light", "c", "b"]
    assert manifest.rows == 300
    assert "tracks_d0" in names(analysis)
    assert not any("Truth" in name for name in names(analysis))


def test_without_truth_the_classes_are_left_to_fill_in(tmp_path: Path, run: Run) -> None:
    columns = jets(100)
    del columns["label"], columns["part_truth_origin"]
    columns["category_of_mine"] = np.zeros(100, np.int32)
    columns["n_tracks"] = np.arange(100, dtype=np.int32) % 3
    result = run("init", write_root(tmp_path / "data.root", columns))
    assert result.exit_code == 0, result.output
    assert "fill them in" in result.output
    text = (tmp_path / "analysis.yaml").read_text()
    assert "FILL IN" in text
    assert "n_tracks" in text.split("classes:")[0]
    assert "model_name: mlp" not in text
    filled = text.replace("background: 0 == 1", "background: n_tracks == 0").replace(
        "signal: 0 == 1", "signal: n_tracks > 0"
    )
    (tmp_path / "analysis.yaml").write_text(filled)
    plan = Plan(*read_analysis(tmp_path / "analysis.yaml"))
    assert construct(plan, str(tmp_path / "data.root"), tmp_path / "dataset", progress=False).rows == 100


def test_sorted_files_show_all_classes(tmp_path: Path, started: Callable[..., Any]) -> None:
    columns = jets(6000)
    columns["label"] = np.repeat([0, 1], 3000).astype(np.int32)
    analysis, _, _ = started(write_root(tmp_path / "sorted.root", columns))
    assert list(analysis.classes) == ["background", "signal"]


def test_outliers_get_bounds(tmp_path: Path, started: Callable[..., Any]) -> None:
    columns = jets(500)
    values = ak.to_numpy(ak.flatten(columns["part_d0"])).copy()
    values[::900] = 1e5
    columns["part_d0"] = ak.unflatten(values, ak.num(columns["part_d0"]))
    analysis, _, _ = started(write_root(tmp_path / "jets.root", columns))
    bounds = next(f.bounds for f in analysis.inputs["part"].features if f.name == "part_d0")
    assert bounds is not None
    assert bounds[1] < 10


def test_the_file_runs_as_it_is(tmp_path: Path, run: Run) -> None:
    write_root(tmp_path / "jets.root", jets(200))
    assert run("init", "jets.root", "-o", "sub/my.yaml").exit_code == 0
    assert load_analysis(tmp_path / "sub" / "my.yaml").files.training == ["../jets.root"]
    assert run("check", "sub/my.yaml").exit_code == 0


def test_never_over_a_file_that_is_there(tmp_path: Path, run: Run, refused: Callable[..., str]) -> None:
    path = write_root(tmp_path / "jets.root", jets(50))
    (tmp_path / "analysis.yaml").write_text("mine")
    assert "is there already" in refused("init", path)
    assert (tmp_path / "analysis.yaml").read_text() == "mine"
    assert run("init", path, "--force").exit_code == 0
    assert (tmp_path / "analysis.yaml").read_text() != "mine"


def test_bad_input(tmp_path: Path, refused: Callable[..., str]) -> None:
    assert "there is no such file" in refused("init", "nothing.root")
    path = write_root(tmp_path / "jets.root", jets(50))
    assert "ends in .yaml" in refused("init", path, "-o", "my.txt")
    assert "there is no tree 'Events'" in refused("init", path, "--tree", "Events")
    (tmp_path / "bad.root").write_bytes(b"root" + bytes(50))
    assert "bad.root" in refused("init", "bad.root")
    assert not (tmp_path / "analysis.yaml").exists()


def test_the_reference_data(tmp_path: Path, shared_data: Path, started: Callable[..., Any]) -> None:
    whole = pq.ParquetFile(shared_data / "top_tagging" / "train.parquet")
    pq.write_table(next(whole.iter_batches(1000)).to_pandas().pipe(_table), tmp_path / "some.parquet")
    analysis, manifest, _ = started(tmp_path / "some.parquet")
    assert manifest.rows == 1000
    assert "is_signal_new" not in names(analysis)
    assert "ttv" not in names(analysis)


def _table(frame: Any) -> Any:
    import pyarrow as pa

    return pa.Table.from_pandas(frame)


@pytest.mark.parametrize(
    ("file", "rows"),
    [
        ("jet_flavour/valid_data.root", ""),
        ("nanoaod/nano_tt_v12.root", "Jet"),
    ],
)
def test_real_files(shared_data: Path, started: Callable[..., Any], file: str, rows: str) -> None:
    analysis, manifest, _ = started(shared_data / file)
    assert (analysis.rows or "") == rows
    assert list(analysis.classes) == ["light", "c", "b"]
    assert manifest.rows > 1000
    assert not [name for name in names(analysis) if "flav" in name.lower() or "gen" in name or "index" in name]


def test_a_label_of_minus_one_and_one(tmp_path: Path) -> None:
    """Two classes, and a charge of -1 and 1 is an integer with a sign, not a flag."""
    import uproot

    from collidekit.analysis.load import read_analysis
    from collidekit.starter.starter import start_analysis

    random = np.random.default_rng(1)
    label = random.choice([-1, 1], 500).astype(np.int8)
    with uproot.recreate(tmp_path / "signed.root") as file:
        file["tree"] = {
            "label": label, "x": random.normal(label), "charge": random.choice([-1, 1], 500).astype(np.int32)
        }  # fmt: skip
    start_analysis([str(tmp_path / "signed.root")], tmp_path / "a.yaml", None, False)
    analysis, _ = read_analysis(tmp_path / "a.yaml")
    assert analysis.classes == {"background": "label == -1", "signal": "label == 1"}
    kinds = {feature.name: feature.kind for entry in analysis.inputs.values() for feature in entry.features}
    assert kinds["charge"] == "integer"
