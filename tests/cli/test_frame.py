"""General behaviour of the command: help, version, exit codes, and one-line errors."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Run, Trained
from tests.cli.samples import jets, write_root

from collidekit import __version__

VERBS = ["demo", "run", "predict", "models", "publish", "init", "check", "trace", "simulate", "clean"]


def command(*words: object, folder: Path) -> subprocess.CompletedProcess[str]:
    code = "from collidekit.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, words)],
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "COLUMNS": "100"},
        timeout=120,
    )


def test_help_names_every_verb_and_each_has_a_page(run: Run) -> None:
    page = run("--help").output
    for verb in VERBS:
        assert verb in page
        own = run(verb, "--help")
        assert own.exit_code == 0
        assert f"Example: collidekit {verb}" in own.output
        assert "Writes" in own.output


def test_version(run: Run) -> None:
    assert run("--version").output == f"collidekit {__version__}\n"


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from collidekit.cli import app; CliRunner().invoke(app, ['--help']);"
        "print(sorted({'torch', 'law', 'luigi', 'awkward', 'numpy', 'uproot', 'coffea', 'pydantic'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("words", [["nothing"], ["predict"], ["run", "x", "--nothing"], ["trace", "a", "b", "c"]])
def test_usage_errors_have_exit_code_2(run: Run, words: list[str]) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert "Usage" in result.stderr


def test_an_error_is_one_line_on_stderr(tmp_path: Path) -> None:
    done = command("trace", "nothing.yaml", "a.root", 0, folder=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "error: nothing.yaml: there is no such analysis file\n"


def test_a_missing_branch_in_a_real_process(tmp_path: Path, trained: Trained) -> None:
    columns = jets(30)
    columns["jet_m"] = columns.pop("jet_mass")
    write_root(tmp_path / "a.root", columns)
    done = command("--output", tmp_path / "out", "run", trained.analysis, "-f", "a.root", folder=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert "did you mean 'jet_m'" in done.stderr
    assert not list(tmp_path.rglob("manifest.json"))


@pytest.mark.parametrize(("words", "next_time"), [(["run", "x"], "to continue"), (["init", "x"], "to restart it")])
def test_an_interrupt_says_what_it_means(
    run: Run, monkeypatch: pytest.MonkeyPatch, words: list[str], next_time: str
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("collidekit.tasks.to_report.report_task", interrupted)
    monkeypatch.setattr("collidekit.starter.starter.start_analysis", interrupted)
    result = run(*words)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: interrupted; no incomplete file was written")
    assert next_time in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_full_disk_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "somewhere/x.root")

    monkeypatch.setattr("collidekit.starter.starter.start_analysis", full)
    result = run("init", "x")
    assert result.exit_code == 2
    assert result.stderr == "error: somewhere/x.root: No space left on device\n"


def test_simulate_refuses_what_it_cannot_do(run: Run) -> None:
    for words, said in (
        (("higgs", "-n", "5", "-o", "x.root"), "unknown sample 'higgs'"),
        (("top-tagging", "-n", "0", "-o", "x.root"), ""),
        (("top-tagging", "-n", "5", "-o", "no/such/x.root"), ""),
    ):
        result = run("simulate", *words)
        assert result.exit_code == 2
        assert said in result.stderr
        assert result.stderr.startswith("error: ")


def test_simulate_writes_the_jets(tmp_path: Path, run: Run) -> None:
    pytest.importorskip("pythia8mc")
    pytest.importorskip("fastjet")
    import uproot

    result = run("simulate", "jet-flavour", "-n", "4", "-o", "jets.root", "--seed", "3")
    assert result.exit_code == 0, result.output
    assert uproot.open(f"{tmp_path}/jets.root:tree").num_entries == 4


def test_ctrl_c_in_a_training(tmp_path: Path, trained: Trained) -> None:
    words = ["run", trained.analysis, "-f", trained.training, "--epochs", "100000"]
    code = (  # a shell that started the tests in the background would have had interrupts ignored
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from collidekit.cli import main; main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-u", "-c", code, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip().startswith("1 "):
            break
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "Traceback" not in said
    assert said.splitlines()[-1].endswith("run the same command again to continue")
    assert not list(tmp_path.rglob("*.part*"))


@pytest.mark.parametrize("before", [True, False])
def test_the_folder_of_results_may_be_named_before_and_after_the_verb(tmp_path: Path, before: bool) -> None:
    words = ["--output", "elsewhere", "clean"] if before else ["clean", "--output", "elsewhere"]
    assert f"{tmp_path / 'elsewhere'}: there are no outputs here yet" in command(*words, folder=tmp_path).stdout


def test_a_name_that_is_no_text_is_shown_escaped(trained: Trained, run: Run) -> None:
    """File names on Linux may contain bytes that are not UTF-8."""
    result = run("publish", trained.task, "\udc80")
    assert result.exit_code == 0, result.exception
    assert "\\udc80" in result.output
