"""Targets with uncertainties, from the analysis file to the report, on a toy with known density."""

import json
from collections.abc import Callable
from pathlib import Path

import conditional
import numpy as np
import pytest
import toys
from luigi.task_register import Register
from scipy.stats import norm
from typer.testing import CliRunner

from collidekit.cli import app
from collidekit.evaluation.uncertainties import measure_densities, measure_uncertainties
from collidekit.inference.predict import predict_dataset
from collidekit.inference.predictions import Predictions
from collidekit.tasks.base import run_with_requirements
from collidekit.tasks.inference import InferenceTask
from collidekit.tasks.report import ReportTask


def learned(folder: Path, more: str, **settings: object) -> Predictions:
    data = conditional.dataset(folder / "train", more, 10_000)
    checkpoint = conditional.trained(folder / "training", data, **settings)
    return predict_dataset(checkpoint, conditional.dataset(folder / "test", more, 4000, seed=2))


@pytest.mark.parametrize("scale", ["standard", "log"])
def test_a_gaussian_finds_the_standard_deviation_of_each_row(tmp_path: Path, scale: str) -> None:
    found = learned(tmp_path, f"estimate: gaussian, scale: {scale}")
    x = found.spectators["x"]
    bulk = np.abs(x) < 1.5
    ratio = found.uncertainties["energy"].columns["sigma"][bulk] / conditional.deviation(x[bulk])
    assert ratio.mean() == pytest.approx(1.0, abs=0.06)
    assert ratio.std() < 0.12  # of the true ones it is 0.4
    assert (found.values["energy"] - conditional.mean(x))[bulk].std() < 0.5
    (spread,) = measure_uncertainties(found)
    assert [entry.coverage.value for entry in spread.intervals] == pytest.approx([0.683, 0.954], abs=0.035)


def test_quantiles_find_those_of_each_row(tmp_path: Path) -> None:
    found = learned(tmp_path, "estimate: quantiles")
    x = found.spectators["x"]
    bulk, columns = np.abs(x) < 1.5, found.uncertainties["energy"].columns
    for key, z in {"q16": -0.994, "q84": 0.994, "q975": 1.96}.items():
        pull = (columns[key] - conditional.mean(x)) / conditional.deviation(x)
        assert pull[bulk].mean() == pytest.approx(z, abs=0.12)
        assert pull[bulk].std() < 0.25
    (spread,) = measure_uncertainties(found)
    assert [entry.coverage.value for entry in spread.intervals] == pytest.approx([0.68, 0.95], abs=0.035)


def test_a_histogram_has_both_maxima(tmp_path: Path) -> None:
    more = "estimate: binned, bins: 60"
    data = conditional.dataset(tmp_path / "train", more, 10_000, bimodal=True)
    checkpoint = conditional.trained(tmp_path / "training", data)
    found = predict_dataset(checkpoint, conditional.dataset(tmp_path / "test", more, 4000, seed=2, bimodal=True))
    x, columns = found.spectators["x"], found.uncertainties["energy"].columns
    bulk = np.abs(x) < 1
    away = 10 + 3 * x[bulk]  # the 16 % quantile is 0.47 standard deviations below the lower maximum
    assert (columns["q16"][bulk] - (conditional.mean(x[bulk]) - away)).mean() == pytest.approx(-1.17, abs=0.7)
    assert (columns["q84"][bulk] - (conditional.mean(x[bulk]) + away)).mean() == pytest.approx(1.17, abs=0.7)
    (spread,) = measure_uncertainties(found)
    coverage = [entry.coverage.value for entry in spread.intervals]
    assert coverage == pytest.approx([0.68, 0.95], abs=0.07)  # bins are as wide as the maxima, so it is too careful
    assert len(spread.pit) == 20
    assert np.abs(np.array(spread.pit) - 1).max() < 0.6


