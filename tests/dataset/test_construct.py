"""From files to shards: the right rows, the right counts, and one clear line for each kind of bad input."""

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import torch
from makers import NUMBERED, make_plan, numbered, write, write_parquet, write_root

from collidekit.dataset.batch import Batch, Ragged, concatenate
from collidekit.dataset.construct import construct
from collidekit.dataset.loader import Dataset, Loader
from collidekit.dataset.manifest import Manifest
from collidekit.errors import CollidekitError

SIMPLE = """
selection: pt > 20 and number != 3
classes: {even: label == 0, odd: label == 1}
inputs:
  parts:
    limit: 4
    features: [{name: part_x, default: -7, bounds: [-100, 100]}]
  jet: {features: [pt, {name: number, bounds: [0, 50]}]}
"""


def simple(rows: int = 60) -> dict[str, Any]:
    columns = numbered(rows)
    columns["part_x"] = columns["part_place"] * 1.5
    return columns


def run(tmp_path: Path, text: str, columns: dict[str, Any], name: str = "rows.parquet", **options: Any) -> Manifest:
    file = write(tmp_path / name, columns)
    return construct(make_plan(text), str(file), tmp_path / "out", progress=False, **options)


def everything(manifest: Manifest) -> Batch:
    return concatenate(list(Loader(Dataset(manifest), 500, threads=0)))


def fails(tmp_path: Path, text: str, columns: dict[str, Any], **options: Any) -> str:
    """What a construction says that must fail; nothing of it may be left."""
    with pytest.raises(CollidekitError) as error:
        run(tmp_path, text, columns, **options)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()
    return str(error.value)


@pytest.mark.parametrize("name", ["rows.root", "rows.parquet"])
def test_rows_cutflow_and_counts(tmp_path: Path, name: str) -> None:
    columns = simple(3000)
    manifest = run(tmp_path, SIMPLE, columns, name, chunk_size=700)
    kept = [i for i in range(3000) if columns["pt"][i] > 20 and i != 3]
    pt_cut = int((columns["pt"] > 20).sum())
    assert manifest.summary["cutflow"] == {
        "all rows": 3000,
        "pt > 20": pt_cut,
        "number != 3": len(kept),
        "in a class": len(kept),
    }
    assert manifest.class_counts == {"even": sum(i % 2 == 0 for i in kept), "odd": sum(i % 2 for i in kept)}
    assert [shard["rows"] for shard in manifest.shards][:-1] == [700] * (len(manifest.shards) - 1)
    batch = everything(manifest)
    assert batch.source[:, 1].tolist() == kept
    assert batch.labels.tolist() == [i % 2 for i in kept]
    assert batch.index.tolist() == list(range(len(kept)))
    parts = batch.inputs["parts"]
    assert isinstance(parts, Ragged)
    for i, row in enumerate(kept):
        members = parts.values[parts.offsets[i] : parts.offsets[i + 1], 0]
        assert members.tolist() == ak.to_list(columns["part_x"][row])[:4]
    jet = batch.inputs["jet"]
    assert isinstance(jet, torch.Tensor)
    np.testing.assert_array_equal(jet[:, 0].numpy(), columns["pt"][kept])
    np.testing.assert_array_equal(jet[:, 1].numpy(), np.minimum(kept, 50))


def test_a_selection_may_look_at_lists(tmp_path: Path) -> None:
    """Variables that are ragged lists move along when rows are dropped."""
    text = SIMPLE.replace("pt > 20 and number != 3", "count(double) > 2 and sum(double) > 6")
    columns = simple(200)
    manifest = run(tmp_path, text + "variables: {double: part_x * 2}\n", columns)
    lists = ak.to_list(columns["part_x"])
    kept = [i for i in range(200) if len(lists[i]) > 2 and 2 * sum(lists[i]) > 6]
    assert everything(manifest).source[:, 1].tolist() == kept


def test_rows_of_no_class_are_dropped_and_counted(tmp_path: Path) -> None:
    columns = simple(100) | {"label": np.arange(100) % 4}
    manifest = run(tmp_path, SIMPLE.replace("pt > 20 and number != 3", "pt >= 0"), columns)
    assert manifest.summary["cutflow"] == {"all rows": 100, "pt >= 0": 100, "in a class": 50}


