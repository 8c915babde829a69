"""SignificanceTask and ``collidekit significance``: variants and the tuned threshold, on moons with few events."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from collidekit.cli import app
from collidekit.errors import CollidekitError
from collidekit.inference.predictions import Predictions
from collidekit.simulation import simulate
from collidekit.tasks.significance import significance_task


@pytest.fixture
def samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    monkeypatch.setenv("COLLIDEKIT_OUTPUT", str(tmp_path / "results"))
    return tuple(str(simulate("moons", tmp_path / f"{n}.root", n, seed=3)) for n in (3000, 4000))  # type: ignore[return-value]


def test_table_and_plots(samples: tuple[str, str], tmp_path: Path) -> None:
    train, test = samples
    words = ["significance", "moons", "--files", train, "--test-files", test, "--seeds", "1,2", "--variants",
             "relegator,modified_binary,disco", "--set", "epochs=3", "--set", "disco_weight=1"]  # fmt: skip
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    for line in ("no choice", "most probable", "tuned threshold", "relegator", "modified_binary", "disco", "Z/best"):
        assert line in done.output
    assert "22.99" in done.output
    (folder,) = (tmp_path / "results" / "SignificanceTask" / "moons" / "v1" / "v1" / "v1").iterdir()
    content = json.loads((folder / "significance.json").read_text())
    assert content["best"] == pytest.approx(22.99, abs=0.01)
    assert {name: len(entries) for name, entries in content["variants"].items()} == dict.fromkeys(
        ["no choice", "most probable", "tuned threshold", "relegator", "modified_binary", "disco"], 2
    )
    plots = {path.name for path in folder.glob("*.png")}
    assert {"seeds.png", "coverage.png", "risk.png", "masses_relegator.png", "boundary_relegator.png"} <= plots
    assert {"confusion_relegator.png", "epochs_relegator.png", "epochs_tuned_threshold.png"} <= plots
    again = CliRunner().invoke(app, words, catch_exceptions=False)
    assert "existing result" in again.output
    assert "22.99" in again.output


def test_predictions_hold_what_was_relegated(samples: tuple[str, str]) -> None:
    from collidekit.tasks.base import run_with_requirements

    task = significance_task("moons", samples[:1], samples[1:], {"seeds": ("1",), "epochs": 2})
    inference = task.inference("relegator", 1)
    run_with_requirements(inference)
    found = inference.predictions()
    assert found.relegated is not None
    assert found.probabilities.sum(axis=1) + found.relegated == pytest.approx(1, abs=1e-5)
    assert Predictions.read(inference.folder / "predictions.parquet").columns()["prob_relegated"] == pytest.approx(
        found.relegated
    )


@pytest.mark.parametrize(
    ("analysis", "settings", "said"),
    [
        ("top_tagging", {}, "has no figure of merit"),
        ("moons", {"variants": ("relegatr",)}, "there is no objective 'relegatr' .did you mean 'relegator'"),
        ("moons", {"seeds": ("a",)}, "write numbers, such as 1,2,3"),
    ],
)
def test_bad_input(samples: tuple[str, str], analysis: str, settings: dict[str, object], said: str) -> None:
    with pytest.raises(CollidekitError, match=said):
        _ = significance_task(analysis, samples[:1], samples[1:], settings).hash


def test_an_objective_without_a_figure_of_merit_is_one_error(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["run", "top_tagging", "--set", "objective=relegator", "--output", str(tmp_path)])
    assert isinstance(done.exception, CollidekitError | SystemExit)
    assert "needs a figure of merit" in f"{done.output}{done.exception}"
