"""HDF5: pandas tables, structured arrays, plain arrays."""

import pickle
from pathlib import Path

import awkward as ak
import h5py
import hdf5plugin
import numpy as np
import pytest

from collidekit.analysis.schema import Source
from collidekit.errors import CollidekitError
from collidekit.readers import BadFileError, open_file
from collidekit.readers.pandas_table import pickled_names

N, SLOTS = 40, 200
NAMES = [f"{part}_{i}" for i in range(SLOTS) for part in ("E", "PX", "PY", "PZ")]
NAMES += ["truthE", "truthPX", "truthPY", "truthPZ"]


def reference(path: Path, names: bytes | None = None, **options: object) -> np.ndarray:
    """A file in the layout of the Top Tagging Reference Dataset; returns block 0."""
    rng = np.random.default_rng(3)
    block = rng.normal(size=(N, 804)).astype(np.float32)
    for row in range(N):
        block[row, 4 * (row * 5) : 800] = 0
    rows = np.zeros(N, [("index", "i8"), ("values_block_0", "f4", (804,)), ("values_block_1", "i8", (2,))])
    rows["values_block_0"], rows["values_block_1"][:, 1] = block, np.arange(N) % 2
    with h5py.File(path, "w") as file:
        group = file.create_group("table")
        group.attrs["pandas_type"] = np.bytes_(b"frame_table")
        dataset = group.create_dataset("table", data=rows, chunks=(16,), **options)
        dataset.attrs["values_block_0_kind"] = np.bytes_(names or pickle.dumps(NAMES, protocol=0))
        dataset.attrs["values_block_1_kind"] = np.void(pickle.dumps(["ttv", "is_signal_new"], protocol=2))
        file.create_group("table/_i_table")
    return block


def test_reference_layout(tmp_path: Path) -> None:
    block = reference(tmp_path / "train.h5", compression="gzip")
    with open_file(str(tmp_path / "train.h5")) as reader:
        assert reader.columns == {
            **dict.fromkeys(["E", "PX", "PY", "PZ"], "var * float32"),
            **dict.fromkeys(["truthE", "truthPX", "truthPY", "truthPZ"], "float32"),
            **dict.fromkeys(["ttv", "is_signal_new"], "int64"),
        }
        rows = reader.read(["is_signal_new", "PX", "truthE"], 3, 30)
    assert ak.to_list(ak.num(rows.PX)) == [5 * row for row in range(3, 30)]
    assert ak.to_list(rows.PX[4]) == block[7, 1 : 4 * 35 : 4].tolist()
    assert ak.to_list(rows.truthE) == block[3:30, 800].tolist()
    assert ak.to_list(rows.is_signal_new) == [row % 2 for row in range(3, 30)]


def test_a_zero_inside_is_no_padding(tmp_path: Path) -> None:
    """A constituent with px = 0 stays: padding is where E, px, py and pz are all zero up to the end."""
    block = reference(tmp_path / "train.h5")
    block[20, 4 * 99 + 1] = 0
    block[20, 4 * 50 : 4 * 51] = 0
    with h5py.File(tmp_path / "train.h5", "r+") as file:
        rows = file["table/table"][:]
        rows["values_block_0"] = block
        file["table/table"][:] = rows
    with open_file(str(tmp_path / "train.h5")) as reader:
        assert ak.to_list(ak.num(reader.read(["PX"], 20, 21).PX)) == [100]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_names(protocol: int) -> None:
    shared = "E_0"
    for names in ([], ["a"], [shared, "b", shared], NAMES):
        assert pickled_names(pickle.dumps(names, protocol=protocol)) == names


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (open, (str(tmp_path / "harm"), "w"))  # type: ignore[return-value]

    for protocol in (0, 2, 4):
        reference(tmp_path / "evil.h5", names=pickle.dumps([Harm()], protocol=protocol))
        with pytest.raises(BadFileError, match=r"evil.h5: the attribute values_block_0_kind .* not only strings"):
            open_file(str(tmp_path / "evil.h5"))
    assert not (tmp_path / "harm").exists()


def test_names_that_do_not_fit(tmp_path: Path) -> None:
    reference(tmp_path / "short.h5", names=pickle.dumps(NAMES[:-1]))
    with pytest.raises(BadFileError, match="names 803 columns, but the block has 804"):
        open_file(str(tmp_path / "short.h5"))