def test_a_flow_has_both_maxima_and_its_density(tmp_path: Path) -> None:
    """The joint density of the toy is a mixture of two normal distributions, 2.5 GeV wide."""
    data = conditional.dataset(tmp_path / "train", "estimate: flow", 10_000, bimodal=True)
    checkpoint = conditional.trained(tmp_path / "training", data)
    found = predict_dataset(checkpoint, conditional.dataset(tmp_path / "test", "estimate: flow", 3000, 2, bimodal=True))
    (spread,), (density,) = measure_uncertainties(found), measure_densities(found)
    assert [entry.coverage.value for entry in spread.intervals] == pytest.approx([0.68, 0.95], abs=0.04)
    x, truth, weights = found.spectators["x"], found.truth["energy"], found.weights.astype(np.float64)
    exact = np.mean([norm.pdf(truth, conditional.mean(x) + s * (10 + 3 * x), 2.5) for s in (-1, 1)], axis=0)
    best = -np.average(np.log(exact), weights=weights)
    assert best - 3 * density.error < density.value < best + 0.15  # a normal density has 0.7 more
    bulk, columns = np.abs(x) < 1, found.uncertainties["energy"].columns
    away = np.abs(columns["mode"] - conditional.mean(x))[bulk] - (10 + 3 * x[bulk])
    assert np.abs(away).mean() < 2.5


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, object]]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLLIDEKIT_OUTPUT", str(tmp_path / "results"))

    def make(more: str, rows: int = 1200) -> dict[str, object]:
        Register.clear_instance_cache()
        training = "training: {model_name: mlp, epochs: 2, batch_size: 128, learning_rate: 0.01}\n"
        (tmp_path / "toy.yaml").write_text(conditional.TEXT.format(more=more) + training)
        toys.write_table(tmp_path / "train.parquet", conditional.table(rows))
        toys.write_table(tmp_path / "test.parquet", conditional.table(600, 2))
        return {
            "config": "toy.yaml",
            "filelist": ("train.parquet",),
            "test_filelist": ("test.parquet",),
            "n_threads": 1,
        }

    return make


FORMS = ("gaussian", "quantiles, quantiles: [0.1, 0.5, 0.9]", "binned", "flow, draws: 40")


@pytest.mark.parametrize("form", FORMS)
def test_from_the_command_to_the_report(files: Callable[..., dict[str, object]], tmp_path: Path, form: str) -> None:
    files(f"estimate: {form}")
    words = ["run", "toy.yaml", "-f", "train.parquet", "-t", "test.parquet"]
    done = CliRunner().invoke(app, words, env={"COLUMNS": "150"}, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "coverage" in done.output
    assert {"gaussian": "68.27 %", FORMS[1]: "80 %"}.get(form, "68 %") in done.output
    page = next((tmp_path / "results" / "ReportTask").rglob("report.html")).read_text()
    assert "Uncertainties</h2>" in page
    folder = next((tmp_path / "results" / "ResidualTask").rglob("residuals.json")).parent
    (entry,) = json.loads((folder / "residuals.json").read_text())["uncertainties"]
    assert (entry["name"], entry["target"], entry["rows"]) == ("energy", "energy", 600)
    assert (folder / "pit_energy.png").is_file()

    model = next((tmp_path / "results" / "TrainingTask").rglob("best_model.pt")).parent
    told = CliRunner().invoke(app, ["predict", str(model), "test.parquet", "-o", "out.parquet"], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    assert "coverage" in told.output
    published = CliRunner().invoke(
        app, ["publish", str(model), "shared", "--test-files", "test.parquet"], catch_exceptions=False
    )
    assert published.exit_code == 0, published.output
    again = CliRunner().invoke(app, ["predict", "shared", "test.parquet", "-o", "more.parquet"], catch_exceptions=False)
    assert again.exit_code == 0, again.output
    one, two = (Predictions.read(tmp_path / name).columns() for name in ("out.parquet", "more.parquet"))
    assert list(one) == list(two)
    for name in one:
        np.testing.assert_allclose(one[name].astype(float), two[name].astype(float), rtol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_seeds_folds_and_fine_tuning(files: Callable[..., dict[str, object]], tmp_path: Path, form: str) -> None:
    given = files(f"estimate: {form}")

    def predicted(**more: object) -> Predictions:
        task = InferenceTask(**{**given, **more})
        run_with_requirements(task)
        found: Predictions = task.predictions()
        return found

    one, two, both = (predicted(**seeds) for seeds in ({"seed": 1}, {"seed": 2}, {"seeds": ("1", "2")}))
    for key, column in both.uncertainties["energy"].columns.items():
        if key != "sigma":
            members = [p.uncertainties["energy"].columns[key] for p in (one, two)]
            np.testing.assert_allclose(column, np.mean(members, axis=0))
    folds = predicted(test_filelist=(), folds=3)
    assert len(folds) == 1200
    assert all(np.isfinite(column).all() for column in folds.uncertainties["energy"].columns.values())
    assert len(measure_uncertainties(folds)) == 1
    model = next((tmp_path / "results" / "TrainingTask").rglob("best_model.pt"))
    tuned = predicted(from_checkpoint=str(model), keep_head=True, epochs=1)
    assert np.isfinite(tuned.values["energy"]).all()


def test_a_report_of_one_number_is_as_before(files: Callable[..., dict[str, object]]) -> None:
    task = ReportTask(**files("scale: none"))
    run_with_requirements(task)
    assert "Uncertainties" not in (task.folder / "report.html").read_text()
    assert next(iter(json.loads((task.requires()["residuals"].folder / "residuals.json").read_text()))) == "results"
    assert "uncertainties" not in (task.requires()["residuals"].folder / "residuals.json").read_text()
