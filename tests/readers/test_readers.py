"""What holds for every format."""

from pathlib import Path

import awkward as ak
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collidekit.analysis.schema import Source
from collidekit.errors import CollidekitError
from collidekit.readers import READERS, BadFileError, FileReader, chunks, open_file

from .conftest import ROWS, STRUCTURED, WRITERS

FORMATS = sorted(WRITERS)


def read_all(path: str) -> ak.Array:
    with open_file(path) as reader:
        return reader.read(list(reader.columns), 0, reader.rows)


def names(file: str) -> dict[str, str]:
    return STRUCTURED if file == "structured.h5" else {name: name for name in STRUCTURED}


@pytest.mark.parametrize("file", FORMATS)
def test_all_formats_give_the_same_rows(file: str, files: dict[str, str], table: ak.Array) -> None:
    with open_file(files[file]) as reader:
        assert reader.rows == ROWS
        rows = reader.read(list(names(file).values()), 0, ROWS)
    assert rows.fields == list(names(file).values())
    for name, column in names(file).items():
        assert ak.to_list(rows[column]) == ak.to_list(table[name])


@pytest.mark.parametrize("file", FORMATS)
def test_types_are_known_before_reading(file: str, files: dict[str, str]) -> None:
    with open_file(files[file]) as reader:
        columns = list(names(file).values())
        for rows in (reader.read(columns, 3, 9), reader.read(columns, 4, 4)):
            assert {name: str(rows[name].type.content) for name in columns} == {n: reader.columns[n] for n in columns}


@pytest.mark.parametrize("file", FORMATS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_chunks_give_the_whole(file: str, files: dict[str, str], table: ak.Array, data: st.DataObject) -> None:
    """Chunks of any size from any row, with other ranges read in between."""
    columns = {new: old for old, new in names(file).items()}
    some = data.draw(st.lists(st.sampled_from(sorted(columns)), min_size=1, unique=True))
    start = data.draw(st.integers(0, ROWS))
    stop = data.draw(st.integers(start, ROWS))
    size = data.draw(st.integers(1, ROWS))
    detour = data.draw(st.integers(0, ROWS - 1))
    with open_file(files[file]) as reader:
        pieces = []
        for first, rows in chunks(reader, some, start, stop, size):
            assert first == start + sum(map(len, pieces))
            pieces.append(rows)
            if first % 3 == 0:
                reader.read(some[:1], detour, detour + 1)
        whole = ak.concatenate(pieces) if pieces else reader.read(some, start, stop)
    assert len(whole) == stop - start
    for name in some:
        assert ak.to_list(whole[name]) == ak.to_list(table[columns[name]][start:stop])


@pytest.mark.parametrize("file", FORMATS)
def test_unknown_column(file: str, files: dict[str, str]) -> None:
    wrong = "parts_pxx" if file == "structured.h5" else "part_pxx"
    with (
        open_file(files[file]) as reader,
        pytest.raises(CollidekitError, match=rf"{file}.*did you mean '{wrong[:-1]}'"),
    ):
        reader.read([wrong], 0, 1)


@pytest.mark.parametrize("file", FORMATS)
def test_rows_that_are_not_there(file: str, files: dict[str, str]) -> None:
    with open_file(files[file]) as reader, pytest.raises(CollidekitError, match=f"the file has {ROWS}"):
        reader.read([next(iter(reader.columns))], 0, ROWS + 1)


@pytest.mark.parametrize("file", FORMATS)
def test_missing_and_empty_files(file: str, tmp_path: Path) -> None:
    path = tmp_path / file
    with pytest.raises(BadFileError, match="no such file"):
        open_file(str(path))
    path.touch()
    with pytest.raises(BadFileError, match=f"{file}: is empty"):
        open_file(str(path))


@pytest.mark.parametrize("file", FORMATS)
@pytest.mark.parametrize("part", [0.5, 0.97])
def test_truncated(file: str, part: float, files: dict[str, str], tmp_path: Path) -> None:
    """One line that names the file, when it is opened or at the latest when the lost rows are read."""
    path = tmp_path / file
    whole = Path(files[file]).read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(BadFileError, match=file) as error:
        read_all(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("file", FORMATS)
def test_other_content_than_the_suffix_says(file: str, tmp_path: Path) -> None:
    path = tmp_path / file
    path.write_text("this is a letter, and no data at all\n" * 20)
    with pytest.raises(BadFileError, match=rf"{file}.* is not (a ROOT|an HDF5|a Parquet|JSON)"):
        open_file(str(path))


@pytest.mark.parametrize("file", FORMATS)
def test_format_from_the_first_bytes(file: str, files: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "without_suffix"
    path.write_bytes(Path(files[file]).read_bytes())
    with open_file(str(path)) as reader:
        assert reader.rows == ROWS


def test_unknown_format(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("dear reader")
    with pytest.raises(BadFileError, match=r"letter.txt: has no known format.*\.root"):
        open_file(str(path))


def test_format_wins_over_suffix(files: dict[str, str]) -> None:
    with pytest.raises(BadFileError, match="is not a Parquet file"):
        open_file(files["tree.root"], Source(format="parquet"))


def test_root_url_without_its_package() -> None:
    pytest.importorskip("fsspec")
    try:
        import fsspec_xrootd  # noqa: F401
    except ImportError:
        with pytest.raises(CollidekitError, match=r"pip install 'collidekit\[remote\]'"):
            open_file("root://nowhere.invalid//store/file.root")
    else:
        pytest.skip("fsspec-xrootd is installed")


def test_a_format_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Counting(FileReader):
        def __init__(self, path: str, source: Source) -> None:
            super().__init__(path, source)
            self.columns = {"x": "int64"}

        def _count(self) -> int:
            return 10

        def _read(self, columns: object, start: int, stop: int) -> dict[str, ak.Array]:
            return {"x": ak.Array(range(start, stop))}

        def close(self) -> None:
            pass

    monkeypatch.setitem(READERS, ".count", Counting)
    with open_file(str(tmp_path / "some.count")) as reader:
        assert ak.to_list(reader.read(["x"], 2, 5).x) == [2, 3, 4]
