"""Comparison of the settings of several trainings: changes that all of them share, and changes of single trainings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from collidekit.outputs.trainings import TrainingRun
from collidekit.tasks.differences import flat


@dataclass(frozen=True)
class Recipes:
    """``shared`` are common settings that differ from the default, ``own`` the settings of each training that differ."""

    shared: dict[str, Any]
    own: list[dict[str, Any]]


def usual_settings() -> dict[str, Any]:
    """Return the default of every setting of a training."""
    from collidekit.training.config import TrainingConfig

    return dict(flat(TrainingConfig().model_dump(mode="json")))


def compare_recipes(runs: Sequence[TrainingRun], usual: Mapping[str, Any]) -> Recipes:
    """Compare the settings of trainings. Settings that a training does not contain have their default."""
    known = [run for run in runs if run.config]
    recipes = [{**usual, **run.recipe} for run in known]
    names = list(dict.fromkeys(name for recipe in recipes for name in recipe))
    beside = {name for run in known for name in flat_names(run.identity)}
    varied = set()
    for name in names:
        values = [
            recipe.get(name) for recipe, run in zip(recipes, known, strict=True) if name not in beside or run.identity
        ]
        if any(value != values[0] for value in values[1:]) and not _only_inside(name, names):
            varied.add(name)
    first = recipes[0] if recipes else {}
    shared = {
        name: first[name]
        for name in names
        if name in first and name not in varied | beside and first[name] != usual.get(name)
    }
    differing = iter(
        [
            {name: recipe[name] for name in names if name in varied and recipe.get(name) is not None}
            for recipe in recipes
        ]
    )
    return Recipes(shared, [next(differing) if run.config else {} for run in runs])


def flat_names(settings: Mapping[str, Any]) -> list[str]:
    """Return the path of every setting."""
    return [name for name, _ in flat(settings)]


def _only_inside(name: str, names: Sequence[str]) -> bool:
    """Return whether a setting such as ``model_options`` is empty here, and has options in another training."""
    return any(other.startswith(f"{name}.") for other in names)
