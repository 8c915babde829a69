"""ROOT: choice of the tree, kinds of branches, baskets, damage."""

import os
import pickle
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from collidekit.analysis.schema import Source
from collidekit.errors import CollidekitError
from collidekit.readers import BadFileError, chunks, open_file
from collidekit.readers.base import SeveralTreesError
from collidekit.readers.root import RootReader

DATA = Path(os.environ.get("COLLIDEKIT_SHARED_DATA", Path(__file__).parents[2].parent / "shared" / "data"))


def trees(path: Path, *names: str) -> str:
    with uproot.recreate(path) as file:
        for number, name in enumerate(names):
            file.mktree(name, {"x": "int32"}).extend({"x": np.full(3, number, np.int32)})
    return str(path)


def test_the_only_tree_also_in_a_folder(tmp_path: Path) -> None:
    with open_file(trees(tmp_path / "a.root", "ntuples/jets")) as reader:
        assert reader.rows == 3


def test_events_among_several(tmp_path: Path) -> None:
    with open_file(trees(tmp_path / "nano.root", "LuminosityBlocks", "Events", "Runs")) as reader:
        assert ak.to_list(reader.read(["x"], 0, 1).x) == [1]


def test_several_trees(tmp_path: Path) -> None:
    path = trees(tmp_path / "two.root", "jets", "muons")
    with pytest.raises(CollidekitError, match=r"two.root: holds several trees \(jets: 3 entries, muons: 3 entries\)"):
        open_file(path)
    with open_file(path, Source(tree="muons")) as reader:
        assert ak.to_list(reader.read(["x"], 0, 1).x) == [1]


def test_the_largest_of_several_trees_is_proposed(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "two.root") as file:
        file["meta/info"], file["ntup/jets"] = {"x": np.arange(3)}, {"x": np.arange(3000), "y": np.arange(3000)}
    expected = r"holds several trees \(meta/info: 3 entries, ntup/jets: 3,000 entries\); .*`source: {tree: ntup/jets}`"
    with pytest.raises(SeveralTreesError, match=expected) as caught:
        open_file(str(tmp_path / "two.root"))
    assert not caught.value.is_main
    again = pickle.loads(pickle.dumps(caught.value))  # as a worker sends it
    assert str(again) == str(caught.value)


