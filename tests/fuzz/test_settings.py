"""Every setting of a training, an attack and a network takes any value, or says in one line that it does not."""

import inspect
import random
from pathlib import Path

import pytest
import toys
from luigi.task_register import Register
from odd import NUMBERS, VALUES, ends_well, fuzzed, randoms, show
from pydantic import ValidationError
from tests.fuzz.conftest import World

from collidekit.analysis.load import parse_analysis
from collidekit.analysis.scope import Plan
from collidekit.attacks.build import ATTACKS
from collidekit.attacks.settings import AttackSettings
from collidekit.dataset.loader import Dataset
from collidekit.errors import CollidekitError
from collidekit.models.registry import NETWORKS, find_network
from collidekit.tasks.to_report import parse_settings, report_task, settable
from collidekit.training.augmentations import AUGMENTATIONS
from collidekit.training.choice import check_network, training_config
from collidekit.training.config import TrainingConfig
from collidekit.training.loop import Training

MERIT = """
figure_of_merit: {variable: jet_mass, signal: [signal], window: [10, 20], yields: {background: 100, signal: 10}}
"""
SMALL = {"epochs": 1, "model_name": "pfn", "model_options": {"phi": [4], "f": [4]}, "min_steps": 0}
SLOW = {
    "epochs",
    "extend_training",
    "min_steps",
    "attack_iterations",
    "attack_starts",
    "use_torch_compile",
    "torch_compile_mode",
}
"""What may well be large or slow is only validated."""
PLAN = Plan(*parse_analysis(toys.TOY + MERIT, "toy.yaml"))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return toys.make_dataset(tmp_path_factory.mktemp("rows"), toys.TOY + MERIT, toys.toy_table(60))


def odd_settings(chance: random.Random) -> dict[str, object]:
    """One or two settings with odd values, beside what makes most of the others act."""
    given: dict[str, object] = {
        "objective": chance.choice(["classification", "classification", "relegator", "disco", "modified_binary"]),
        "attack": chance.choice(["nominal", *ATTACKS]), "attack_magnitude": 0.1,
        "loss_function": chance.choice(["CrossEntropyLoss", "FocalLoss"]),
    }  # fmt: skip
    for _ in range(chance.choice([1, 1, 2])):
        name = chance.choice(list(TrainingConfig.model_fields))
        values = [*VALUES, *NUMBERS, [0.9, 0.99], [1e-300, 0.0], "SGD", "Adam", "cosine", "one_cycle"]
        if name == "augmentation":
            given[name] = f"{chance.choice(sorted(AUGMENTATIONS))}={chance.choice(NUMBERS)}"
        elif name == "model_options":
            given[name] = {chance.choice(["phi", "f", "dropout", "x"]): chance.choice(values)}
        else:
            given[name] = chance.choice(values)
    return given


def test_small_settings_work(dataset: Dataset, scratch: Path) -> None:
    """What is made odd below."""
    config = training_config(PLAN, SMALL)
    assert ends_well(lambda: Training(config, dataset, scratch / "training", accelerator="cpu").run()) == ""


@fuzzed(60, chance=randoms)
def test_training(dataset: Dataset, scratch: Path, chance: random.Random) -> None:
    given = {**SMALL, **odd_settings(chance)}
    show(given=given)

    def train() -> None:
        config = training_config(PLAN, given)
        heavy = {name: SMALL.get(name, TrainingConfig.model_fields[name].default) for name in SLOW}
        Training(config.model_copy(update=heavy), dataset, scratch / "training", accelerator="cpu").run()

    ends_well(train)


@fuzzed(120, chance=randoms)
def test_networks(scratch: Path, chance: random.Random) -> None:
    """Options of each network, which are only built."""
    name = chance.choice(list(NETWORKS))
    known = [
        key
        for key in inspect.signature(find_network(name).__init__).parameters
        if key not in ("self", "inputs", "outputs")
    ]
    options = {chance.choice(known): chance.choice(VALUES) for _ in range(chance.choice([1, 1, 2]))}
    show(name=name, options=options)
    ends_well(
        lambda: check_network(PLAN.analysis, training_config(PLAN, {"model_name": name, "model_options": options}))
    )


@fuzzed(150, chance=randoms)
def test_parameters_of_law(world: World, scratch: Path, chance: random.Random) -> None:
    """As texts, for every parameter that ``--set`` takes: what it decides is worked out, and nothing is run."""
    name = chance.choice(list(settable()))
    value = chance.choice(
        [*map(str, VALUES), '{"f": [1e20]}', '{"f": "[/b]"}', "[1]", '{"network.*": "nan"}', "1,2", "0.9,nan"]
    )
    show(name=name, value=value)

    def prepare() -> None:
        Register.clear_instance_cache()
        files = [str(world.folder / "train.parquet")], [world.test]
        task = report_task(world.analysis, *files, parse_settings([f"{name}={value}"]))
        assert len(task.hash) == 10
        task.complete()

    ends_well(prepare)


@fuzzed(60, chance=randoms)
def test_settings_of_attacks(chance: random.Random) -> None:
    """A validated setting goes into a hash, which takes no NaN."""
    given = {
        "attack": chance.choice(list(ATTACKS)),
        chance.choice(list(AttackSettings.model_fields)): chance.choice(VALUES),
    }
    show(given=given)

    def validate() -> None:
        try:
            AttackSettings.model_validate(given)
        except ValidationError as error:
            raise CollidekitError(str(error.errors()[0]["msg"])) from None

    ends_well(validate)
