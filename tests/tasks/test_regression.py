"""Regression targets: from the file to predictions, residuals and the report, with and without classes."""

from collections.abc import Callable
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import toys
import uproot
from luigi.task_register import Register
from typer.testing import CliRunner

from collidekit.cli import app
from collidekit.errors import CollidekitError
from collidekit.evaluation.residuals import measure_residuals
from collidekit.inference.predictions import Predictions
from collidekit.tasks.base import run_with_requirements
from collidekit.tasks.inference import InferenceTask
from collidekit.tasks.report import ReportTask
from collidekit.tasks.residuals import ResidualTask

NOISE = 2.0

ALONE = """
inputs:
  point: {features: [x, y]}
targets:
  energy: {values: {energy: true_energy}, unit: GeV}
  place: {values: {u: true_u, v: x - y}, scale: none, loss: mse, weight: 0.5}
weight: weight
event: [event]
"""
WITH_CLASSES = (
    ALONE
    + """
classes:
  left: label == 0
  right: label == 1
discriminators: {RvsL: {signal: right, background: left}}
"""
)
TRAINING = "training: {model_name: mlp, epochs: 12, batch_size: 128, learning_rate: 0.01}\n"


def table(rows: int, seed: int, offset: float = 100.0) -> ak.Array:
    """Return rows with energy = offset + 10 x - 5 y + noise, unknown in one row of 10."""
    generator = np.random.default_rng(seed)
    rows_of = toys.gaussians_table(rows, 1.0, seed)
    x, y = (ak.to_numpy(rows_of[name]).astype(np.float64) for name in ("x", "y"))
    energy = offset + 10 * x - 5 * y + generator.normal(0, NOISE, rows)
    energy[::10] = np.nan
    return ak.with_field(ak.with_field(rows_of, energy, "true_energy"), x * y, "true_u")


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, object]]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLLIDEKIT_OUTPUT", str(tmp_path / "results"))

    def make(text: str, rows: int = 4000, offset: float = 100.0) -> dict[str, object]:
        Register.clear_instance_cache()  # the name of the file is the same in each test
        (tmp_path / "toy.yaml").write_text(text + TRAINING)
        toys.write_table(tmp_path / "train.parquet", table(rows, 1, offset))
        toys.write_table(tmp_path / "test.parquet", table(1000, 2, offset))
        return {
            "config": "toy.yaml",
            "filelist": ("train.parquet",),
            "test_filelist": ("test.parquet",),
            "n_threads": 1,
        }

    return make


def predicted(given: dict[str, object], **more: object) -> Predictions:
    task = InferenceTask(**given, **more)
    run_with_requirements(task)
    found: Predictions = task.predictions()
    return found


@pytest.mark.parametrize("offset", [100.0, 1e7])
@pytest.mark.parametrize("scale", ["standard", "robust", "log"])
def test_the_noise_is_all_that_is_left(files: Callable[..., dict[str, object]], offset: float, scale: str) -> None:
    """A mean far from 0 loses no digits, because estimates are converted in double precision."""
    text = ALONE.replace("unit: GeV}", f"unit: GeV, scale: {scale}}}")
    found = predicted(files(text, offset=offset))
    assert found.classes == ()
    assert "label" not in found.columns()
    known = ~np.isnan(found.truth["energy"])
    assert known.sum() == 900  # the others have a place
    residual = (found.values["energy"] - found.truth["energy"])[known]
    assert residual.std() == pytest.approx(NOISE, rel=0.15)
    assert abs(residual.mean()) < 0.5
    assert found.truth["v"][:5] == pytest.approx([float(v) for v in table(1000, 2)["x"][:5] - table(1000, 2)["y"][:5]])


def test_low_precision_of_the_network_costs_the_scale_no_digits(files: Callable[..., dict[str, object]]) -> None:
    found = predicted(files(ALONE, offset=1e7, rows=2000), training_precision="bfloat16", epochs=6)
    known = ~np.isnan(found.truth["energy"])
    residual = (found.values["energy"] - found.truth["energy"])[known]
    assert abs(residual.mean()) < 2
    assert residual.std() < 8  # of the truth it is 11


