"""Output in a terminal: progress bars at 80 columns, ``--quiet``, ``--json``, completion, metavars."""

import io
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from luigi.task_register import Register
from rich.console import Console
from rich.progress import BarColumn, Progress
from tests.cli.conftest import Run, Trained, invoke
from typer.main import get_command

from collidekit.cli import app, complete
from collidekit.progress import Times, _Rate, bar_width, description_column
from collidekit.shown import clock
from collidekit.training.display import HEADER_EVERY, Display
from collidekit.verbosity import VARIABLE, is_warning


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Reset the variable that ``--quiet`` sets in the process."""
    monkeypatch.setenv(VARIABLE, "0")
    yield
    os.environ.pop(VARIABLE, None)


def screen(width: int) -> Console:
    return Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)


@pytest.mark.parametrize("width", [80, 120])
def test_a_bar_keeps_its_times(width: int) -> None:
    console = screen(width)
    bar = Progress(
        description_column(console), BarColumn(bar_width=bar_width(console)), _Rate(), Times(), console=console
    )
    task = bar.add_task("Predicting with " + "a_long_path/" * 12, total=1_000_000_000, unit="rows")
    bar.update(task, completed=250_000_000)
    bar.tasks[0].start_time = time.monotonic() - 75
    console.print(bar.get_renderable())
    (line,) = [line for line in console.file.getvalue().splitlines() if "Predicting" in line]  # type: ignore[attr-defined]
    assert re.search(r"1:1\d < \S+ *$", line), line
    assert "250,000," in line
    assert len(line.rstrip()) <= width


@pytest.mark.parametrize("width", [80, 120])
def test_the_bar_of_a_training_keeps_its_times(width: int) -> None:
    console = screen(width)
    display = Display(console=console)
    display.begin(100, 200, 1000, 0)
    for _ in range(3):
        display.step(0.12345, 0.23456, 123_456, 1e-3)
    display._bar.tasks[0].start_time = time.monotonic() - 75
    console.print(display._bar.get_renderable())
    (line,) = [line for line in console.file.getvalue().splitlines() if "Epoch 100/200" in line]  # type: ignore[attr-defined]
    assert re.search(r"1:1\d < [\d:-]+", line), line
    assert "loss 0.1235" in line
    assert len(line.rstrip()) <= width


def test_clock() -> None:
    assert [clock(value) for value in (None, 7, 67, 3607, 100_000)] == ["-:--", "0:07", "1:07", "1:00:07", "27:46:40"]


def test_a_log_of_200_epochs_has_a_line_each_and_headers_between() -> None:
    console = Console(file=io.StringIO(), width=80, soft_wrap=True)
    display = Display(console=console)
    row = {"train_loss": 1.0, "val_loss": 1.0, "rows_per_second": 1.0, "learning_rate": 0.1}
    with display:
        display.header()
        for epoch in range(1, 201):
            display.begin(epoch, 200, 50, 0)
            for _ in range(50):
                display.step(1.0, 1.0, 1.0, 0.1)
            display.end({"epoch": epoch, **row}, False, {}, {})
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 200 + 200 // HEADER_EVERY
    assert sum(line.startswith("epoch") for line in lines) == 200 // HEADER_EVERY
    assert "\r" not in console.file.getvalue()  # type: ignore[attr-defined]


def test_quiet_prints_results_and_warnings_alone(trained: Trained, tmp_path: Path) -> None:
    Register.clear_instance_cache()
    result = invoke([*trained.words, "--quiet", "--seed", "3"], tmp_path / "quiet")
    assert result.exit_code == 0, result.output
    lines = [line for line in result.stdout.splitlines() if line.strip()]
    assert "epoch" not in result.output
    assert "Constructing" not in result.output
    assert "SvsB" in result.output
    assert lines[-1].startswith("Report: ")
    Register.clear_instance_cache()
    again = invoke([*trained.words, "-q", "--seed", "3"], tmp_path / "quiet").stdout.splitlines()
    assert again[-1].startswith("Report (existing result): ")


def test_warnings_are_told_by_their_colour() -> None:
    assert is_warning("  [yellow]12 rows have a negative weight[/yellow]")
    assert is_warning("[bold red]TESTED ON TRAINING ROWS[/bold red]")
    assert not is_warning("[bold green]Report[/bold green]: x")


def test_check_as_json(trained: Trained, run: Run) -> None:
    result = run("check", trained.analysis, trained.training, "--test-files", trained.training, "--json")
    assert result.exit_code == 2, "errors still end it"
    found = json.loads(result.stdout)
    assert found["format"] == "collidekit check 1"
    assert any("both" in text or "training" in text for text in found["errors"])
    training = found["parts"][0]
    assert (training["entries"], sum(training["classes"].values())) == (400, training["rows"])
    assert {entry["feature"] for entry in found["features"]} >= {"jet_pt", "part_d0"}
    assert found["estimate"]["rows"] > 0
    assert run("check", trained.analysis, trained.training, "--quiet").output.count("\n") < 8


def test_models_as_json(run: Run) -> None:
    found = json.loads(run("models", "--json").stdout)
    assert found["format"] == "collidekit models 1"
    names = [model["name"] for model in found["models"]]
    assert "top-tagging/pfn" in names
    (one,) = json.loads(run("models", "top-tagging/pfn", "--json").stdout)["models"]
    assert one == found["models"][names.index("top-tagging/pfn")]
    assert one["scores"][0]["auc"] > 0.9


def test_values_are_completed(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained.folder)
    monkeypatch.setenv("COLLIDEKIT_OUTPUT", str(trained.folder / "results"))
    assert "jet_flavour" in complete.analyses("jet")
    assert "jets.yaml" in complete.analyses("jets.")
    assert "pfn" in complete.networks("p")
    assert "top-tagging/pfn" in complete.checkpoints("top-tagging/p")
    assert trained.task.name in complete.runs(trained.task.name[:3])
    assert "results/" in complete.runs("res")
    assert complete.trained_analyses("") == ["jets"]
    assert complete.analyses("no_such_folder/x") == []


def test_every_option_says_what_its_value_is() -> None:
    """Metavars are not TEXT, INTEGER or <bool>."""
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        for parameter in command.params:
            if parameter.param_type_name == "option" and parameter.name != "help":
                assert parameter.metavar is not None, f"{name}: {parameter.name}"
                assert (parameter.metavar == "") == parameter.is_flag, f"{name}: {parameter.name}"
