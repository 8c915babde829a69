"""The fixed reader takes what is right as it is, and refuses the rest in one sentence."""

import gzip
import io
import os
import pickle
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from collidekit.benchmark.definition import Benchmark
from collidekit.benchmark.sandbox import prediction_parser, predictions
from collidekit.benchmark.sandbox.prediction_files import PredictionFile
from collidekit.benchmark.sandbox.predictions import Predictions, PredictionsError, read_predictions

KEYS = np.array([7, 3, 12, 5], np.int64)
TOP = np.array([0.25, 0.5, 1.0, 0.0])


@pytest.fixture
def own_process() -> None:
    """Files are parsed by a process of its own, as in use."""


@pytest.fixture(autouse=True)
def _parse_here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files are parsed in this process, which is faster, unless a test asks for ``own_process``."""

    def answer(files: list[PredictionFile], settings: dict[str, Any]) -> bytes:
        out = io.BytesIO()
        prediction_parser.answer(out, [(file.handle, file.kind) for file in files], **settings)
        return out.getvalue()

    if "own_process" not in request.fixturenames:
        monkeypatch.setattr(predictions, "_answer", answer)


def benchmark(columns: tuple[str, ...] = ("top",), **output: Any) -> Benchmark:
    file = {"path": "x"}
    return Benchmark.model_validate(
        {
            "benchmark": 1, "name": "toy", "title": "Toy", "output": {"columns": list(columns), "minimum": 0, "maximum": 1, **output},
            "classes": ["qcd", "top"], "phases": {"public": {"samples": {"nominal": {"features": file, "truth": "y"}}}}, "metrics": [{"name": "auc", "metric": "auc"}],
            "limits": {"output": "2 MB"},
        }
    )  # fmt: skip


def parquet(path: Path, columns: dict[str, Any], **options: Any) -> None:
    pq.write_table(pa.table(columns), path, **options)


def refused(folder: Path, what: Benchmark | None = None, keys: np.ndarray = KEYS) -> str:
    with pytest.raises(PredictionsError) as error:
        read_predictions(folder, what or benchmark(), keys)
    said = str(error.value)
    assert "\n" not in said
    assert str(folder) not in said
    return said


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32(), pa.float16()])
@pytest.mark.parametrize("compression", ["zstd", "snappy", "none"])
def test_parquet(tmp_path: Path, kind: pa.DataType, compression: str) -> None:
    parquet(
        tmp_path / "predictions.parquet",
        {"top": pa.array(TOP).cast(kind), "row": KEYS},
        compression=compression,
        row_group_size=3,
    )
    found = read_predictions(tmp_path, benchmark(), KEYS)
    np.testing.assert_array_equal(found.values, TOP.reshape(1, 4, 1))
    assert found.values.dtype == np.float64
    assert found.notes == ()


def test_columns_have_the_order_of_the_benchmark(tmp_path: Path) -> None:
    parquet(tmp_path / "predictions.parquet", {"b": 1 - TOP, "row": KEYS.astype(np.int32), "a": TOP})
    found = read_predictions(tmp_path, benchmark(("a", "b")), KEYS)
    np.testing.assert_array_equal(found.values[0], np.stack([TOP, 1 - TOP], axis=1))


@pytest.mark.usefixtures("own_process")
def test_each_kind_in_a_process_of_its_own(tmp_path: Path) -> None:
    for kind in ("parquet", "csv", "npy"):
        for run in range(3):
            path = tmp_path / f"predictions_{run}.{kind}"
            if kind == "parquet":
                parquet(path, {"row": KEYS, "top": TOP * run / 3})
            elif kind == "csv":
                path.write_text(
                    "row,top\n" + "".join(f"{key},{top * run / 3}\n" for key, top in zip(KEYS, TOP, strict=True))
                )
            else:
                np.save(path, TOP * run / 3)
        found = read_predictions(tmp_path, benchmark(runs=3), KEYS)
        np.testing.assert_allclose(found.values[..., 0], np.outer([0, 1, 2], TOP) / 3)
        (tmp_path / f"predictions_1.{kind}").write_bytes(b"nonsense")
        assert refused(tmp_path, benchmark(runs=3)).startswith(f"predictions_1.{kind}: ")
        for path in tmp_path.iterdir():
            path.unlink()


@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_csv(tmp_path: Path, start: str) -> None:
    lines = [f"{key},{top!r}" for key, top in zip(KEYS.tolist(), TOP.tolist(), strict=True)]
    (tmp_path / "predictions.csv").write_text("\n".join([f"{start}row,top", *lines, ""]), encoding="utf-8")
    np.testing.assert_array_equal(read_predictions(tmp_path, benchmark(), KEYS).values, TOP.reshape(1, 4, 1))


@pytest.mark.parametrize("shape", [(4,), (4, 1), (1, 4, 1), (1, 4)])
@pytest.mark.parametrize("dtype", ["<f8", ">f4", "<f2"])
def test_npy(tmp_path: Path, shape: tuple[int, ...], dtype: str) -> None:
    np.save(tmp_path / "predictions.npy", TOP.reshape(shape).astype(dtype))
    found = read_predictions(tmp_path, benchmark(), KEYS)
    np.testing.assert_array_equal(found.values, TOP.reshape(1, 4, 1))
    assert found.notes == (
        "predictions.npy has no column row: its rows are taken to be in the order of features.parquet",
    )


def test_npy_in_the_order_of_fortran(tmp_path: Path) -> None:
    values = np.arange(24).reshape(3, 4, 2) / 24
    np.save(tmp_path / "predictions.npy", np.asfortranarray(values))
    np.testing.assert_array_equal(read_predictions(tmp_path, benchmark(("a", "b"), runs=3), KEYS).values, values)


def test_an_ensemble_of_files(tmp_path: Path) -> None:
    for run in range(11):
        parquet(tmp_path / f"predictions_{run}.parquet", {"row": KEYS, "top": TOP * run / 11})
    found = read_predictions(tmp_path, benchmark(runs=11), KEYS)
    np.testing.assert_allclose(found.values[:, 2, 0], np.arange(11) / 11)
    assert "11 files of predictions; this benchmark takes at most 10" in refused(tmp_path, benchmark(runs=10))
    (tmp_path / "predictions_5.parquet").unlink()
    assert "not all of the files from predictions_0 on" in refused(tmp_path, benchmark(runs=11))


def test_an_ensemble_in_an_array(tmp_path: Path) -> None:
    np.save(tmp_path / "predictions.npy", np.stack([TOP, TOP / 2]))
    assert read_predictions(tmp_path, benchmark(runs=2), KEYS).values.shape == (2, 4, 1)
    assert "has 2 runs; this benchmark takes at most 1" in refused(tmp_path)


def test_written_and_read_back(tmp_path: Path) -> None:
    with np.load(Predictions(TOP.reshape(1, 4, 1)).write(tmp_path / "kept" / "x.npz"), allow_pickle=False) as content:
        np.testing.assert_array_equal(content["values"], TOP.reshape(1, 4, 1))


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (
            {"row": KEYS, "top": [0.1, np.nan, 0.3, np.inf]},
            "top = nan for row 3 is not a finite number (2 of 4 values)",
        ),
        ({"row": KEYS, "top": [0.1, 0.2, -0.5, 0]}, "top = -0.5 for row 12 is below 0.0 (1 of 4 values)"),
        ({"row": KEYS, "top": [0.1, 0.2, 0.5, 1.0000001]}, "is above 1.0"),
        ({"row": KEYS, "top": [0.1, None, 0.5, 0.6]}, "has no value in column top at line 2 of its data"),
        (
            {"row": KEYS[::-1], "top": TOP},
            "in another order than those of features.parquet (line 1 of its data has row 5, where",
        ),
        ({"row": [7, 3, 12, 12], "top": TOP}, "some values of row stand there more than once (line 4"),
        (
            {"row": [7, 3, 12, 6], "top": TOP},
            "the values of row are not those of features.parquet (line 4 of its data has row 6",
        ),
        ({"row": KEYS[:3], "top": TOP[:3]}, "has 3 rows; it must have the 4 rows of features.parquet"),
        ({"row": KEYS}, "has the columns 'row'; it must have row, top and no others"),
        ({"row": KEYS, "top": TOP, "label": TOP}, "it must have row, top and no others"),
        ({"row": KEYS, "Top": TOP}, "has the columns 'row', 'Top'"),
        ({"row": KEYS.astype(float), "top": TOP}, "column row holds double; it must hold integers"),
        ({"row": KEYS, "top": ["a", "b", "c", "d"]}, "column top holds string; it must hold numbers"),
        ({"row": KEYS, "top": [[0.1]] * 4}, "column top holds list<element: double>; it must hold numbers"),
        ({"row": KEYS, "top": [True, False, True, True]}, "column top holds bool; it must hold numbers"),
        ({"row": np.array([7, 3, 12, 2**63], np.uint64), "top": TOP}, "cannot be read as parquet"),
    ],
)
def test_wrong_parquet(tmp_path: Path, columns: dict[str, Any], said: str) -> None:
    parquet(tmp_path / "predictions.parquet", columns)
    answer = refused(tmp_path)
    assert answer.startswith("predictions.parquet: ")
    assert said in answer


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("row,top\n7,0.1\n3,nan\n12,0.1\n5,0.1\n", "top = nan for row 3 is not a finite number"),
        ("row,top\n7,0.1\n3,-inf\n12,0.1\n5,0.1\n", "is not a finite number"),
        ("row,top\n7,0.1\n3,\n12,0.1\n5,0.1\n", "has no value in column top at line 2"),
        ("row,top\n7,0.1\n3,__import__('os')\n12,0.1\n5,0.1\n", "column top holds \"__import__('os')\""),
        ("row,top\n7,0.1\n3,0.1,0.2\n12,0.1\n5,0.1\n", "and 2 columns"),
        ("row,top\n7,0,1\n3,0,1\n12,0,1\n5,0,1\n", "a decimal comma counts as one more: write 0.5, not 0,5"),
        ('row,top\n7,"0,1"\n3,0.1\n12,0.1\n5,0.1\n', "it must hold numbers, with a decimal point (0.5, not 0,5)"),
        (
            "row;top\n7;0,1\n",
            "separates its columns by semicolons; write commas between columns, and numbers with a decimal point",
        ),
        ("row,top\r7,0.1\r3,0.1\r12,0.1\r5,0.1\r", "ends its lines with a carriage return alone"),
        ("7,0.1\n3,0.1\n", "has the columns '7', '0.1'"),
        ("row,top\n", "4 rows of features.parquet"),
        ("row,top\n" + "7,0.1\n" * 9, "more than the 4 rows of features.parquet"),
        ("row,top,top\n7,0.1,0.2\n", "has the columns 'row', 'top', 'top'"),
        (
            "row,top\n7.5,0.1\n3,0.1\n12,0.1\n5,0.1\n",
            "column row holds '7.5' in line 1 of its data; it must hold integers",
        ),
        ("row,top\n99999999999999999999,0.1\n", "column row holds '99999999999999999999'"),
        ("x" * 100_000, "has the columns 'xxx"),
        ("\0\0\0\0", "is no text in UTF-8"),
    ],
)
def test_wrong_csv(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "predictions.csv").write_text(text)
    assert said in refused(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (gzip.compress(b"row,top\n7,0.1\n"), "is compressed with gzip and no text; write plain CSV"),
        ("row,top\n7,0.1\n".encode("utf-16"), "is no text in UTF-8 (UTF-16, perhaps)"),
        ("row,top\n7,0.1\n".encode("utf-16-le"), "is no text in UTF-8 (UTF-16, perhaps)"),
        (b"PAR1" + bytes(20), "is a Parquet file and no text"),
    ],
)
def test_no_csv(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "predictions.csv").write_bytes(content)
    assert refused(tmp_path).startswith(f"predictions.csv: {said}")


def header(text: str, version: tuple[int, int] = (1, 0)) -> bytes:
    packed = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + packed + text.encode()


PICKLE = b"cos\nsystem\n(S'touch /tmp/collidekit-was-here'\ntR."


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            header("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000, 1), }\n") + bytes(32),
            "which is not what it holds",
        ),
        (
            header("{'descr': '<f8', 'fortran_order': False, 'shape': (4, 0, 1099511627776), }\n"),
            "has the shape (4, 0, 1099511627776)",
        ),
        (
            header("{'descr': '|O', 'fortran_order': False, 'shape': (4,), }\n") + PICKLE,
            "holds Python objects (a pickle), which are never read",
        ),
        (
            header("{'descr': [('a', '|O')], 'fortran_order': False, 'shape': (4,), }\n") + PICKLE,
            "holds Python objects (a pickle)",
        ),
        (
            header("{'descr': '<f8', 'fortran_order': False, 'shape': (-4,), }\n") + bytes(32),
            "which is not what it holds",
        ),
        (
            header("{'descr': '<c16', 'fortran_order': False, 'shape': (4,), }\n") + bytes(64),
            "holds complex128; save real numbers",
        ),
        (
            header("{'descr': '<f16', 'fortran_order': False, 'shape': (4,), }\n") + bytes(64),
            "save real numbers of at most 8 bytes",
        ),
        (header("{'descr': '<U2', 'fortran_order': False, 'shape': (4,), }\n") + bytes(32), "save real numbers"),
        (
            header("{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }\n") + bytes(24),
            "has the shape (3,); it must be (4, 1) or (4,)",
        ),
        (
            header("{'descr': '<f8', 'fortran_order': False, 'shape': (4,), }\n") + bytes(31),
            "which is not what it holds",
        ),
        (
            header("__import__('os').system('touch /tmp/collidekit-was-here')\n") + bytes(32),
            "is not a npy file with a plain header",
        ),
        (
            header("{'descr': '<f8', 'shape': (" + "4," * 100_000 + ")}\n", (2, 0)),
            "is not a npy file with a plain header",
        ),
        (
            header("{'descr': '<f8', 'fortran_order': False, 'shape': (4,), }\n", (3, 0)) + bytes(32),
            "has a format of npy that is not read",
        ),
        (
            header("{'descr': '<f8', 'fortran_order': False, 'shape': (0, 4), }\n"),
            "has the shape (0, 4), and so no number at all",
        ),
        (PICKLE, "is not a npy file"),
        (b"\x93NUMPY", "is not a npy file"),
        (b"PK\x03\x04" + bytes(100), "is not a npy file"),
    ],
)
def test_wrong_npy(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "predictions.npy").write_bytes(content)
    assert said in refused(tmp_path)
    assert not Path("/tmp/collidekit-was-here").exists()


def test_a_pickle_by_name(tmp_path: Path) -> None:
    (tmp_path / "predictions.pkl").write_bytes(pickle.dumps([0.1]))
    assert (
        refused(tmp_path)
        == "/output holds no predictions.parquet, predictions.csv or predictions.npy; there is 'predictions.pkl' (pickles are never read)"
    )


@pytest.mark.usefixtures("own_process")
def test_a_parquet_bomb(tmp_path: Path) -> None:
    """A small file that unpacks to far more than its rows need."""
    bomb = pa.table({"row": np.zeros(10_000_000, np.int64), "top": np.zeros(10_000_000)})
    pq.write_table(bomb, tmp_path / "predictions.parquet", compression="zstd", use_dictionary=False)
    assert (tmp_path / "predictions.parquet").stat().st_size < 1 << 20
    assert "has 10000000 rows; it must have the 4 rows" in refused(tmp_path)
    text = pa.table({"row": KEYS, "top": TOP, "x": ["x" * (20 << 20)] * 4})
    pq.write_table(text, tmp_path / "predictions.parquet", compression="zstd", use_dictionary=False)
    assert "and no others" in refused(tmp_path)


@pytest.mark.usefixtures("own_process")
def test_a_parquet_file_that_lies_about_its_rows(tmp_path: Path) -> None:
    """The footer says 4 rows, the pages hold far more: reading takes no more than the reader may take."""
    many = 4_000_000
    parquet(
        tmp_path / "predictions.parquet",
        {"row": np.zeros(many, np.int64), "top": np.zeros(many)},
        use_dictionary=False,
        compression="zstd",
    )
    content = (tmp_path / "predictions.parquet").read_bytes()
    changed = content.replace(_varint(many), _padded(4, len(_varint(many))))
    assert changed != content
    (tmp_path / "predictions.parquet").write_bytes(changed)
    assert refused(tmp_path).startswith("predictions.parquet: ")


def _varint(number: int) -> bytes:
    """A number as Thrift's compact protocol writes it."""
    number, found = number * 2, bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def _padded(number: int, length: int) -> bytes:
    return bytes([number * 2 | 128, *[128] * (length - 2), 0])