def test_no_tree_is_opened_where_one_has_a_usual_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of ATLAS have a hundred trees with hundreds of branches, which take seconds to open."""
    with uproot.recreate(tmp_path / "many.root") as file:
        for name in ("sumWeights", "nominal", "JET_up"):
            file[name] = {"x": np.arange(3)}
    monkeypatch.setattr(RootReader, "_size_of", lambda *_: pytest.fail("a tree was opened"))
    with pytest.raises(SeveralTreesError, match=r"\(sumWeights, nominal, JET_up\); .*tree: nominal") as caught:
        open_file(str(tmp_path / "many.root"))
    assert caught.value.is_main


def test_tree_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CollidekitError, match=r"no tree 'jet' \(did you mean 'jets'\?\); it holds jets"):
        open_file(trees(tmp_path / "a.root", "jets"), Source(tree="jet"))


def test_no_tree(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "histogram.root") as file:
        file["h"] = np.histogram([1.0, 2.0])
    with pytest.raises(BadFileError, match="holds no TTree"):
        open_file(str(tmp_path / "histogram.root"))


def test_highest_cycle(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "cycles.root") as file:
        for rows in (2, 5):
            file.mktree("tree", {"x": "int32"}).extend({"x": np.arange(rows, dtype=np.int32)})
    with open_file(str(tmp_path / "cycles.root")) as reader:
        assert reader.rows == 5


def test_zero_entries(tmp_path: Path) -> None:
    with uproot.recreate(tmp_path / "none.root") as file:
        file.mktree("tree", {"x": "int32", "v": "var * float32"})
    with open_file(str(tmp_path / "none.root")) as reader:
        assert reader.rows == 0
        assert str(reader.read(["v", "x"], 0, 0).type) == "0 * {v: var * float32, x: int32}"


def test_kinds_of_branches(tmp_path: Path) -> None:
    """Arrays of fixed size become lists, odd names become names, records become columns."""
    with uproot.recreate(tmp_path / "kinds.root") as file:
        tree = file.mktree("tree", {"six": np.dtype(("f4", (6,))), "Jet.pt": "f8", "flag": "bool"})
        tree.extend(
            {"six": np.arange(18, dtype="f4").reshape(3, 6), "Jet.pt": np.arange(3.0), "flag": np.arange(3) > 1}
        )
    with open_file(str(tmp_path / "kinds.root")) as reader:
        assert reader.columns == {"six": "var * float32", "Jet_pt": "float64", "flag": "bool"}
        rows = reader.read(["Jet_pt", "six", "flag"], 1, 3)
        assert ak.to_list(rows.six[0]) == [6, 7, 8, 9, 10, 11]
        assert ak.to_list(rows.Jet_pt) == [1, 2]


def test_records_and_text_in_an_ntuple(tmp_path: Path) -> None:
    jets = ak.Array([[{"pt": 1.5, "id": 3}], [], [{"pt": 2.5, "id": 4}, {"pt": 3.5, "id": 5}]])
    with uproot.recreate(tmp_path / "nested.root") as file:
        file.mkrntuple(
            "events", {"jets": jets, "tag": ak.Array(["a", "b", "c"]), "deep": ak.Array([[[1.0], []], [], [[2.0]]])}
        )
    with open_file(str(tmp_path / "nested.root")) as reader:
        assert reader.columns == {"jets_pt": "var * float64", "jets_id": "var * int64", "deep": "var * var * float64"}
        rows = reader.read(["jets_id", "deep"], 0, 3)
        assert ak.to_list(rows.jets_id) == [[3], [], [4, 5]]
        assert ak.to_list(rows.deep) == [[[1.0], []], [], [[2.0]]]
        with pytest.raises(CollidekitError, match="'tag' cannot be used"):
            reader.read(["tag"], 0, 1)


def test_a_bad_basket_names_its_branch(tmp_path: Path) -> None:
    path = tmp_path / "bad.root"
    rng = np.random.default_rng(1)
    with uproot.recreate(path) as file:
        file.mktree("tree", {"good": "f8", "bad": "f8"}).extend({"good": rng.random(5000), "bad": rng.random(5000)})
    with uproot.open(path) as file:
        key = file["tree"]["bad"].basket_key(0)
        begin, size = key.fSeekKey + key.fKeylen, key.fNbytes - key.fKeylen
    content = bytearray(path.read_bytes())
    content[begin : begin + size] = bytes(size)
    path.write_bytes(content)
    with open_file(str(path)) as reader:
        assert len(reader.read(["good"], 0, 5000)) == 5000
        with pytest.raises(BadFileError, match=r"bad.root: branch 'bad', rows 0 to 5000"):
            reader.read(["good", "bad"], 0, 5000)


def test_baskets_are_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small chunks of a large basket must not decompress it again and again."""
    path = tmp_path / "large.root"
    with uproot.recreate(path) as file:
        tree = file.mktree("tree", {"x": "int64"})
        tree.extend({"x": np.arange(5000)})
        tree.extend({"x": np.arange(5000, 7000)})
    read = []
    original = uproot.models.TBasket.Model_TBasket.read_members
    monkeypatch.setattr(
        uproot.models.TBasket.Model_TBasket,
        "read_members",
        lambda self, *args: (read.append(1), original(self, *args))[1],
    )
    with open_file(str(path)) as reader:
        values = ak.concatenate([rows.x for _, rows in chunks(reader, ["x"], 0, reader.rows, 130)])
    assert ak.to_list(values) == list(range(7000))
    assert len(read) <= 3


@pytest.mark.skipif(not DATA.exists(), reason="needs the real data (COLLIDEKIT_SHARED_DATA)")
def test_real_files() -> None:
    with open_file(str(DATA / "jet_flavour" / "valid_data.root")) as reader:
        assert reader.rows == 2860
        assert reader.columns["trk_d0"] == "var * float32"
        rows = reader.read(["trk_d0", "n_trks"], 100, 200)
        assert ak.all(ak.num(rows.trk_d0) == rows.n_trks)
    with open_file(str(DATA / "nanoaod" / "pfnano.root")) as reader:  # Events beside Runs, LuminosityBlocks and more
        assert reader.rows == 10
        rows = reader.read(["nJet", "Jet_pt"], 2, 9)
        assert ak.all(ak.num(rows.Jet_pt) == rows.nJet)


@pytest.mark.skipif(not DATA.exists(), reason="needs the real data (COLLIDEKIT_SHARED_DATA)")
def test_real_file_cut_at_half(tmp_path: Path) -> None:
    whole = (DATA / "jet_flavour" / "valid_data.root").read_bytes()
    (tmp_path / "half.root").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadFileError, match=r"half.root: .*(truncated|damaged)"):
        open_file(str(tmp_path / "half.root"))