def test_several_files_keep_their_order(tmp_path: Path) -> None:
    paths = [str(write_parquet(tmp_path / f"f{i}.parquet", numbered(37, first=37 * i))) for i in (2, 0, 1)]
    manifest = construct(make_plan(NUMBERED), paths, tmp_path / "out", chunk_size=50, progress=False)
    batch = everything(manifest)
    assert batch.spectators["number"].int().tolist() == [*range(74, 111), *range(74)]
    assert batch.source[:, 0].tolist() == [0] * 37 + [1] * 37 + [2] * 37
    assert manifest.files == paths


def test_overlapping_classes(tmp_path: Path) -> None:
    text = SIMPLE.replace("odd: label == 1", "odd: number == 42 or label == 1")
    said = fails(tmp_path, text, simple(), name="rows.root")
    assert "analysis.yaml:3: classes 'even' and 'odd' overlap: row 42 of" in said
    assert "rows.root is in both" in said


def test_a_class_without_rows(tmp_path: Path) -> None:
    assert "no row is in class 'odd' ('label == 5')" in fails(
        tmp_path, SIMPLE.replace("label == 1", "label == 5"), simple()
    )


def test_no_rows_after_the_selection(tmp_path: Path) -> None:
    said = fails(tmp_path, SIMPLE.replace("pt > 20", "pt > 2000"), simple())
    assert "no row is left after the selection (all rows: 60; pt > 2000: 0" in said


def test_a_missing_branch(tmp_path: Path) -> None:
    said = fails(tmp_path, SIMPLE.replace("part_x", "part_xx"), simple())
    assert "analysis.yaml:7: 'part_xx': there is no branch or variable 'part_xx' in " in said
    assert "(did you mean 'part_x'" in said
    assert "rows.parquet" in said


def test_a_missing_tree(tmp_path: Path) -> None:
    said = fails(tmp_path, SIMPLE + "source: {tree: evnts}\n", simple(), name="rows.root")
    assert "rows.root: there is no tree 'evnts'" in said


def test_nan_and_infinity_in_a_feature_become_its_default_and_are_counted(tmp_path: Path) -> None:
    columns = simple(40)
    columns["pt"] = np.full(40, 30.0)
    columns["pt"][[4, 5]] = np.nan, np.inf
    columns["part_x"] = ak.Array([[1.0, np.nan, -np.inf, 1e30, 500]] * 40)
    manifest = run(tmp_path, SIMPLE.replace("pt > 20 and number != 3", "number >= 0"), columns)
    assert manifest.summary["replaced"] == {"parts.part_x": 80, "jet.pt": 2}
    batch = everything(manifest)
    assert batch.inputs["jet"][:, 0].tolist() == [30] * 4 + [0, 0] + [30] * 34  # type: ignore[index]
    assert batch.inputs["parts"].values[:4, 0].tolist() == [1, -7, -7, 100]  # type: ignore[union-attr]
    assert manifest.summary["statistics"]["parts"]["part_x"]["missing"] == 80
    assert manifest.summary["statistics"]["parts"]["part_x"]["count"] == 80


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_in_a_label_names_the_row(tmp_path: Path, bad: float) -> None:
    columns = simple() | {"label": np.arange(60) % 2 * 1.0}
    columns["label"][17], columns["pt"][17] = bad, 90
    said = fails(tmp_path, SIMPLE, columns)
    assert f"rows.parquet: row 17: label is {bad}, and a class depends on it" in said


def test_nan_in_a_label_behind_a_variable_names_the_row(tmp_path: Path) -> None:
    columns = simple() | {"label": np.arange(60) % 2 * 1.0}
    columns["label"][17], columns["pt"][17] = np.nan, 90
    text = SIMPLE.replace("even: label == 0", "even: is_even").replace("odd: label == 1", "odd: not is_even")
    assert "row 17: label is nan" in fails(tmp_path, text + "variables: {is_even: label == 0}\n", columns)


@pytest.mark.parametrize("skip", [False, True])
def test_nan_in_a_weight_names_the_row_and_is_no_bad_file(tmp_path: Path, skip: bool) -> None:
    columns = simple() | {"w": np.ones(60)}
    columns["w"][21], columns["pt"][21] = np.nan, 90
    said = fails(tmp_path, SIMPLE + "weight: w * 2\n", columns, skip_bad_files=skip)
    assert "rows.parquet: row 21: the weight 'w * 2' is nan" in said


def test_nan_in_the_kinematics_names_the_row(tmp_path: Path) -> None:
    columns = simple() | {"y": np.ones(60)}
    columns["y"][33], columns["pt"][33] = np.nan, 90
    text = SIMPLE + "kinematics: {y: [0, 1, 2], reference: even}\n"
    assert "rows.parquet: row 33: y is nan, and kinematics needs it" in fails(tmp_path, text, columns)