def test_rows_without_any_known_target_are_left_out_and_counted(files: Callable[..., dict[str, object]]) -> None:
    only = ALONE.replace("  place: {values: {u: true_u, v: x - y}, scale: none, loss: mse, weight: 0.5}\n", "")
    given = files(only, rows=1000)
    task = InferenceTask(**given, epochs=1)
    run_with_requirements(task)
    manifest = task.requires()["test"].dataset().manifest
    assert manifest.summary["cutflow"] == {"all rows": 1000, "with a known target": 900}
    assert manifest.summary["known"] == {"energy": 900}
    assert len(task.predictions()) == 900


def test_classes_learn_from_rows_whose_target_is_not_known(files: Callable[..., dict[str, object]]) -> None:
    given = files(WITH_CLASSES)
    task = ReportTask(**given)
    run_with_requirements(task)
    found = Predictions.read(task.requires()["inference"].folder / "predictions.parquet")
    assert len(found) == 1000  # in a class, each of them
    assert int(np.isnan(found.truth["energy"]).sum()) == 100
    assert found.probabilities.sum(axis=1) == pytest.approx(np.ones(1000))
    page = (task.folder / "report.html").read_text()
    assert "ROC curves" in page
    assert "Residuals" in page
    (energy, *_) = task.requires()["residuals"].read()
    assert energy.unknown == 100
    assert energy.all.width == pytest.approx(NOISE, rel=0.2)


def test_a_report_without_classes(files: Callable[..., dict[str, object]], tmp_path: Path) -> None:
    given = files(ALONE, rows=1500)
    words = ["run", "toy.yaml", "-f", "train.parquet", "-t", "test.parquet", "--epochs", "3"]
    done = CliRunner().invoke(app, words, env={"COLUMNS": "120"}, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "width (68 %)" in done.output
    assert "energy rms" in done.output
    assert "AUC" not in done.output
    again = CliRunner().invoke(app, words, env={"COLUMNS": "120"}, catch_exceptions=False)
    assert "existing result" in again.output
    assert "width (68 %)" in again.output
    page = next((tmp_path / "results" / "ReportTask").rglob("report.html")).read_text()
    assert "ROC curves" not in page
    assert page.count("estimate") > 1
    residuals = next((tmp_path / "results" / "ResidualTask").rglob("residuals.csv")).read_text()
    assert residuals.startswith("value,unit,truth_from")
    assert residuals.count("\nenergy,GeV,") == 9
    for kind in ("residuals", "estimates", "resolution"):
        assert next((tmp_path / "results" / "ResidualTask").rglob(f"{kind}_energy.png")).is_file()
    assert given["config"] == "toy.yaml"


def test_folds_and_ensembles_of_values(files: Callable[..., dict[str, object]]) -> None:
    given = files(ALONE, rows=1500)
    one = predicted(given, seed=1, epochs=2)
    two = predicted(given, seed=2, epochs=2)
    both = predicted(given, seeds=("1", "2"), epochs=2)
    assert both.values["energy"] == pytest.approx((one.values["energy"] + two.values["energy"]) / 2)
    folds = predicted({**given, "test_filelist": ()}, folds=3, epochs=2)
    assert len(folds) == 1500
    assert set(folds.event["fold"]) == {0, 1, 2}
    truth = {int(e): float(t) for e, t in zip(table(1500, 1)["event"], table(1500, 1)["true_energy"], strict=True)}
    assert folds.truth["energy"] == pytest.approx([truth[int(e)] for e in folds.event["event"]], nan_ok=True)


def test_prediction_needs_no_truth(files: Callable[..., dict[str, object]], tmp_path: Path) -> None:
    given = files(ALONE, rows=1500)
    task = InferenceTask(**given, epochs=2)
    run_with_requirements(task)
    model = next((tmp_path / "results" / "TrainingTask").rglob("best_model.pt")).parent
    bare = table(1000, 2)[["x", "y", "event"]]
    toys.write_table(tmp_path / "bare.root", bare)
    words = ["predict", str(model), "bare.root", "-o", "out.root"]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "width" not in done.output
    with uproot.open(tmp_path / "out.root") as file:
        columns = file["predictions"].arrays(library="np")
    assert columns["pred_energy"].dtype == np.float64
    assert np.isnan(columns["true_energy"]).all()
    expected = dict(zip(task.predictions().event["event"], task.predictions().values["energy"], strict=True))
    assert len(columns["pred_energy"]) == 1000
    for event, value in zip(columns["event"], columns["pred_energy"], strict=True):
        assert value == pytest.approx(expected[event], rel=1e-6)
    with_truth = ["predict", str(model), "test.parquet", "-o", "out.parquet"]
    assert "width (68 %)" in CliRunner().invoke(app, with_truth, env={"COLUMNS": "120"}, catch_exceptions=False).output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["explain", "MODEL", "test.parquet", "--row", "1", "-o", "out"], "the explanation of one row needs classes of rows"),
        (["calibrate", "MODEL", "test.parquet"], "a temperature needs classes of rows"),
        (["run", "toy.yaml", "-f", "train.parquet", "--set", "objective=disco"], "needs classes, and the analysis has none"),
        (["run", "toy.yaml", "-f", "train.parquet", "--set", "label_smoothing=0.1"], "has no meaning without classes of rows"),
        (
            ["run", "toy.yaml", "-f", "train.parquet", "--set", "attack=fgsm", "--set", "attack_magnitude=0.1"],
            "the attack fgsm needs classes of rows",
        ),
        (["run", "toy.yaml", "-f", "train.parquet", "--set", "calibrated=true"], "has no classes, so there is no temperature"),
    ],
)  # fmt: skip
def test_what_needs_classes_says_so(
    files: Callable[..., dict[str, object]], tmp_path: Path, words: list[str], said: str
) -> None:
    given = files(ALONE, rows=300)
    if "MODEL" in words:
        run_with_requirements(InferenceTask(**given, epochs=1))
        model = next((tmp_path / "results" / "TrainingTask").rglob("best_model.pt")).parent
        words = [str(model) if word == "MODEL" else word for word in words]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert said in " ".join(done.output.split()), done.output