def test_several_tables(tmp_path: Path) -> None:
    reference(tmp_path / "two.h5")
    with h5py.File(tmp_path / "two.h5", "r+") as file:
        file.copy("table", "other")
    with pytest.raises(CollidekitError, match=r"several tables \(other: .* entries, table: .* entries\)"):
        open_file(str(tmp_path / "two.h5"))
    with open_file(str(tmp_path / "two.h5"), Source(tree="other")) as reader:
        assert "PX" in reader.columns
    with pytest.raises(CollidekitError, match=r"no group 'othr'.*did you mean 'other'"):
        open_file(str(tmp_path / "two.h5"), Source(tree="othr"))


def test_a_fixed_frame(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "fixed.h5", "w") as file:
        group = file.create_group("jets")
        group.attrs["pandas_type"], group.attrs["nblocks"] = np.bytes_(b"frame"), 2
        group["block0_items"], group["block0_values"] = np.array([b"pt", b"eta"]), np.arange(6.0).reshape(3, 2)
        group["block1_items"], group["block1_values"] = np.array([b"label"]), np.arange(3).reshape(3, 1)
    with open_file(str(tmp_path / "fixed.h5")) as reader:
        assert ak.to_list(reader.read(["label", "eta"], 1, 3)) == [{"label": 1, "eta": 3.0}, {"label": 2, "eta": 5.0}]


def test_structured_arrays(tmp_path: Path) -> None:
    """Half floats, flags, text, several collections, holes among the valid entries, another table beside."""
    jets = np.zeros(5, [("pt", "f2"), ("isB", "?"), ("name", "S3")])
    jets["pt"] = [1, 2, 3, 4, 5.5]
    tracks = np.zeros((5, 4), [("d0", "f2"), ("hits", "u1"), ("cov", "f4", (2,)), ("valid", "?")])
    tracks["d0"] = np.arange(20).reshape(5, 4)
    tracks["valid"][1, ::2] = tracks["valid"][3, :3] = True
    with h5py.File(tmp_path / "ftag.h5", "w") as file:
        file["jets"], file["tracks"], file["calo/flows"], file["counts/nEvents"] = jets, tracks, tracks, np.arange(2)
    with open_file(str(tmp_path / "ftag.h5")) as reader:
        assert reader.rows == 5
        assert reader.columns["jets_pt"] == "float32"
        assert reader.columns["jets_isB"] == "bool"
        assert reader.columns["tracks_hits"] == "var * uint8"
        assert reader.columns["calo_flows_cov"] == "var * var * float32"
        assert set(reader.unreadable) == {"jets_name", "counts_nEvents"}
        rows = reader.read(["jets_pt", "tracks_d0", "calo_flows_cov"], 1, 5)
        assert ak.to_list(rows.jets_pt) == [2, 3, 4, 5.5]
        assert ak.to_list(rows.tracks_d0) == [[4, 6], [], [12, 13, 14], []]
        assert ak.to_list(rows.calo_flows_cov[0]) == [[0, 0], [0, 0]]