def test_an_event_number_that_is_none(tmp_path: Path) -> None:
    columns = simple() | {"run": np.arange(60) * 1.0}
    columns["run"][8], columns["pt"][8] = 1.5, 90
    assert "row 8: the event number 'run' is 1.5" in fails(tmp_path, SIMPLE + "event: [run]\n", columns)


def test_negative_weights_are_allowed_and_counted(tmp_path: Path) -> None:
    columns = simple() | {"w": np.where(np.arange(60) % 3 == 0, -1.0, 2.0)}
    manifest = run(tmp_path, SIMPLE.replace("pt > 20 and number != 3", "pt >= 0") + "weight: w\n", columns)
    assert manifest.summary["negative_weights"] == 20
    assert manifest.summary["class_weights"] == {"even": 30.0, "odd": 30.0}


@pytest.mark.parametrize("name", ["rows.root", "rows.parquet"])
def test_lists_of_length_0_and_5000(tmp_path: Path, name: str) -> None:
    generator = np.random.default_rng(0)
    lists = [[], generator.normal(size=5000), [], [1.0], generator.normal(size=5000), []]
    columns = {"part_x": ak.Array(lists), "pt": np.ones(6), "number": np.arange(6), "label": np.arange(6) % 2}
    text = SIMPLE.replace("limit: 4", "limit: 4500").replace("pt > 20 and number != 3", "pt > 0")
    parts = everything(run(tmp_path, text, columns, name)).inputs["parts"]
    assert isinstance(parts, Ragged)
    assert parts.counts.tolist() == [0, 4500, 0, 1, 4500, 0]
    np.testing.assert_array_equal(parts.values[:4500, 0], np.asarray(lists[1][:4500], np.float32))


@pytest.mark.parametrize("where", ["features: [part_x, other]", "order: other\n    features: [part_x]"])
def test_lists_of_different_lengths(tmp_path: Path, where: str) -> None:
    columns = simple() | {"pt": np.full(60, 30.0)}
    lists = ak.to_list(columns["part_x"])
    lists[11].append(1.0)
    text = SIMPLE.replace("features: [{name: part_x, default: -7, bounds: [-100, 100]}]", where)
    said = fails(tmp_path, text, columns | {"other": ak.Array(lists)})
    n = len(lists[11])
    assert (
        f"rows.parquet: row 11: lists of different lengths in one collection: 'part_x' has {n - 1}, 'other' has {n}"
        in said
    )


def test_a_collection_of_numbers_and_a_group_of_lists(tmp_path: Path) -> None:
    assert "needs lists, but 'pt' is one number in each row of" in fails(
        tmp_path, SIMPLE.replace("part_x", "pt"), simple()
    )
    said = fails(tmp_path, SIMPLE.replace("features: [pt,", "features: [part_x,"), simple())
    assert "'part_x': is a list in each row of" in said


def damaged(tmp_path: Path) -> list[str]:
    """A good file, a truncated one, one that is not ROOT, one without entries, an empty one, and a good one."""
    good = write_root(tmp_path / "a_good.root", numbered(40))
    (tmp_path / "b_truncated.root").write_bytes(good.read_bytes()[:-2000])
    (tmp_path / "c_text.root").write_text("this is no ROOT file")
    write_root(tmp_path / "d_none.root", numbered(0))
    (tmp_path / "e_empty.root").touch()
    write_root(tmp_path / "f_good.root", numbered(30, first=40))
    return sorted(str(path) for path in tmp_path.glob("*.root"))


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_bad_files_are_named(tmp_path: Path, number: int) -> None:
    path = damaged(tmp_path)[number]
    with pytest.raises(CollidekitError) as error:
        construct(make_plan(NUMBERED), path, tmp_path / "out", progress=False)
    assert str(error.value).startswith(path)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_bad_files_are_skipped_and_counted(tmp_path: Path) -> None:
    paths = damaged(tmp_path)
    manifest = construct(make_plan(NUMBERED), paths, tmp_path / "out", skip_bad_files=True, progress=False)
    assert manifest.rows == 70
    assert manifest.summary["bad_files"] == 4
    assert ["skipped" in entry for entry in manifest.inputs] == [False, True, True, True, True, False]
    assert set(everything(manifest).source[:, 0].tolist()) == {0, 5}


