"""A lower part never imports a higher one: the rule of docs/how-it-works.md, read from the imports themselves."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "collidekit"
LAYERS = (
    ("readers", "analysis"), ("dataset",), ("models", "consistency"), ("objectives",), ("attacks",), ("training",),
    ("inference",), ("evaluation",), ("publishing",), ("tasks",),
)  # fmt: skip
"""From the lowest to the highest; what stands together may use each other."""
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
        if (
            isinstance(node, ast.ImportFrom)
            and node not in only_typed
            and node.module
            and node.module.startswith("collidekit.")
        ):
            found.add(node.module.split(".")[1])
    return found


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