@pytest.mark.parametrize("compression", [None, "gzip", "lzf"])
def test_types_of_structured_arrays(tmp_path: Path, compression: str | None) -> None:
    """Big-endian, enumerations, flags, halves, 64 bits without sign, jets without tracks; attributes and scalars beside."""
    rng = np.random.default_rng(2)
    flavour = h5py.enum_dtype({"LIGHT": 0, "C": 4, "B": 5}, basetype="i2")
    jets = np.zeros(N, [("pt", ">f4"), ("eventNumber", "u8"), ("flavour", flavour), ("isB", "?"), ("vec", ">f8", (3,))])
    jets["pt"], jets["vec"] = rng.normal(size=N), rng.normal(size=(N, 3))
    jets["eventNumber"] = np.uint64(2**64 - 1) - np.arange(N, dtype=np.uint64)
    jets["flavour"], jets["isB"] = rng.choice([0, 4, 5], N), rng.random(N) > 0.5
    tracks = np.zeros((N, 40), [("d0", "f2"), ("qOverP", ">f4"), ("origin", "i1"), ("valid", "?")])
    tracks["d0"], tracks["qOverP"] = rng.normal(size=(2, N, 40))
    tracks["origin"], tracks["valid"] = -1, np.arange(40) < rng.integers(0, 41, N)[:, np.newaxis]
    tracks["valid"][:3] = False
    with h5py.File(tmp_path / "ftag.h5", "w") as file:
        for name, rows in (("jets", jets), ("tracks", tracks)):
            file.create_dataset(name, data=rows, chunks=(16, *rows.shape[1:]), compression=compression)
        file["cutBookkeeper/nominal/counts"] = np.array([(100, 2.5)], [("nEvents", "u8"), ("sumOfWeights", "f8")])
        file["luminosity"], file.attrs["config"] = 3.5, "{}"
        file["jets"].attrs["flavour_label"] = ["light", "c", "b"]
    with open_file(str(tmp_path / "ftag.h5")) as reader:
        assert set(reader.unreadable) == {"cutBookkeeper_nominal_counts", "luminosity"}
        rows = reader.read(list(reader.columns), 0, N)
        assert {name: str(rows[name].type.content) for name in rows.fields} == reader.columns
    assert rows.jets_flavour.type.content.primitive == "int16"
    for name in ("pt", "eventNumber", "flavour", "isB", "vec"):
        np.testing.assert_array_equal(rows[f"jets_{name}"], jets[name])
    assert ak.to_list(ak.num(rows.tracks_d0))[:3] == [0, 0, 0]
    for name in ("d0", "qOverP", "origin"):
        assert ak.to_list(rows[f"tracks_{name}"]) == [row[name][row["valid"]].tolist() for row in tracks]


@pytest.mark.parametrize("shape", [(0, 40), (N, 0)])
def test_no_jets_or_no_room_for_tracks(tmp_path: Path, shape: tuple[int, int]) -> None:
    with h5py.File(tmp_path / "none.h5", "w") as file:
        file["jets"] = np.zeros(shape[0], [("pt", "f4")])
        file["tracks"] = np.zeros(shape, [("d0", "f4"), ("valid", "?")])
    with open_file(str(tmp_path / "none.h5")) as reader:
        rows = reader.read(["jets_pt", "tracks_d0"], 0, reader.rows)
        assert str(rows.type) == f"{shape[0]} * {{jets_pt: float32, tracks_d0: var * float32}}"
        assert not ak.any(ak.num(rows.tracks_d0))


def test_lists_of_any_length(tmp_path: Path) -> None:
    """HDF5's own, beside types that plain arrays may have; text of any length is no list."""
    lists = [[], [1.5], [2.5, 3.5], []]
    flavour = h5py.enum_dtype({"LIGHT": 0, "B": 5}, basetype="i1")
    with h5py.File(tmp_path / "ragged.h5", "w") as file:
        group = file.create_group("data/train")
        for name, dtype in (("px", "f4"), ("id", "i2"), ("half", "f2"), ("swapped", ">f4")):
            group.create_dataset(name, (4,), dtype=h5py.vlen_dtype(np.dtype(dtype)))
            for row, values in enumerate(lists):
                group[name][row] = np.array(values, dtype)
        group["name"] = ["a", "b", "c", "d"]
        group["flags"], group["flag"] = np.eye(4, dtype=bool), np.arange(4) > 1
        group.create_dataset("flavour", data=np.array([0, 5, 5, 0], "i1"), dtype=flavour)
        group["event"] = np.arange(4, dtype=np.uint64) + 2**63
    with open_file(str(tmp_path / "ragged.h5"), Source(tree="data/train")) as reader:
        kinds = {"px": "var * float32", "id": "var * int16", "half": "var * float32", "flags": "var * bool"}
        kinds |= {"flag": "bool", "flavour": "int8", "event": "uint64"}
        assert {name: kind for name, kind in reader.columns.items() if name[-1] not in "0123"} == kinds
        assert set(reader.unreadable) == {"name", "swapped"}
        rows = reader.read(list(kinds), 1, 4)
        assert {name: str(rows[name].type.content) for name in rows.fields} == kinds
        assert ak.to_list(rows.px) == lists[1:]
        assert ak.to_list(rows.id) == [[1], [2, 3], []]
        assert ak.to_list(rows.event) == [2**63 + 1, 2**63 + 2, 2**63 + 3]
        assert ak.to_list(rows.flags[0]) == [False, True, False, False]