@pytest.mark.parametrize("cut", [0, 1, 4, 100, 300, -1, -8])
def test_damaged_parquet(tmp_path: Path, cut: int) -> None:
    parquet(tmp_path / "predictions.parquet", {"row": KEYS, "top": TOP})
    content = (tmp_path / "predictions.parquet").read_bytes()
    (tmp_path / "predictions.parquet").write_bytes(content[:cut])
    assert refused(tmp_path).startswith("predictions.parquet: ")


def test_flipped_bits_end_in_numbers_or_one_sentence(tmp_path: Path) -> None:
    file = io.BytesIO()
    pq.write_table(pa.table({"row": KEYS, "top": TOP}), file)
    content, generator = file.getvalue(), np.random.default_rng(1)
    for place in generator.choice(len(content), 200, replace=False):
        changed = bytearray(content)
        changed[place] ^= 1 << int(generator.integers(8))
        (tmp_path / "predictions.parquet").write_bytes(changed)
        with suppress(PredictionsError):
            found = read_predictions(tmp_path, benchmark(), KEYS)
            assert found.values.shape == (1, 4, 1)
            assert np.isfinite(found.values).all()


def test_two_files_or_none(tmp_path: Path) -> None:
    assert refused(tmp_path) == "/output holds no predictions.parquet, predictions.csv or predictions.npy"
    (tmp_path / "plot.png").write_bytes(b"x")
    np.save(tmp_path / "predictions.npy", TOP)
    assert read_predictions(tmp_path, benchmark(), KEYS).values.shape == (1, 4, 1)
    (tmp_path / "predictions.csv").write_text("row,top\n")
    assert "write exactly one of" in refused(tmp_path)
    (tmp_path / "predictions.csv").rename(tmp_path / "predictions_0.csv")
    assert "write exactly one of" in refused(tmp_path)


