"""What ``check`` refuses in files that an organiser made: truth that the scorer cannot use, and leaks."""

import os
import shutil
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from toy_benchmarks import CONTENT, write_benchmark

from collidekit.benchmark.check import check_benchmark
from collidekit.benchmark.checksums import write_checksums
from collidekit.benchmark.definition import load_benchmark
from collidekit.errors import CollidekitError

ROWS = 100
PHASES = {
    name: {"samples": {"nominal": {"features": f"{name}.parquet", "truth": f"truth/{name}.parquet"}}}
    for name in ("public", "final")
}
INTERVALS = {
    "task": "intervals", "classes": [], "signal": "", "background": "", "truth_column": "mass", "output": {"columns": ["low", "high"]},
    "metrics": [{"name": "coverage_deviation", "metric": "coverage_deviation", "settings": {"level": 0.68}, "direction": "lower"}],
}  # fmt: skip


def change(folder, file, **columns):
    """Set columns of a file of a benchmark, and write the checksums again."""
    table = pq.read_table(folder / file)
    for name, values in columns.items():
        table = table.drop_columns([name]) if name in table.column_names else table
        table = table.append_column(name, values if isinstance(values, pa.Array) else pa.array(values))
    pq.write_table(table, folder / file)
    write_checksums(load_benchmark(folder))
    return load_benchmark(folder)


def labels(folder):
    return pq.read_table(folder / "truth/truth.parquet")["label"].to_numpy()


def test_good_files_pass(tmp_path):
    check_benchmark(write_benchmark(tmp_path / "one"))
    check_benchmark(write_benchmark(tmp_path / "two", phases=PHASES))
    write_benchmark(tmp_path / "c")
    order = np.random.default_rng(3).permutation(400)
    truth = tmp_path / "c/truth/truth.parquet"
    pq.write_table(pq.read_table(truth).take(order), truth)
    check_benchmark(change(tmp_path / "c", "truth/truth.parquet", weight=np.full(400, 2.0)))


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (lambda y: {"label": np.where(np.arange(ROWS) == 3, np.nan, y)}, "label nan"),
        (lambda y: {"label": pa.array([None, *y[1:].tolist()])}, "column label has 1 empty"),
        (lambda y: {"label": y + 1}, "label 2"),
        (lambda y: {"label": 2 * y - 1}, "label -1"),
        (lambda y: {"label": np.where(y, "top ", "qcd").tolist()}, "label 'top '"),
        (lambda y: {"label": np.ones(ROWS, int)}, "column label has one class only, top"),
        (lambda y: {"label": [[int(k)] for k in y]}, "column label holds lists"),
        (lambda y: {"weight": np.where(np.arange(ROWS) == 3, np.nan, 1.0)}, "weights of 1 rows are NaN"),
        (lambda y: {"weight": -np.ones(ROWS)}, "weights sum to -100"),
        (lambda y: {"weight": np.where(y, -0.1, 1.0)}, "the weights of class top sum to -"),
        (lambda y: {"weight": ["1"] * ROWS}, "column weight holds no numbers"),
    ],
)
def test_truth_that_no_submission_can_be_scored_with(columns, said, tmp_path):
    write_benchmark(tmp_path / "b", rows=ROWS)
    benchmark = change(tmp_path / "b", "truth/truth.parquet", **columns(labels(tmp_path / "b")))
    with pytest.raises(CollidekitError, match=said) as error:
        check_benchmark(benchmark)
    assert "truth/truth.parquet" in str(error.value)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.full(ROWS, np.nan), "column mass is NaN in all rows"),
        (np.where(np.arange(ROWS) == 3, np.inf, 1.0), "column mass is infinite in row 3"),
        (np.where(np.arange(ROWS) == 3, np.nan, np.random.default_rng(1).normal(size=ROWS)), None),
    ],
)
def test_truth_of_intervals(values, said, tmp_path):
    write_benchmark(tmp_path / "b", rows=ROWS, **INTERVALS)
    benchmark = change(tmp_path / "b", "truth/truth.parquet", mass=values)
    if said is None:
        check_benchmark(benchmark)
        return
    with pytest.raises(CollidekitError, match=said):
        check_benchmark(benchmark)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (lambda y: {"z": y}, "'z' is the truth"),
        (lambda y: {"z": -y.astype(float)}, "'z' is the truth"),
        (lambda y: {"z": y * 3.0 + 1}, "the class of every row follows from 'z'"),
        (lambda y: {"z": np.where(y, "a", "b").tolist()}, "the class of every row follows from 'z'"),
        (lambda y: {"z": [[1.0] * (1 + k) for k in y]}, "the class of every row follows from the length of 'z'"),
        (lambda y: {"label": np.zeros(ROWS)}, "has the column 'label'"),
        (lambda y: {"weight": np.zeros(ROWS)}, "has the column 'weight'"),
    ],
)
def test_features_that_show_the_truth(columns, said, tmp_path):
    write_benchmark(tmp_path / "b", rows=ROWS)
    benchmark = change(tmp_path / "b", "features.parquet", **columns(labels(tmp_path / "b")))
    with pytest.raises(CollidekitError, match=said):
        check_benchmark(benchmark)