def test_a_target_that_is_never_known(files: Callable[..., dict[str, object]]) -> None:
    given = files(WITH_CLASSES.replace("true_energy", "sqrt(-1 - x * x)"), rows=300)
    with pytest.raises(CollidekitError, match=r"target 'energy': no row has all of its values \(energy\)"):
        run_with_requirements(InferenceTask(**given, epochs=1))


def test_a_logarithm_of_what_is_not_positive(files: Callable[..., dict[str, object]]) -> None:
    given = files(ALONE.replace("scale: none", "scale: log"), rows=300)
    with pytest.raises(
        CollidekitError, match=r"train.parquet: row \d+: 'u' of target 'place' is -[\d.]+, which has no logarithm"
    ):
        run_with_requirements(InferenceTask(**given, epochs=1))


def test_a_checkpoint_of_other_targets(files: Callable[..., dict[str, object]], tmp_path: Path) -> None:
    given = files(ALONE, rows=300)
    run_with_requirements(InferenceTask(**given, epochs=1))
    model = next((tmp_path / "results" / "TrainingTask").rglob("best_model.pt"))
    (tmp_path / "toy.yaml").write_text(ALONE.replace("unit: GeV", "unit: MeV") + TRAINING)
    Register.clear_instance_cache()
    with pytest.raises(CollidekitError, match="target 'energy' has unit 'GeV', but 'MeV'"):
        InferenceTask(**given, checkpoint=(str(model),)).complete()


def test_the_scale_and_the_loss_make_another_training_and_the_same_dataset(
    files: Callable[..., dict[str, object]],
) -> None:
    given = files(ALONE, rows=300)
    first = InferenceTask(**given).requires()["training"]
    hashes = first.hash, first.requires()["dataset"].hash
    Path("toy.yaml").write_text(ALONE.replace("unit: GeV", "unit: GeV, loss: mae") + TRAINING)
    Register.clear_instance_cache()
    second = InferenceTask(**given).requires()["training"]
    assert second.hash != hashes[0]
    assert second.requires()["dataset"].hash == hashes[1]


