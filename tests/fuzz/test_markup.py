"""Names with rich's markup, in paths, expressions, descriptions and messages: shown as they are, and never a traceback."""

import shutil
from pathlib import Path

import pytest
import toys
import yaml
from tests.fuzz.conftest import TRAINING, World

NAME = "it [b] is [red] [/b] [/] [link=x]"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world whose folder, files, analysis, branches and conditions look like markup."""
    world = World(tmp_path_factory.mktemp("hostile") / NAME)
    world.folder.mkdir(parents=True)
    table = toys.toy_table(180)
    table["br[/b]anch"] = table["label"]
    toys.write_table(world.folder / "train.parquet", table[:120])
    toys.write_table(world.folder / "test.parquet", table[120:])
    content = yaml.safe_load(toys.TOY + TRAINING)
    content["training"] |= {"epochs": 10, "learning_rate": 0.02}
    content["name"] = NAME.replace("/", "|")
    content["selection"] = "`br[/b]anch` >= 0 and `br[/b]anch` < 5"
    content["variables"]["doubled"] = "2 * `br[/b]anch`"
    content["classes"]["signal"] = "`br[/b]anch` == 1"
    content["units"] = {"jet_pt": "[/b]", "jet_mass": "$\\mu$m [red] $"}
    content["processes"] = {"all": {"files": "*"}, "none": {"files": "[red][/c]*"}}
    Path(world.analysis).write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    assert "Report" in world.command(*world.words)
    return world


def test_every_verb(hostile: World, scratch: Path) -> None:
    model = shutil.copytree(hostile.of("TrainingTask"), scratch / NAME.replace("/", "|"))
    published, train, out = (
        scratch / "[red] published [link=x]",
        hostile.folder / "train.parquet",
        scratch / "out [b][red]",
    )
    for words, expected in (
        (hostile.words, "[link=x]"),
        (["check", hostile.analysis, train, "-t", hostile.test], "br[/b]anch"),
        (["trace", hostile.analysis, train, 3, "--checkpoint", model], "br[/b]anch"),
        (["predict", model, hostile.test, "-o", f"{out}.parquet"], "out [b][red].parquet"),
        (["calibrate", model, hostile.test, "-o", out], "out [b][red]"),
        (["explain", model, hostile.test, "--rows", 20, "--repeats", 2, "--steps", 1, "-o", out], "out [b][red]"),
        (["robustness", model, "-f", hostile.test, "--attacks", "noise", "--magnitudes", "0.1", "--rows", 20, "-o", out],
         "out [b][red]"),
        (["publish", model, published, "--data", "[/b] data", "-t", hostile.test], "[red] published"),
        (["models", published], "[/b] data"),
        (["predict", model, hostile.test, "-w", published, "-o", f"{out}.parquet"], "out [b][red].parquet"),
        (["clean"], "[link=x]"),
        (["init", train, "-o", f"{out}.yaml"], "out [b][red].yaml"),
    ):  # fmt: skip
        said = " ".join(hostile.command(*words).split())
        assert expected in said, said
        assert "error:" not in said, said


def test_errors(hostile: World, scratch: Path) -> None:
    for words in (
        ["run", "[/b].yaml"], ["check", hostile.analysis, "[red][/b].root"], ["predict", "[/b]", "x", "-o", "y.parquet"],
        ["clean", "--output", "[/b]"], ["run", hostile.analysis, "--set", "[/b]=1"], ["simulate", "[/b]", "-n", 1, "-o", "[/b].root"],
    ):  # fmt: skip
        assert "[/b]" in hostile.command(*words)