def test_rows_in_the_order_of_the_classes(tmp_path):
    write_benchmark(tmp_path / "b", rows=ROWS)
    with pytest.raises(CollidekitError, match=r"follows from 'the key row'; put the rows in a random order"):
        check_benchmark(change(tmp_path / "b", "truth/truth.parquet", label=np.sort(labels(tmp_path / "b"))))


def test_decimal_labels_and_few_rows_pass_without_a_warning(tmp_path):
    write_benchmark(tmp_path / "b", rows=ROWS)
    y = labels(tmp_path / "b")
    check_benchmark(change(tmp_path / "b", "truth/truth.parquet", label=pa.array([Decimal(int(k)) for k in y])))
    check_benchmark(change(tmp_path / "b", "truth/truth.parquet", label=(np.arange(ROWS) == 3).astype(int)))


def test_the_truth_is_checked_whatever_the_order_of_the_columns(tmp_path):
    """Made-up intervals fit the names of the ends; else the check would end at the first metric."""
    metrics = [{"name": n, "metric": n, "direction": "lower"} for n in ("width", "coverage_deviation")]
    metrics[1]["settings"] = {"level": 0.68, "truth": "absent"}
    changed = {**INTERVALS, "output": {"columns": ["high", "low"]}, "metrics": metrics}
    write_benchmark(tmp_path / "b", rows=ROWS, **changed)
    benchmark = change(tmp_path / "b", "truth/truth.parquet", mass=np.random.default_rng(1).normal(size=ROWS))
    with pytest.raises(CollidekitError, match="the truth has no column 'absent'"):
        check_benchmark(benchmark)


@pytest.mark.parametrize("names", [("a/x.parquet", "b/x.parquet"), ("a/x.parquet", "a/x.parquet")])
def test_training_files_of_one_name_are_refused(names, tmp_path):
    for name in names:
        (tmp_path / "b" / name).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"q": [1, 2]}), tmp_path / "b" / name)
    with pytest.raises(CollidekitError, match=r"two files for participants would both be /data/training/x\.parquet"):
        check_benchmark(write_benchmark(tmp_path / "b", rows=ROWS, training=list(names)))


def test_two_phases_with_the_same_rows(tmp_path):
    write_benchmark(tmp_path / "b", phases=PHASES)
    x = pq.read_table(tmp_path / "b/public.parquet")["x"].to_numpy()
    y = pq.read_table(tmp_path / "b/final.parquet")["x"].to_numpy()
    with pytest.raises(CollidekitError, match="7 rows of phase final have the features of rows of phase public"):
        check_benchmark(change(tmp_path / "b", "final.parquet", x=np.concatenate([x[50:57], y[7:]])))


def test_coarse_features_are_equal_by_chance(tmp_path):
    write_benchmark(tmp_path / "b", phases=PHASES)
    for name in ("public", "final"):
        x = pq.read_table(tmp_path / f"b/{name}.parquet")["x"].to_numpy()
        benchmark = change(tmp_path / "b", f"{name}.parquet", x=np.round(x, 1))
    check_benchmark(benchmark)


def test_a_training_file_with_the_truth_of_the_test(tmp_path):
    write_benchmark(tmp_path / "b", rows=ROWS)
    file = tmp_path / "b/benchmark.yaml"
    file.write_text(yaml.safe_dump({**CONTENT, "training": ["training.parquet"]}, sort_keys=False))
    truth = pq.read_table(tmp_path / "b/truth/truth.parquet")
    pq.write_table(truth, tmp_path / "b/training.parquet", compression="none")
    write_checksums(load_benchmark(tmp_path / "b"))
    with pytest.raises(CollidekitError, match="has the truth of the test sample public/nominal"):
        check_benchmark(load_benchmark(tmp_path / "b"))


def test_a_key_beyond_63_bits(tmp_path):
    write_benchmark(tmp_path / "b", rows=ROWS)
    keys = np.arange(ROWS, dtype=np.uint64) + np.uint64(2**63)
    change(tmp_path / "b", "truth/truth.parquet", row=keys)
    with pytest.raises(CollidekitError, match=r"keys must be at most 9223372036854775807 \(2\^63 - 1\)"):
        check_benchmark(change(tmp_path / "b", "features.parquet", row=keys))


@pytest.mark.parametrize("how", ["spelling", "link", "hard link", "copy"])
def test_truth_as_a_public_file(how, tmp_path):
    write_benchmark(tmp_path / "b", rows=ROWS)
    truth, name = tmp_path / "b/truth/truth.parquet", "public/more.parquet"
    (tmp_path / "b/public").mkdir()
    if how == "spelling":
        name = "truth//./truth.parquet"
    elif how == "link":
        (tmp_path / "b" / name).symlink_to(truth)
    elif how == "hard link":
        os.link(truth, tmp_path / "b" / name)
    else:
        shutil.copyfile(truth, tmp_path / "b" / name)
    for key in ("training", "public"):
        content = yaml.safe_load(yaml.safe_dump(CONTENT))
        (content if key == "training" else content["phases"]["public"]["samples"]["nominal"])[key] = [{"path": name}]
        (tmp_path / "b/benchmark.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        with pytest.raises(CollidekitError, match=r"truth.*would be given to the participants"):
            write_checksums(load_benchmark(tmp_path / "b"))
