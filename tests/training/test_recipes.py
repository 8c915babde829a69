"""Which settings a training gets: those that are given, those of the network's recipe, those of the analysis."""

from pathlib import Path

import pytest
import toys

from collidekit import load_plan
from collidekit.analysis.scope import Plan
from collidekit.errors import CollidekitError
from collidekit.models.registry import NETWORKS
from collidekit.shipped import shipped_analyses
from collidekit.training.choice import check_recommended, training_config

RECIPES = """
training: {model_name: mlp, model_options: {hidden: [8]}, epochs: 3}
recipes:
  pfn: {model_options: {norm: 5}, learning_rate: 0.02}
"""


def plan_of(folder: Path, text: str) -> Plan:
    path = folder / "toy.yaml"
    path.write_text(toys.TOY + text)
    return load_plan(path)


def test_each_network_gets_its_recipe(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, RECIPES)
    usual, pfn, other = (training_config(plan, {"model_name": name}) for name in (None, "pfn", "transformer_small"))
    assert (usual.model_name, usual.model_options, usual.epochs) == ("mlp", {"hidden": [8]}, 3)
    assert (pfn.model_name, pfn.model_options, pfn.epochs, pfn.learning_rate) == ("pfn", {"norm": 5}, 20, 0.02)
    assert (other.model_options, other.epochs) == ({}, 3)
    given = training_config(plan, {"model_name": "pfn", "learning_rate": 0.1, "model_options": {"norm": 2}})
    assert (given.learning_rate, given.model_options) == (0.1, {"norm": 2})


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("{epohcs: 3}", r"toy.yaml:\d+: recipes.pfn.epohcs: unknown key \(did you mean 'epochs'"),
        ("{epochs: 0}", r"toy.yaml:\d+: recipes.pfn.epochs: .*greater than or equal to 1"),
        ("{model_options: {nrom: 3}}", "network pfn: no option 'nrom'"),
    ],
)
def test_a_wrong_recipe_is_found_beforehand(wrong: str, message: str, tmp_path: Path) -> None:
    plan = plan_of(tmp_path, f"\ntraining: {{model_name: mlp}}\nrecipes:\n  pfn: {wrong}\n")
    with pytest.raises(CollidekitError, match=message):
        check_recommended(plan)


@pytest.mark.parametrize("path", shipped_analyses().values(), ids=lambda path: path.stem)
def test_the_recipes_that_ship_are_valid(path: Path) -> None:
    plan = load_plan(path)
    check_recommended(plan)
    assert set(plan.analysis.recipes) <= set(NETWORKS)
