"""``collidekit search``: a space file gives a page and an analysis file that can be run."""

from pathlib import Path

import pytest
from luigi.task_register import Register
from tests.cli.conftest import Run, Trained, invoke

SPACE = "learning_rate: {low: 0.001, high: 0.1, log: true}\nbatch_size: [32, 64]\n"


def test_search_and_run_its_best_file(run: Run, trained: Trained, tmp_path: Path) -> None:
    Register.clear_instance_cache()  # the same parameters are other tasks in another folder
    (tmp_path / "space.yaml").write_text(SPACE)
    words = ["search", trained.analysis, "--files", trained.training, "--space", "space.yaml", "--set", "epochs=1"]
    result = run(*words, "--trials", 2, "--sampler", "random", "--threads", 1)
    assert result.exit_code == 0, result.output
    assert "Best trials, validation rows" in result.output
    best = next((tmp_path / "results" / "SearchTask").rglob("best.yaml"))
    assert "Best settings" in (best.parent / "search.html").read_text()
    again = run(*words, "--trials", 2, "--sampler", "random", "--threads", 1)
    assert again.exit_code == 0, again.output
    assert "trial 0:" not in again.output
    trained_before = len(list((tmp_path / "results" / "TrainingTask").rglob("best_model.pt")))
    done = invoke(["run", best, "--test-files", trained.test, "--threads", 1], tmp_path / "results")
    assert done.exit_code == 0, done.output
    assert "report.html" in done.output
    assert len(list((tmp_path / "results" / "TrainingTask").rglob("best_model.pt"))) == trained_before


def test_a_mistake_in_the_space_is_one_line(refused, trained: Trained, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "space.yaml").write_text("learning_rate: {low: 0, high: 0.1, log: true}\n")
    said = refused("search", trained.analysis, "--files", trained.training, "--space", "space.yaml")
    assert "space.yaml:1: learning_rate: a log range needs low above 0" in said
    assert "no such space file" in refused("search", trained.analysis, "--space", "none.yaml")


def test_without_optuna_the_extra_is_named(refused, trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    import sys

    monkeypatch.setitem(sys.modules, "optuna", None)
    said = refused("search", trained.analysis, "--space", "space.yaml")
    assert "pip install 'collidekit[search]'" in said
