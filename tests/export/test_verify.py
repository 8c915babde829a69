"""The verifier of a bundle: it accepts a correct bundle, and each of its checks fails if something is wrong."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from bundles import write
from onnx import TensorProto, helper, numpy_helper

from collidekit.errors import CollidekitError
from collidekit.export.sample import read_sample
from collidekit.export.templates import verify as verifier
from collidekit.export.verify import checks, verify
from collidekit.inference.ensemble import load_members
from collidekit.runtime.schema import CALLS, CHECKSUMS, GOLDEN, REAL, SCHEMA
from collidekit.sealed import seal


@pytest.fixture
def bundle(pfn_bundle, tmp_path) -> Path:
    return Path(shutil.copytree(pfn_bundle, tmp_path / "bundle"))


def failed(folder: Path) -> set[str]:
    return {title.removeprefix("model.onnx: ") for title, passed, _ in verifier.checks(folder, 2) if not passed}


def sum_up(folder: Path) -> None:
    """Write the checksums again, so that only the outputs of a graph can reveal a change."""
    wanted = json.loads((folder / CHECKSUMS).read_text())
    (folder / CHECKSUMS).write_text(
        json.dumps({name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in wanted})
    )


def edit(folder: Path, change: Callable[[onnx.ModelProto], None]) -> None:
    model = onnx.load(folder / "model.onnx")
    change(model)
    onnx.save(model, folder / "model.onnx")
    sum_up(folder)


def edit_schema(folder: Path, **values: Any) -> None:
    content = json.loads((folder / SCHEMA).read_text()) | values
    (folder / SCHEMA).write_text(json.dumps(seal(content)))
    sum_up(folder)


def after_inputs(model: onnx.ModelProto, name: str, nodes: list[onnx.NodeProto], output: str) -> None:
    """Put nodes between an input and all that uses it."""
    for node in model.graph.node:
        for k, used in enumerate(node.input):
            if used == name:
                node.input[k] = output
    for k, node in enumerate(nodes):
        model.graph.node.insert(k, node)


def before_output(model: onnx.ModelProto, name: str, make: Callable[[str], list[onnx.NodeProto]]) -> None:
    """Put nodes, the last of which gives ``name``, between an output and what computes it."""
    for node in model.graph.node:
        for names in (node.input, node.output):
            for k, used in enumerate(names):
                if used == name:
                    names[k] = "inner"
    model.graph.node.extend(make("inner"))


def constant(model: onnx.ModelProto, name: str, values: Any, kind: Any) -> str:
    model.graph.initializer.append(numpy_helper.from_array(np.array(values, dtype=kind), name))
    return name


GOLDEN_ROWS = {f"golden rows, {level}" for level in verifier.LEVELS}


def test_a_bundle_passes_and_all_is_checked(bundle):
    found = {check.title: check.found for check in verify(bundle, 2)}
    assert set(found) == {
        "checksums",
        "TvsQCD",
        *(f"model.onnx: {title}" for title in GOLDEN_ROWS),
        *(
            f"model.onnx: {title}"
            for title in ("tensors", "2 threads", "rows at once", "lengths", "empty slots", "order", "real rows")
        ),
    }
    assert "6 tensors" in found["model.onnx: tensors"]
    numbers = {title: int(text.split()[0]) for title, text in found.items() if "numbers" in text}
    assert min(numbers.values()) >= 24
    assert numbers["model.onnx: rows at once"] == 3 * (0 + 1 + 2 + 7 + 512)


def test_calls_hold_all_sizes_lengths_slots_and_orders(pfn_bundle):
    arrays, cases = verifier.read(pfn_bundle / CALLS)
    by_kind: dict[str, list[Any]] = {}
    for kind, case in zip(arrays["kinds"], cases, strict=True):
        by_kind.setdefault(str(kind), []).append(case)
    assert [len(given["jet"]) for _, given, _ in by_kind["rows at once"]] == [0, 1, 2, 7, 512]
    lengths = [given["constituents"].shape[1] for _, given, _ in by_kind["lengths"]]
    assert lengths[:3] == [0, 1, 2]
    assert {199, 200, 201, 400} & set(lengths) >= {200, 201, 400}
    beyond = [wanted["0"] for name, _, wanted in by_kind["lengths"] if name.split()[0] in ("200", "201", "400")]
    for name in ("prob_top", "TvsQCD"):  # by the ragged form, which is cut before it is computed
        assert len({float(one[name][0]) for one in beyond}) == 1
    garbage = [given["constituents"][0, -1, 0] for _, given, _ in by_kind["empty slots"]]
    assert {0.0, np.float32(1e30)} <= set(garbage)
    assert np.isnan(garbage).any()
    golden = verifier.read(pfn_bundle / GOLDEN)[1]
    for (_, given, wanted), (_, plain, before) in zip(by_kind["order"], golden, strict=False):
        assert not np.array_equal(given["constituents"], plain["constituents"])
        np.testing.assert_allclose(wanted["0"]["prob_top"], before["0"]["prob_top"], atol=1e-6)


def test_the_card_says_what_proves_little_and_what_is_left_out(tmp_path, monkeypatch):
    from collidekit.export import write as module

    golden = module.write_golden
    monkeypatch.setattr(module, "write_golden", lambda *given: (*golden(*given), "extreme values in jet"))
    made = write("top-tagging/pfn", tmp_path / "bundle", rows=16)
    assert "16 rows prove little: give 1,000 or more with --files and --rows" in made.notes
    card = (made.folder / "README.md").read_text().replace("\\", "")
    assert "16 rows prove little" in card
    assert made.left_out
    assert (
        f"Golden rows that are left out, because their numbers are not finite or need double precision: {', '.join(made.left_out)}."
        in card
    )


def test_rows_of_one_class_and_rows_without_truth_are_one_error_with_a_remedy(tmp_path):
    import uproot
    from bundles import TEST_FILE
    from toys import write_table

    rows = uproot.open(TEST_FILE)["tree"].arrays()[:200]
    for name, some, there in (
        ("one.root", rows[rows.label == 0], r"\d+ qcd, 0 top, 0 of no class"),
        ("data.root", rows[[field for field in rows.fields if field != "label"]], r"0 qcd, 0 top, 200 of no class"),
    ):
        file = write_table(tmp_path / name, some)
        said = rf"{name}: no row is signal \(top\) of the discriminator TvsQCD, so .* \(there are {there}\); give files of all classes"
        with pytest.raises(CollidekitError, match=said):
            read_sample(load_members(["top-tagging/pfn"]), [str(file)], rows=200, analysis="top_tagging")


def test_the_metadata_of_a_graph_has_no_empty_parts(pfn_bundle):
    entries = {entry.key: entry.value for entry in onnx.load(pfn_bundle / "model.onnx").metadata_props}
    schema = json.loads(entries["collidekit"])
    assert not {"graphs", "graph_inputs", "graph_outputs", "columns", "operators", "scales"} & set(schema)
    assert schema["inputs"]
    assert schema["analysis"]["classes"]


def test_the_schema_holds_percentiles_of_real_rows(pfn_bundle):
    columns = {
        column["name"]: column["quantiles"]
        for entry in json.loads((pfn_bundle / SCHEMA).read_text())["inputs"]
        for column in entry["columns"]
    }
    low, middle, high = columns["jet_pt"]
    assert 500 < low < middle < high < 700
    assert None not in columns.values()


def test_a_changed_byte_is_found(bundle):
    path = bundle / "README.md"
    path.write_bytes(path.read_bytes().replace(b"Check", b"check", 1))
    assert failed(bundle) == {"checksums"}


def test_a_file_that_is_not_listed_is_found(bundle):
    wanted = json.loads((bundle / CHECKSUMS).read_text())
    del wanted["model.onnx"]
    (bundle / CHECKSUMS).write_text(json.dumps(wanted))
    assert failed(bundle) == {"checksums"}


def test_changed_weights_are_found(bundle):
    def change(model: onnx.ModelProto) -> None:
        weights = max(model.graph.initializer, key=lambda one: np.prod(one.dims))
        weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights) * np.float32(0.5), weights.name))

    edit(bundle, change)
    assert failed(bundle) >= GOLDEN_ROWS | {"2 threads", "lengths", "order", "rows at once", "empty slots", "real rows"}


def test_a_discriminator_that_is_turned_round_is_found(bundle):
    def change(model: onnx.ModelProto) -> None:
        one = constant(model, "one", 1, np.float32)
        before_output(model, "TvsQCD", lambda inner: [helper.make_node("Sub", [one, inner], ["TvsQCD"])])

    edit(bundle, change)
    assert "TvsQCD" in failed(bundle)


def test_a_renamed_output_is_found(bundle):
    def change(model: onnx.ModelProto) -> None:
        before_output(model, "TvsQCD", lambda inner: [helper.make_node("Identity", [inner], ["QCDvsT"])])
        next(one for one in model.graph.output if one.name == "TvsQCD").name = "QCDvsT"

    edit(bundle, change)
    found = failed(bundle)
    assert {"tensors", "TvsQCD"} | GOLDEN_ROWS <= found
    assert "checksums" not in found


def test_another_type_is_found(bundle):
    def change(model: onnx.ModelProto) -> None:
        before_output(
            model, "TvsQCD", lambda inner: [helper.make_node("Cast", [inner], ["TvsQCD"], to=TensorProto.DOUBLE)]
        )
        next(one for one in model.graph.output if one.name == "TvsQCD").type.tensor_type.elem_type = TensorProto.DOUBLE

    edit(bundle, change)
    assert failed(bundle) == {"tensors"}


@pytest.mark.parametrize(("file", "titles"), [(GOLDEN, GOLDEN_ROWS | {"2 threads"}), (REAL, {"real rows"})])
def test_a_changed_number_is_found(bundle, file, titles):
    arrays = dict(np.load(bundle / file))
    arrays["3.out.0.prob_top"] = arrays["3.out.0.prob_top"] + np.float32(1e-4)
    np.savez(bundle / file, **arrays)
    sum_up(bundle)
    assert failed(bundle) == titles


def test_a_graph_of_one_row_is_found(bundle):
    def change(model: onnx.ModelProto) -> None:
        shape = constant(model, "one_row", [1], np.int64)
        before_output(model, "TvsQCD", lambda inner: [helper.make_node("Reshape", [inner, shape], ["TvsQCD"])])

    edit(bundle, change)
    assert failed(bundle) == {"rows at once", "tensors"}


def test_rows_that_look_at_each_other_are_found(bundle):
    def change(model: onnx.ModelProto) -> None:
        def nodes(inner: str) -> list[onnx.NodeProto]:
            mean = helper.make_node("ReduceMean", [inner], ["mean"], axes=[0], keepdims=1)
            return [mean, helper.make_node("Add", ["mean", "zero"], ["sum"]), helper.make_node("Identity", ["sum"], ["TvsQCD"])]  # fmt: skip

        before_output(model, "TvsQCD", nodes)
        zero = helper.make_node("Sub", ["prob_top", "prob_top"], ["zero"])
        model.graph.node.insert(len(model.graph.node) - 2, zero)

    edit(bundle, change)
    assert failed(bundle) == {"rows at once"}


def test_a_graph_that_counts_empty_slots_is_found(bundle):
    def change(model: onnx.ModelProto) -> None:
        zero, one = constant(model, "zero", 0, np.float32), constant(model, "one", 1, np.float32)
        ones = [
            helper.make_node("Mul", ["constituents_mask", zero], ["zeros"]),
            helper.make_node("Add", ["zeros", one], ["all_there"]),
        ]
        after_inputs(model, "constituents_mask", ones, "all_there")

    edit(bundle, change)
    assert failed(bundle) == {"empty slots", "rows at once"}


def test_a_graph_that_is_cut_short_is_found(bundle):
    def change(model: onnx.ModelProto) -> None:
        bounds = [constant(model, f"bound{k}", [value], np.int64) for k, value in enumerate((0, 150, 1))]
        for name in ("constituents", "constituents_mask"):
            cut = helper.make_node("Slice", [name, *bounds], [f"{name}_cut"])
            after_inputs(model, name, [cut], f"{name}_cut")

    edit(bundle, change)
    assert failed(bundle) == GOLDEN_ROWS | {"2 threads", "lengths"}


def test_a_graph_to_which_order_matters_is_found(bundle):
    def change(model: onnx.ModelProto) -> None:
        first = constant(model, "first", 0, np.int64)
        small = constant(model, "small", 1e-3, np.float32)

        def nodes(inner: str) -> list[onnx.NodeProto]:
            return [
                helper.make_node("Gather", ["constituents", first], ["leading"], axis=1),
                helper.make_node("Gather", ["leading", first], ["feature"], axis=1),
                helper.make_node("Mul", ["feature", small], ["little"]),
                helper.make_node("Add", [inner, "little"], ["TvsQCD"]),
            ]

        before_output(model, "TvsQCD", nodes)

    edit(bundle, change)
    assert "order" in failed(bundle)


def test_a_graph_that_is_none_fails_all_but_does_not_stop(bundle):
    (bundle / "model.onnx").write_bytes(b"no graph")
    found = failed(bundle)
    assert {"checksums", "tensors", "TvsQCD", "lengths"} | GOLDEN_ROWS <= found


def test_the_script_runs_without_collidekit(bundle, tmp_path):
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", str(bundle / "verify.py"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    good = run()
    assert good.returncode == 0, good.stderr
    assert good.stdout.count("ok ") == 13
    (bundle / "README.md").write_text("")
    bad = run(str(bundle), "2")
    assert bad.returncode == 1
    assert "1 of 13 checks failed" in bad.stderr
    assert "FAILED checksums - README.md is changed" in bad.stdout
    assert "model.onnx: 2 threads" in bad.stdout


def test_the_script_is_short():
    text = Path(verifier.__file__).read_text()
    assert len(text.splitlines()) < 100
    assert "collidekit" not in text


BLOCKED = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch": raise ImportError("torch is blocked")
sys.meta_path.insert(0, Block())
from collidekit.cli import main
sys.argv = ["collidekit", "verify", *sys.argv[1:]]
main()
"""


