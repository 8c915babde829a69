"""``collidekit init``: the analysis file can be loaded, makes a dataset, and is sensible."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import awkward as ak
import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot
from tests.cli.conftest import Run
from tests.cli.samples import jets, write_parquet, write_root, write_structured_hdf5

from collidekit.analysis.load import load_analysis, parse_analysis, read_analysis
from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.construct import construct
from collidekit.dataset.manifest import Manifest
from collidekit.dataset.rows import build_rows, columns_to_read
from collidekit.errors import CollidekitError
from collidekit.readers import open_file


@pytest.fixture
def started(tmp_path: Path, run: Run) -> Callable[[Path], tuple[Analysis, Manifest, str]]:
    """Return the analysis of a file, its dataset, and its text."""

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
    assert analysis.kinematics is None
    assert "# kinematics: {jet_pt: [" in text


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
    assert analysis.training["model_name"] == "pfn"
    assert "the score of another tagger" in text
    assert analysis.members == {"JetSVs": "JetSVs_jetIdx"}
    assert "JetSVs_mass" in names(analysis)
    assert set(analysis.discriminators) == {"CvsL", "BvsL", "BvsC", "CvsB"}


def test_structured_hdf5(tmp_path: Path, started: Callable[..., Any]) -> None:
    analysis, manifest, _ = started(write_structured_hdf5(tmp_path / "atlas.h5", 300))
    assert list(analysis.classes) == ["light", "c", "b"]
    assert manifest.rows == 300
    assert any(name.startswith("tracks_d0") for name in names(analysis))
    assert not any("Truth" in name for name in names(analysis))


def test_without_truth_the_classes_are_left_to_fill_in(tmp_path: Path, run: Run) -> None:
    columns = jets(100)
    del columns["label"], columns["part_truth_origin"]
    columns["category_of_mine"] = np.zeros(100, np.int32)
    columns["n_tracks"] = np.arange(100, dtype=np.int32) % 3
    result = run("init", write_root(tmp_path / "data.root", columns))
    assert result.exit_code == 0, result.output
    assert "fill in the classes" in result.output
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
    assert "exists already" in refused("init", path)
    assert (tmp_path / "analysis.yaml").read_text() == "mine"
    assert run("init", path, "--force").exit_code == 0
    assert (tmp_path / "analysis.yaml").read_text() != "mine"


def test_bad_input(tmp_path: Path, refused: Callable[..., str]) -> None:
    assert "there is no such file" in refused("init", "nothing.root")
    path = write_root(tmp_path / "jets.root", jets(50))
    assert "must end in .yaml" in refused("init", path, "-o", "my.txt")
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


REAL = [("jet_flavour/training_data.root", ""), ("nanoaod/nano_tt_v12.root", "Jet")]


@pytest.mark.parametrize(("file", "rows"), REAL)
def test_real_files(shared_data: Path, started: Callable[..., Any], file: str, rows: str) -> None:
    analysis, manifest, text = started(shared_data / file)
    assert (analysis.rows or "") == rows
    assert list(analysis.classes) == ["light", "c", "b"]
    assert manifest.rows > 1000
    truth = ("flav", "gen", "index", "btag", "n_vertices", "PNet", "jetId")
    assert not [name for name in names(analysis) if any(part in name for part in truth)]
    if not rows:
        assert "# - {name: n_vertices, kind: integer}  # follows from trk_vtx_index, which looks like an index" in text
        assert "arcsinh((-sign(trk_dphi) * trk_d0) / " in text
        assert "# - {name: trk_charge, kind: integer}  # the sign of the charge" in text


@pytest.mark.parametrize(("made_of", "read"), [("v12", "v15"), ("v15", "v12")])
def test_a_file_of_another_version_has_all_that_is_needed(
    shared_data: Path, started: Callable[..., Any], made_of: str, read: str
) -> None:
    """The analysis file for one version of NanoAOD can read the other version."""
    analysis, _, _ = started(shared_data / "nanoaod" / f"nano_tt_{made_of}.root")
    with open_file(str(shared_data / "nanoaod" / f"nano_tt_{read}.root")) as reader:
        assert not Plan(analysis).missing(reader.columns)


def test_a_label_of_minus_one_and_one(tmp_path: Path) -> None:
    """There are two classes; a charge of -1 and 1 is an integer, not a flag."""
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


def awkward_jets(number: int) -> dict[str, Any]:
    """Return jets with heavy tails, sentinels, NaN, truth, scores of other taggers, and odd names."""
    random, columns = np.random.default_rng(7), jets(number)
    label, counts = columns["label"], ak.num(columns["part_px"])
    total = int(ak.sum(counts))
    return columns | {
        "label3": label,
        "jet_GN2v01_pb": random.uniform(0, 1, number).astype(np.float32),
        "weight_mc": random.uniform(0.5, 1.5, number).astype(np.float32),
        "heavy": np.exp(random.normal(0, 2, number)),
        "with_sentinel": np.where(random.random(number) < 0.3, -999.0, random.normal(label, 1)),
        "with_nan": np.where(random.random(number) < 0.3, np.nan, random.normal(label, 1)),
        "huge": np.where(np.arange(number) % 200 == 0, 1e30, random.normal(0, 1, number)),
        "pi": random.normal(0, 1, number),
        "part_dz": ak.unflatten(random.standard_cauchy(total), counts),
        "part_origin_index": ak.unflatten(random.integers(-1, 3, total), counts),
    }


def test_what_init_recognises(tmp_path: Path, started: Callable[..., Any]) -> None:
    analysis, _, text = started(write_root(tmp_path / "jets.root", awkward_jets(2000)))
    features = {feature.name: feature for entry in analysis.inputs.values() for feature in entry.features}
    assert not {"label3", "jet_GN2v01_pb", "weight_mc"} & set(features)
    assert "# - {name: label3, kind: flag}  # looks like another label" in text
    assert "# - jet_GN2v01_pb  # looks like the score of another tagger" in text
    assert features["heavy_log"].expression == "log(heavy)"
    assert features["part_dz_arcsinh"].expression.startswith("arcsinh(part_dz / ")
    assert features["part_dz_signed_arcsinh"].expression.startswith("arcsinh((-sign(part_deta) * part_dz) / ")
    sentinel = features["with_sentinel"]
    assert sentinel.expression.startswith("with_sentinel if with_sentinel > -500 else ")
    assert -5 < (sentinel.default or 0) < -1
    assert re.search(r"# -999 \((2[789]|3[0-3])\.\d% of the values\) means", text)
    assert features["with_nan"].default is not None
    assert features["huge"].bounds is not None
    assert features["huge"].bounds[1] < 10
    assert features["pi"].expression == "`pi`"


def test_every_expression_in_a_comment_runs(tmp_path: Path, started: Callable[..., Any]) -> None:
    """Each commented key and feature is valid if its # is removed."""
    path = write_root(tmp_path / "jets.root", awkward_jets(800))
    text = started(path)[2]
    lines = text.splitlines()
    commented = [i for i, line in enumerate(lines) if re.match(r"\s*# (- |[a-z]+: )", line) and "test: [" not in line][
        1:
    ]
    assert len(commented) >= 7  # the selection, a weight, kinematics, and features that are left out
    for i in commented:
        changed = "\n".join([*lines[:i], lines[i].replace("# ", "", 1), *lines[i + 1 :]])
        plan = Plan(*parse_analysis(changed))
        with open_file(str(path)) as reader:
            chunk = reader.read(columns_to_read(plan, list(reader.columns)), 0, 800)
        assert len(build_rows(plan, chunk, str(path), 0, 0).batch) > 100


