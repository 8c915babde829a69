"""Titles of plots, tables and reports: analysis, training and attack."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from collidekit.attacks.settings import AttackSettings
from collidekit.training.config import TrainingConfig
from collidekit.training.effect import attack_without_effect

if TYPE_CHECKING:
    from collidekit.tasks.inference import InferenceTask
    from collidekit.tasks.training import TrainingParameters, TrainingTask

SHOWN = {"attack", "attack_magnitude", "attack_space"}


def attack_name(settings: AttackSettings) -> str:
    """Return name, magnitude and non-default settings of an attack, ``pgd 0.1, iterations 5``; empty without attack."""
    if settings.attack == "nominal":
        return ""
    magnitude = f" {settings.attack_magnitude:g}" if settings.attack_magnitude else ""
    space = "" if settings.attack_space == "features" else f" {settings.attack_space}"
    unused = attack_without_effect(settings)
    others = [
        f", {name.removeprefix('attack_').replace('_', ' ')} {value}"
        for name, field in AttackSettings.model_fields.items()
        if name not in SHOWN and name not in unused and (value := getattr(settings, name)) != field.default
    ]
    return f"{settings.attack}{magnitude}{space}{''.join(others)}"


def attack_mark(settings: AttackSettings) -> str:
    """Return the attack for the path of results, ``fgsm_0.1``."""
    return attack_name(settings).split(",")[0].replace(" ", "_")


def title_of(inference: "InferenceTask") -> str:
    """Return a unique title of training and attack, ``toy, pfn v1 04b9fbbb7c, under fgsm 0.1``."""
    return f"{inference.analysis.name}, {_tagger(inference)}{under(inference)}"


def under(inference: "InferenceTask") -> str:
    """Return ``, under fgsm 0.1 with the gradient of top-tagging/pfn``; empty without attack."""
    name = attack_name(inference.test_attack_settings)
    source = str(inference.test_attack_from)
    return (f", under {name}" if name else "") + (f" with the gradient of {short(source)}" if name and source else "")


def _tagger(inference: "InferenceTask") -> str:
    """Return network, version and hash of a training, or the names of checkpoints."""
    if inference.checkpoint:
        names = [short(str(name)) for name in inference.checkpoint]
        return names[0] if len(names) == 1 else f"{inference.combine} of {' and '.join(names)}"
    if folds := len(inference.all_folds):
        how = (
            f"{folds} folds"
            if inference.joins_folds or inference.chosen_by_number
            else f"{inference.combine} of {folds} folds"
        )
        return f"{trained(inference)}, {how} {inference.hash}"
    if inference.all_seeds:
        return f"{trained(inference)}, {inference.combine} of {len(inference.all_seeds)} seeds {inference.hash}"
    return f"{trained(inference)} {inference.requires()['training'].hash}"


def training_title(task: "TrainingTask") -> str:
    """Return the title of a training, ``toy, pfn v1 04b9fbbb7c``."""
    return f"{task.analysis.name}, {trained(task)} {task.hash}"


def trained(task: "TrainingParameters") -> str:
    """Return network, version and fold of a training, ``pfn v1``."""
    config = task.training_config()
    network = Path(config.model_name.partition(":")[0]).stem
    return f"{network} {task.training_version}" + (f", {config.fold_name}" if config.fold >= 0 else "")


def short(checkpoint: str) -> str:
    """Return the last two parts of a path: version and hash of a training, or the name of a bundled model."""
    parts = [part for part in Path(checkpoint).parts if part not in ("best_model.pt", "/")]
    return "/".join(parts[-2:])


def kind_of(config: TrainingConfig) -> str:
    """Return the attack of a training as text, or ``nominal``."""
    if config.attack == "nominal":
        return "nominal"
    how = {
        "replace": "",
        "mix": f", mix {config.adversarial_share:g}",
        "trades": f", trades {config.adversarial_weight:g}",
    }
    return f"{attack_name(config)}{how[config.adversarial]}"


def kinds_of(configs: Sequence[TrainingConfig]) -> list[str]:
    """Return ``kind_of`` each training, with the network and different settings if several have the same kind."""
    named = [(kind_of(config), config.model_name) for config in configs]
    several = {kind for kind, network in named if any(other == kind and name != network for other, name in named)}
    found = []
    for (kind, network), config in zip(named, configs, strict=True):
        twins = [other for pair, other in zip(named, configs, strict=True) if pair == (kind, network)]
        differ = [
            f"{name} {getattr(config, name)}"
            for name in TrainingConfig.model_fields
            if name != "seed" and any(getattr(other, name) != getattr(config, name) for other in twins)
        ]
        found.append(", ".join([*([network] if kind in several else []), kind, *differ]))
    return found
