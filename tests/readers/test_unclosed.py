"""Files whose tree does not know all of their rows, lists of files that do not belong together, and what only a library lacks."""

import shutil
from pathlib import Path
from typing import Any

import awkward as ak
import makers
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot

from collidekit.dataset.construct import construct
from collidekit.dataset.look import first_look
from collidekit.errors import CollidekitError
from collidekit.inference.sample_rows import sample_rows
from collidekit.readers import BadFileError, open_file
from collidekit.readers.base import UnsupportedError, bad_file

SIMPLE = "classes: {even: label == 0, odd: label == 1}\ninputs: {jet: {features: [x]}}\n"


def columns(rows: int, **more: Any) -> dict[str, Any]:
    return {"x": np.arange(rows, dtype=np.float32), "label": (np.arange(rows) % 2).astype(np.int32), **more}


@pytest.fixture
def stopped(tmp_path: Path) -> tuple[bytes, bytes]:
    """A file after 1,000 entries, and closed after 1,700."""
    path, kinds = tmp_path / "made.root", {"x": "f4", "label": "i4"}
    with uproot.recreate(path) as file:
        tree = file.mktree("tree", kinds)
        tree.extend(columns(1000))
        shutil.copy(path, tmp_path / "early.root")
        tree.extend(columns(700))
    return (tmp_path / "early.root").read_bytes(), path.read_bytes()


def rows(path: Path) -> int:
    with open_file(str(path)) as reader:
        return reader.rows


