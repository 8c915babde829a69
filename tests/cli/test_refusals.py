"""One-line errors and warnings for problems in users' files."""

from collections.abc import Callable
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import toys
from tests.cli.conftest import Run, Trained
from tests.cli.samples import ANALYSIS, jets, write_root
from typer.testing import CliRunner

from collidekit.analysis.load import parse_analysis
from collidekit.attacks.settings import AttackSettings
from collidekit.cli import app
from collidekit.errors import CollidekitError
from collidekit.tasks.robustness import attack_plan


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str]]:
    """Run ``check`` on a toy file; return the exit code and the output in one line."""
    monkeypatch.chdir(tmp_path)

    def run(text: str, table: ak.Array | None = None, *more: str) -> tuple[int, str]:
        (tmp_path / "toy.yaml").write_text(text)
        toys.write_table(tmp_path / "rows.root", toys.toy_table(300) if table is None else table)
        done = CliRunner().invoke(app, ["check", "toy.yaml", "rows.root", *more], env={"COLUMNS": "200"})
        return done.exit_code, " ".join(done.output.split())

    return run


def test_a_process_without_files_is_said(check: Callable[..., tuple[int, str]]) -> None:
    code, said = check(toys.TOY + "processes: {all: {files: '*.root'}, more: {files: 'zz_*'}}\n")
    assert code == 0
    assert "process 'more': no input file matches 'zz_*', so it contributes no rows" in said
    assert "no problems" not in said


def test_a_wrong_setting_is_said_before_any_verdict(check: Callable[..., tuple[int, str]]) -> None:
    code, said = check(toys.TOY + "training: {epochs: true}\n")
    assert code == 2
    assert "training.epochs: must be a number, got True" in said
    assert "no problems" not in said


def test_test_files_that_are_training_files(check: Callable[..., tuple[int, str]]) -> None:
    code, said = check(toys.TOY, None, "-t", "rows.root")
    assert code == 2
    assert "test rows have an event number (event) of the training files" in said


def test_an_event_number_that_is_a_condition(check: Callable[..., tuple[int, str]]) -> None:
    table = ak.with_field(toys.toy_table(300), np.arange(300) % 2 == 0, "event")
    code, said = check(toys.TOY, table)
    assert code == 2
    assert "'event' is a condition; an event number is needed" in said


def test_a_unit_that_cannot_be_drawn(check: Callable[..., tuple[int, str]]) -> None:
    code, said = check(toys.TOY + "units: {jet_pt: '$\\frac{$'}\n")
    assert code == 2
    assert "is not LaTeX that can be drawn" in said


@pytest.mark.parametrize("magnitude", [np.nan, np.inf, -1.0])
def test_magnitudes_that_are_none(magnitude: float) -> None:
    with pytest.raises(CollidekitError, match=r"--magnitudes: .* is not a magnitude"):
        attack_plan(["fgsm"], [0.1, magnitude], AttackSettings())


def test_more_bins_than_memory_holds() -> None:
    edges = list(range(1002))
    text = toys.TOY.replace("{jet_pt: [0, 40, 60, 80, 200],", f"{{jet_pt: {edges}, jet_mass: {edges},")
    with pytest.raises(CollidekitError, match=r"toy.yaml:\d+: .*1,002,001 bins are too many \(at most 1,000,000\)"):
        parse_analysis(text, "toy.yaml")


@pytest.mark.parametrize("weight", [np.nan, np.inf])
def test_weights_of_rows_to_predict(trained: Trained, run: Run, tmp_path: Path, weight: float) -> None:
    weights = np.ones(50)
    weights[5] = weight
    write_root(tmp_path / "odd.root", jets(50, seed=4, jet_weight=weights))
    (tmp_path / "weighted.yaml").write_text(ANALYSIS + "weight: jet_weight\n")
    words = [
        trained.task,
        tmp_path / "odd.root",
        "-o",
        tmp_path / "out.parquet",
        "--analysis",
        tmp_path / "weighted.yaml",
    ]
    result = run("predict", *words)
    assert result.exit_code == 2
    assert "odd.root: row 5: the weight 'jet_weight' is" in " ".join(result.output.split())
    assert not (tmp_path / "out.parquet").exists()
