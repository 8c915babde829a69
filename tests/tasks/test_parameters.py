"""Every given parameter has an effect, or is an error."""

from pathlib import Path
from typing import Any

import pytest
import toys

from collidekit.errors import CollidekitError
from collidekit.tasks.inference import InferenceTask
from collidekit.tasks.robustness import RobustnessTask
from collidekit.tasks.significance import SignificanceTask
from collidekit.tasks.training import TrainingTask
from collidekit.training.config import TrainingConfig

TRAINING: dict[str, Any] = {"config": "toy.yaml", "filelist": ("train.root",)}
FILES: dict[str, Any] = {"config": "toy.yaml", "filelist": ("train.root",), "test_filelist": ("test.parquet",)}
WITHOUT_EFFECT = [
    {"n_train_files": 0}, {"attack": "fgsm"}, {"attack_magnitude": 0.1}, {"adversarial": "mix"}, {"attack_ramp": 0.1},
    {"attack": "fgsm", "attack_magnitude": 0.1, "attack_norm": "l2"},
    {"attack": "fgsm", "attack_magnitude": 0.1, "attack_iterations": 3},
    {"attack": "fgsm", "attack_magnitude": 0.1, "adversarial_share": 0.1},
    {"significance_weight": 1.0}, {"objective": "relegator_factor", "significance_weight": 1.0}, {"disco_weight": 1.0},
    {"expected_yields": False}, {"significance_warmup": 0.1}, {"focal_gamma": 1.0}, {"warmup": 0.2},
    {"torch_compile_mode": "max-autotune"}, {"optimizer": "SGD", "eps": 1e-3},
    {"optimizer": "Adagrad", "betas": "0.8,0.9"}, {"lr_scheduler": "constant", "lr_decay_factor": 0.1},
    {"mixed_precision": True, "training_precision": "float64"}, {"freeze": "network.*"}, {"keep_head": True},
    {"test_attack": "fgsm"}, {"test_attack_magnitude": 0.1}, {"test_attack_from": "train.root"},
    {"test_attack": "noise", "test_attack_magnitude": 0.1, "test_attack_norm": "l2"},
    {"combine": "median"}, {"checkpoint": ("train.root",), "epochs": 3}, {"seed": 1, "seeds": ("1", "2")},
    {"seed": -1}, {"seed": 2**64}, {"epochs": 0}, {"epochs": 10**20}, {"batch_size": -1}, {"extend_training": -1},
    {"learning_rate": float("inf")}, {"weight_decay": float("nan")}, {"chunk_size": 0}, {"n_threads": 0},
    {"coffea_worker": 0}, {"executor": "slurm"}, {"scheduler": "tcp://far:8786"},
]  # fmt: skip


@pytest.mark.parametrize("given", WITHOUT_EFFECT, ids=str)
def test_a_parameter_without_effect_is_refused(place: Path, given: dict[str, Any]) -> None:
    with pytest.raises(CollidekitError, match=r"^(--|executor|scheduler)"):
        assert InferenceTask(**FILES, **given).hash


def test_settings_that_another_variant_needs_are_left_out_of_the_baseline(place: Path) -> None:
    task = SignificanceTask(**FILES, variants=("relegator", "disco"), disco_weight=2.0, significance_weight=1.0)
    baseline = task.inference("classification", 1)
    assert (baseline.disco_weight, baseline.significance_weight) == (None, None)
    assert task.inference("disco", 1).disco_weight == 2.0
    assert task.inference("relegator", 1).significance_weight == 1.0
    assert baseline.hash == InferenceTask(**FILES, objective="classification", seed=1).hash
    assert task.requires()


def test_what_no_variant_needs_is_refused(place: Path) -> None:
    with pytest.raises(CollidekitError, match="--disco-weight: has no effect with any of classification, relegator"):
        SignificanceTask(**FILES, disco_weight=2.0).requires()
    with pytest.raises(CollidekitError, match="--objective: has no meaning here; give --variants"):
        SignificanceTask(**FILES, objective="disco").requires()


def test_the_nominal_training_beside_an_adversarial_one(place: Path) -> None:
    task = RobustnessTask(**FILES, attack="fgsm", attack_magnitude=0.1, attack_ramp=0.1)
    nominal, adversarial = task.trainings()
    assert nominal.hash == TrainingTask(**TRAINING, seed=1).hash != adversarial.hash


def test_recommended_settings_that_do_nothing_are_no_error(place: Path) -> None:
    text = (place / "toy.yaml").read_text().replace("epochs: 2,", "epochs: 2, warmup: 0.3, attack_magnitude: 0.1,")
    (place / "toy.yaml").write_text(text)
    assert TrainingTask(**TRAINING).training_config().warmup == 0.3
    assert TrainingTask(**TRAINING, attack="fgsm").training_config().attack_magnitude == 0.1


@pytest.mark.parametrize("native", [True, False])
def test_recommended_mixed_precision_needs_a_processor_with_bfloat16(
    native: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    import collidekit as ck
    from collidekit.training import choice

    monkeypatch.setattr(choice, "computes_in_bfloat16", lambda: native)
    plan = ck.load_plan("top_tagging")
    assert choice.training_config(plan, {}).mixed_precision is native
    assert choice.training_config(plan, {"mixed_precision": True}).mixed_precision


def test_settings_at_their_default_are_not_in_the_hash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new setting does not change the folders of existing trainings."""
    monkeypatch.chdir(tmp_path)
    Path("toy.yaml").write_text(toys.TOY)
    toys.write_table(tmp_path / "train.parquet", toys.toy_table(50))
    given = {"config": "toy.yaml", "filelist": ("train.parquet",)}
    task = TrainingTask(**given, epochs=3)
    assert task.hashed()["config"] == {"epochs": 3}
    assert task.identity()["config"]["batch_size"] == 1024
    assert TrainingTask(**given, epochs=3, batch_size=1024).hash == task.hash
    assert TrainingTask(**given, epochs=3, batch_size=512).hash != task.hash


def test_every_setting_says_what_it_does() -> None:
    parameters = dict(TrainingTask.get_params())
    for name, field in TrainingConfig.model_fields.items():
        assert field.description, name
        assert parameters[name].description.startswith(field.description)
