"""``collidekit clean``: the table, the question, and the remaining files."""

import json
import os
import pty
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result
from luigi.task_register import Register
from tests.cli.conftest import Run, Trained, invoke
from typer.testing import CliRunner

from collidekit.cli import app
from collidekit.outputs.find import VERSIONS

ELSEWHERE = {  # made on request, or for other targets than classes of rows
    "ImportanceTask", "SignificanceTask", "RobustnessTask", "CompareTask", "GridTask", "SearchTask", "ExportTask",
    "ResidualTask", "AssignmentTask", "ReconstructionTask",
    "ConstructionPartTask", "PredictionPartTask",
}  # fmt: skip
UNUSED = "DatasetConstructorTask/jets/extra/0123456789"


def age(results: Path, hours: float = 3) -> None:
    for path in (results, *results.rglob("*")):
        os.utime(path, (time.time() - hours * 3600,) * 2)


@pytest.fixture
def results(tmp_path: Path, trained: Trained) -> Iterator[Path]:
    """Outputs of a run three hours ago, and an unused dataset."""
    folder = tmp_path / "results"
    shutil.copytree(trained.folder / "results", folder)
    (folder / UNUSED).mkdir(parents=True)
    (folder / UNUSED / "shard_00000.arrow").write_bytes(b"x" * 8_400_000)
    (folder / UNUSED / "run.json").write_text(json.dumps({"settings": {}}))
    age(folder)
    Register.clear_instance_cache()  # the same parameters are other tasks in another folder
    yield folder
    Register.clear_instance_cache()


def snapshot(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("words", [["clean"], ["clean", "--remove"], ["clean", "--remove", "--yes"]])
def test_no_results_is_no_error(run: Run, words: list[str]) -> None:
    result = run(*words)
    assert result.exit_code == 0
    assert result.stdout.count("\n") == 1
    assert "there are no outputs here yet" in result.stdout or "there is nothing to remove" in result.stdout


def test_each_output_has_a_row_and_nothing_is_removed(run: Run, results: Path) -> None:
    before = snapshot(results)
    said = run("clean").output
    rows = [line.split() for line in said.splitlines() if line.strip().partition("/")[0] in VERSIONS]
    assert {row[0].partition("/")[0] for row in rows} == set(VERSIONS) - ELSEWHERE
    assert rows[0] == [UNUSED, "8.4", "MB", "3", "h", "unused"], "the largest first"
    states = {row[0].partition("/")[0]: " ".join(row[5:]) for row in rows}
    assert states["TrainingTask"] == "used by 1"
    assert states["InferenceTask"] == "used by 3"
    assert states["ReportTask"] == "result"
    assert f"{len(rows)} outputs" in said
    assert "8.4 MB  1 unused dataset" in said
    assert "collidekit clean --remove would free 8.4 MB." in said
    assert snapshot(results) == before


def test_the_table_fits_into_80_columns(results: Path) -> None:
    done = CliRunner().invoke(app, ["clean"], env={"COLUMNS": "80", "COLLIDEKIT_OUTPUT": str(results), "TERM": "dumb"})
    table = [line.rstrip() for line in done.output.splitlines()[1:]]
    assert max(map(len, table)) <= 80
    assert f"   {UNUSED.partition('/')[2]}" in table, "under its task"
    assert not any("…" in line for line in table)


def test_removes_what_is_unused_and_a_run_finds_the_rest(run: Run, results: Path, trained: Trained) -> None:
    before = snapshot(results)
    result = run("clean", "--remove", "--yes")
    assert result.exit_code == 0
    assert f"8.4 MB  {UNUSED}" in result.output
    assert result.output.splitlines()[-1] == "Freed 8.4 MB"
    assert before - snapshot(results) == {path for path in before if path.is_relative_to(results / UNUSED)}
    assert "existing result" in invoke(trained.words, results).output
    assert "there is nothing to remove" in run("clean", "--remove").output


def test_a_dataset_is_free_when_its_outputs_are_gone_and_is_made_again(
    run: Run, results: Path, trained: Trained
) -> None:
    table = next(results.glob("ROCCurveTask/**/roc.csv")).read_bytes()
    for task in set(VERSIONS) - ELSEWHERE - {"DatasetConstructorTask"}:
        shutil.rmtree(results / task)
    assert "3 unused datasets" in run("clean").output
    assert run("clean", "--remove", "--yes").exit_code == 0
    assert snapshot(results) == set()
    assert invoke(trained.words, results).exit_code == 0
    assert next(results.glob("ROCCurveTask/**/roc.csv")).read_bytes() == table


def test_without_a_terminal_it_needs_yes(results: Path, refused: Callable[..., str]) -> None:
    before = snapshot(results)
    assert "add --yes" in refused("clean", "--remove")
    assert snapshot(results) == before


@pytest.mark.parametrize(("answer", "removed"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_asks_in_a_terminal(results: Path, answer: str, removed: bool) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, answer.encode())
    done = subprocess.run(
        [sys.executable, "-m", "collidekit", "clean", "--remove"],
        stdin=theirs, capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "COLLIDEKIT_OUTPUT": str(results)},
    )  # fmt: skip
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 0, done.stderr
    assert "[y/N]" in done.stdout
    assert ("Freed 8.4 MB" in done.stdout) == removed
    assert ("Nothing was removed." in done.stdout) != removed
    assert (results / UNUSED).exists() != removed


def test_states_are_explained(run: Run, results: Path) -> None:
    def place(name: str) -> Path:
        return results / "TrainingTask" / "other" / "v1" / "v1" / name

    for name in ("0000000001", "0000000002", "0000000003", ".0000000004.77.removed"):
        place(name).mkdir(parents=True)
        (place(name) / "history.csv").touch()
    (place("0000000001") / "last.pt").touch()
    (place("0000000002") / "run.json").write_text("{")
    age(results)
    (place("0000000003") / "last.pt").touch()
    result = run("clean")
    assert result.exit_code == 0
    for state in ("unused", "interrupted", "damaged", "being made", "half removed"):
        assert f"  {state}:" in result.output
    assert "1 half-removed output" in result.output


def test_checkpoints(run: Run, results: Path) -> None:
    (history,) = results.glob("TrainingTask/**/history.csv")
    history.write_text("epoch,val_loss\n1,0.1\n2,0.3\n3,0.2\n")
    for epoch in (2, 3):
        shutil.copy(history.with_name("model_1.pt"), history.with_name(f"model_{epoch}.pt"))
    age(results)
    said = run("clean").output
    assert "1 checkpoint of epochs that are neither the best nor the last (with --checkpoints)" in said
    assert "would free 8.4 MB, with --checkpoints 8." in said
    assert "clean --remove --checkpoints would free 8." in run("clean", "--checkpoints").output
    run("clean", "--remove", "--yes")
    assert "collidekit clean --remove --checkpoints would free" in run("clean").output
    assert _removed(run("clean", "--remove", "--checkpoints", "--yes"), ": 1 file")
    assert sorted(path.name for path in history.parent.glob("model_*.pt")) == ["model_1.pt", "model_3.pt"]
    assert "Nothing here can be removed without loss." in run("clean").output


def _removed(result: Result, said: str) -> bool:
    return result.exit_code == 0 and said in result.output and "Freed" in result.output
