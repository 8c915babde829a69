"""A value of each parameter of a task that decides what comes out, with those that it needs beside it."""

from typing import Any

import law

SIGNIFICANT: list[dict[str, Any]] = [
    {"chunk_size": 10}, {"debug": True}, {"skip_bad_files": True}, {"dataset_version": "v2"}, {"filelist": ("test.parquet",)},
    {"test_filelist": ("train.root",)}, {"test_dataset_version": "v2"}, {"training_version": "v2"}, {"model_name": "mlp"},
    {"model_options": law.util.DotDict({"f": [3]})}, {"epochs": 3}, {"batch_size": 7}, {"learning_rate": 0.1},
    {"optimizer": "SGD"}, {"betas": "0.8,0.9"}, {"eps": 1e-3}, {"weight_decay": 0.3}, {"lr_scheduler": "constant"},
    {"lr_decay_factor": 0.5}, {"lr_scheduler": "cosine", "warmup": 0.2}, {"mixed_precision": True}, {"training_precision": "float64"},
    {"use_torch_compile": True}, {"use_torch_compile": True, "torch_compile_mode": "max-autotune"}, {"loss_function": "FocalLoss"},
    {"label_smoothing": 0.1}, {"loss_function": "FocalLoss", "focal_gamma": 1.0}, {"loss_weighting": True}, {"train_val_split": 0.5}, {"folds": 3}, {"folds": 3, "fold": 1}, {"folds": 3, "fold": 1, "fold_rule": "remainder"}, {"n_train_files": 1},
    {"seed": 1}, {"early_stopping": 3}, {"gradient_clip": 1.0}, {"target_weights": "learned"}, {"ema_decay": 0.9}, {"augmentation": "rotation"},
    {"objective": "relegator"}, {"objective": "relegator", "significance_weight": 1.0}, {"objective": "relegator", "significance_warmup": 0.1}, {"objective": "relegator", "expected_yields": False},
    {"objective": "disco", "disco_weight": 1.0}, {"overtraining_stop": 5}, {"extend_training": 1}, {"replicates": 10}, {"seeds": ("1", "2")}, {"seeds": ("1", "2"), "combine": "median"},
    {"calibrated": True}, {"checkpoint": ("train.root",)}, {"learning_rate_factors": law.util.DotDict({"network.f.*": 0.1})},
]  # fmt: skip
ATTACK: dict[str, Any] = {
    "attack_magnitude": 0.1, "attack_iterations": 3, "attack_individual_factors": True, "attack_reduce": False,
    "attack_restrict_impact": 0.1, "attack_overshoot": 0.1, "attack_uncertainty": 2.0, "attack_offset": 1.0, "attack_norm": "l2",
    "attack_starts": 1, "attack_inputs": "globals", "attack_space": "momenta",
}  # fmt: skip
OWNER = {
    "attack_iterations": "pgd", "attack_norm": "pgd", "attack_starts": "pgd", "attack_overshoot": "jetfool",
    "attack_uncertainty": "optimizer", "attack_offset": "noise",
}  # fmt: skip
MAGNITUDE = {"attack_magnitude": 0.2}
ATTACKS: list[dict[str, Any]] = [
    {"attack": OWNER.get(name, "fgsm"), **MAGNITUDE, name: value} for name, value in ATTACK.items()
]
SIGNIFICANT += [{"min_steps": 1000}, *ATTACKS, {"attack": "fgsm", **MAGNITUDE}]
SIGNIFICANT += [
    {"attack": "fgsm", **MAGNITUDE, **more}
    for more in (
        {"adversarial": "mix"}, {"adversarial": "mix", "adversarial_share": 0.2}, {"adversarial": "trades"},
        {"adversarial": "trades", "adversarial_weight": 2.0}, {"attack_ramp": 0.1},
    )
]  # fmt: skip
SIGNIFICANT += [{f"test_{name}": value for name, value in settings.items()} for settings in ATTACKS]
OF_FILES = {"attack_factors", "test_attack_factors", "test_attack_from"}
"""Their content decides: see test_adversarial.py and test_attacks.py."""
OF_FINE_TUNING = {"from_checkpoint", "keep_head", "freeze"}
