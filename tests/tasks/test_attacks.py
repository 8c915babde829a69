"""Attacks in tasks: trainings and predictions under attack, and what decides where they lie."""

from pathlib import Path
from typing import Any

import pytest
import torch

from collidekit.errors import CollidekitError
from collidekit.evaluation.roc_result import measure_discriminator
from collidekit.tasks.base import run_with_requirements
from collidekit.tasks.inference import InferenceTask
from collidekit.tasks.report import ReportTask
from collidekit.tasks.robustness import RobustnessTask
from collidekit.tasks.training import TrainingTask

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
    with pytest.raises(CollidekitError, match="an ensemble has no gradient of its own"):
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
        ({"test_attack": "fgms"}, "--test-attack: Input should be 'nominal', 'noise'.* got 'fgms'"),
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
    with pytest.raises(CollidekitError, match="--test-attack-from: has no meaning here; name --attacks"):
        RobustnessTask(**settings, test_attack_from="top-tagging/pfn").requires()
    with pytest.raises(CollidekitError, match="robustness needs test files"):
        RobustnessTask(config="toy.yaml", filelist=("train.root",)).requires()


def test_the_report_says_that_the_rows_were_attacked(place: Path) -> None:
    task = ReportTask(**FILES, **FGSM)
    run_with_requirements(task)
    page = (task.folder / "report.html").read_text()
    assert "The judged rows were attacked: fgsm, magnitude 0.3, by its own gradient." in page
    clean = ReportTask(**FILES)
    run_with_requirements(clean)
    assert "were attacked" not in (clean.folder / "report.html").read_text()
