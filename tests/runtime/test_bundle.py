"""A bundle gives the predictions of its checkpoint, row by row, or a one-line error."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
import toys
from toy_bundles import make_bundle, make_model

from collidekit import Bundle
from collidekit.analysis.load import parse_analysis
from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.learned import LearnedFrom
from collidekit.dataset.parts import Folds, RowSplit, Split, fold_of
from collidekit.errors import CollidekitError
from collidekit.inference.combination import combine
from collidekit.inference.predict import predict_files
from collidekit.inference.predictions import Predictions
from collidekit.readers import content_of, file_id
from collidekit.runtime.predict_to_file import check_bundle_prediction
from collidekit.runtime.schema import SCHEMA
from collidekit.sealed import read_sealed, write_sealed
from collidekit.training.checkpoint import Checkpoint


def assert_same(one: Predictions, other: Predictions, atol: float = 2e-6) -> None:
    ours, theirs = one.columns(), other.columns()
    assert list(ours) == list(theirs)
    for name, values in ours.items():
        if name.startswith(("prob_", "pred_")) or name in one.definitions:
            np.testing.assert_allclose(values, theirs[name], rtol=1e-5, atol=atol, err_msg=name)
        else:
            np.testing.assert_array_equal(values, theirs[name], err_msg=name)


def changed(bundle: Path, folder: Path, **values: Any) -> Path:
    """A copy of a bundle whose schema says something else, with a right checksum."""
    copy = shutil.copytree(bundle, folder / "changed")
    write_sealed(copy / SCHEMA, {**read_sealed(copy / SCHEMA), **values})
    return Path(copy)


def test_it_predicts_what_the_checkpoint_predicts(bundle: Path, model: Checkpoint, files: list[str]) -> None:
    found = Bundle(bundle).predict(files)
    expected = predict_files(model, model.plan(), files)[0]
    assert_same(found, expected)
    assert np.ptp(found.discriminator("SvsB")) > 0.05
    assert found.discriminators_with_truth() == ["SvsB"]
    assert len(found) == 300


@pytest.mark.parametrize("batch_size", [1, 7, 10_000])
def test_batches_make_no_difference(bundle: Path, files: list[str], batch_size: int) -> None:
    opened = Bundle(bundle, threads=2)
    assert_same(opened.predict(files, batch_size), opened.predict(files))


def test_the_temperature_is_in_the_graph(model: Checkpoint, files: list[str], tmp_path: Path) -> None:
    found = Bundle(make_bundle(tmp_path / "b", [model], temperature=2.5)).predict(files)
    raw = predict_files(model, model.plan(), files)[0]
    from collidekit.models.temperature import tempered

    np.testing.assert_allclose(found.probabilities, tempered(raw.probabilities, 2.5), atol=2e-6)
    assert found.temperature == 2.5


def test_tensors_in_tensors_out(bundle: Path, table: ak.Array) -> None:
    opened = Bundle(bundle)
    rng = np.random.default_rng(1)
    given: dict[str, Any] = {
        "constituents": rng.normal(size=(5, 6, 6)), "constituents_mask": np.arange(6) < np.array([[6], [0], [3], [1], [6]]),
        "jet": np.abs(rng.normal(size=(5, 2))),
    }  # fmt: skip
    found = opened.predict_arrays(given)
    assert list(found) == ["prob_background", "prob_signal", "SvsB"]
    np.testing.assert_allclose(found["prob_background"] + found["prob_signal"], 1, atol=1e-6)
    alone = opened.predict_arrays({name: values[2:3] for name, values in given.items()})
    np.testing.assert_allclose(alone["prob_signal"][0], found["prob_signal"][2], rtol=1e-5)
    nothing = opened.predict_arrays({name: values[:0] for name, values in given.items()})
    assert nothing["prob_signal"].shape == (0,)
    for name, values, said in (
        ("jet", rng.normal(size=(4, 2)), "input 'jet' has 4 for N, and input 'constituents' has 5"),
        ("jet", rng.normal(size=(5, 3)), r"input 'jet' has shape \(5, 3\), not \(N, 2\)"),
        ("jet", np.array([["a", "b"]] * 5), "type <U1 is not a number type"),
        ("jets", given["jet"], "there is no input 'jets' .did you mean 'jet'"),
    ):
        with pytest.raises(CollidekitError, match=said):
            opened.predict_arrays({**given, name: values})
    with pytest.raises(CollidekitError, match="input 'jet' is missing"):
        opened.predict_arrays({name: values for name, values in given.items() if name != "jet"})


def test_it_shows_itself(bundle: Path) -> None:
    shown = repr(Bundle(bundle))
    assert shown.startswith("Bundle(")
    assert "pfn, 1 graph, float32: prob_background, prob_signal, SvsB" in shown
    with pytest.raises(CollidekitError, match="threads: 0"):
        Bundle(bundle, threads=0)


REGRESSION = toys.TOY + "targets: {mass: {values: {m: jet_mass}, estimate: ESTIMATE, unit: GeV}}\n"


@pytest.mark.parametrize("estimate", ["value", "gaussian", "quantiles", "binned"])
def test_values_and_uncertainties(estimate: str, files: list[str], tmp_path: Path) -> None:
    text = REGRESSION.replace(
        "estimate: ESTIMATE, " if estimate == "value" else "ESTIMATE", "" if estimate == "value" else estimate
    )
    model = make_model(parse_analysis(text)[0])
    found = Bundle(make_bundle(tmp_path / "b", [model])).predict(files)
    expected = predict_files(model, model.plan(), files)[0]
    np.testing.assert_allclose(found.values["m"], expected.values["m"], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(found.truth["m"], expected.truth["m"])
    assert found.units == {"m": "GeV"}
    assert found.uncertainties.keys() == expected.uncertainties.keys()
    for name, one in found.uncertainties.items():
        for column, values in one.columns.items():
            np.testing.assert_allclose(values, expected.uncertainties[name].columns[column], rtol=1e-4, atol=1e-4)
    assert found.values_with_truth() == ["m"]


def test_another_analysis_needs_the_same_inputs(bundle: Path, files: list[str]) -> None:
    opened = Bundle(bundle)
    same = toys.TOY.replace("classes:", "selection: jet_pt > 45\nclasses:")
    found = opened.predict(files, plan=Plan(*parse_analysis(same)))
    assert 0 < len(found) < 300
    for before, after, said in (
        ("order: part_e", "order: part_x", "input 'constituents' has order 'part_e', but 'part_x'"),
        ("default: -9", "default: 0", "'part_d0' of input 'constituents' has default -9.0, but 0.0"),
        ("kind: flag", "kind: integer", "'jet_flag' of input 'jet' has kind 'flag', but 'integer'"),
        ("      - jet_pt\n", "      - {name: jet_pt, bounds: [0, 100]}\n", "'jet_pt' of input 'jet' has bounds None"),
    ):
        with pytest.raises(CollidekitError, match=said):
            opened.predict(files, plan=Plan(*parse_analysis(toys.TOY.replace(before, after))))


def test_another_analysis_is_checked_before_a_job_is_sent(bundle: Path, files: list[str], tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(toys.TOY.replace("default: -9", "default: 0"))
    with pytest.raises(CollidekitError, match=r"has default -9.0, but 0.0"):
        check_bundle_prediction([str(bundle)], files, tmp_path / "p.parquet", str(tmp_path / "other.yaml"), None)


@pytest.mark.parametrize(
    ("name", "place", "said"),
    [
        ("model_0.onnx", 400, r"model_0\.onnx: is damaged or was changed: it does not have its checksum; copy the bundle again"),
        (SCHEMA, 400, r"schema\.json: (is damaged|not readable|is no JSON|.*)"),
    ],
)  # fmt: skip
def test_a_changed_byte_is_an_error(bundle: Path, tmp_path: Path, name: str, place: int, said: str) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    content = bytearray((copy / name).read_bytes())
    content[place] ^= 1
    (copy / name).write_bytes(content)
    with pytest.raises(CollidekitError, match=said) as error:
        Bundle(copy)
    assert "\n" not in str(error.value)


def test_a_changed_setting_is_an_error(bundle: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    content = json.loads((copy / SCHEMA).read_text())
    content["temperature"] = {"value": 3.0}
    (copy / SCHEMA).write_text(json.dumps(content))
    with pytest.raises(CollidekitError, match="is damaged or was changed by hand"):
        Bundle(copy)
    del content["checksum"]
    (copy / SCHEMA).write_text(json.dumps(content))
    with pytest.raises(CollidekitError, match="it has no checksum"):
        Bundle(copy)


def test_what_is_missing_or_cut_off(bundle: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(bundle, tmp_path / "copy"))
    graph = copy / "model_0.onnx"
    graph.write_bytes(graph.read_bytes()[:-1])
    with pytest.raises(CollidekitError, match=r"is damaged: it has .* bytes, not"):
        Bundle(copy)
    graph.unlink()
    with pytest.raises(CollidekitError, match=r"model_0\.onnx: is missing; copy the bundle again"):
        Bundle(copy)
    (copy / SCHEMA).unlink()
    with pytest.raises(CollidekitError, match=r"is not a bundle: it has no schema\.json"):
        Bundle(copy)
    with pytest.raises(CollidekitError, match="there is no such bundle"):
        Bundle(tmp_path / "none")


def test_a_graph_outside_the_folder_is_not_read(bundle: Path, tmp_path: Path) -> None:
    graph = read_sealed(bundle / SCHEMA)["graphs"][0]
    shutil.copy(bundle / "model_0.onnx", tmp_path / "model_0.onnx")
    with pytest.raises(CollidekitError, match="is missing"):
        Bundle(changed(bundle, tmp_path, graphs=[{**graph, "file": "../model_0.onnx"}]))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"format": 2, "new": 1}, r"with a newer version of collidekit \(format 2, this version reads 1\)"),
        ({"format": None}, "has no format number"),
        ({"layout": "athena"}, "its graphs have the layout 'athena', .* export the model with that layout"),
        ({"opset": "x"}, r"schema\.json: was made with another version of collidekit \(opset: "),
        ({"graphs": []}, "names no graph"),
        ({"analysis": {"classes": 1}}, r"schema\.json: is damaged or was changed by hand"),
        (
            {"inputs": []},
            r"model_0\.onnx: has the inputs constituents, .* not agree with the schema about 'constituents'",
        ),
        (
            {"outputs": [{"name": "prob_x", "kind": "probability", "shape": ["N"]}]},
            "has the outputs .* not agree with the schema about 'prob_x'",
        ),
    ],
)
def test_what_cannot_be_run(bundle: Path, tmp_path: Path, values: dict[str, Any], said: str) -> None:
    with pytest.raises(CollidekitError, match=said) as error:
        Bundle(changed(bundle, tmp_path, **values))
    assert "\n" not in str(error.value)


def test_a_runtime_that_is_too_old_for_the_opset(bundle: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    model = onnx.load(bundle / "model_0.onnx")
    model.opset_import[0].version = 999
    content = model.SerializeToString()
    graph = {**read_sealed(bundle / SCHEMA)["graphs"][0], "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}  # fmt: skip
    copy = changed(bundle, tmp_path, graphs=[graph], opset=999)
    (copy / "model_0.onnx").write_bytes(content)
    with pytest.raises(CollidekitError, match=r"onnxruntime [\d.]+ cannot load this graph of opset 999") as error:
        Bundle(copy)
    assert "\n" not in str(error.value)


def test_without_onnxruntime(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(CollidekitError, match=r"this needs onnxruntime .*pip install 'collidekit\[runtime\]'"):
        Bundle(bundle)


def test_a_missing_branch_and_a_selection_of_nothing(bundle: Path, table: ak.Array, tmp_path: Path) -> None:
    less = ak.zip({name: table[name] for name in table.fields if name != "part_d0"}, depth_limit=1)
    file = toys.write_table(tmp_path / "less.parquet", less)
    with pytest.raises(CollidekitError, match=r"there is no branch or variable 'part_d0' in \S+less\.parquet"):
        Bundle(bundle).predict(str(file))
    nothing = Plan(*parse_analysis(toys.TOY.replace("classes:", "selection: jet_pt > 1e9\nclasses:")))
    with pytest.raises(CollidekitError, match="no row passes the selection"):
        Bundle(bundle).predict(str(toys.write_table(tmp_path / "all.parquet", table)), plan=nothing)


def test_bad_files_can_be_skipped(bundle: Path, files: list[str], tmp_path: Path, capfd: Any) -> None:
    (tmp_path / "bad.root").write_bytes(b"root and no more")
    opened = Bundle(bundle)
    with pytest.raises(CollidekitError, match=r"bad\.root"):
        opened.predict([*files, str(tmp_path / "bad.root")])
    assert len(opened.predict([*files, str(tmp_path / "bad.root")], skip_bad_files=True)) == 300
    assert "skipped: " in capfd.readouterr().err
    with pytest.raises(CollidekitError, match="none of the files could be read"):
        opened.predict([str(tmp_path / "bad.root")], skip_bad_files=True)


def test_numbers_beyond_single_precision_are_an_error(bundle: Path) -> None:
    opened = Bundle(bundle)
    given = {"constituents": np.ones((2, 3, 6)), "constituents_mask": np.ones((2, 3)), "jet": np.ones((2, 2))}
    assert len(opened.predict_arrays(given)["SvsB"]) == 2
    given["jet"][1, 0] = np.inf
    assert np.isfinite(opened.predict_arrays(given)["SvsB"]).all()
    given["jet"][1, 0] = -1e300
    with pytest.raises(
        CollidekitError, match=r"input 'jet': holds -1e\+300, but single precision ends at 3\.4e\+38; use NaN"
    ):
        opened.predict_arrays(given)


def test_odd_values_are_those_of_the_checkpoint(
    bundle: Path, model: Checkpoint, table: ak.Array, tmp_path: Path
) -> None:
    """NaN and infinity become the default; too large values are an error that names the row."""
    rows = table[:40]
    pt = ak.to_numpy(rows.jet_pt).copy()
    pt[3], pt[5] = np.nan, np.inf
    file = str(toys.write_table(tmp_path / "odd.parquet", ak.with_field(rows, pt, "jet_pt")))
    assert_same(Bundle(bundle).predict(file), predict_files(model, model.plan(), file)[0])
    pt[7] = 3e38
    file = str(toys.write_table(tmp_path / "huge.parquet", ak.with_field(rows, pt, "jet_pt")))
    said = []
    for predict in (lambda: predict_files(model, model.plan(), file)[0], lambda: Bundle(bundle).predict(file)):
        try:
            said.append(predict().probabilities[7].tolist())
        except CollidekitError as error:
            said.append(str(error).split(": the model")[0])
    assert said[0] == said[1] or np.allclose(said[0], said[1], atol=2e-6)


def learned(analysis: Analysis, split: RowSplit, *files: str) -> LearnedFrom:
    contents = {content_of(file_id(file)): Path(file).name for file in files}
    return LearnedFrom(analysis.fingerprint, split, contents, {})


def test_training_rows_are_an_error(
    analysis: Analysis, model: Checkpoint, files: list[str], tmp_path: Path, capfd: Any
) -> None:
    trained = replace(model, learned_from=(learned(analysis, Split(0.6), files[2]),))
    folder = make_bundle(tmp_path / "b", [trained])
    opened = Bundle(folder)
    assert len(opened.predict(files[:2])) == 71
    keys = opened.predict(files, allow_training_rows=True)
    said = capfd.readouterr().err
    number = int(said.split("TRAINING ROWS: ")[1].split()[0])
    assert 100 < number < 170
    assert "of 300 rows" in said.replace("\n", " ")
    assert_same(keys, predict_files(model, model.plan(), files)[0])
    with pytest.raises(CollidekitError) as error:
        opened.predict(files, batch_size=10)
    assert str(error.value) == (
        f"{files[2]}: {number} of 229 rows are rows that {folder} was trained on (the training set has 60% of the rows of this file, by a hash "
        "of the event number or inputs); predict other rows, or pass --allow-training-rows to predict these rows anyway"
    )


def test_files_of_a_training_with_another_analysis_are_an_error(
    analysis: Analysis, model: Checkpoint, files: list[str], tmp_path: Path
) -> None:
    entry = LearnedFrom("of another", Split(0.6), {content_of(file_id(files[0])): "a"}, {})
    opened = Bundle(make_bundle(tmp_path / "b", [replace(model, learned_from=(entry,))]))
    with pytest.raises(
        CollidekitError, match=r"a\.parquet: 70 of 70 rows are from a file .* not known which of them are training rows"
    ):
        opened.predict(files)


@pytest.fixture(scope="module")
def of_folds(analysis: Analysis, files: list[str]) -> list[Checkpoint]:
    return [make_model(analysis, 10 + k, (learned(analysis, Folds(3, k), files[2]),)) for k in range(3)]


def test_each_row_goes_to_the_graph_that_held_it_out(
    of_folds: list[Checkpoint], files: list[str], tmp_path: Path
) -> None:
    opened = Bundle(make_bundle(tmp_path / "b", of_folds, folds=(0, 1, 2)))
    found = opened.predict(files, batch_size=50)
    each = [predict_files(model, model.plan(), files, allow_training_rows=True)[0] for model in of_folds]
    from collidekit.dataset.hashing import hash_columns

    fold = fold_of(hash_columns([found.event["event"]]), 3)
    inside = found.event["file"] == 2
    expected = np.mean([one.probabilities for one in each], axis=0)
    for k in range(3):
        mine = inside & (fold == k)
        assert mine.sum() > 50
        expected[mine] = each[k].probabilities[mine]
    np.testing.assert_allclose(found.probabilities, expected, atol=2e-6)
    assert not np.allclose(each[0].probabilities, each[1].probabilities, atol=0.01)
    members = dict(enumerate(each))
    assert_same(
        replace(found, probabilities=expected), combine({str(k): p for k, p in members.items()}, "mean"), atol=1
    )
    with pytest.raises(CollidekitError, match=r"fold None: give the fold of the rows, one of 0, 1, 2"):
        opened.predict_arrays({})
    assert "3 graphs" in repr(opened)


def test_a_graph_of_one_fold_refuses_the_others(of_folds: list[Checkpoint], files: list[str], tmp_path: Path) -> None:
    rule = "fold = h(event) mod 3"
    one = Bundle(make_bundle(tmp_path / "one", of_folds[:1], folds=(0,), fold_rule=rule))
    with pytest.raises(
        CollidekitError,
        match=r"c\.root: \d+ of 229 rows .*fold = h\(event\) mod 3; it held out only fold 0",
    ):
        one.predict(files)
    two = Bundle(make_bundle(tmp_path / "two", of_folds[:2], folds=(0, 1)))
    with pytest.raises(CollidekitError, match="it held out only fold 0, 1"):
        two.predict(files)
    assert len(two.predict(files, allow_training_rows=True)) == 300
