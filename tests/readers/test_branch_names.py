"""Branches whose names need care: shared, ambiguous, or no names in Python."""

import json
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import uproot

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.rows import build_rows, columns_to_read
from collidekit.dataset.trace import trace
from collidekit.errors import CollidekitError
from collidekit.readers import open_file

NAMES = ("jet.pt", "jet_pt", "jet mass", "class", "lambda", "2j_mass", "pi", "row_index", "sum")


@pytest.fixture(scope="module", params=["root", "parquet", "csv", "jsonl", "h5"])
def odd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file in which column k holds 10 k + row."""
    path = tmp_path_factory.mktemp("odd") / f"odd.{request.param}"
    columns = {name: 10.0 * k + np.arange(4) for k, name in enumerate(NAMES)}
    table = {"label": np.array([0, 1, 0, 1], np.int32), **columns}
    if request.param == "root":
        with uproot.recreate(path) as file:
            file["tree"] = table
    elif request.param == "parquet":
        pq.write_table(pa.table(table), path)
    elif request.param == "csv":
        pa.csv.write_csv(pa.table(table), path)
    elif request.param == "jsonl":
        rows = [{name: values[row].item() for name, values in table.items()} for row in range(4)]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        with h5py.File(path, "w") as file:
            for name, values in table.items():
                file[name] = values
    return path


def feature(path: Path, expression: str) -> list[float]:
    """The values of an expression on the rows of a file."""
    text = f"""
classes: {{a: label == 0, b: label == 1}}
variables: {{wanted: "{expression}"}}
inputs: {{ev: {{features: [wanted]}}}}
"""
    plan = Plan(*parse_analysis(text))
    with open_file(str(path)) as reader:
        columns = columns_to_read(plan, list(reader.columns), path=str(path))
        batch = build_rows(plan, reader.read(columns, 0, reader.rows), str(path), 0, 0).batch
    return batch.inputs["ev"][:, 0].tolist()  # type: ignore[index]


@pytest.mark.parametrize("name", NAMES)
def test_every_branch_is_reached_by_its_name_in_backticks(odd: Path, name: str) -> None:
    first = 10.0 * NAMES.index(name)
    assert feature(odd, f"`{name}` + 1") == [first + 1, first + 2, first + 3, first + 4]


def test_two_branches_in_one_expression(odd: Path) -> None:
    assert feature(odd, "`jet_pt` - `jet.pt`") == [10.0] * 4


def test_a_name_of_one_branch_needs_no_backticks(odd: Path) -> None:
    assert feature(odd, "jet_mass") == [20.0, 21.0, 22.0, 23.0]


def test_trace_shows_the_value_of_the_file(odd: Path) -> None:
    text = """
classes: {a: label == 0, b: label == 1}
variables: {wanted: "`row_index`"}
inputs: {ev: {features: [wanted]}}
"""
    found = trace(Plan(*parse_analysis(text)), str(odd), 2)
    assert {entry.name: entry.value for entry in found.columns}["row_index"] == 10.0 * NAMES.index("row_index") + 2


def test_a_name_of_two_branches_is_an_error(odd: Path) -> None:
    with pytest.raises(
        CollidekitError, match=r"'jet_pt' could be any of the branches `jet.pt`, `jet_pt`; write the one"
    ):
        feature(odd, "jet_pt + 1")


@pytest.mark.parametrize("name", ["pi", "row_index"])
def test_a_constant_that_is_a_branch_too_is_an_error(odd: Path, name: str) -> None:
    with pytest.raises(CollidekitError, match=f"'{name}' is a built-in name, but also a branch .*write the branch"):
        feature(odd, f"{name} * 2")


@pytest.mark.parametrize("text", ["`jet.pt", "``", "` ` + `"])
def test_a_backtick_without_a_name(odd: Path, text: str) -> None:
    with pytest.raises(CollidekitError):
        feature(odd, text)


def test_a_selection_with_backticks_has_them_in_the_cutflow(odd: Path) -> None:
    text = """
selection: "`jet.pt` > 1 and label >= 0"
classes: {a: label == 0, b: label == 1}
inputs: {ev: {features: [jet_mass]}}
"""
    plan = Plan(*parse_analysis(text))
    with open_file(str(odd)) as reader:
        columns = columns_to_read(plan, list(reader.columns), path=str(odd))
        rows = build_rows(plan, reader.read(columns, 0, 4), str(odd), 0, 0)
    assert rows.cutflow["`jet.pt` > 1"] == 2


CASES = Path(__file__).parents[2] / ".." / "shared" / "cases"


@pytest.mark.skipif(not (CASES / "same_leaf.root").is_file(), reason="the folder of shared cases is not here")
def test_sub_branches_of_two_objects_of_one_class() -> None:
    with uproot.open(CASES / "same_leaf.root") as file, open_file(str(CASES / "same_leaf.root")) as reader:
        for parent in ("lead", "sub"):
            for leaf in ("fPt", "fEta", "fPhi", "fM"):
                branch = next(b for b in file["tree"][parent].branches[0].branches if b.name.endswith(leaf))
                column = f"{parent}_fCoordinates_fCoordinates_{leaf}"
                found = np.asarray(reader.read([column, "label"], 0, reader.rows)[column])
                np.testing.assert_array_equal(found, branch.array(library="np"))


@pytest.mark.skipif(not (CASES / "tlv.root").is_file(), reason="the folder of shared cases is not here")
@pytest.mark.parametrize("size", [999, 8192, 100_000])
def test_four_vectors_in_many_baskets(size: int) -> None:
    with uproot.open(CASES / "tlv.root") as file, open_file(str(CASES / "tlv.root")) as reader:
        expected = file["tree"]["p4"].array()["fE"]
        bounds = range(0, reader.rows, size)
        parts = [reader.read(["p4_fE"], start, min(start + size, reader.rows))["p4_fE"] for start in bounds]
    np.testing.assert_array_equal(np.concatenate(parts), np.asarray(expected))
