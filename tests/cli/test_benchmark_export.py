"""The verbs that write benchmarks and leaderboards for others."""

import json
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml
from scoring_toys import binary_plan, gaussian_scores, metric, score_one, truth_of, write_benchmark
from typer.testing import CliRunner

from collidekit.benchmark.scoring.board import Entry
from collidekit.benchmark.scoring.ranking import rank
from collidekit.cli import app


def run(*words: object, code: int = 0) -> str:
    found = CliRunner().invoke(app, ["benchmark", *map(str, words)], env={"COLUMNS": "200", "TERM": "dumb"})
    text = found.output
    assert found.exit_code == code, text + str(found.exception)
    assert "Traceback" not in text
    return text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "toy").mkdir()
    write_benchmark(tmp_path / "toy", {"nominal": {"label": gaussian_scores(200, 1.5, 1)[1]}})
    return tmp_path / "toy"


def test_codabench(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "bundle.zip"
    assert "a competition bundle for Codabench" in run(
        "export-codabench", folder, "-o", out, "--image", "mine:1", "--seconds", 60
    )
    with zipfile.ZipFile(out) as archive:
        found = yaml.safe_load(archive.read("competition.yaml"))
    assert found["docker_image"] == "mine:1"
    assert found["phases"][0]["execution_time_limit"] == 60


def test_evalai(folder: Path, tmp_path: Path) -> None:
    assert "a challenge for EvalAI" in run("export-evalai", folder, "-o", tmp_path / "challenge.zip")
    assert zipfile.is_zipfile(tmp_path / "challenge.zip")


@pytest.mark.parametrize("verb", ["export-codabench", "export-evalai"])
def test_a_benchmark_that_is_not_whole_is_not_exported(verb: str, folder: Path, tmp_path: Path) -> None:
    with (folder / "nominal_truth.parquet").open("ab") as file:
        file.write(b"x")
    text = CliRunner().invoke(app, ["benchmark", verb, str(folder), "-o", str(tmp_path / "out.zip")])
    assert text.exit_code
    assert not (tmp_path / "out.zip").exists()


def test_a_leaderboard_as_files(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    p, labels = gaussian_scores(2000, 1.5, 1)
    plan = binary_plan(metric("auc"), metric("background_rejection", "r30", signal_efficiency=0.3))
    entries = [Entry("mine", 1, score_one(plan, p, truth_of(labels))), Entry("bad", 2, None, reason="too slow")]
    from collidekit.benchmark.definition import load_benchmark

    board = rank(entries, load_benchmark(folder))
    monkeypatch.setattr(
        "collidekit.benchmark.connection.connect",
        lambda *given, **options: SimpleNamespace(leaderboard=lambda *words: board),
    )
    files = [tmp_path / f"board.{suffix}" for suffix in ("csv", "md", "json", "png")]
    shown = run("leaderboard", "toy", *[word for file in files for word in ("-o", file)])
    assert "not ranked: bad: too slow" in shown
    assert all(file.stat().st_size for file in files)
    assert json.loads(files[2].read_text())["rows"][0]["name"] == "mine"
    assert np.isfinite(json.loads(files[2].read_text())["rows"][0]["scores"]["auc"]["value"])
