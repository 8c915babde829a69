"""Test files that are training files, and files of two processes."""

import shutil
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import toys

import collidekit as ck
from collidekit.analysis.load import parse_analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.manifest import read_manifest
from collidekit.dataset.overlap import overlap_note
from collidekit.dataset.rows import _process
from collidekit.errors import CollidekitError

SAMPLES = Path(__file__).parents[2] / "samples" / "top_tagging"


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    folder = tmp_path_factory.mktemp("overlap")
    shutil.copy(SAMPLES / "test.root", folder / "copy.root")
    plan = ck.load_plan("top_tagging")
    for name, file in (
        ("one", SAMPLES / "test.root"),
        ("copy", folder / "copy.root"),
        ("other", SAMPLES / "train.root"),
    ):
        ck.construct(plan, str(file), folder / name)
    return {name: read_manifest(folder / name) for name in ("one", "copy", "other")}


def test_a_copy_of_the_training_file_is_named(manifests: dict[str, object]) -> None:
    note = overlap_note(manifests["one"], manifests["copy"])  # type: ignore[arg-type]
    assert "TESTED ON TRAINING ROWS" in note
    assert "1 of 1 test files (copy.root)" in note


def test_another_file_is_not(manifests: dict[str, object]) -> None:
    assert not overlap_note(manifests["one"], manifests["other"])  # type: ignore[arg-type]


def test_a_file_of_two_processes_is_an_error() -> None:
    text = """
classes: {a: label == 0, b: label == 1}
inputs: {ev: {features: [x]}}
processes: {tt: {files: "ttbar_*", weight: 1.0}, tthad: {files: "ttbar_had_*", weight: 100.0}}
"""
    plan = Plan(*parse_analysis(text))
    assert _process(plan, "in/ttbar_1.root") == (0, 1.0)
    assert _process(plan, "in/qcd_1.root") == (-1, 1.0)
    with pytest.raises(CollidekitError, match=r"ttbar_had_1.root: belongs to the processes 'tt' .* and 'tthad'"):
        _process(plan, "in/ttbar_had_1.root")


def gaussians(rows: int, seed: int, first: int = 0) -> ak.Array:
    table = toys.gaussians_table(rows, 1.0, seed)
    return ak.with_field(table, first + np.arange(rows), "event")


def note(folder: Path, training: ak.Array, test: ak.Array, text: str = toys.GAUSSIANS) -> str:
    made = [toys.make_dataset(folder / name, text, rows) for name, rows in (("training", training), ("test", test))]
    return overlap_note(made[0].manifest, made[1].manifest)


@pytest.mark.parametrize("with_event", [True, False])
def test_training_rows_in_another_file_are_named(tmp_path: Path, with_event: bool) -> None:
    text = toys.GAUSSIANS if with_event else toys.GAUSSIANS.replace("event: [event]\n", "")
    training, fresh = gaussians(300, 1), gaussians(200, 2, first=1000)
    said = note(tmp_path, training, ak.concatenate([training[100:150], fresh]), text)
    assert said.startswith("TESTED ON TRAINING ROWS: 50 of 250 test rows (20.0%) have the inputs of training rows")


def test_fresh_rows_say_nothing(tmp_path: Path) -> None:
    assert note(tmp_path, gaussians(300, 1), gaussians(200, 2, first=1000)) == ""


def test_event_numbers_that_begin_anew_are_no_alarm(tmp_path: Path) -> None:
    said = note(tmp_path, gaussians(300, 1), gaussians(200, 2))
    assert said.startswith("200 of 200 test rows (100.0%) have an event number (event) of the training files but other")


def test_rows_without_constituents_are_no_training_rows(tmp_path: Path) -> None:
    """They are equal to each other, and there may be many."""
    text = """
classes: {a: label == 0, b: label == 1}
inputs: {tracks: {limit: 5, features: [d0]}}
"""
    random = np.random.default_rng(3)
    counts = [random.integers(0, 3, 200) for _ in range(2)]
    tables = [
        ak.Array({"label": np.arange(200) % 2, "d0": ak.unflatten(random.normal(size=n.sum()), n)}) for n in counts
    ]
    assert note(tmp_path, *tables, text=text) == ""


def test_one_column_of_all_shards(tmp_path: Path) -> None:
    dataset = toys.make_dataset(tmp_path, toys.TOY, toys.toy_table(1500), chunk_size=600)
    batch = toys.all_rows(dataset)
    assert dataset.column("key").tolist() == batch.keys.tolist()
    assert dataset.column("weight").tolist() == batch.weights.tolist()


def test_a_damaged_shard_is_one_clear_error(tmp_path: Path) -> None:
    dataset = toys.make_dataset(tmp_path, toys.TOY, toys.toy_table(1500))
    shard = dataset.blocks[0].path
    content = bytearray(shard.read_bytes())
    for block in dataset.blocks:
        content[block.offset + 8 : block.offset + block.bytes] = b"\xff" * (block.bytes - 8)
    shard.write_bytes(content)
    with pytest.raises(
        CollidekitError, match=r"shard_00000.arrow: is damaged: column 'key' cannot be read .*constructs"
    ):
        dataset.column("key")
