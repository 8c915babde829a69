"""Test files that are training files, and files of two processes."""

import shutil
from pathlib import Path

import pytest

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
