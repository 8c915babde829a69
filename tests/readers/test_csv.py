"""CSV files: types, empty cells, separators, chunks, and what is refused."""

from pathlib import Path

import awkward as ak
import numpy as np
import pytest

from collidekit.errors import CollidekitError
from collidekit.readers import open_file


def written(folder: Path, text: str, name: str = "table.csv") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


@pytest.mark.parametrize(("separator", "name"), [(",", "a.csv"), (";", "a.csv"), ("\t", "a.tsv")])
def test_columns_types_and_values(separator: str, name: str, tmp_path: Path) -> None:
    lines = ["x1,label,event,name", "0.5,1,9007199254740993,top", "-2e3,0,2,qcd", ",1,3,top"]
    with open_file(written(tmp_path, "\n".join(lines).replace(",", separator) + "\n", name)) as reader:
        assert reader.rows == 3
        assert reader.columns == {"x1": "float64", "label": "int64", "event": "int64"}
        rows = reader.read(["event", "x1"], 0, 3)
        assert rows.event.tolist() == [9007199254740993, 2, 3]  # no double holds this
        np.testing.assert_array_equal(rows.x1.to_numpy(), [0.5, -2000, np.nan])
        with pytest.raises(CollidekitError, match="column 'name' cannot be used: it is text"):
            reader.read(["name"], 0, 1)


def test_types_are_those_of_all_rows(tmp_path: Path) -> None:
    """The first megabyte says integers; a later cell is none, another is empty."""
    number = 300_000
    lines = [f"{i},{i},{i % 2}" for i in range(number)]
    lines[-5], lines[-3] = "0.5,1,1", f"{number - 3},,0"
    path = written(tmp_path, "a,b,label\n" + "\n".join(lines))
    with open_file(path) as reader:
        assert reader.rows == number
        assert reader.columns == {"a": "float64", "b": "float64", "label": "int64"}
        whole = reader.read(["a", "b"], 0, number)
        assert whole.a[-5] == 0.5
        assert np.isnan(whole.b[-3])
    with open_file(path) as reader:  # in chunks, forwards and again from the begin
        parts = [reader.read(["b", "a"], first, min(first + 70_001, number)) for first in range(0, number, 70_001)]
        joined = ak.concatenate(parts)
        np.testing.assert_array_equal(joined.a.to_numpy(), whole.a.to_numpy())
        np.testing.assert_array_equal(joined.b.to_numpy(), whole.b.to_numpy())
        assert reader.read(["label"], 2, 4).label.tolist() == [0, 1]
        assert reader.read(["label"], 7, 7).label.tolist() == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0.5,1\n0.7,0\n", "its first line must name the columns"),
        ("a,a\n1,2\n", "its first line names 'a' twice"),
        ("a,b\n1,2\n3\n", "not a table of this form .*Expected 2 columns, got 1"),
        ("", "is empty"),
    ],
)
def test_what_is_no_table_is_one_error(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(CollidekitError, match=said):
        open_file(written(tmp_path, text))


def test_a_csv_table_goes_the_way_of_the_moons(tmp_path: Path) -> None:
    """The same rows as ROOT file and as CSV make the same dataset."""
    from collidekit.dataset.construct import construct
    from collidekit.dataset.loader import Dataset, Loader
    from collidekit.shipped import load_plan
    from collidekit.simulation import simulate

    root = simulate("moons", tmp_path / "moons.root", 500, seed=1)
    with open_file(str(root)) as reader:
        rows = reader.read(list(reader.columns), 0, 500)
    header = ",".join(rows.fields)
    body = "\n".join(",".join(str(rows[name][i]) for name in rows.fields) for i in range(500))
    table = written(tmp_path, f"{header}\n{body}\n", "moons.csv")
    plan = load_plan("moons")
    found = []
    for number, file in enumerate((str(root), table)):
        dataset = Dataset(construct(plan, [file], tmp_path / str(number)).folder)
        (batch,) = Loader(dataset, 500)
        found.append(batch)
    assert (found[0].inputs["plane"] == found[1].inputs["plane"]).all()
    assert (found[0].spectators["mass"] == found[1].spectators["mass"]).all()
    assert (found[0].labels == found[1].labels).all()


def test_an_empty_cell_beside_integers_that_double_precision_would_round(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("n,x\n9007199254740993,1\n,2\n")
    with open_file(str(path)) as reader:
        assert "n" not in reader.columns
        assert reader.unreadable["n"].startswith("integers above 2^53 beside empty cells")
    path.write_text("n,x\n9007199254740991,1\n,2\n")
    with open_file(str(path)) as reader:
        assert np.isnan(np.asarray(reader.read(["n"], 0, 2)["n"])[1])