def test_padded_lists(tmp_path: Path, started: Callable[..., Any]) -> None:
    """Members that are all -999, or excluded by a MASK, are not constituents."""
    random = np.random.default_rng(3)
    mask = np.arange(8) < random.integers(2, 9, 600)[:, None]
    columns = {
        name: np.where(mask, random.normal(50, 9, (600, 8)), -999).astype(np.float32) for name in ("jet_pt", "jet_x")
    }
    with uproot.recreate(tmp_path / "padded.root") as file:
        file["tree"] = {"label": random.integers(0, 2, 600).astype(np.int32), **columns}
    analysis, manifest, _ = started(tmp_path / "padded.root")
    assert re.fullmatch(r"jet_(pt|x) > -4\d\d", analysis.collections["jet"].where or "")
    assert manifest.summary["constituents"]["jet"] == mask.sum()
    with h5py.File(tmp_path / "spanet.h5", "w") as file:
        for name, values in columns.items():
            file[f"INPUTS/Source/{name[4:]}"] = np.where(mask, values, 0)
        file["INPUTS/Source/MASK"], file["CLASSIFICATIONS/EVENT/signal"] = mask, random.integers(-1, 2, 600)
        manifest_rows = file["CLASSIFICATIONS/EVENT/signal"][:] >= 0
        file["TARGETS/signal/q1"] = np.where(random.random(600) < 0.5, -1, 0)
    analysis, manifest, text = started(tmp_path / "spanet.h5", "--force")
    assert manifest.summary["constituents"]["Source"] == np.asarray(mask)[manifest_rows].sum()
    assert analysis.classes == {
        "background": "CLASSIFICATIONS_EVENT_signal == 0", "signal": "CLASSIFICATIONS_EVENT_signal == 1"
    }  # fmt: skip
    assert "# Left out, because they look like simulated truth or weights: signal_q1" in text
    assert manifest.rows == manifest.summary["cutflow"]["in a class"] < 600