def test_links_pipes_and_devices(tmp_path: Path) -> None:
    target, truth = tmp_path / "output", tmp_path / "truth.csv"
    target.mkdir()
    truth.write_text("row,top\n" + "".join(f"{key},1\n" for key in KEYS))
    file = target / "predictions.csv"
    for make, said in (
        (lambda: file.symlink_to(truth), "is a symbolic link"),
        (lambda: os.link(truth, file), "is a hard link"),
        (lambda: os.mkfifo(file), "is a pipe"),
        (lambda: file.mkdir(), "is a folder"),
        (lambda: file.symlink_to(tmp_path / "nowhere"), "is a symbolic link"),
    ):
        make()
        assert refused(target) == f"predictions.csv: {said}; write a regular file"
        file.rmdir() if file.is_dir() and not file.is_symlink() else file.unlink()
    if os.geteuid() == 0:
        os.mknod(file, 0o20644, os.makedev(1, 5))
        assert "is a device" in refused(target)
    file.unlink(missing_ok=True)
    target.rename(tmp_path / "elsewhere")
    target.symlink_to(tmp_path / "elsewhere")
    assert refused(target).startswith("/output: cannot be read")


def test_the_size_is_looked_at_before_anything_is_read(tmp_path: Path) -> None:
    with (tmp_path / "predictions.npy").open("wb") as file:
        file.truncate(1 << 40)
    assert refused(tmp_path) == "predictions.npy: is larger than the limit of 2 MB for /output"
    (tmp_path / "predictions.npy").write_bytes(b"")
    assert refused(tmp_path) == "predictions.npy: is empty"


@pytest.mark.usefixtures("own_process")
def test_a_reader_that_is_ended_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("import os; os.kill(os.getpid(), 11)")
    monkeypatch.setattr(prediction_parser, "__file__", str(broken))
    np.save(tmp_path / "predictions.npy", TOP)
    assert refused(tmp_path) == "predictions.npy: cannot be read as npy; the reader ended with SIGSEGV"
    broken.write_text('print(\'{"runs": 1, "has_key": false}\')')
    assert refused(tmp_path) == "predictions.npy: cannot be read as npy"
    broken.write_text("print('nonsense')")
    assert refused(tmp_path) == "predictions.npy: cannot be read as npy"
