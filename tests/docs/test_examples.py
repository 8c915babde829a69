"""What the pages show is run: the tutorial's commands in order, the README's Python, the network and the working points."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import collidekit
from collidekit.analysis.load import parse_analysis


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, check=False, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout + done.stderr


def test_tutorial_runs_and_prints_what_it_shows(workplace, blocks, environment):
    """One test, so that it runs once however the tests are distributed."""
    printed = [run(["bash", "-ec", block], workplace, environment) for block in blocks("docs/tutorial.md", "bash")]
    results = workplace / "results"
    assert len(list(results.glob("ReportTask/top_tagging/tutorial_01/*/*/*/report.html"))) == 1
    assert len(list(results.glob("TrainingTask/top_tagging/*/*/*/best_model.pt"))) == 1
    assert (workplace / "scores.parquet").is_file()

    lines = {_words(line) for text in printed for line in text.splitlines()}
    for block in blocks("docs/tutorial.md", "text"):
        for line in block.splitlines():
            if "/home/me" not in line:  # a path of the reader's
                assert _words(line) in lines, line

    code = next(block for block in blocks("docs/evaluation.md", "python") if "import correctionlib" in block)
    assert "of the tops" in run([sys.executable, "-c", code], workplace, environment)


def _words(line: str) -> tuple[str, ...]:
    """What stays of a line where numbers and hashes differ; an epoch may be the best so far or not."""
    line = re.sub(r"\b[0-9a-f]{10}\b", "", line)
    return tuple(word for word in re.findall(r"[^\W\d_]+", line) if word not in ("best", "e"))


def test_own_network_trains(workplace, blocks, environment):
    code = next(block for block in blocks("docs/networks.md", "python") if "class MeanNetwork" in block)
    command = next(block for block in blocks("docs/networks.md", "bash") if "my_network.py" in block)
    (workplace / "my_network.py").write_text(code)
    files = " --filelist samples/top_tagging/train.root"
    assert "Training my_network.py" in run(["bash", "-ec", command.strip() + files], workplace, environment)


def test_reconstruction_example_runs(workplace, blocks, environment):
    (code,) = blocks("docs/reconstruction.md", "python")
    assert "'solved': 1" in run([sys.executable, "-c", code], workplace, environment)


def test_readme_example_runs(workplace, blocks, environment):
    (code,) = blocks("README.md", "python")
    assert len(code.splitlines()) <= 26
    assert "AUC 0." in run([sys.executable, "-c", code], workplace, environment)


def test_the_page_of_python_runs(workplace, blocks, environment):
    (code,) = blocks("docs/python.md", "python")
    run([sys.executable, "-c", code + "\nassert 0.7 < roc.auc < 1, roc"], workplace, environment)


def test_the_page_of_python_names_all_that_is_public(blocks):
    listed = re.findall(r"members: \[(.*)\]", (Path(__file__).parents[2] / "docs" / "python.md").read_text())
    assert sorted(name for part in listed for name in part.split(", ")) == sorted(collidekit.__all__)


def test_verbs_that_look_run_as_shown(workplace, blocks, environment):
    shown = {name: block for block in reversed(blocks("docs/command.md", "bash")) for name in block.split()[1:2]}
    for verb in ("init", "check", "trace"):  # check looks at what init wrote
        assert run(["bash", "-ec", shown[verb].replace("\\\n", "").splitlines()[-1]], workplace, environment).strip()


def test_simulate_runs_as_shown(workplace, blocks, environment):
    pytest.importorskip("pythia8mc")
    command = next(block for block in blocks("docs/command.md", "bash") if "simulate" in block)
    assert "my_sample.root" in run(["bash", "-ec", command], workplace, environment)


MOMENTA = ["x", "y", "z", "e"]
OF_EVENTS = {
    "jets": {"limit": 10, "momenta": MOMENTA, "features": ["jet_b_tag"]},
    "leptons": {"limit": 2, "momenta": MOMENTA, "features": ["lep_charge"]},
    "event": {"features": ["met_px", "met_py"]},
}
"""Inputs that the pieces on whole events speak of."""
OF_DILEPTON = {
    "tops": {"collection": "jets", "parents": {"top": {"b": "b"}, "antitop": {"b": "bbar"}}},
    "neutrinos": {"values": {f"v{i}": "x" for i in range(6)}},
    "pair": {"values": {"m_tt": "m"}},
}
"""Targets that the piece on dileptonic top pairs speaks of."""


@pytest.mark.parametrize("page", ["README.md", "docs/analysis.md", "docs/expressions.md"])
def test_pieces_of_analysis_files_are_valid(page, blocks):
    base = yaml.safe_load(blocks("docs/analysis.md", "yaml")[0])
    base["inputs"] |= OF_EVENTS
    pieces = blocks(page, "yaml")
    assert pieces
    for piece in pieces:
        content = yaml.safe_load(piece)
        whole = content if {"classes", "inputs"} <= content.keys() else {**base, **content}
        if "dilepton" in content:
            whole["targets"] = OF_DILEPTON
        if "classes" in content and "inputs" not in content:
            whole = {
                key: value
                for key, value in whole.items()
                if key in content or key not in ("kinematics", "discriminators")
            }
        parse_analysis(yaml.safe_dump(whole, sort_keys=False), page)