def test_the_verb_needs_no_torch_and_runs_no_code_of_the_bundle(bundle, tmp_path):
    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", BLOCKED, str(bundle)], capture_output=True, text=True, cwd=tmp_path, check=False
        )

    (bundle / "verify.py").write_text("raise SystemExit('code of the bundle')")
    sum_up(bundle)
    good = run()
    assert good.returncode == 0, good.stderr
    assert "13 checks" in good.stdout
    assert "SOFIE" in good.stdout
    edit_schema(bundle, invariant=[])
    (bundle / "README.md").write_text("")
    bad = run()
    assert bad.returncode == 2
    assert "does not pass the check 'checksums'" in " ".join(bad.stderr.split())


def test_folders_that_are_no_bundle_are_refused(bundle, tmp_path):
    with pytest.raises(CollidekitError, match="there is no such bundle"):
        list(checks(tmp_path / "nothing"))
    with pytest.raises(CollidekitError, match="is not a bundle"):
        list(checks(tmp_path))
    edit_schema(bundle, format=2)
    with pytest.raises(
        CollidekitError, match=r"was made with a newer version of collidekit \(format 2, this version reads 1\)"
    ):
        list(checks(bundle))


def test_a_damaged_schema_is_refused(bundle):
    edit_schema(bundle, opset="seventeen")
    with pytest.raises(CollidekitError, match=r"was made with another version of collidekit \(opset"):
        list(checks(bundle))
    (bundle / SCHEMA).write_text((bundle / SCHEMA).read_text().replace('"toy"', '"joy"'))
    with pytest.raises(CollidekitError, match="does not have the stored checksum"):
        list(checks(bundle))


