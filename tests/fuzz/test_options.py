"""Every option of every verb takes any text, or says in one line that it does not."""

import random
import shutil
from pathlib import Path

import pytest
import typer
from odd import NUMBERS, TEXTS, damage_bytes, fuzzed, randoms, show
from tests.fuzz.conftest import World

from collidekit.cli import app

VERBS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
QUICK = (
    "check", "trace", "predict", "models", "publish", "calibrate", "explain", "robustness", "clean", "init", "simulate",
)  # fmt: skip
"""Those that take no training: ``run``, ``significance`` and ``demo`` have the parameters of test_settings.py."""


def words(verb: str, world: World, model: Path) -> list[object]:
    """A short call that works."""
    train = world.folder / "train.parquet"
    return [verb, *{
        "check": [world.analysis, train], "trace": [world.analysis, train, 3], "predict": [model, world.test, "-o", "out.parquet"],
        "models": [], "publish": [model, "published", "--force"], "calibrate": [model, world.test, "-o", "calibration"],
        "explain": [model, world.test, "--rows", 10, "--repeats", 2, "--steps", 1],
        "robustness": [model, "-f", world.test, "--attacks", "noise", "--magnitudes", 0.1, "--rows", 10],
        "clean": [], "init": [train, "--force"], "simulate": ["moons", "-n", 20, "-o", "moons.root"],
    }[verb]]  # fmt: skip


@pytest.fixture(scope="module")
def model(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(world.of("TrainingTask"), tmp_path_factory.mktemp("model") / "copy"))


@pytest.fixture
def deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder from which ``../..`` leads to a folder of this test, too."""
    folder = tmp_path / "so" / "deep"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize("verb", QUICK)
@fuzzed(10, chance=randoms)
def test_options(verb: str, world: World, model: Path, deep: Path, chance: random.Random) -> None:
    """An option with an odd value, or such a value in the place of a word."""
    given = words(verb, world, model)
    values = [*map(str, NUMBERS), *(text for text in TEXTS if text not in ("/abs", "~")), f"{deep}/abs"]
    value = chance.choice(values).replace("\ud800", "\udc80")  # as the name of a file may be
    options = [o for o in VERBS[verb].params if o.param_type_name == "option" and not o.is_flag and o.name != "output"]
    if options and chance.random() < 0.7:
        given += [chance.choice(options).opts[0], value]
    elif len(given) > 1:
        given[chance.randrange(1, len(given))] = value
    show(given=given)
    if verb == "simulate" and len(value) > 5 and value.lstrip("-").isdigit():
        return  # many jets are many jets
    world.command(*given)


LINES = [
    "[/b]", "\x00", "a" * 10_000, "\ufeff", "# only this", "/dev/null", "*", "../*", "~nobody/x", "{test}", "{test}", "list.txt",
]  # fmt: skip


@fuzzed(40, chance=randoms)
def test_lists_of_files(world: World, model: Path, deep: Path, chance: random.Random) -> None:
    lines = [chance.choice(LINES).replace("{test}", world.test) for _ in range(chance.randrange(4))]
    content = "\n".join(lines).encode()
    content = damage_bytes(content + b"\n", chance) if chance.random() < 0.6 else content
    Path("list.txt").write_bytes(content)
    show(content=content)
    world.command("predict", model, "list.txt", "-o", "out.parquet")
