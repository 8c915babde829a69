"""The pages agree with the code: functions, keys, parameters, tasks, verbs, messages and links."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import law
import pytest
import typer

from collidekit.analysis import features, schema, targets
from collidekit.analysis.dilepton import Dilepton
from collidekit.analysis.expressions import Expression
from collidekit.analysis.functions import FUNCTIONS
from collidekit.analysis.load import load_analysis
from collidekit.analysis.plot_settings import PlotSettings
from collidekit.cli import app
from collidekit.models.registry import NETWORKS, build_network
from collidekit.reconstruction.events import Status
from collidekit.reconstruction.methods import METHODS
from collidekit.shipped import find_analysis, shipped_analyses
from collidekit.tasks import compare, export, grid, parts, pipelines, report, robustness, search, significance
from collidekit.tasks.base import AnalysisTask
from collidekit.training.config import TrainingConfig

ROOT = Path(__file__).parents[2]
PAGES = sorted(str(path.relative_to(ROOT)) for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")))
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
ELSEWHERE = {  # of law, make, pip, torchrun, useradd and the like
    "help", "print-status", "remove-output", "attack", "output", "version", "install-completion", "logdir", "group", "no-prune",
    "index-url", "nnodes", "nproc-per-node", "rdzv-backend", "rdzv-endpoint", "system", "create-home", "home-dir",
}  # fmt: skip


def table(text: str, heading: str) -> dict[str, list[str]]:
    """Rows of the first table below a heading, without their code marks, by the first cell."""
    below = text.split(f"\n{heading}\n", 1)[1]
    rows = re.search(r"(?:^\|.*\n)+", below, re.MULTILINE)
    assert rows, heading
    cells = [[cell.strip() for cell in line.strip("|\n ").split(" | ")] for line in rows[0].splitlines()[2:]]
    return {row[0].strip("`"): [cell.strip("`") for cell in row[1:]] for row in cells}


def tasks() -> dict[str, type[AnalysisTask]]:
    found = {
        name: value
        for module in (compare, export, grid, parts, report, search, significance, robustness, pipelines)
        for name, value in vars(module).items()
    }
    found |= {cls.__name__: cls for cls in _below(AnalysisTask)}
    return {
        n: v for n, v in found.items() if isinstance(v, type) and issubclass(v, AnalysisTask) and not v.exclude_index
    }


def _below(kind: type[AnalysisTask]) -> set[type[AnalysisTask]]:
    return set(kind.__subclasses__()).union(*(_below(cls) for cls in kind.__subclasses__()))


def test_every_function_stands_in_the_page_of_expressions(pages):
    page = pages["docs/expressions.md"]
    for name, function in FUNCTIONS.items():
        assert f"| `{name}{function.signature}` | {function.help} |" in page
    for name in re.findall(r"^\| `(\w+)\(.*\)` \| \S", page.split("## Examples")[0], re.MULTILINE):
        assert name in FUNCTIONS


def test_example_expressions_are_valid(pages):
    examples = re.findall(r"\| `(.*)` \|$", pages["docs/expressions.md"].split("## Examples")[1], re.MULTILINE)
    assert [Expression(text).text for text in examples]


def test_every_setting_of_a_training_stands_in_its_page_with_its_default(pages):
    rows = table(pages["docs/training.md"], "## Parameters")
    assert set(rows) == set(TrainingConfig.model_fields)
    for name, field in TrainingConfig.model_fields.items():
        default = (
            ",".join(str(value) for value in field.default) if isinstance(field.default, tuple) else str(field.default)
        )
        assert rows[name][0] == default, name


@pytest.mark.parametrize(
    ("heading", "model"),
    [
        ("## Keys", schema.Analysis),
        ("### `files`", schema.Files),
        ("### `source`", schema.Source),
        ("### `inputs`", schema.Collection),
        ("### Features", features.Feature),
        ("#### Numbers of rows", targets.Regression),
        ("#### Assignments", targets.Assignment),
        ("### `processes`", schema.Process),
        ("### `discriminators`", schema.Discriminator),
    ],
)
def test_every_key_of_the_analysis_file_stands_in_its_page(heading, model, pages):
    assert set(table(pages["docs/analysis.md"], heading)) == set(model.model_fields)


def test_every_setting_of_plots_stands_in_its_page(pages):
    assert set(table(pages["docs/plots.md"], "## Experiment, energy, style")) == set(PlotSettings.model_fields)


def test_every_kind_of_target_stands_in_the_page_of_the_analysis_file(pages):
    page = pages["docs/analysis.md"]
    assert set(table(page, "### `targets`")) == {"values", "classes", "same", "parents"}
    assert set(table(page, "#### Assignments")) == {*targets.Assignment.model_fields}
    assert set(table(page, "### `dilepton`")) == {*Dilepton.model_fields}
    of_members = {*targets.MemberClasses.model_fields, *targets.SameOrigin.model_fields}
    assert set(table(page, "#### Truths of members")) == of_members


def test_every_task_and_parameter_stands_in_the_page_of_tasks(pages):
    page = pages["docs/tasks.md"]
    for name, task in tasks().items():
        assert f"`{name}`" in page
        for parameter in dict(task.get_params()):
            if parameter not in {*TrainingConfig.model_fields, *_law()}:
                assert f"`--{parameter.replace('_', '-')}`" in page, (name, parameter)


def _law() -> set[str]:
    return {name for kind in (law.Task, law.WrapperTask) for name, _ in kind.get_params()}


@pytest.mark.parametrize("name", NETWORKS)
def test_every_option_of_a_network_stands_in_its_page(name, pages):
    """A variant stands in the page of the network that it derives from, in a column of its own."""
    owner = next(known for cls in reversed(NETWORKS[name].__mro__) for known, value in NETWORKS.items() if value is cls)
    below = pages[f"docs/networks/{owner}.md"].split("\n## Options\n", 1)[1]
    header = [cell.strip(" `") for cell in below.strip().splitlines()[0].strip("|").split("|")]
    column = header.index("default" if name == owner else name) - 1
    rows = table(pages[f"docs/networks/{owner}.md"], "## Options")
    signature = inspect.signature(NETWORKS[name].__init__).parameters
    assert set(rows) == set(signature) - {"self", "inputs", "outputs"}
    for option, row in rows.items():
        default = signature[option].default
        assert row[column] == str(list(default) if isinstance(default, tuple) else default), option


def test_every_network_is_in_the_table_of_networks(pages):
    assert set(table(pages["docs/networks.md"], "## Which one")) == set(NETWORKS)


@pytest.mark.parametrize(("column", "name"), [(1, "top_tagging_reference"), (2, "jet_flavour")])
def test_the_sizes_of_networks_are_those_of_the_code(column, name, pages):
    analysis = load_analysis(find_analysis(name))
    for network, row in table(pages["docs/networks.md"], "## Which one").items():
        built = build_network(network, analysis.inputs, len(analysis.classes), {})
        assert row[column] == f"{sum(weights.numel() for weights in built.parameters()):,}", network


def test_every_reconstruction_method_and_status_stands_in_its_page(pages):
    page = pages["docs/reconstruction.md"]
    assert set(table(page, "## Methods")) == set(METHODS)
    assert set(table(page, "## Status and bad input")) == {status.name for status in Status}


@pytest.mark.parametrize("page", PAGES)
def test_tasks_options_verbs_and_analyses_that_a_page_names_exist(page, pages):
    text = pages[page]
    if page == "docs/coming-from.md":  # the first column holds the names of other tools
        text = re.sub(r"^\| .*? \| ", "| ", text, flags=re.MULTILINE)
    known_tasks = tasks()
    for name in re.findall(r"\b[A-Z]\w+Task\b", text):
        assert name in known_tasks, name
    options = {parameter.replace("_", "-") for task in known_tasks.values() for parameter in dict(task.get_params())}
    options |= {opt.lstrip("-") for verb in _verbs(COMMANDS) for p in verb.params for opt in p.opts}
    if page in ("docs/benchmarks.md", "docs/evaluation.md", "docs/scale.md"):
        for path in (ROOT / "benchmarks").glob("*.py"):
            options |= set(re.findall(r'"--([a-z][\w-]*)"', path.read_text()))
    for name in re.findall(r"(?<![\w-])--([a-z][\w-]*)", text):
        assert name in options | ELSEWHERE or name in {"strict", "ep"}, name
    for verb in re.findall(r"`collidekit ([a-z]+(?:-[a-z]+)*)\b", text) + re.findall(
        r"^collidekit ([a-z]+(?:-[a-z]+)*) ", _code(text), re.MULTILINE
    ):
        assert verb in COMMANDS, verb
    for name in re.findall(r"--config ([a-z_]+)\b(?!\.yaml)", text):
        assert name in shipped_analyses() or name in ("my_jets", "hlt_run"), name


def _verbs(commands: dict[str, Any]) -> Iterator[Any]:
    """Yield verbs, and those of groups."""
    for verb in commands.values():
        yield verb
        yield from _verbs(getattr(verb, "commands", {}))


@pytest.mark.parametrize("page", PAGES)
def test_verbs_of_a_group_that_a_page_names_exist(page, pages):
    groups = {name: verb.commands for name, verb in COMMANDS.items() if hasattr(verb, "commands")}
    assert groups
    for name, known in groups.items():
        for verb in re.findall(rf"collidekit {name} ([a-z]+(?:-[a-z]+)*)", pages[page]):
            assert verb in known, verb


def _code(text: str) -> str:
    return "\n".join(re.findall(r"^```bash\n(.*?)^```$", text, re.DOTALL | re.MULTILINE))


@pytest.mark.parametrize("verb", sorted(COMMANDS))
def test_every_verb_stands_in_the_page_of_the_command(verb, pages):
    assert f"## `{verb}`" in pages["docs/command.md"]


def test_messages_of_the_page_of_errors_are_those_of_the_code(pages):
    known = "\n".join(_messages())
    for message in re.findall(r"^\| `(.*)` \| ", pages["docs/errors.md"], re.MULTILINE):
        for part in (piece.strip(" :") for piece in message.split("…")):
            assert part in known, message


def _messages() -> list[str]:
    """Every text of the code, with a gap for what is filled in."""
    found = []
    for path in (ROOT / "src/collidekit").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                found.append("".join(p.value if isinstance(p, ast.Constant) else "\x00" for p in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_exist(page, pages):
    for target in re.findall(r"\]\(([^)\s]+)\)", pages[page]):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), target
        if anchor:
            assert anchor in _anchors(file.read_text()), target


def _anchors(text: str) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\s-]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_no_number_is_left_to_fill_in(page, pages):
    assert "FIGURE:" not in pages[page]
    assert not re.search(r"@[A-Z]+@", pages[page])


@pytest.mark.parametrize("page", ["README.md", "CHANGELOG.md"])
def test_every_analysis_that_ships_is_named(page, pages):
    for name in shipped_analyses():
        assert f"`{name}`" in pages[page]


def test_every_picture_is_shown(pages):
    shown = "".join(pages.values())
    pictures = [path for path in (ROOT / "docs" / "images").rglob("*") if path.is_file()]
    assert pictures
    assert not [path.name for path in pictures if f"/{path.name})" not in shown]
