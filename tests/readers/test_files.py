"""Which files a user means, and how a file is known again."""

import os
from pathlib import Path

import pytest

from collidekit.errors import CollidekitError
from collidekit.readers import BadFileError, expand, file_id, open_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.root", "a.root", "c[1].root", "deep/er/d.root"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"root")
    return tmp_path


def names(paths: list[str]) -> list[str]:
    return [os.path.basename(path) for path in paths]


def test_order(folder: Path) -> None:
    """As named; sorted within a glob."""
    assert names(expand(f"{folder}/?.root")) == ["a.root", "b.root"]
    assert names(expand([f"{folder}/b.root", f"{folder}/a*.root"])) == ["b.root", "a.root"]
    assert names(expand(f"{folder}/**/d.root")) == ["d.root"]
    assert names(expand(f"{folder}/c[1].root")) == ["c[1].root"]


def test_urls_are_left_alone() -> None:
    """No server is asked about a url without a glob."""
    for url in ("root://eos//store/a.root", "root://eos//store/a.root?authz=*", "root://[::1]:1094//store/a.root"):
        assert expand([url]) == [url]


def test_lists(folder: Path) -> None:
    (folder / "train.txt").write_text("# files\nb.root\n\n  a.root # good\nroot://eos//x.root\ndeep/*/d.root\n")
    assert names(expand(str(folder / "train.txt"))) == ["b.root", "a.root", "x.root", "d.root"]
    (folder / "bad.txt").write_text("a.root\nmissing.root\n")
    with pytest.raises(CollidekitError, match=r"missing.root: there is no such file \(named in .*bad.txt, line 2\)"):
        expand(str(folder / "bad.txt"))


def test_twice(folder: Path) -> None:
    with pytest.raises(CollidekitError, match=r"a.root: is given twice, by .*a.root' and by .*\*.root'"):
        expand([f"{folder}/a.root", f"{folder}/*.root"])
    with pytest.raises(CollidekitError, match="is given twice"):
        expand([f"{folder}/a.root", f"{folder}/deep/../a.root"])


def test_nothing(folder: Path) -> None:
    with pytest.raises(CollidekitError, match=r"\*.h5: matches no file"):
        expand(f"{folder}/*.h5")
    with pytest.raises(CollidekitError, match=r"z.root: there is no such file"):
        expand(f"{folder}/z.root")
    with pytest.raises(CollidekitError, match="is a folder"):
        expand(str(folder))
    with pytest.raises(CollidekitError, match="no files were given"):
        expand([])


def test_file_id(tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    content = bytearray(3 << 20)
    path.write_bytes(content)
    first = file_id(str(path))
    assert first == file_id(str(path))
    assert first["size"] == 3 << 20
    for changed in (0, len(content) - 1):
        content[changed] = 1
        path.write_bytes(content)
        assert file_id(str(path))["checksum"] != first["checksum"]
    path.write_bytes(bytes(4 << 20))  # the same begin and end, only longer
    assert file_id(str(path))["checksum"] != first["checksum"]
    with pytest.raises(CollidekitError, match="there is no such file"):
        file_id(str(tmp_path / "missing"))


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 12345\n"


@pytest.mark.parametrize("suffix", [".root", ".parquet", ".h5", ".jsonl", ".json.gz", ".csv", ".npz", ".unknown", ""])
def test_a_git_lfs_pointer_is_called_so(tmp_path: Path, suffix: str) -> None:
    """By every reader, and where a file's content is hashed."""
    path = tmp_path / f"file{suffix}"
    path.write_text(POINTER)
    for use in (open_file, file_id):
        with pytest.raises(
            BadFileError, match="is a Git LFS pointer and not the file itself; fetch that with `git lfs pull`"
        ):
            use(str(path))


def test_a_list_of_files_that_is_a_git_lfs_pointer(tmp_path: Path) -> None:
    (tmp_path / "files.txt").write_text(POINTER)
    with pytest.raises(BadFileError, match="Git LFS pointer"):
        expand(str(tmp_path / "files.txt"))