def test_residuals_by_hand() -> None:
    generator = np.random.default_rng(1)
    truth = generator.normal(50, 10, 20_000)
    estimate = truth + generator.normal(1.5, 2, 20_000)
    weights = generator.uniform(0.5, 1.5, 20_000)
    truth[:7] = np.nan
    predictions = Predictions(
        (), np.zeros((20_000, 0)), np.full(20_000, -1), weights, values={"e": estimate}, truth={"e": truth}, units={"e": "GeV"}
    )  # fmt: skip
    (found,) = measure_residuals(predictions)
    residual, known = (estimate - truth)[7:], weights[7:]
    assert found.unknown == 7
    assert found.all.rows == 19_993
    assert found.all.bias == pytest.approx(np.average(residual, weights=known))
    assert found.all.bias_error == pytest.approx(2 / np.sqrt(known.sum() ** 2 / (known**2).sum()), rel=0.15)
    assert found.all.deviation == pytest.approx(np.sqrt(np.cov(residual, aweights=known, ddof=0)))
    assert found.all.width == pytest.approx(1.99, abs=0.05)
    assert found.all.width_error == pytest.approx(0.016, rel=0.4)
    assert len(found.bins) == 8
    assert sum(spread.rows for spread in found.bins) == 19_993
    few = Predictions(
        (), np.zeros((5, 0)), np.full(5, -1), np.ones(5), values={"e": estimate[7:12]}, truth={"e": truth[7:12]}
    )
    (short,) = measure_residuals(few)
    assert np.isnan(short.all.width)
    assert short.cells()[3] == "too few rows"
    assert type(short).read(short.as_dict()).cells() == short.cells()


def test_no_residuals_without_a_target(files: Callable[..., dict[str, object]]) -> None:
    given = files(WITH_CLASSES.split("targets:")[0] + "classes:" + WITH_CLASSES.split("classes:")[1], rows=300)
    with pytest.raises(CollidekitError, match="has no target with 'values'"):
        ResidualTask(**given).complete()


def test_members_of_an_ensemble_estimate_the_same(files: Callable[..., dict[str, object]], tmp_path: Path) -> None:
    """Values, units and truth of members must agree, like classes, because their mean would have no meaning."""
    models = {}
    variants = {
        "a": ALONE,
        "b": ALONE.replace("unit: GeV", "unit: TeV"),
        "c": ALONE.replace("values: {energy: true_energy}", "values: {energy: x + y}"),
        "d": ALONE.replace("u: true_u, ", ""),
    }
    for name, text in variants.items():
        given = files(text, rows=300)
        task = InferenceTask(**given, epochs=1, training_version=name)
        run_with_requirements(task)
        models[name] = str(next((tmp_path / "results" / "TrainingTask" / "toy" / "v1" / name).rglob("best_model.pt")))
    for name, said in {
        "b": "'energy' has the unit 'TeV', and 'GeV' in",
        "c": "the truth of 'energy' differs from",
        "d": "its values are energy, v, and",
    }.items():
        words = ["predict", models["a"], "--with", models[name], "test.parquet", "-o", "out.parquet"]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 2
        assert said in " ".join(done.output.split()), done.output


def test_values_of_each_member_are_kept(files: Callable[..., dict[str, object]], tmp_path: Path) -> None:
    given = files(ALONE, rows=300)
    for seed in (1, 2):
        run_with_requirements(InferenceTask(**given, epochs=1, seed=seed))
    models = sorted(map(str, (tmp_path / "results" / "TrainingTask").rglob("best_model.pt")))
    words = ["predict", models[0], "--with", models[1], "--members", "test.parquet", "-o", "out.parquet"]
    assert CliRunner().invoke(app, words, catch_exceptions=False).exit_code == 0
    found = Predictions.read(tmp_path / "out.parquet")
    columns = found.columns()
    mean = (columns["pred_energy_1"] + columns["pred_energy_2"]) / 2
    assert columns["pred_energy"] == pytest.approx(mean)
    first = next(iter(found.of_members().values()))
    assert first.values["energy"] == pytest.approx(columns["pred_energy_1"])


@pytest.mark.parametrize(
    "change",
    [("energy: true_energy", "power: true_energy"), ("unit: GeV", "unit: GeV, scale: log"), ("unit: GeV", "unit: TeV")],
)
def test_a_head_is_kept_for_the_same_values_only(
    files: Callable[..., dict[str, object]], tmp_path: Path, change: tuple[str, str]
) -> None:
    run_with_requirements(InferenceTask(**files(ALONE, rows=300), epochs=1))
    model = next((tmp_path / "results" / "TrainingTask").rglob("best_model.pt"))
    given = files(ALONE.replace(*change), rows=300)
    with pytest.raises(CollidekitError, match=r"its head is for the values energy \(energy, standard, GeV\), place"):
        InferenceTask(**given, epochs=1, from_checkpoint=str(model), keep_head=True).complete()


