"""Any analysis file is read, or is one clear error; what is read constructs a dataset and trains, or is one."""

import random
import shutil
from pathlib import Path

import toys
import yaml
from odd import NUMBERS, SEED, TEXTS, VALUES, damage_bytes, damage_json, ends_well, fuzzed, randoms, show
from tests.fuzz.conftest import TRAINING

from collidekit.analysis.load import load_analysis, parse_analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.construct import construct
from collidekit.dataset.loader import Dataset
from collidekit.dataset.warnings import data_warnings
from collidekit.training.choice import check_recommended, training_config
from collidekit.training.loop import Training

TEXT = (
    toys.TOY.replace("variables:\n", "variables:\n  part_vertex: part_x * 0\n")
    + TRAINING
    + """
rows: null
members: {}
processor: null
selection: jet_pt > 0
units: {jet_pt: GeV}
class_weights: {signal: 2}
processes: {all: {files: '*', weight: 2}}
targets:
  from_vertex: {collection: constituents, same: part_vertex, weight: 0.5}
  heavy: {collection: constituents, classes: {soft: part_e < 5, hard: part_e >= 5}}
figure_of_merit: {variable: jet_mass, signal: [signal], window: [10, 20], yields: {background: 100, signal: 10}}
recipes: {mlp: {epochs: 2}}
files: {training: [train.parquet], test: [test.parquet]}
"""
)


def use(text: str, file: Path, scratch: Path) -> None:
    """From the text to the first step of a training."""
    plan = Plan(*parse_analysis(text, str(scratch / "toy.yaml")))
    check_recommended(plan)
    folder = scratch / "dataset"
    manifest = construct(plan, str(file), folder, progress=False)
    data_warnings(manifest)
    config = training_config(
        plan, {"epochs": 1, "model_options": {"phi": [4], "f": [4]}, "model_name": "pfn", "min_steps": 0}
    )
    Training(config, Dataset(manifest), scratch / "training", accelerator="cpu")


def test_the_file_itself(world_file: Path, scratch: Path) -> None:
    """What is damaged below works."""
    assert ends_well(lambda: use(TEXT, world_file, scratch)) == ""


def remove(folder: Path) -> None:
    for name in ("dataset", "training"):
        shutil.rmtree(folder / name, ignore_errors=True)


@fuzzed(50, chance=randoms)
def test_entries(world_file: Path, scratch: Path, chance: random.Random) -> None:
    content = damage_json(yaml.safe_load(TEXT), chance)
    try:
        text = yaml.safe_dump(content, allow_unicode=True)
    except yaml.YAMLError:
        return
    show(text=text)
    remove(scratch)
    ends_well(lambda: use(text, world_file, scratch))


EXPRESSIONS = [
    "jet_pt",
    "part_x",
    "label",
    "sum(part_x)",
    "part_e > 5",
    "1",
    "nan",
    "inf",
    "`jet_pt`",
    "argmax(part_e)",
]


@fuzzed(50, chance=randoms)
def test_expressions(world_file: Path, scratch: Path, chance: random.Random) -> None:
    """Where an expression stands, another one, or a piece of one."""
    content = yaml.safe_load(TEXT)
    pool = [*EXPRESSIONS, *map(str, NUMBERS), *TEXTS]
    made = chance.choice(["{}", "({} + {})", "{} ** {}", "{} % {}", "-{}", "not {}", "at({}, {})", "where({}, {}, {})", "{} and {}",
                          "log({})", "sort({})", "pick({}, {})", "{} // {}", "{} < {} < {}", "max({}, {})", "{}" + "+1" * 3000])  # fmt: skip
    text = made.format(*(chance.choice(pool) for _ in range(made.count("{}"))))
    place = chance.choice(
        ["selection", "weight", "class", "variable", "feature", "order", "where", "target", "momenta", "spectator"]
    )
    match place:
        case "selection" | "weight":
            content[place] = text
        case "class":
            content["classes"]["signal"] = text
        case "variable":
            content["variables"]["part_r"] = text
        case "feature":
            content["inputs"]["constituents"]["features"][2]["expression"] = text
        case "order" | "where":
            content["inputs"]["constituents"][place] = text
        case "target":
            content["targets"]["from_vertex"]["same"] = text
        case "momenta":
            content["inputs"]["constituents"]["momenta"] = [text, "part_x", "part_y", "part_e"]
        case _:
            content["spectators"].append(text)
    try:
        changed = yaml.safe_dump(content, allow_unicode=True)
    except yaml.YAMLError:
        return
    show(place=place, expression=text)
    remove(scratch)
    ends_well(lambda: use(changed, world_file, scratch))


@fuzzed(30, chance=randoms)
def test_bytes(scratch: Path, chance: random.Random) -> None:
    path = scratch / "toy.yaml"
    path.write_bytes(damage_bytes(TEXT.encode(), chance))
    ends_well(lambda: load_analysis(path))


def test_values_alone(scratch: Path) -> None:
    """Each key of the file with each odd value."""
    content = yaml.safe_load(TEXT)
    for key in content:
        for value in random.Random(key + str(SEED)).sample(VALUES, 12):
            try:
                text = yaml.safe_dump({**content, key: value}, allow_unicode=True)
            except yaml.YAMLError:
                continue
            ends_well(lambda text=text: Plan(*parse_analysis(text, "toy.yaml")))  # type: ignore[misc]