def test_a_file_that_was_not_closed_after_its_last_rows(
    tmp_path: Path, stopped: tuple[bytes, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    early, late = stopped
    assert (rows(tmp_path / "early.root"), rows(tmp_path / "made.root")) == (1000, 1700)
    free = uproot.open(tmp_path / "early.root").file.fSeekFree
    path = tmp_path / "killed.root"
    path.write_bytes(early[:free] + late[free:])
    with pytest.raises(BadFileError, match=r"killed.root: was not closed .* has 1,000 entries, .* holds 1,700"):
        rows(path)
    gap = early + bytes(3000) + late[late.rindex(b"TBasket") - 35 :]
    path.write_bytes(gap)
    with pytest.raises(BadFileError, match=r"killed.root: was not closed"):
        rows(path)
    path.write_bytes(early + b"something else" * 10)
    capsys.readouterr()
    assert rows(path) == 1000
    assert "140 bytes after the end" in " ".join(capsys.readouterr().err.split())
    padded = tmp_path / "padded.root"
    padded.write_bytes(late + bytes(5000))
    assert rows(padded) == 1700
    assert "after the end" not in capsys.readouterr().err


def test_trees_of_different_names_are_not_mixed(tmp_path: Path) -> None:
    first = makers.write_root(tmp_path / "first.root", columns(50))
    other = makers.write_root(tmp_path / "other.root", columns(50), tree="Other")
    files, plan = [str(first), str(other)], makers.make_plan(SIMPLE)
    said = r"other.root: its tree is 'Other', but 'tree' in .*first.root: .* `source: \{tree: tree\}`"
    with pytest.raises(CollidekitError, match=said):
        construct(plan, files, tmp_path / "out", progress=False)
    with pytest.raises(CollidekitError, match=said):
        first_look(plan, files, progress=False)
    with pytest.raises(CollidekitError, match=said):
        sample_rows(plan, files, 10)
    assert not (tmp_path / "out").exists()
    from collidekit.dataset.check import check

    assert "its tree is 'Other'" in check(plan, files).errors[0].text
    with pytest.raises(CollidekitError, match=r"there is no tree 'tree'.*it holds Other"):
        construct(makers.make_plan("source: {tree: tree}\n" + SIMPLE), files, tmp_path / "out", progress=False)


def test_columns_in_awkwards_own_arrow_types(tmp_path: Path) -> None:
    counts = np.arange(60) % 4
    lists = ak.unflatten(np.arange(counts.sum()) * 1.0, counts)
    table = {
        "label": np.arange(60), "parts": lists, "jet": ak.zip({"pt": lists, "eta": -lists}),
        "some": ak.mask(np.arange(60) * 1.0, np.arange(60) % 3 > 0), "fixed": ak.from_regular(np.arange(120.0).reshape(60, 2)),
    }  # fmt: skip
    path = tmp_path / "own.parquet"
    pq.write_table(ak.to_arrow_table(ak.zip(table, depth_limit=1), extensionarray=True), path, row_group_size=25)
    with open_file(str(path)) as reader:
        assert not reader.unreadable
        found = reader.read(["parts", "jet_pt", "jet_eta", "some", "fixed"], 20, 55)
    assert found.parts.to_list() == found.jet_pt.to_list() == lists[20:55].to_list()
    assert found.jet_eta.to_list() == (-lists[20:55]).to_list()
    assert ak.drop_none(ak.nan_to_none(found.some)).to_list() == [float(i) for i in range(20, 55) if i % 3]
    assert found.fixed.to_list() == [[2.0 * i, 2.0 * i + 1] for i in range(20, 55)]


@pytest.mark.parametrize("name", ["text", "texts"])
@pytest.mark.parametrize("suffix", ["root", "parquet"])
def test_a_branch_of_text_is_called_so(tmp_path: Path, name: str, suffix: str) -> None:
    words = ak.Array([["a"], ["b", "c"]] * 20) if name == "texts" else ak.Array(["a", "b"] * 20)
    path = tmp_path / f"words.{suffix}"
    if suffix == "root" and name == "texts":
        pytest.skip("uproot writes no lists of text")
    table = columns(40, **{name: words})
    if suffix == "root":
        with uproot.recreate(path) as file:
            file["tree"] = table
    else:
        makers.write_parquet(path, table)
    plan = makers.make_plan(SIMPLE.replace("[x]", f"[x, {name}]"))
    with pytest.raises(CollidekitError, match=rf"analysis.yaml:2: .*'{name}' is text \(.*, not numbers .*words"):
        construct(plan, str(path), tmp_path / "out", progress=False)
    from collidekit.dataset.check import check

    assert "is text (" in check(plan, [str(path)]).errors[0].text


def test_what_a_library_cannot_read_is_not_called_damaged_and_not_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = makers.write_root(tmp_path / "good.root", columns(300))
    other = makers.write_root(tmp_path / "other.root", columns(300))
    original = uproot.behaviors.TBranch.HasBranches.arrays

    def arrays(tree: Any, *words: Any, **more: Any) -> Any:
        if "other" in str(tree.file.file_path):
            raise KeyError("no such streamer")
        return original(tree, *words, **more)

    monkeypatch.setattr(uproot.behaviors.TBranch.HasBranches, "arrays", arrays)
    with pytest.raises(
        CollidekitError, match=r"other.root: branch 'label', .*cannot be read here \(KeyError"
    ) as caught:
        construct(
            makers.make_plan(SIMPLE), [str(good), str(other)], tmp_path / "out", skip_bad_files=True, progress=False
        )
    assert "truncated" not in str(caught.value)
    broken = bytearray(other.read_bytes())
    seek = int(uproot.open(other)["tree"]["label"].member("fBasketSeek")[0])
    broken[seek + 100 : seek + 200] = bytes(100)
    other.write_bytes(broken)
    with (
        pytest.raises(CollidekitError, match=r"other.root: branch 'label', .*damaged"),
        open_file(str(other)) as reader,
    ):
        reader.read(["label"], 0, 300)


def test_kinds_of_errors() -> None:
    for error in (NotImplementedError("no decimals"), pa.ArrowNotImplementedError("x"), ImportError("no lz4")):
        assert isinstance(found := bad_file("a.root", error), UnsupportedError)
        assert "nothing shows that the file is damaged" in str(found)
    assert "seems truncated or damaged" in str(bad_file("a.root", OSError("short")))
    assert "it is damaged, or of a kind that the library does not support" in str(
        bad_file("a.root", AttributeError("x"))
    )
