"""The output of a prediction never overwrites an input."""

import os
from pathlib import Path

import pytest

from collidekit.errors import CollidekitError
from collidekit.inference.own_output import check_output


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    for name in "ab":
        (tmp_path / "data" / f"{name}.root").write_bytes(b"root")
    os.link(tmp_path / "data" / "a.root", tmp_path / "hard.root")
    (tmp_path / "soft.root").symlink_to(tmp_path / "data" / "a.root")
    (tmp_path / "list.txt").write_text("data/a.root\n")
    (tmp_path / "model.root").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize("output", ["data/a.root", "hard.root", "soft.root", "data/../data/a.root"])
@pytest.mark.parametrize("files", ["data/a.root", "data/*.root", "list.txt", "soft.root"])
def test_an_input_is_never_the_output(data: Path, output: str, files: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data)
    with pytest.raises(CollidekitError, match=r"is the same file as the input \S+; give --out another name"):
        check_output(Path(output), [files], [])


def test_nor_a_list_nor_a_model(data: Path) -> None:
    os.link(data / "list.txt", data / "list.parquet")
    with pytest.raises(CollidekitError, match="is the same file as the input"):
        check_output(data / "list.parquet", [str(data / "list.txt")], [])
    with pytest.raises(CollidekitError, match="is the same file as the input"):
        check_output(data / "model.root", [str(data / "data" / "a.root")], [data / "model.root"])


@pytest.mark.parametrize(
    ("pattern", "output", "read"),
    [
        ("data/*.root", "data/scores.root", True), ("data/*.root", "data/scores.parquet", False),
        ("data/*.root", "data/out/scores.root", False), ("**/*.root", "data/out/scores.root", True),
        ("data/**", "data/scores.root", True), ("data/[ab].root", "data/c.root", False),
    ],
)  # fmt: skip
def test_what_a_glob_would_read_the_next_time(
    data: Path, pattern: str, output: str, read: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data)
    if "hard" not in pattern:
        (data / "hard.root").unlink()
        (data / "soft.root").unlink()
    if read:
        with pytest.raises(CollidekitError, match="would read it the next time"):
            check_output(Path(output), [pattern], [])
    else:
        check_output(Path(output), [pattern], [])
