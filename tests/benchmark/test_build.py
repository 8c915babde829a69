"""What build makes: rows of features and truth that belong together, and nothing that gives the truth away."""

from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from sklearn.metrics import roc_auc_score
from toy_benchmarks import CONTENT

from collidekit.benchmark.build import build_benchmark
from collidekit.benchmark.check import check_benchmark
from collidekit.benchmark.definition import load_benchmark
from collidekit.errors import CollidekitError

ROWS = 600
ANALYSIS = """
selection: x > -2
classes: {qcd: label == 0, top: label == 1}
inputs: {jet: {features: [x, other]}, parts: {limit: 9, features: [px]}}
event: [event]
weight: w
"""


def table(**more: Any) -> pa.Table:
    """Rows in the order of the classes, as files often are; px has 1 to 3 entries a row."""
    rng = np.random.default_rng(3)
    label = np.repeat([0, 1], ROWS // 2)
    counts = rng.integers(1, 4, ROWS)
    px = ak.to_arrow(ak.unflatten(rng.normal(size=counts.sum()).astype(np.float32), counts), extensionarray=False)
    columns = {
        "x": rng.normal(label),
        "other": rng.normal(size=ROWS),
        "px": px,
        "label": label,
        "event": np.arange(ROWS) // 2,
        "w": rng.uniform(1, 2, ROWS),
    }
    return pa.table({**columns, **more})


def write(
    folder: Path,
    build: dict[str, Any],
    phases: tuple[str, ...] = ("public",),
    data: pa.Table | None = None,
    **changed: Any,
) -> Path:
    folder.mkdir(exist_ok=True)
    pq.write_table(table() if data is None else data, folder / "data.parquet")
    (folder / "toy.yaml").write_text(ANALYSIS)
    content = {**CONTENT, "build": {"analysis": "toy.yaml", **build}}
    content["phases"] = {
        name: {"samples": {"nominal": {"features": f"{name}.parquet", "truth": f"truth/{name}.parquet"}}}
        for name in phases
    }
    (folder / "benchmark.yaml").write_text(yaml.safe_dump({**content, **changed}, sort_keys=False))
    return folder


ALL = {"phases": {"public": {"nominal": {"files": "data.parquet"}}}}


def joined(folder: Path, name: str = "public") -> dict[str, Any]:
    features, truth = pq.read_table(folder / f"{name}.parquet"), pq.read_table(folder / f"truth/{name}.parquet")
    assert features["row"].to_pylist() == truth["row"].to_pylist() == list(range(len(features)))
    return {**{column: features[column].to_numpy() for column in ("x", "other")}, "label": truth["label"].to_numpy()}


def test_every_selected_row_is_there_once_with_its_truth(tmp_path):
    folder = write(tmp_path, ALL)
    built = build_benchmark(folder)
    given, found = table(), joined(folder)
    x, label = given["x"].to_numpy(), given["label"].to_numpy()
    chosen = x > -2
    assert built.samples[0].rows == chosen.sum() < ROWS
    assert built.samples[0].classes == {"qcd": (label[chosen] == 0).sum(), "top": (label[chosen] == 1).sum()}
    assert dict(zip(found["x"].tolist(), found["label"].tolist(), strict=True)) == dict(
        zip(x[chosen].tolist(), label[chosen].tolist(), strict=True)
    )
    lists = {row["x"]: row["px"] for row in pq.read_table(folder / "public.parquet", columns=["x", "px"]).to_pylist()}
    assert lists == {row["x"]: row["px"] for row in given.to_pylist() if row["x"] > -2}
    check_benchmark(load_benchmark(folder))


def test_only_what_inputs_and_selection_need_is_given(tmp_path):
    folder = write(tmp_path, ALL)
    build_benchmark(folder)
    assert set(pq.read_table(folder / "public.parquet").column_names) == {"row", "x", "other", "px"}
    assert pq.read_table(folder / "truth/public.parquet").column_names == ["row", "label"]


def test_the_order_tells_nothing_of_truth_and_place_in_the_file(tmp_path):
    folder = write(tmp_path, ALL)
    build_benchmark(folder)
    found = joined(folder)
    row = np.arange(len(found["label"]))
    assert abs(roc_auc_score(found["label"], row) - 0.5) < 0.08  # 3 standard deviations
    place = np.argsort(np.argsort(table()["x"].to_numpy()))
    assert len(place) == ROWS
    order = [dict(zip(table()["x"].to_pylist(), range(ROWS), strict=True))[x] for x in found["x"]]
    assert abs(np.corrcoef(order, row)[0, 1]) < 0.15


def test_the_order_follows_from_the_rows_not_from_their_place_in_the_file(tmp_path):
    first = write(tmp_path / "a", ALL)
    shuffled = table().take(np.random.default_rng(9).permutation(ROWS))
    second = write(tmp_path / "b", ALL, data=shuffled)
    other_seed = write(tmp_path / "c", {**ALL, "seed": 2})
    for folder in (first, second, other_seed):
        build_benchmark(folder)
    assert joined(first)["x"].tolist() == joined(second)["x"].tolist()
    assert joined(first)["x"].tolist() != joined(other_seed)["x"].tolist()
    assert sorted(joined(first)["x"]) == sorted(joined(other_seed)["x"])


def test_a_second_build_gives_the_same_checksums(tmp_path):
    folder = write(tmp_path, ALL)
    first = build_benchmark(folder).checksums
    text = (folder / "benchmark.yaml").read_text()
    assert build_benchmark(folder).checksums == first
    assert (folder / "benchmark.yaml").read_text() == text
    assert all(value in text for value in first.values())


def test_classes_count_in_the_order_of_the_benchmark(tmp_path):
    folder = write(tmp_path, ALL, classes=["top", "qcd"])
    build_benchmark(folder)
    found = joined(folder)
    known = dict(zip(table()["x"].to_pylist(), table()["label"].to_pylist(), strict=True))
    assert found["label"].tolist() == [1 - known[x] for x in found["x"]]


def test_fractions_of_events_share_none_and_lose_none(tmp_path):
    build = {
        "phases": {
            "public": {"nominal": {"files": "data.parquet", "events": [0, 0.3]}},
            "final": {"nominal": {"files": "data.parquet", "events": [0.3, 1]}},
        }
    }
    folder = write(tmp_path, build, phases=("public", "final"))
    build_benchmark(folder)
    event = dict(zip(table()["x"].to_pylist(), table()["event"].to_pylist(), strict=True))
    public, final = ({event[x] for x in joined(folder, name)["x"]} for name in ("public", "final"))
    assert not public & final
    assert (
        len(joined(folder, "public")["x"]) + len(joined(folder, "final")["x"]) == (table()["x"].to_numpy() > -2).sum()
    )
    assert 0.2 < len(public) / (ROWS / 2) < 0.4


def test_phases_that_share_events_are_refused(tmp_path):
    build = {
        "phases": {
            "public": {"nominal": {"files": "data.parquet", "events": [0, 0.5]}},
            "final": {"nominal": {"files": "data.parquet", "events": [0.4, 1]}},
        }
    }
    folder = write(tmp_path, build, phases=("public", "final"))
    with pytest.raises(CollidekitError, match=r"rows of final are of events that are in public, too"):
        build_benchmark(folder)
    build = {**ALL, "training": {"files": "data.parquet"}}
    folder = write(tmp_path / "b", build, training=["training.parquet"])
    with pytest.raises(CollidekitError, match=r"rows of public are of events that are in training, too"):
        build_benchmark(folder)


def test_training_rows_have_truth_and_the_same_columns(tmp_path):
    build = {
        "training": {"files": "data.parquet", "events": [0, 0.5]},
        "phases": {"public": {"nominal": {"files": "data.parquet", "events": [0.5, 1]}}},
    }
    folder = write(tmp_path, build, training=["training.parquet"])
    build_benchmark(folder)
    columns = pq.read_table(folder / "training.parquet").column_names
    assert set(columns) == {*pq.read_table(folder / "public.parquet").column_names, "label"}


def test_weights_are_part_of_the_truth_where_they_are_asked_for(tmp_path):
    folder = write(tmp_path, {**ALL, "weight": True})
    build_benchmark(folder)
    truth = pq.read_table(folder / "truth/public.parquet")
    known = dict(zip(table()["x"].to_pylist(), table()["w"].to_pylist(), strict=True))
    assert truth["weight"].to_numpy() == pytest.approx([known[x] for x in joined(folder)["x"]], rel=1e-6)


@pytest.mark.parametrize("name", ["label", "event", "w"])
def test_columns_of_truth_events_and_weights_are_never_features(name, tmp_path):
    folder = write(tmp_path, {**ALL, "features": ["x", name]})
    with pytest.raises(CollidekitError, match=f"build: features: '{name}' "):
        build_benchmark(folder)


def test_a_misspelt_feature_is_named(tmp_path):
    folder = write(tmp_path, {**ALL, "features": ["x", "othr"]})
    with pytest.raises(CollidekitError, match=r"'othr'.*did you mean 'other'"):
        build_benchmark(folder)


def revealing() -> dict[str, Any]:
    label = table()["label"].to_numpy()
    rng = np.random.default_rng(5)
    return {
        "a copy of the label under another name": label * 7.5 + 2,
        "values of the classes that do not overlap": rng.uniform(size=ROWS) + 2 * label,
        "a code of several values, each of one class": np.array([3, 11])[label] + 2 * rng.integers(0, 3, ROWS),
        "the length of a list": pa.array([[0.0] * (1 + n) for n in label]),
        "the largest entry of a list": pa.array(
            [[float(a), float(5 * n)] for a, n in zip(rng.uniform(size=ROWS), label, strict=True)]
        ),
    }


@pytest.mark.parametrize("kind", list(revealing()))
def test_a_column_from_which_the_class_follows_is_refused(kind, tmp_path):
    folder = write(tmp_path, {**ALL, "features": ["x", "leak"]}, data=table(leak=revealing()[kind]))
    with pytest.raises(CollidekitError, match="leave 'leak' out of the features, it reveals the truth"):
        build_benchmark(folder)


def test_a_strong_feature_is_no_leak(tmp_path):
    label = table()["label"].to_numpy()
    strong = np.random.default_rng(2).normal(2.5 * label)
    folder = write(tmp_path, {**ALL, "features": ["x", "strong"]}, data=table(strong=strong))
    assert roc_auc_score(label, strong) > 0.95
    build_benchmark(folder)


@pytest.mark.parametrize(
    ("build", "changed", "said"),
    [
        ({**ALL, "value": "x"}, {}, "'value' is needed for the task intervals"),
        (ALL, {"classes": ["qcd", "top", "w"]}, "and those of the analysis qcd, top"),
        ({**ALL, "training": {"files": "data.parquet"}}, {}, "needs one file in 'training'"),
        ({"phases": {"public": {"nominal": {"files": "test"}}}}, {}, "'test' are the files of the analysis"),
        ({"phases": {"public": {"nominal": {"files": "no.parquet"}}}}, {}, "no.parquet"),
        (ALL, {"key": "x"}, "'x' is a column of the benchmark itself"),
    ],
)
def test_a_plan_that_cannot_be_followed_is_one_line(build, changed, said, tmp_path):
    folder = write(tmp_path, build, **changed)
    with pytest.raises(CollidekitError, match=said):
        build_benchmark(folder)


def test_an_analysis_whose_rows_are_no_entries_is_refused(tmp_path):
    folder = write(tmp_path, ALL)
    (folder / "toy.yaml").write_text(ANALYSIS + "rows: Jet\n")
    with pytest.raises(CollidekitError, match="has 'rows'"):
        build_benchmark(folder)