def test_a_file_that_breaks_in_the_middle_is_skipped_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collidekit.dataset.construct.CHUNK", 1000)
    good = write_parquet(tmp_path / "a.parquet", numbered(3000))
    content = bytearray(good.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 3000] = b"\xff" * 3000
    bad = tmp_path / "b.parquet"
    bad.write_bytes(content)
    with pytest.raises(CollidekitError, match=r"b\.parquet"):
        construct(make_plan(NUMBERED), [str(good), str(bad)], tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()
    manifest = construct(
        make_plan(NUMBERED), [str(good), str(bad)], tmp_path / "out", skip_bad_files=True, progress=False
    )
    assert manifest.rows == 3000
    assert manifest.summary["cutflow"]["all rows"] == 3000
    assert manifest.summary["bad_files"] == 1
    with pytest.raises(CollidekitError, match="none of the 1 input files can be used"):
        construct(make_plan(NUMBERED), str(bad), tmp_path / "out2", skip_bad_files=True, progress=False)


def test_a_process_may_have_a_selection_of_its_own(tmp_path: Path) -> None:
    """It drops rows of its files alone, and the cutflow of all files has its conditions."""
    paths = [
        str(write_parquet(tmp_path / f"{n}.parquet", numbered(10, first=f))) for n, f in (("qcd_1", 0), ("tt_1", 10))
    ]
    own = "processes: {tt: {files: 'tt_*', selection: number > 13 and number < 18}, qcd: {files: 'qcd_*'}}\n"
    manifest = construct(make_plan(NUMBERED + own), paths, tmp_path / "out", progress=False)
    assert everything(manifest).source[:, 1].tolist() == [*range(10), 4, 5, 6, 7]
    assert manifest.summary["cutflow"] == {
        "all rows": 20, "tt: number > 13": 16, "tt: number < 18": 14, "in a class": 14
    }  # fmt: skip
    plain = NUMBERED + "processes: {tt: {files: 'tt_*'}, qcd: {files: 'qcd_*'}}\n"
    assert make_plan(plain).analysis.fingerprint != make_plan(NUMBERED + own).analysis.fingerprint
    wrong = own.replace("number > 13", "nummer > 13")
    with pytest.raises(CollidekitError, match=r"nummer.*did you mean 'number'"):
        construct(make_plan(NUMBERED + wrong), paths, tmp_path / "out2", progress=False)


def test_processes_have_a_number_and_a_weight(tmp_path: Path) -> None:
    paths = [
        str(write_parquet(tmp_path / f"{n}.parquet", numbered(10, first=f))) for n, f in (("qcd_1", 0), ("tt_1", 10))
    ]
    text = NUMBERED + "processes: {tt: {files: 'tt_*', weight: 3}, qcd: {files: 'qcd_*'}}\n"
    batch = everything(construct(make_plan(text), paths, tmp_path / "out", progress=False))
    assert batch.processes.tolist() == [1] * 10 + [0] * 10
    assert batch.weights.tolist() == [*range(1, 11), *range(33, 63, 3)]
    other = write_parquet(tmp_path / "other.parquet", numbered(10))
    with pytest.raises(
        CollidekitError, match=r"other\.parquet: belongs to no process of the analysis; their files are 'tt_"
    ):
        construct(make_plan(text), str(other), tmp_path / "out2", progress=False)
    debug = construct(make_plan(text), [*paths, paths[0] + "x"][:2], tmp_path / "out3", debug=True, progress=False)
    assert len(debug.files) == 2


def test_the_kinematic_histogram(tmp_path: Path) -> None:
    columns = numbered(500)
    manifest = run(tmp_path, NUMBERED, columns)
    weights = np.arange(500) + 1.0
    for k in (0, 1):
        of_class = columns["label"] == k
        expected, _ = np.histogram(columns["pt"][of_class], [0, 50, 100], weights=weights[of_class])
        np.testing.assert_allclose(manifest.histogram[k], expected)


def test_order_where_and_limit(tmp_path: Path) -> None:
    generator = np.random.default_rng(2)
    counts = generator.integers(0, 30, 300)
    x = ak.unflatten(np.round(generator.normal(size=counts.sum()), 1), counts)  # rounded: many are equal
    hits = ak.unflatten(generator.integers(0, 4, counts.sum()).astype(np.uint8), counts)
    columns = {"part_x": x, "hits": hits, "pt": np.ones(300), "number": np.arange(300), "label": np.arange(300) % 2}
    base = SIMPLE.replace("pt > 20 and number != 3", "pt > 0").replace(
        "{name: part_x, default: -7, bounds: [-100, 100]}", "part_x, hits"
    )
    cases: dict[str, tuple[str, Any, Any]] = {
        "order": ("order: part_x", lambda a, h: True, lambda a, h: -a),
        "where": ("where: part_x > 0.2", lambda a, h: a > 0.2, lambda a, h: 0),
        "both": ("where: abs(part_x) > 1\n    order: hits", lambda a, h: abs(a) > 1, lambda a, h: -h),
        "flag": ("order: part_x > 0", lambda a, h: True, lambda a, h: -(a > 0)),
    }
    for name, (lines, keep, key) in cases.items():
        folder = tmp_path / name
        folder.mkdir()
        parts = everything(run(folder, base.replace("limit: 4", f"limit: 4\n    {lines}"), columns)).inputs["parts"]
        assert isinstance(parts, Ragged)
        for i in range(300):
            members = [(a, h) for a, h in zip(ak.to_list(x[i]), ak.to_list(hits[i]), strict=True) if keep(a, h)]
            expected = sorted(members, key=lambda member: key(*member))[:4]  # stable, as the file has them
            found = parts.values[parts.offsets[i] : parts.offsets[i + 1]].numpy()
            np.testing.assert_array_equal(found, np.asarray(expected, np.float32).reshape(-1, 2))


def test_members_without_a_value_to_order_by_come_last(tmp_path: Path) -> None:
    lists = [[np.nan, 1, np.nan, 3, 2], [2, 1], [], [np.nan, -np.inf, np.inf, 0], [5]]
    columns = {
        "x": ak.Array(lists), "part_x": ak.local_index(ak.Array(lists)),
        "pt": np.full(5, 30.0), "number": np.arange(5) + 10, "label": np.arange(5) % 2,
    }  # fmt: skip
    parts = everything(run(tmp_path, SIMPLE.replace("limit: 4", "limit: 4\n    order: x"), columns)).inputs["parts"]
    assert isinstance(parts, Ragged)
    kept = np.split(parts.values[:, 0].numpy(), parts.offsets[1:-1])
    assert [row.tolist() for row in kept] == [[3, 4, 1, 0], [0, 1], [], [2, 3, 1, 0], [0]]


JETS = """
rows: Jet
selection: Jet_pt > 30 and met < 80
variables: {Jet_track_rel: Jet_track / Jet_pt, dphi: "delta_phi(Jet_phi, met_phi)", lead: "max(Muon_pt)"}
classes: {b: Jet_flavour == 5, light: Jet_flavour != 5}
inputs:
  tracks: {limit: 5, features: [Jet_track_rel]}
  muons: {limit: 3, features: [Muon_pt]}
  jet: {features: [Jet_pt, met, dphi, lead, row_index, {name: same, expression: "at(Muon_pt, row_index)", default: -1}]}
weight: gen
event: [event]
"""


@pytest.mark.parametrize("name", ["events.parquet"])
def test_jets_of_events_as_rows(tmp_path: Path, name: str) -> None:
    """Against a slow loop: jets are rows, event-level branches are repeated, lists of lists lose one level."""
    generator = np.random.default_rng(4)
    events: list[dict[str, Any]] = []
    for number in range(150):
        jets = generator.integers(0, 5)
        events.append(
            {
                "event": 2**63 + number,
                "gen": float(generator.choice([-1, 1])),
                "met": generator.uniform(0, 100),
                "met_phi": generator.uniform(-3, 3),
                "Muon_pt": generator.uniform(3, 50, generator.integers(1, 4)).tolist(),
                "Jet_pt": generator.uniform(20, 200, jets).tolist(),
                "Jet_phi": generator.uniform(-3, 3, jets).tolist(),
                "Jet_flavour": generator.choice([0, 4, 5], jets).tolist(),
                "Jet_track": [generator.uniform(0, 9, generator.integers(0, 8)).tolist() for _ in range(jets)],
            }
        )
    columns = {key: ak.Array([event[key] for event in events]) for key in events[0] if key != "event"}
    columns["event"] = ak.Array(np.array([event["event"] for event in events], dtype=np.uint64))
    batch = everything(run(tmp_path, JETS, columns, name))
    expected = []
    for number, event in enumerate(events):
        for j, pt in enumerate(event["Jet_pt"]):
            if pt > 30 and event["met"] < 80:
                muons = event["Muon_pt"]
                dphi = (event["Jet_phi"][j] - event["met_phi"] + np.pi) % (2 * np.pi) - np.pi
                jet = [pt, event["met"], dphi, max(muons), j, muons[j] if j < len(muons) else -1]
                tracks = [track / pt for track in event["Jet_track"][j]][:5]
                expected.append((number, event, event["Jet_flavour"][j] != 5, jet, tracks, muons[:3]))
    assert len(batch) == len(expected)
    jets, tracks, muons = (batch.inputs[name] for name in ("jet", "tracks", "muons"))
    assert isinstance(tracks, Ragged)
    assert isinstance(muons, Ragged)
    for i, (number, event, label, jet, track, muon) in enumerate(expected):
        assert batch.source[i].tolist() == [0, number]
        assert batch.labels[i] == label
        assert batch.weights[i] == event["gen"]
        assert batch.event["event"].numpy().view(np.uint64)[i] == event["event"]
        np.testing.assert_allclose(jets[i], jet, rtol=1e-5, atol=1e-5)  # type: ignore[index]
        np.testing.assert_allclose(tracks.values[tracks.offsets[i] : tracks.offsets[i + 1], 0], track, rtol=1e-5)
        np.testing.assert_allclose(muons.values[muons.offsets[i] : muons.offsets[i + 1], 0], muon, rtol=1e-5)


def test_jets_whose_branches_differ_in_length(tmp_path: Path) -> None:
    text = """
    rows: Jet
    classes: {b: Jet_b == 1, light: Jet_b == 0}
    inputs: {jet: {features: [Jet_pt]}}
    """
    columns = {"Jet_pt": ak.Array([[1.0, 2.0], [3.0]]), "Jet_b": ak.Array([[1, 0], [1, 0]])}
    said = fails(tmp_path, text, columns)
    assert "row 1: lists of different lengths in one collection: 'Jet_b' has 2, 'Jet_pt' has 1" in said
    said = fails(tmp_path, text.replace("rows: Jet", "rows: Tau"), columns)
    assert "no branch that begins with 'Tau_' is used" in said


def test_event_numbers_of_64_bits_keep_their_bits(tmp_path: Path) -> None:
    numbers = np.array([2**64 - 1, 2**63, 2**53 + 1, 0], dtype=np.uint64)
    columns = numbered(4) | {"event": numbers}
    for name in ("rows.root", "rows.parquet"):
        batch = everything(run(tmp_path, NUMBERED, columns, name))
        assert (batch.event["event"].numpy().view(np.uint64) == numbers).all()


def test_floats_are_evaluated_in_double_precision(tmp_path: Path) -> None:
    columns = simple(4) | {"big": np.full(4, 16777216, np.float32), "pt": np.full(4, 30.0)}
    text = SIMPLE.replace("features: [pt,", "features: [{name: one, expression: big + 1 - big},")
    batch = everything(run(tmp_path, text, columns))
    assert batch.inputs["jet"][:, 0].tolist() == [1, 1, 1]  # type: ignore[index]


def test_real_nanoaod(shared_data: Path, tmp_path: Path) -> None:
    """Jets of CMS NanoAOD against uproot by hand."""
    import uproot

    path = shared_data / "nanoaod" / "nano_tt_v15.root"
    text = """
    source: {tree: Events}
    rows: Jet
    selection: Jet_pt > 20 and abs(Jet_eta) < 2.5
    classes: {b: Jet_hadronFlavour == 5, rest: Jet_hadronFlavour != 5}
    inputs: {jet: {features: [Jet_pt, Jet_eta, PV_npvs]}}
    event: [run, luminosityBlock, event]
    """
    batch = everything(construct(make_plan(text), str(path), tmp_path / "out", progress=False))
    names = ["Jet_pt", "Jet_eta", "Jet_hadronFlavour", "PV_npvs", "event"]
    events = uproot.open(path)["Events"].arrays(names)
    good = (events.Jet_pt > 20) & (abs(events.Jet_eta) < 2.5)
    assert len(batch) == ak.sum(good)
    jets = batch.inputs["jet"]
    np.testing.assert_array_equal(jets[:, 0], ak.flatten(events.Jet_pt[good]))  # type: ignore[index]
    np.testing.assert_array_equal(jets[:, 2], ak.flatten(ak.broadcast_arrays(events.PV_npvs, events.Jet_pt)[0][good]))  # type: ignore[index]
    np.testing.assert_array_equal(batch.labels, ak.flatten(events.Jet_hadronFlavour[good]) != 5)
    assert len(set(batch.keys.tolist())) == len({int(e) for e, n in zip(events.event, ak.num(good), strict=True) if n})