def test_a_virtual_file_needs_its_parts(tmp_path: Path) -> None:
    """HDF5 alone reads zeros where one is missing."""
    layout = h5py.VirtualLayout((6,), "f8")
    for part in (0, 1):
        with h5py.File(tmp_path / f"part{part}.h5", "w") as file:
            file["pt"] = np.arange(3.0) + 3 * part
        layout[3 * part : 3 * part + 3] = h5py.VirtualSource(f"part{part}.h5", "pt", (3,))
    with h5py.File(tmp_path / "all.h5", "w") as file:
        file.create_virtual_dataset("pt", layout)
    with open_file(str(tmp_path / "all.h5")) as reader:
        assert ak.to_list(reader.read(["pt"], 2, 6).pt) == [2, 3, 4, 5]
    (tmp_path / "part1.h5").unlink()
    with pytest.raises(BadFileError, match=r"all.h5: is a virtual file whose part part1.h5 is missing"):
        open_file(str(tmp_path / "all.h5"))


def test_the_search_indices_of_pytables_are_no_columns(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "tables.h5", "w") as file:
        file["jets"] = np.array([(1.0, 2), (3.0, 4)], [("pt", "f8"), ("jet_i_d", "i4")])
        file["_i_jets/pt/sorted"], file["_i_jets/pt/ranges"] = np.zeros(7), np.zeros((2, 2))
    with open_file(str(tmp_path / "tables.h5")) as reader:
        assert reader.columns == {"jets_pt": "float64", "jets_jet_i_d": "int32"}


def test_plain_arrays(tmp_path: Path) -> None:
    """As JetNet and EnergyFlow write them: (N, M, F) with zeros at the end of each row."""
    particles = np.ones((3, 4, 2), np.float32)
    particles[1, 2:] = particles[2] = 0
    with h5py.File(tmp_path / "jetnet.h5", "w") as file:
        file["particle_features"], file["jet_features"] = particles, np.arange(6.0).reshape(3, 2)
        file["y"] = np.arange(3, dtype=">i4").reshape(3, 1)
    with open_file(str(tmp_path / "jetnet.h5")) as reader:
        rows = reader.read(list(reader.columns), 0, 3)
        assert {name: str(rows[name].type.content) for name in rows.fields} == reader.columns
        assert ak.to_list(rows.particle_features_1) == [[1, 1, 1, 1], [1, 1], []]
        assert ak.to_list(rows.jet_features) == [[0, 1], [2, 3], [4, 5]]
        assert ak.to_list(rows.jet_features_1) == [1, 3, 5]
        assert ak.to_list(rows.y) == [0, 1, 2]


def test_lengths_that_do_not_agree(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "odd.h5", "w") as file:
        file["a"], file["b"] = np.arange(3), np.arange(4)
    with pytest.raises(CollidekitError, match=r"different numbers of rows: a \(3\), b \(4\)"):
        open_file(str(tmp_path / "odd.h5"))
    with open_file(str(tmp_path / "odd.h5"), Source(tree="b")) as reader:
        assert reader.columns == {"b": "int64"}


def test_blosc_as_pandas_writes_it(tmp_path: Path) -> None:
    reference(tmp_path / "plain.h5")
    reference(tmp_path / "blosc.h5", compression=hdf5plugin.Blosc(cname="blosclz", clevel=9))
    with open_file(str(tmp_path / "plain.h5")) as plain, open_file(str(tmp_path / "blosc.h5")) as blosc:
        columns = list(plain.columns)
        assert ak.array_equal(blosc.read(columns, 0, N), plain.read(columns, 0, N))


def test_a_filter_that_is_missing(tmp_path: Path) -> None:
    """Filter 305 is nobody's."""
    with h5py.File(tmp_path / "odd.h5", "w") as file:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((10,))
        plist.set_filter(305, h5py.h5z.FLAG_OPTIONAL, (0,))
        space = h5py.h5s.create_simple((N,))
        h5py.h5d.create(file.id, b"jets", h5py.h5t.NATIVE_FLOAT, space, plist)
    with pytest.raises(CollidekitError, match=r"odd\.h5.*filter"):
        open_file(str(tmp_path / "odd.h5"))


def test_zero_rows(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "none.h5", "w") as file:
        file["jets"] = np.zeros(0, [("pt", "f4")])
    with open_file(str(tmp_path / "none.h5")) as reader:
        assert reader.rows == 0