def test_an_event_file_of_spanet(tmp_path: Path, run: Run, refused: Callable[..., str]) -> None:
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["INPUTS/Jets/MASK"], file["INPUTS/Jets/pt"] = np.ones((50, 4), bool), np.arange(200.0).reshape(50, 4)
        file["TARGETS/h/b1"], file["TARGETS/h/b2"] = np.zeros(50, int), np.ones(50, int)
    event = (
        "INPUTS: {SEQUENTIAL: {Jets: {pt: log}}}\nEVENT: {h: [b1, b2]}\nPERMUTATIONS: {h: [[b1, b2], [[b1, b2, b1]]]}\n"
    )
    (tmp_path / "event.yaml").write_text(event)
    assert "the truth in the files (h_b1, h_b2) is not used" in run("init", "data.h5", "-o", "guess.yaml").output
    said = run("init", "event.yaml", "data.h5", "-o", "my.yaml").output
    assert "Not translated: PERMUTATIONS/h: [['b1', 'b2', 'b1']]" in said
    assert "Target   assignment: h" in said
    assert load_analysis(tmp_path / "my.yaml").assignments["assignment"].symmetries == [["h.b1", "h.b2"]]
    assert "my.yaml: exists already" in refused("init", "event.yaml", "data.h5", "-o", "my.yaml")
    assert "HDF5 files are missing" in refused("init", "event.yaml", "-o", "other.yaml")


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (1, 2, 0)])
def test_empty_files_are_left_out(tmp_path: Path, run: Run, order: tuple[int, ...]) -> None:
    columns = jets(400)
    write_root(tmp_path / "empty.root", {name: values[:0] for name, values in columns.items()})
    write_root(tmp_path / "a.root", {name: values[:200] for name, values in columns.items()})
    write_root(tmp_path / "b.root", {name: values[200:] for name, values in columns.items()})
    result = run("init", *(("empty.root", "a.root", "b.root")[i] for i in order), "-o", "x.yaml")
    assert result.exit_code == 0, result.output
    assert "Note     left out, because they hold no entries: empty.root" in result.output
    assert "Next     collidekit run x.yaml" in result.output
    assert load_analysis(tmp_path / "x.yaml").files.training == ["a.root", "b.root"]


def test_empty_files_of_a_glob_are_left_out(tmp_path: Path, run: Run, refused: Callable[..., str]) -> None:
    (tmp_path / "x1.csv").write_text("label,x\n")
    assert "x1.csv: holds no entries" in refused("init", "x*.csv")
    (tmp_path / "x2.csv").write_text("label,x\n")
    assert "x1.csv: holds no entries, like all 2 files" in refused("init", "x*.csv")
    (tmp_path / "x3.csv").write_text("label,x\n" + "\n".join(f"{i % 2},{i % 7}" for i in range(300)) + "\n")
    assert run("init", "x*.csv").exit_code == 0
    assert load_analysis(tmp_path / "analysis.yaml").files.training == ["x3.csv"]