@pytest.mark.parametrize("file", [GOLDEN, CALLS, REAL, CHECKSUMS, "model.onnx"])
def test_a_missing_file_is_named(bundle, file):
    (bundle / file).unlink()
    with pytest.raises(CollidekitError, match=f"has no {file}"):
        list(checks(bundle))


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # numpy leaves a damaged archive open
@pytest.mark.parametrize("file", [GOLDEN, CALLS, REAL, SCHEMA, CHECKSUMS])
def test_a_changed_byte_is_a_failed_check_and_no_traceback(bundle, file):
    content = bytearray((bundle / file).read_bytes())
    place = content.index(b'"graphs"') + 1 if file == SCHEMA else len(content) // 2
    content[place] ^= 1
    (bundle / file).write_bytes(content)
    found = list(verifier.checks(bundle, 2))
    assert found[0][:2] == ("checksums", False)
    assert f"{file if file != CHECKSUMS else ''} is changed" in found[0][2] or file == CHECKSUMS
    assert all(isinstance(passed, bool) and "\n" not in text for _, passed, text in found)
    done = subprocess.run(
        [sys.executable, "-I", str(bundle / "verify.py")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "checks failed" in done.stderr


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_truncated_file_is_a_failed_check_of_the_command_too(bundle):
    (bundle / GOLDEN).write_bytes((bundle / GOLDEN).read_bytes()[:-100])
    found = {check.title: check for check in checks(bundle)}
    assert found["checksums"].found == "golden.npz is changed"
    assert not found["contents"].passed


def test_a_bundle_that_fails_is_not_written(tmp_path, monkeypatch):
    from collidekit.export import write as module

    def wrong(staging: Path) -> None:
        (staging / "README.md").write_text("")
        verify(staging)

    monkeypatch.setattr(module, "verify", wrong)
    with pytest.raises(CollidekitError, match="does not pass the check 'checksums'"):
        write("top-tagging/pfn", tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_the_area_is_that_of_pairs():
    scores = np.array([0.1, 0.4, 0.4, 0.8, 0.5])
    signal, background = np.array([0, 1, 0, 1, 0]) * 2.0, np.array([1, 0, 1, 0, 1]) * 0.5
    right, wrong = scores[signal > 0], scores[background > 0]
    pairs = [(a > b) + 0.5 * (a == b) for a in right for b in wrong]
    assert verifier.auc(scores, signal, background) == pytest.approx(np.mean(pairs))
