"""What would take endless time or memory, or would read other files, is one clear error."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from collidekit.analysis.load import parse_analysis
from collidekit.attacks.factor_file import read_factors
from collidekit.errors import CollidekitError
from collidekit.files import read_json
from collidekit.readers import BadFileError, expand, open_file
from collidekit.readers import files as files_module
from collidekit.readers.csv import MOST_COLUMNS


def test_a_csv_file_with_too_many_columns(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(",".join(f"c{i}" for i in range(MOST_COLUMNS + 1)) + "\n")
    with pytest.raises(
        BadFileError, match=r"wide.csv: its first line names 20,001 columns, and at most 20,000 are read"
    ):
        open_file(str(path))


def test_a_column_twice_in_many(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(",".join([*(f"c{i}" for i in range(MOST_COLUMNS - 1)), "c7"]) + "\n")
    with pytest.raises(BadFileError, match=r"its first line names 'c7' twice"):
        open_file(str(path))


@pytest.mark.parametrize("pattern", ["/**", "/**/*.root", "//**/x.root", "/../**"])
def test_the_whole_disk(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "list.txt").write_text(f"{pattern}\n")
    for named in (pattern, str(tmp_path / "list.txt")):
        with pytest.raises(CollidekitError, match=r"would search the whole disk; give the folder"):
            expand(named)


def test_too_many_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module, "MOST_FILES", 3)
    for name in "abcd":
        (tmp_path / f"{name}.root").touch()
    with pytest.raises(CollidekitError, match=r"\*\.root: matches more than 3 files"):
        expand(str(tmp_path / "*.root"))
    (tmp_path / "d.root").unlink()
    assert len(expand(str(tmp_path / "**" / "*.root"))) == 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a.root\n" + b" " * 100_000, "line 2: is longer than 65,536 bytes"),
        (b"a\0b\n", "line 1: contains a zero byte"),
        (b"\xff\xfea\n", "line 1: is not UTF-8"),
    ],
)
def test_a_list_that_is_none(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.root").touch()
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(CollidekitError, match=rf"list.txt, {said}.*; is it a list of files\?"):
        expand(str(tmp_path / "list.txt"))


def test_a_list_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.root").touch()
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbfa.root\r\n")
    assert expand(str(tmp_path / "list.txt")) == [str(tmp_path / "a.root")]


def test_a_pipe_in_the_place_of_a_file_of_ours(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "run.json")
    with pytest.raises(CollidekitError, match=r"run.json: is not a file, but a folder, pipe or device"):
        read_json(tmp_path / "run.json")


ALIASES = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdefg", "bcdefgh", strict=True)
)


def test_aliases_that_stand_for_millions(tmp_path: Path) -> None:
    with pytest.raises(CollidekitError, match=r"its aliases \(\*name\) expand to more than 100000 entries"):
        parse_analysis(ALIASES, "analysis.yaml")
    path = tmp_path / "factors.yaml"
    path.write_text(ALIASES)
    with pytest.raises(CollidekitError, match=r"its aliases \(\*name\) expand to more than 100000 entries"):
        read_factors(path)


def test_hdf5_values_in_another_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret.bin"
    secret.write_bytes(np.arange(10, dtype="<f4").tobytes())
    with h5py.File(tmp_path / "table.h5", "w") as file:
        file.create_dataset("pt", (10,), "<f4", external=[(str(secret), 0, 40)])
    with pytest.raises(
        BadFileError, match=r"table.h5: /pt keeps its values in another file \(.*secret.bin\), which is not read"
    ):
        open_file(str(tmp_path / "table.h5"))


def test_hdf5_links_to_another_file(tmp_path: Path) -> None:
    from collidekit.analysis.schema import Source

    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["group/pt"] = np.arange(10.0)
    with h5py.File(tmp_path / "table.h5", "w") as file:
        file["eta"] = np.arange(10.0)
        file["away"] = h5py.ExternalLink("other.h5", "/")
    assert list(open_file(str(tmp_path / "table.h5")).columns) == ["eta"]
    for tree in ("away", "away/group"):
        with pytest.raises(CollidekitError, match=r"is in another file|there is no group"):
            open_file(str(tmp_path / "table.h5"), Source(tree=tree))


@pytest.mark.parametrize("below", [True, False])
def test_virtual_hdf5_files(tmp_path: Path, below: bool) -> None:
    """Parts below the folder of the file are read, others are not."""
    (tmp_path / "here" / "parts").mkdir(parents=True)
    part = tmp_path / ("here/parts" if below else ".") / "part.h5"
    with h5py.File(part, "w") as file:
        file["pt"] = np.arange(10.0)
    layout = h5py.VirtualLayout((10,), "f8")
    layout[:] = h5py.VirtualSource("parts/part.h5" if below else "../part.h5", "pt", (10,))
    with h5py.File(tmp_path / "here" / "table.h5", "w") as file:
        file.create_virtual_dataset("pt", layout)
    if below:
        with open_file(str(tmp_path / "here" / "table.h5")) as reader:
            assert reader.read(["pt"], 0, 10)["pt"].to_list() == list(range(10))
    else:
        with pytest.raises(BadFileError, match=r"is a virtual file with a part in another folder \(\.\./part\.h5\)"):
            open_file(str(tmp_path / "here" / "table.h5"))


def test_hdf5_rows_that_were_never_written(tmp_path: Path) -> None:
    path = tmp_path / "table.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("pt", (10**12,), "f4", chunks=(1000,))
    assert path.stat().st_size < 10_000
    with pytest.raises(BadFileError, match=r"table.h5: /pt should have 1,000,000,000,000 rows but holds 0 bytes"):
        open_file(str(path))


def test_hdf5_zeros_that_compress_well(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "table.h5", "w") as file:
        file.create_dataset("pt", data=np.zeros(10**7, "f4"), compression="gzip", compression_opts=9, chunks=(10**6,))
    with open_file(str(tmp_path / "table.h5")) as reader:
        assert reader.rows == 10**7