def test_after_an_error_the_next_step_is_not_run(tmp_path: Path, run: Run) -> None:
    for number in range(4):
        write_root(tmp_path / f"x{number}.root", jets(100, seed=number))
    damaged = tmp_path / "x3.root"
    damaged.write_bytes(damaged.read_bytes()[:-100])
    result = run("init", "x*.root", "-o", "x.yaml")
    assert "x3.root: is truncated" in result.output
    assert "Next     correct the errors above, then run collidekit check x.yaml" in result.output
    assert "collidekit run" not in result.output


@pytest.mark.parametrize("name", ["evt_no", "evtNum", "lumi_block", "EventNo", "counter"])
def test_an_event_number_under_another_name(tmp_path: Path, started: Callable[..., Any], name: str) -> None:
    columns = jets(300)
    columns[name] = columns.pop("event")
    analysis, _, _ = started(write_root(tmp_path / "jets.root", columns))
    assert analysis.event == [name]
    assert name not in names(analysis)


def test_a_row_number_beside_the_event_number(tmp_path: Path, started: Callable[..., Any]) -> None:
    columns = jets(300) | {"counter": np.arange(300)}
    analysis, _, text = started(write_root(tmp_path / "jets.root", columns))
    assert analysis.event == ["event"]
    assert "counter" not in names(analysis)
    assert "# - {name: counter, kind: integer}  # looks like a number of the row or event" in text


def test_several_trees_are_named(tmp_path: Path, run: Run, refused: Callable[..., str]) -> None:
    with uproot.recreate(tmp_path / "two.root") as file:
        file["first"], file["second"] = {"x": np.arange(5)}, {"label": np.arange(300) % 2}
    expected = "holds several trees (first: 5 entries, second: 300 entries); choose one with --tree second"
    assert expected in refused("init", "two.root")
    assert run("init", "two.root", "--tree", "second").exit_code == 0


def test_lines_that_are_lists(tmp_path: Path, started: Callable[..., Any]) -> None:
    lines = [[i + 0.5, i % 2, [i, 2 * i], [[j, -1.5] for j in range(i % 4)], None] for i in range(300)]
    (tmp_path / "lists.jsonl").write_text("\n".join(map(json.dumps, lines)))
    analysis, _, text = started_without_classes(tmp_path, started, "lists.jsonl")
    assert analysis.source.layout == [
        "value_0", "value_1", ["value_2_0", "value_2_1"], {"each": ["value_0", "value_1"], "prefix": "list_3_"}, "value_4"
    ]  # fmt: skip
    assert "Replace the names by the real ones" in text


def started_without_classes(tmp_path: Path, started: Callable[..., Any], name: str) -> Any:
    """Return the same as ``started``, after a column of the file was named as the truth."""
    with pytest.raises(CollidekitError, match="no row is left"):
        started(tmp_path / name)
    text = (tmp_path / "my.yaml").read_text()
    text = text.replace("background: 0 == 1", "background: value_1 == 0").replace(
        "signal: 0 == 1", "signal: value_1 == 1"
    )
    plan = Plan(*parse_analysis(text))
    assert construct(plan, str(tmp_path / name), tmp_path / "filled", progress=False).rows == 300
    return plan.analysis, None, text


def test_the_published_layout_is_known(tmp_path: Path, run: Run) -> None:
    line = [50.0, 0.1, 5, [1.0] * 8, [1.0] * 6, [[[0.1] * 28, [0.2] * 28], [[0.3] * 28]]]
    (tmp_path / "published.json").write_text(
        "\n".join(json.dumps([i, *line[1:2], i % 2 * 5, *line[3:]]) for i in range(200))
    )
    assert run("init", "published.json").exit_code == 0
    analysis = load_analysis(tmp_path / "analysis.yaml")
    assert analysis.source.layout == "jet_flavour_2016"
    assert analysis.classes == {"light": "flavor == 0", "b": "flavor == 5"}
