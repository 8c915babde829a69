"""A lower part never imports a higher one: the rule of docs/how-it-works.md, read from the imports themselves."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "collidekit"
LAYERS = (
    ("reconstruction",), ("readers", "analysis"), ("dataset",), ("ranks",), ("models", "consistency"), ("objectives",), ("attacks",), ("tracking",), ("training",),
    ("inference",), ("evaluation",), ("search",), ("runtime",), ("bundle", "export"), ("batch",), ("benchmark",), ("tasks",), ("cli",),
)  # fmt: skip
"""From the lowest to the highest; what stands together may use each other."""
ASIDE = {"outputs", "simulation", "starter", "stores"}
"""Beside the chain from files to results."""
HEIGHT = {name: height for height, names in enumerate(LAYERS) for name in names}


def imported(path: Path) -> set[str]:
    """The parts of collidekit that a file imports, wherever in it; not what only type checkers read."""
    found = set()
    tree = ast.parse(path.read_text())
    only_typed = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node not in only_typed:
            assert not node.level, f"{path}: a relative import"
            module = node.module or ""
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "collidekit" else [module]
        elif isinstance(node, ast.Import) and node not in only_typed:
            names = [alias.name for alias in node.names]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("collidekit.")}
    return found


def test_every_part_has_its_layer() -> None:
    parts = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert parts == set(HEIGHT) | ASIDE


@pytest.mark.parametrize("part", HEIGHT)
def test_a_lower_part_never_imports_a_higher_one(part: str) -> None:
    files = sorted((SOURCE / part).rglob("*.py"))
    assert files
    upwards = [
        f"{path.relative_to(SOURCE)} imports {other}"
        for path in files
        for other in sorted(imported(path))
        if HEIGHT.get(other, -1) > HEIGHT[part]
    ]
    assert not upwards
