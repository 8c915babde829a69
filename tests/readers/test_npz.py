"""NPZ files: which arrays become columns, and what a damaged or hostile file says."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
from numpy.lib import format as npy

from collidekit.analysis.schema import Source
from collidekit.errors import CollidekitError
from collidekit.readers import BadFileError, file_id, open_file

ROWS = 20_000
"""More than are read at a time."""


def arrays() -> dict[str, Any]:
    random = np.random.default_rng(1)
    x3 = random.normal(size=(ROWS, 5, 2)).astype(np.float32)
    x3[np.arange(5) >= random.integers(0, 6, ROWS)[:, None]] = 0
    return {
        "y": random.integers(0, 2, ROWS), "flag": random.integers(0, 2, ROWS).astype(bool),
        "big": random.normal(size=ROWS).astype(">f8"), "half": random.normal(size=ROWS).astype(np.float16),
        "one": random.normal(size=(ROWS, 1)), "X": random.normal(size=(ROWS, 4)).astype(np.float32), "parts": x3,
    }  # fmt: skip


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_columns(tmp_path: Path, save: Any) -> None:
    given = arrays()
    save(tmp_path / "e.npz", **given, text=np.array(["a"] * ROWS), when=np.array(3.0))
    with open_file(str(tmp_path / "e.npz")) as reader:
        assert reader.rows == ROWS
        assert len(reader.read(["y", "X"], 5, 5)) == 0
        assert reader.columns == {
            "y": "int64", "flag": "bool", "big": "float64", "half": "float32", "one": "float64", "X": "var * float32",
            **{f"X_{i}": "float32" for i in range(4)}, "parts_0": "var * float32", "parts_1": "var * float32",
        }  # fmt: skip
        assert set(reader.unreadable) == {"text", "when"}
        for start, stop in ((0, ROWS), (12_345, 17_001), (3, 9), (ROWS - 1, ROWS)):
            found = reader.read(list(reader.columns), start, stop)
            for name in ("y", "flag", "big", "half", "X"):
                np.testing.assert_array_equal(ak.to_numpy(found[name]), given[name][start:stop])
            np.testing.assert_array_equal(ak.to_numpy(found["X_2"]), given["X"][start:stop, 2])
            there = (given["parts"][start:stop] != 0).any(axis=2)
            assert ak.num(found["parts_1"]).tolist() == there.sum(axis=1).tolist()
            np.testing.assert_array_equal(
                ak.to_numpy(ak.flatten(found["parts_1"])), given["parts"][start:stop, :, 1][there]
            )


def exported(tmp_path: Path, counts: Any, **changed: Any) -> str:
    about = {
        "collidekit_events": 1, "collections": {"jets": {"count": "n_jets", "limit": 3}},
        "columns": {"jet_pt": {"collection": "jets"}, "n_jets": {}}, **changed,
    }  # fmt: skip
    path = tmp_path / "e.npz"
    np.savez(path, jet_pt=np.arange(9.0).reshape(3, 3), n_jets=counts, metadata=np.array(json.dumps(about)))
    return str(path)


def test_lists_with_counts(tmp_path: Path) -> None:
    path = exported(tmp_path, np.array([0, 3, 1]))
    with open_file(path) as reader:
        assert reader.columns == {"jet_pt": "var * float64", "n_jets": "int64"}
        assert reader.read(["jet_pt"], 0, 3)["jet_pt"].tolist() == [[], [3, 4, 5], [6]]
        assert reader.read(["jet_pt", "n_jets"], 2, 3).tolist() == [{"jet_pt": [6], "n_jets": 1}]
    for counts in ([0, 4, 1], [0, -1, 1]):
        with (
            open_file(exported(tmp_path, np.array(counts))) as reader,
            pytest.raises(BadFileError, match="row 1: n_jets is"),
        ):
            reader.read(["jet_pt"], 0, 3)
    for counts in (np.array([0.0, 1.0, 2.0]), np.zeros((3, 2), int)):
        with pytest.raises(BadFileError, match="says that n_jets counts jet_pt, but the counts are"):
            open_file(exported(tmp_path, counts))
    with pytest.raises(BadFileError, match="metadata is incomplete"):
        open_file(exported(tmp_path, np.array([0, 3, 1]), collections={}))
    with open_file(exported(tmp_path, np.array([0, 3, 1]), columns={})) as reader:
        assert reader.read(["jet_pt"], 0, 1)["jet_pt"].tolist() == [[0, 1, 2]]


def test_names_that_mean_nothing_here(tmp_path: Path) -> None:
    """An array without a name counts nothing, one called metadata is an array like others."""
    np.savez(tmp_path / "e.npz", **{"": np.arange(3), "x": np.ones(3), "metadata": np.arange(3.0)})
    with open_file(str(tmp_path / "e.npz")) as reader:
        assert reader.columns == {"": "int64", "x": "float64", "metadata": "float64"}
        assert reader.unreadable == {}
        assert reader.read(["x", "metadata"], 1, 3).tolist() == [{"x": 1, "metadata": 1}, {"x": 1, "metadata": 2}]


def member(header: dict[str, Any], content: bytes) -> bytes:
    file = io.BytesIO()
    npy.write_array_header_1_0(file, header)
    return file.getvalue() + content


def archive(path: Path, **members: bytes) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return str(path)


def header(shape: tuple[int, ...], descr: str = "<f8", order: bool = False) -> dict[str, Any]:
    return {"descr": descr, "fortran_order": order, "shape": shape}


def test_objects_are_not_unpickled(tmp_path: Path) -> None:
    np.savez(tmp_path / "e.npz", x=np.arange(3.0), names=np.array([{}, [], None], dtype=object))
    with open_file(str(tmp_path / "e.npz")) as reader:
        assert list(reader.columns) == ["x"]
        with pytest.raises(CollidekitError, match="'names' cannot be used: it is of Python objects"):
            reader.read(["names"], 0, 3)
    np.savez(tmp_path / "o.npz", names=np.array([{}, []], dtype=object))
    with pytest.raises(BadFileError, match=r"no array of numbers \(names is of Python objects"):
        open_file(str(tmp_path / "o.npz"))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (member(header((10**12,)), b"12345678"), r"x should have the shape \(1000000000000,\)"),
        (member(header((10**9, 10**9, 10**9)), b""), "x should have the shape"),
        (member(header((2,)), b"12345678"), "x should have the shape"),
        (member(header((1,)), b"123456789"), "x should have the shape"),
        (member(header((-1,)), b"12345678"), "impossible shape"),
        (b"not an array", "x: its header cannot be read"),
        (b"\x93NUMPY\x01\x00\xff\xff{", "x: its header cannot be read"),
        (b"", "x: its header cannot be read"),
    ],
)
def test_arrays_that_claim_too_much(tmp_path: Path, content: bytes, said: str) -> None:
    with pytest.raises(BadFileError, match=said):
        open_file(archive(tmp_path / "e.npz", x=content))


def test_arrays_that_do_not_fit(tmp_path: Path) -> None:
    np.savez(tmp_path / "e.npz", x=np.zeros(3), y=np.zeros(4))
    with pytest.raises(BadFileError, match="x has 3 rows and y 4"):
        open_file(str(tmp_path / "e.npz"))
    np.savez(tmp_path / "f.npz", x=np.zeros(3), y=np.asfortranarray(np.zeros((3, 2))), z=np.zeros(3, [("a", "f4")]))
    with open_file(str(tmp_path / "f.npz")) as reader:
        assert list(reader.columns) == ["x"]
        assert "Fortran order" in reader.unreadable["y"]
        assert "structured array (a" in reader.unreadable["z"]
    with zipfile.ZipFile(tmp_path / "t.npz", "w") as file:
        for _ in range(2):
            with pytest.warns(UserWarning, match="Duplicate") if _ else zipfile.ZipFile(tmp_path / "u.npz", "w"):
                file.writestr("x.npy", member(header((1,)), b"12345678"))
    with pytest.raises(BadFileError, match="contains the array 'x' twice"):
        open_file(str(tmp_path / "t.npz"))
    with pytest.raises(CollidekitError, match="NPZ files have no trees"):
        open_file(str(tmp_path / "e.npz"), Source(tree="events"))


def test_damage(tmp_path: Path) -> None:
    np.savez(tmp_path / "e.npz", x=np.arange(5000.0))
    content = (tmp_path / "e.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[:20_000])
    with pytest.raises(BadFileError, match=r"cut.npz: cannot be read"):
        open_file(str(tmp_path / "cut.npz"))
    flipped = bytearray(content)
    flipped[20_000] ^= 1
    (tmp_path / "flip.npz").write_bytes(flipped)
    with (
        open_file(str(tmp_path / "flip.npz")) as reader,
        pytest.raises(BadFileError, match="rows 0 to 5000, cannot be read"),
    ):
        reader.read(["x"], 0, 5000)
    (tmp_path / "no.npz").write_text("x,y\n1,2\n")
    with pytest.raises(BadFileError, match="is not an NPZ file"):
        open_file(str(tmp_path / "no.npz"))


def test_found_by_its_first_bytes_and_known_again(tmp_path: Path) -> None:
    np.savez(tmp_path / "e.npz", x=np.arange(3.0))
    (tmp_path / "e.data").write_bytes((tmp_path / "e.npz").read_bytes())
    with open_file(str(tmp_path / "e.data")) as reader:
        assert reader.read(["x"], 0, 3)["x"].tolist() == [0, 1, 2]
    assert file_id(str(tmp_path / "e.npz"))["checksum"] == file_id(str(tmp_path / "e.data"))["checksum"]
