"""What the pages show is run: the tutorial's commands in order, the README's Python, the network and the working points."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from collidekit.analysis.load import parse_analysis


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def tutorial(workplace, environment, blocks):  # type: ignore[no-untyped-def]
    """The folder after all commands of the tutorial, and what each block printed."""
    return workplace, [run(["bash", "-ec", block], workplace, environment) for block in blocks("docs/tutorial.md", "bash")]


def test_tutorial_ends_with_report_and_scores(tutorial):
    folder, _ = tutorial
    assert len(list(folder.glob("results/ReportTask/top_tagging/tutorial_01/*/*/*/report.html"))) == 1
    assert len(list(folder.glob("results/TrainingTask/top_tagging/*/*/*/best_model.pt"))) == 1
    assert (folder / "scores.parquet").is_file()


def test_tutorial_prints_what_the_page_shows(tutorial, blocks):
    printed = "\n".join(tutorial[1])
    for block in blocks("docs/tutorial.md", "text"):
        for line in block.splitlines():
            if line.startswith(("epoch", "Constructing", "Training took", "Predicted")):
                assert " ".join(line.split()[:1]) in printed
    for part in ("rows/s", "background left", "This progress looks :)", "absent", "existent", "Report"):
        assert part in printed


def test_working_points_are_read_with_correctionlib(tutorial, blocks, environment):
    code = next(block for block in blocks("docs/evaluation.md", "python") if "import correctionlib" in block)
    assert "of the tops" in run([sys.executable, "-c", code], tutorial[0], environment)


def test_own_network_trains(workplace, blocks, environment):
    code = next(block for block in blocks("docs/networks.md", "python") if "class MeanNetwork" in block)
    command = next(block for block in blocks("docs/networks.md", "bash") if "my_network.py" in block)
    (workplace / "my_network.py").write_text(code)
    files = " --files samples/top_tagging/train.root --test-files samples/top_tagging/test.root"
    assert "Training my_network.py" in run(["bash", "-ec", command.strip() + files], workplace, environment)


def test_readme_example_runs(workplace, blocks, environment):
    (code,) = blocks("README.md", "python")
    assert len(code.splitlines()) <= 26
    assert "AUC 0." in run([sys.executable, "-c", code], workplace, environment)


@pytest.mark.parametrize("page", ["README.md", "docs/analysis.md", "docs/expressions.md"])
def test_pieces_of_analysis_files_are_valid(page, blocks):
    base = yaml.safe_load(blocks("docs/analysis.md", "yaml")[0])
    pieces = blocks(page, "yaml")
    assert pieces
    for piece in pieces:
        content = yaml.safe_load(piece)
        whole = content if {"classes", "inputs"} <= content.keys() else {**base, **content}
        if "classes" in content and "inputs" not in content:
            whole = {key: value for key, value in whole.items() if key not in ("kinematics", "discriminators")}
        parse_analysis(yaml.safe_dump(whole, sort_keys=False), page)