def test_a_unit_that_is_corrected_reaches_the_results(files: Callable[..., dict[str, object]]) -> None:
    first = ReportTask(**files(ALONE, rows=300)).hash
    assert ReportTask(**files(ALONE.replace("unit: GeV", "unit: MeV"), rows=300)).hash != first


def test_weights_that_sum_to_nothing(files: Callable[..., dict[str, object]]) -> None:
    given = files(ALONE.replace("weight: weight\n", "weight: weight - 2\n"), rows=300)
    with pytest.raises(CollidekitError, match=r"the weights of the training rows sum to -\d+: it must be more than 0"):
        run_with_requirements(InferenceTask(**given, epochs=1))
    truth = np.linspace(0, 1, 50)
    wrong = Predictions((), np.zeros((50, 0)), np.full(50, -1), -np.ones(50), values={"e": truth}, truth={"e": truth})
    with pytest.raises(CollidekitError, match="e: the sum of the weights of rows with known truth is -50"):
        measure_residuals(wrong)


def test_a_logarithm_is_asked_for_in_training_alone(files: Callable[..., dict[str, object]], tmp_path: Path) -> None:
    text = ALONE.replace("unit: GeV}", "unit: GeV, scale: log}")
    run_with_requirements(InferenceTask(**files(text, rows=300), epochs=1))
    model = next((tmp_path / "results" / "TrainingTask").rglob("best_model.pt"))
    placeholder = table(50, 3)
    placeholder = ak.with_field(placeholder, np.full(50, -999.0), "true_energy")
    toys.write_table(tmp_path / "data.parquet", placeholder)
    words = ["predict", str(model), "data.parquet", "-o", "out.parquet"]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert (Predictions.read(tmp_path / "out.parquet").truth["energy"] == -999).all()
    given = files(ALONE.replace("scale: none", "scale: log"), rows=300)  # of a dataset that is there already
    run_with_requirements(InferenceTask(**files(ALONE, rows=300), epochs=1))
    with pytest.raises(CollidekitError, match="has no logarithm"):
        run_with_requirements(
            InferenceTask(**{**given, **files(ALONE.replace("scale: none", "scale: log"), rows=300)}, epochs=1)
        )


@pytest.mark.parametrize("size", [1e200, 1e-199])
def test_values_that_cannot_be_squared(files: Callable[..., dict[str, object]], size: float) -> None:
    given = files(ALONE.replace("energy: true_energy", f"energy: true_energy * {size}"), rows=300)
    with pytest.raises(CollidekitError, match="whose square is too large or small; use another unit"):
        run_with_requirements(InferenceTask(**given, epochs=1))


def test_a_value_that_never_varies_is_said(
    files: Callable[..., dict[str, object]], capsys: pytest.CaptureFixture[str]
) -> None:
    run_with_requirements(InferenceTask(**files(ALONE.replace("u: true_u", "u: 5 + 0 * x"), rows=300), epochs=1))
    assert "u of target place is 5 in every training row; there is nothing to learn" in " ".join(
        capsys.readouterr().out.split()
    )


def test_a_card_with_residuals(files: Callable[..., dict[str, object]], tmp_path: Path) -> None:
    run_with_requirements(InferenceTask(**files(ALONE, rows=300), epochs=1))
    model = next((tmp_path / "results" / "TrainingTask").rglob("best_model.pt"))
    words = ["publish", str(model), "mine", "--test-files", "test.parquet"]
    done = CliRunner().invoke(app, words, env={"COLUMNS": "120"}, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "width (68 %)" in done.output
    card = (tmp_path / "mine" / "README.md").read_text()
    assert "It estimates energy in GeV." in card
    assert "| value | unit | rows | bias |" in card
    assert "AUC" not in card
    again = CliRunner().invoke(app, ["predict", "mine", "test.parquet", "-o", "out.parquet"], catch_exceptions=False)
    assert again.exit_code == 0, again.output


def test_a_trace_shows_the_estimates(files: Callable[..., dict[str, object]], tmp_path: Path) -> None:
    task = InferenceTask(**files(ALONE, rows=300), epochs=1)
    run_with_requirements(task)
    model = next((tmp_path / "results" / "TrainingTask").rglob("best_model.pt"))
    done = CliRunner().invoke(app, ["trace", "toy.yaml", "test.parquet", "3", "--checkpoint", str(model)])
    assert f"energy {task.predictions().values['energy'][3]:.5g} GeV" in " ".join(done.output.split())
