"""``collidekit compare``: runs by folder, hash, checkpoint and file; scores in the files; errors."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from luigi.task_register import Register
from tests.cli.conftest import Trained, invoke
from tests.cli.samples import jets, write_root

from collidekit.errors import CollidekitError
from collidekit.inference.predictions import Predictions
from collidekit.outputs.trainings import find_trainings
from collidekit.tasks.compare_runs import compare_runs
from collidekit.tasks.compared_runs import Run, RunFinder, names_of
from collidekit.tasks.compared_taggers import _as_scores


@pytest.fixture(scope="module")
def results(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results with a nominal training, one of two epochs, an ensemble of two seeds, and attacked predictions of the first."""
    folder = tmp_path_factory.mktemp("compared") / "results"
    shutil.copytree(trained.folder / "results", folder)
    attack = ("--set", "test_attack=fgsm", "--set", "test_attack_magnitude=0.3")
    for words in (attack, ("--epochs", "2"), ("--seeds", "1,2")):
        Register.clear_instance_cache()
        result = invoke([*trained.words, *words], folder)
        assert result.exit_code == 0, result.output
    Register.clear_instance_cache()
    return folder


@pytest.fixture
def hashes(results: Path) -> dict[str, str]:
    """Return the hash of each training by epochs and seed."""
    return {f"{run.config['epochs']}/{run.config['seed']}": run.output.hash for run in find_trainings(results)}


def compared(results: Path, out: Path, *words: object) -> dict:  # type: ignore[type-arg]
    result = invoke(["compare", *words, "--out", out, "--json", "--replicates", "30"], results)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert Path(found["page"]).is_file()
    return found


def test_trainings_by_their_hash(results: Path, hashes: dict[str, str], tmp_path: Path) -> None:
    found = compared(results, tmp_path, hashes["1/123456"][:6], hashes["2/123456"])
    assert [entry["name"] for entry in found["compared"]] == ["pfn, epochs 1", "pfn, epochs 2"]
    assert found["settings"] == {"pfn, epochs 1": {"epochs": 1}, "pfn, epochs 2": {"epochs": 2}}
    auc = found["differences"][0]
    assert (auc["quantity"], auc["paired"], auc["reference"]) == ("AUC", True, "pfn, epochs 1")
    aucs = [entry["auc"] for entry in found["results"]]
    assert auc["difference"] == pytest.approx(aucs[1] - aucs[0])
    measured = {
        entry["auc"]
        for path in results.rglob("roc.json")
        if "attack" not in (content := json.loads(path.read_text()))
        for entry in content["results"]
    }
    assert set(aucs) <= measured, "those of the reports"


