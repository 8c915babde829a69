"""Trainings and predictions under attacks, and the hashes of their folders."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from collidekit.attacks.settings import AttackSettings
from collidekit.errors import CollidekitError
from collidekit.evaluation.classification.roc_result import measure_discriminator
from collidekit.tasks.base import run_with_requirements
from collidekit.tasks.importance import ImportanceTask
from collidekit.tasks.inference import InferenceTask
from collidekit.tasks.report import ReportTask
from collidekit.tasks.robustness import RobustnessTask
from collidekit.tasks.roc import ROCCurveTask
from collidekit.tasks.significance import SignificanceTask
from collidekit.tasks.titles import attack_name, kinds_of
from collidekit.tasks.training import TrainingTask
from collidekit.training.config import TrainingConfig

torch.set_num_threads(1)
FILES: dict[str, Any] = {
    "config": "toy.yaml",
    "filelist": ("train.root",),
    "test_filelist": ("test.parquet",),
    "seed": 1,
}
FGSM = {"test_attack": "fgsm", "test_attack_magnitude": 0.3}


def auc(**settings: Any) -> float:
    task = InferenceTask(**{**FILES, **settings})
    run_with_requirements(task)
    return measure_discriminator(task.predictions(), "SvsB", replicates=2).auc


def test_predictions_under_attack_by_ones_own_gradient_and_by_anothers(place: Path) -> None:
    clean, attacked, noisy = auc(), auc(**FGSM), auc(test_attack="noise", test_attack_magnitude=0.3)
    assert clean > noisy - 0.01 > attacked
    other = TrainingTask(**{key: value for key, value in FILES.items() if key != "test_filelist"} | {"seed": 2})
    run_with_requirements(other)
    transferred = auc(**FGSM, test_attack_from=str(other.folder))
    assert attacked < transferred, "another gradient knows less of this network"


def test_an_ensemble_has_no_gradient_of_its_own(place: Path) -> None:
    checkpoints = []
    for seed in (1, 2):
        task = TrainingTask(**{key: value for key, value in FILES.items() if key != "test_filelist"} | {"seed": seed})
        run_with_requirements(task)
        checkpoints.append(str(task.folder))
    both = {key: value for key, value in FILES.items() if key != "seed"} | {"checkpoint": tuple(checkpoints)}
    with pytest.raises(CollidekitError, match="an ensemble has no gradient"):
        run_with_requirements(InferenceTask(**both, **FGSM))
    run_with_requirements(task := InferenceTask(**both, **FGSM, test_attack_from=checkpoints[0]))
    assert len(task.predictions()) == 200


def test_all_parameters_of_an_attack_decide_the_folder(place: Path) -> None:
    every = [
        {}, FGSM, {**FGSM, "test_attack_magnitude": 0.2}, {**FGSM, "test_attack": "pgd", "test_attack_iterations": 2},
        {**FGSM, "test_attack_individual_factors": True}, {**FGSM, "test_attack_reduce": False},
        {**FGSM, "test_attack_restrict_impact": 0.1}, {**FGSM, "test_attack": "jetfool", "test_attack_overshoot": 0.1},
        {**FGSM, "test_attack": "optimizer", "test_attack_uncertainty": 2.0}, {"attack": "fgsm", "attack_magnitude": 0.1},
    ]  # fmt: skip
    assert len({InferenceTask(**FILES, **settings).folder for settings in every}) == len(every)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"test_attack": "fgsm", "test_attack_magnitude": -0.1}, "--test-attack-magnitude: .*greater than or equal to 0, got -0.1"),
        ({"attack": "fgsm", "attack_magnitude": -0.1}, "--attack-magnitude: .*greater than or equal to 0, got -0.1"),
        ({"test_attack": "fgms"}, "--test-attack: there is no attack 'fgms' .did you mean 'fgsm'.*nominal, noise.* got 'fgms'"),
        ({**FGSM, "test_attack_from": "nowhere.pt"}, "nowhere.pt: there is no such checkpoint"),
    ],
)  # fmt: skip
def test_bad_settings(place: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(CollidekitError, match=said):
        run_with_requirements(InferenceTask(**FILES, **settings))


def test_the_robustness_of_a_nominal_and_an_adversarial_training(place: Path) -> None:
    settings = {key: value for key, value in FILES.items() if key != "seed"}
    task = RobustnessTask(
        **settings, seeds=("1", "2"), attack="fgsm", attack_magnitude=0.2, magnitudes=("0.2",), attacks=("noise", "fgsm"),
        shown_magnitude=0.2, robustness_rows=150,
    )  # fmt: skip
    run_with_requirements(task)
    assert task.complete()
    points = task.points()
    assert {(p.kind, p.seed) for p in points} == {(kind, seed) for kind in ("nominal", "fgsm 0.2") for seed in (1, 2)}
    assert {p.gradient for p in points} == {"none", "own", "nominal", "fgsm 0.2"}
    with pytest.raises(CollidekitError, match="--test-attack-from: has no meaning here; give --attacks"):
        RobustnessTask(**settings, test_attack_from="top-tagging/pfn").requires()
    with pytest.raises(CollidekitError, match="robustness needs test files"):
        RobustnessTask(config="toy.yaml", filelist=("train.root",)).requires()


def test_attacked_results_are_marked(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    task = ReportTask(**FILES, **FGSM)
    run_with_requirements(task)
    roc, points = task.requires()["roc"], task.requires()["working_points"]
    for folder in (task.folder, roc.folder, points.folder, task.requires()["inference"].folder):
        assert folder.parent.name == "v1_under_fgsm_0.3"
    assert task.title.endswith(", under fgsm 0.3")
    page = (task.folder / "report.html").read_text()
    assert "The test rows were attacked: fgsm 0.3, with its own gradient." in page
    assert f"<title>{task.title}</title>" in page
    shown = " ".join(capsys.readouterr().out.split())
    assert ", under fgsm 0.3" in shown
    assert json.loads((roc.folder / "roc.json").read_text())["attack"] == "fgsm 0.3"
    header, first, *_ = (roc.folder / "roc.csv").read_text().splitlines()
    assert (header.split(",")[-1], first.split(",")[-1]) == ("attack", "fgsm 0.3")
    for name in ("working_points.json", "working_points.yaml", "working_points_correctionlib.json"):
        assert ", under fgsm 0.3" in (points.folder / name).read_text()
    clean = ReportTask(**FILES)
    run_with_requirements(clean)
    assert "were attacked" not in (clean.folder / "report.html").read_text()
    assert clean.folder.parent.name == "v1"
    assert "attack" not in (clean.requires()["roc"].folder / "roc.csv").read_text()


def test_titles_name_the_attack_the_gradient_and_the_training(place: Path) -> None:
    assert (
        attack_name(AttackSettings(attack="pgd", attack_magnitude=0.1, attack_iterations=5)) == "pgd 0.1, iterations 5"
    )
    assert attack_name(AttackSettings(attack="jetfool")) == "jetfool"
    assert (
        attack_name(AttackSettings(attack="fgsm", attack_magnitude=0.1, attack_space="momenta")) == "fgsm 0.1 momenta"
    )
    titles = [
        ROCCurveTask(**{**FILES, **more}).title
        for more in (
            {}, FGSM, {"learning_rate": 0.1}, {"training_version": "v2"}, {"chunk_size": 100}, {"test_attack": "jetfool"},
            {**FGSM, "test_attack_from": "top-tagging/pfn"}, {"model_name": "mlp"}, {"seeds": (1, 2), "seed": None},
            {"checkpoint": ("top-tagging/pfn",), "seed": None}, {"seeds": (1, 3), "seed": None},
        )
    ]  # fmt: skip
    assert len(set(titles)) == len(titles)
    assert titles[0] == f"toy, pfn v1 {TrainingTask(**{k: v for k, v in FILES.items() if k != 'test_filelist'}).hash}"
    assert titles[6].endswith(", under fgsm 0.3 with the gradient of top-tagging/pfn")
    assert titles[9] == "toy, top-tagging/pfn"


def test_taggers_of_one_kind_are_told_apart() -> None:
    def config(**settings: Any) -> TrainingConfig:
        return TrainingConfig(**settings)

    assert kinds_of([config(seed=1), config(seed=2)]) == ["nominal", "nominal"]
    assert kinds_of([config(), config(model_name="mlp")]) == ["pfn, nominal", "mlp, nominal"]
    assert kinds_of([config(), config(learning_rate=0.1, seed=5)]) == [
        "nominal, learning_rate 0.001", "nominal, learning_rate 0.1"
    ]  # fmt: skip
    adversarial = config(attack="fgsm", attack_magnitude=0.1)
    assert kinds_of([config(), adversarial]) == ["nominal", "fgsm 0.1"]


def test_plots_carry_the_title(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib.axes import Axes

    titles: list[str] = []
    original = Axes.set_title

    def noted(self: Axes, label: str, *words: Any, **more: Any) -> Any:
        titles.append(" ".join(label.split()))
        return original(self, label, *words, **more)

    monkeypatch.setattr(Axes, "set_title", noted)
    task = ReportTask(**FILES, **FGSM)
    run_with_requirements(task)
    of_results = [title for title in titles if "pfn v1" in title]
    assert len([title for title in of_results if "under fgsm 0.3" in title]) >= 6
    history = [title for title in of_results if "under" not in title]
    assert len(history) == 1  # the loss curves: the training was not attacked


@pytest.mark.parametrize("task", [SignificanceTask, ImportanceTask])
def test_tasks_that_attack_no_rows(place: Path, task: Any) -> None:
    merit = "figure_of_merit: {variable: jet_mass, window: [0, 1], signal: [signal], events: 9, signal_fraction: 0.1}\n"
    (place / "toy.yaml").write_text((place / "toy.yaml").read_text() + merit)
    files = {key: value for key, value in FILES.items() if key != "seed"}
    with pytest.raises(CollidekitError, match="--test-attack: "):
        run_with_requirements(task(**files, **FGSM))
