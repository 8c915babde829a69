"""Titles of plots, tables and reports: which analysis, which training, under which attack."""

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
    """Name and magnitude of an attack, and what else is not at its default: ``pgd 0.1, iterations 5``; empty for none."""
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
    """For the path of attacked results: ``fgsm_0.1``."""
    return attack_name(settings).split(",")[0].replace(" ", "_")


def title_of(inference: "InferenceTask") -> str:
    """``toy, pfn v1 04b9fbbb7c, under fgsm 0.1``: no two different trainings or attacks share a title."""
    return f"{inference.analysis.name}, {_judged(inference)}{under(inference)}"


def under(inference: "InferenceTask") -> str:
    """``, under fgsm 0.1 by the gradient of top-tagging/pfn``; empty where the judged rows are as they are."""
    name = attack_name(inference.test_attack_settings)
    source = str(inference.test_attack_from)
    return (f", under {name}" if name else "") + (f" by the gradient of {short(source)}" if name and source else "")


def _judged(inference: "InferenceTask") -> str:
    """What is judged: a training by network, version and hash, or checkpoints by their names."""
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
    """``toy, pfn v1 04b9fbbb7c``: the title of a training."""
    return f"{task.analysis.name}, {trained(task)} {task.hash}"


def trained(task: "TrainingParameters") -> str:
    """``pfn v1``: network, version and fold of a training."""
    config = task.training_config()
    network = Path(config.model_name.partition(":")[0]).stem
    return f"{network} {task.training_version}" + (f", {config.fold_name}" if config.fold >= 0 else "")


def short(checkpoint: str) -> str:
    """The last two names of a path: the version and hash of a training, or the name of a model that ships."""
    parts = [part for part in Path(checkpoint).parts if part not in ("best_model.pt", "/")]
    return "/".join(parts[-2:])


def kind_of(config: TrainingConfig) -> str:
    """What a training learned against, in words."""
    if config.attack == "nominal":
        return "nominal"
    how = {
        "replace": "",
        "mix": f", mix {config.adversarial_share:g}",
        "trades": f", trades {config.adversarial_weight:g}",
    }
    return f"{attack_name(config)}{how[config.adversarial]}"


def kinds_of(configs: Sequence[TrainingConfig]) -> list[str]:
    """``kind_of`` each; those of one kind that differ by more than their seed also name the network and what differs."""
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