def test_labels_of_the_analysis(
    results: Path, hashes: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = RunFinder(results).find(hashes["1/123456"])[0]
    assert run.drawn_as is not None, "the analysis in the checkpoint"
    classes = run.predictions.classes
    labelled = run.drawn_as.model_copy(update={"labels": {name: f"{name} jets" for name in classes}})
    monkeypatch.setattr(Run, "drawn_as", labelled.model_copy(update={"efficiencies": [0.25, 0.9]}))
    found = compared(results, tmp_path, hashes["1/123456"], hashes["2/123456"])
    sides = run.predictions.definitions[found["results"][0]["discriminator"]]
    assert [entry["signal_efficiency"] for entry in found["results"][0]["rejections"][0]] == [0.25, 0.9]
    assert f"{sides.signal[0]} jets against {sides.background[0]} jets" in Path(found["page"]).read_text()


def test_seeds_are_one_curve_and_an_ensemble_has_one_more(
    results: Path, hashes: dict[str, str], tmp_path: Path
) -> None:
    found = compared(results, tmp_path, hashes["1/1"], hashes["1/2"], hashes["2/123456"])
    assert [(entry["name"], entry["seeds"]) for entry in found["compared"]] == [
        ("pfn, epochs 1 (2 seeds)", 2), ("pfn, epochs 2", 1),
    ]  # fmt: skip
    ensemble = next(
        path.parent for path in results.glob("ReportTask/*/*/*/*/*/run.json")
        if "members" in json.loads(_inference(results, path).read_text())["settings"]
    )  # fmt: skip
    found = compared(results, tmp_path, ensemble)
    assert [entry["name"] for entry in found["compared"]] == ["pfn, mean of 2", "pfn, each of 2"]
    assert found["results"][1]["auc_spread"] is not None


def _inference(results: Path, report: Path) -> Path:
    name = json.loads(report.read_text())["settings"]["inference"]
    return next(results.glob(f"InferenceTask/*/*/*/*/{name}/run.json"))


def test_attacked_predictions_are_marked(results: Path, hashes: dict[str, str], tmp_path: Path) -> None:
    found = compared(results, tmp_path, hashes["1/123456"], "--attacked", "--name", "mine")
    assert [(entry["name"], entry["attack"]) for entry in found["compared"]] == [
        ("mine", ""), ("mine, under fgsm 0.3", "fgsm 0.3"),
    ]  # fmt: skip
    assert found["results"][1]["auc"] < found["results"][0]["auc"]
    assert list(tmp_path.glob("roc_SvsB_under_fgsm_0.3_*.png"))


def test_scores_of_the_files(results: Path, hashes: dict[str, str], tmp_path: Path, trained: Trained) -> None:
    """Scores belong to the predicted rows: their AUC equals the AUC computed from the file."""
    found = compared(results, tmp_path, hashes["1/123456"], "--tagger", "mass=jet_mass", "--tagger", "SvsB:-jet_mass")
    run = RunFinder(results).find(hashes["1/123456"])[0]
    columns = jets(200, seed=2)
    row = run.predictions.event["row"]
    np.testing.assert_array_equal(columns["label"][row], run.predictions.labels)
    signal, background = (columns["jet_mass"][row][run.predictions.labels == k].astype(float) for k in (1, 0))
    auc = np.mean(np.sign(signal[:, None] - background[None, :])) / 2 + 0.5
    by_name = {entry["name"]: entry["auc"] for entry in found["results"]}
    assert by_name["mass"] == pytest.approx(auc)
    assert by_name["-jet_mass"] == pytest.approx(1 - auc)
    assert found["compared"][1]["kind"] == "tagger of the files"


def test_discriminant_of_a_tagger_with_probabilities(trained: Trained, tmp_path: Path) -> None:
    """GN2v01 means GN2v01_pb, _pc and _pu; missing values are reported and get the lowest score."""
    columns = jets(200, seed=2)
    random = np.random.default_rng(5)
    columns |= {f"GN2v01_p{letter}": random.uniform(0.1, 1, 200).astype(np.float32) for letter in "bcu"}
    columns["GN2v01_pb"][3] = np.nan
    file = write_root(tmp_path / "other.root", columns)
    words = [
        "compare",
        trained.task,
        "--files",
        file,
        "--tagger",
        "GN2v01",
        "--f-c",
        "0.2",
        "--out",
        tmp_path / "out",
        "--json",
    ]
    result = invoke(words, tmp_path)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["compared"][1]["name"] == "GN2v01 (f_c = 0.2)"
    assert any("is NaN in 1 of 200 rows" in note for note in found["notes"])
    pb, pc, pu = (columns[f"GN2v01_p{letter}"].astype(float) for letter in "bcu")
    score = np.where(np.isnan(pb), -np.inf, pb / (0.2 * pc + 0.8 * pu))
    kept = (columns["jet_pt"] > 20) & (abs(columns["jet_eta"]) < 2.5)
    signal, background = (score[kept & (columns["label"] == k)] for k in (1, 0))
    auc = np.mean(np.sign(signal[:, None] - background[None, :])) / 2 + 0.5
    assert found["results"][1]["auc"] == pytest.approx(auc)


def test_a_file_of_predictions_is_a_run(
    results: Path, hashes: dict[str, str], trained: Trained, tmp_path: Path
) -> None:
    scores = tmp_path / "mine.parquet"
    assert invoke(["predict", trained.task, trained.test, "-o", scores], tmp_path).exit_code == 0
    found = compared(results, tmp_path / "out", hashes["1/123456"], scores)
    assert found["differences"][0]["paired"]
    assert found["differences"][0]["difference"] == 0
    assert found["compared"][1]["name"].endswith("mine")


def test_files_of_predictions_cannot_be_read_or_predicted_again(
    results: Path, hashes: dict[str, str], trained: Trained, tmp_path: Path
) -> None:
    scores = tmp_path / "mine.parquet"
    assert invoke(["predict", trained.task, trained.test, "-o", scores], tmp_path).exit_code == 0
    for words, said in (
        ((scores, hashes["1/123456"], "--tagger", "jet_mass"), "a file of predictions does not name its test files"),
        ((trained.task, scores, "--files", trained.test), "mine.parquet: is a file of predictions; with --files give"),
    ):
        result = invoke(["compare", *words, "--out", tmp_path / "out"], results)
        assert result.exit_code == 2, result.output
        assert said in result.stderr
        assert result.stderr.count("\n") == 1


def test_each_run_is_read_once(
    results: Path, hashes: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    find = RunFinder.find
    monkeypatch.setattr(
        RunFinder, "find", lambda self, given, attacked=False: read.append(given) or find(self, given, attacked)
    )
    named = [hashes["1/123456"], hashes["2/123456"]]
    found = compared(results, tmp_path, *named, "--name", "a", "--name", "b")
    assert [entry["name"] for entry in found["compared"]] == ["a", "b"]
    assert read == named


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nothing",), "there is no such run"),
        (("ffffffffff",), "no complete training or report"),
        (("FIRST",), "there is only one curve"),
        (("FIRST", "FIRST"), "name each run only once"),
        (("FIRST", "SECOND", "--name", "a"), "--name: 1 given for 2 runs"),
        (("FIRST", "--name", "a", "--name", "b", "--attacked"), "--name: 2 given for 1 run; give one for each run"),
        (("FIRST", "SECOND", "--name", "a", "--name", "a"), "two curves have the name 'a'"),
        (("FIRST", "--tagger", "no_branch"), "there is no branch or variable 'no_branch'"),
        (("FIRST", "--tagger", "SvsC:jet_mass"), "did you mean 'SvsB'"),
        (("FIRST", "--tagger", "mass=jet_mass +"), "--tagger"),
        (("FIRST", "SECOND", "--threads", "1"), "--threads: has an effect only with --files"),
        (("FIRST", "SECOND", "--f-c", "2", "--tagger", "jet_mass"), "--f-c 2: is not between 0 and 1"),
        (("FIRST", "SECOND", "--f-c", "0.2"), "--f-c: has an effect only with --tagger"),
        (("top-tagging/pfn", "FIRST"), "has no predictions"),
    ],
)
def test_refused(results: Path, hashes: dict[str, str], tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    names = {"FIRST": hashes["1/123456"], "SECOND": hashes["2/123456"]}
    result = invoke(["compare", *(names.get(word, word) for word in words), "--out", tmp_path / "out"], results)
    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_files_that_changed_are_noticed(results: Path, hashes: dict[str, str]) -> None:
    run = RunFinder(results).find(hashes["1/123456"])[0]
    labels = run.predictions.labels.copy()
    labels[0] = 1 - labels[0]
    changed = Predictions(**{**vars(run.predictions), "labels": labels})
    with pytest.raises(CollidekitError, match="files have changed since"):
        compare_runs([type(run)(**{**vars_of(run), "predictions": changed})], taggers=["jet_mass"])


def vars_of(run: object) -> dict:  # type: ignore[type-arg]
    return {name: getattr(run, name) for name in run.__dataclass_fields__}  # type: ignore[attr-defined]


def test_names_say_what_differs_and_at_last_the_hash(results: Path, hashes: dict[str, str]) -> None:
    finder = RunFinder(results)
    runs = [finder.find(hashes[name])[0] for name in ("1/123456", "2/123456", "1/1")]
    assert names_of(runs[:1]) == ["pfn"]
    assert names_of(runs) == ["pfn, epochs 1", "pfn, epochs 2", "pfn, epochs 1"], "seeds are told apart by nothing"


def test_scores_keep_their_order() -> None:
    values = np.array([np.nan, -np.inf, -3.0, 2.0, np.inf])
    assert (np.diff(_as_scores(values)) > 0).all()
    assert np.isfinite(_as_scores(values)).all()
    assert (np.diff(_as_scores(np.array([np.nan, -1e308, 1e308]))) > 0).all()
    assert np.isfinite(_as_scores(np.full(3, np.nan))).all()


def test_rows_of_other_files_are_compared_without_pairs(
    results: Path, hashes: dict[str, str], trained: Trained, tmp_path: Path
) -> None:
    file = write_root(tmp_path / "third.root", jets(150, seed=3))
    scores = tmp_path / "third.parquet"
    assert invoke(["predict", trained.task, file, "-o", scores], tmp_path).exit_code == 0
    found = compared(results, tmp_path / "out", hashes["1/123456"], scores)
    assert not found["differences"][0]["paired"]
    assert found["notes"][0].startswith("NOT THE SAME ROWS")
