"""The pages of the documentation, and a folder to run their commands in."""

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import awkward as ak
import pytest
import uproot

ROOT = Path(__file__).parents[2]
PAGES = {
    str(path.relative_to(ROOT)): path for path in (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))
}
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)

Blocks = Callable[[str, str], list[str]]


@pytest.fixture(scope="session")
def pages() -> dict[str, str]:
    """Text of each page, by its path in the repository."""
    return {name: path.read_text() for name, path in PAGES.items()}


@pytest.fixture(scope="session")
def blocks(pages: dict[str, str]) -> Blocks:
    """The code blocks of a page in one language."""
    return lambda page, language: [text for found, text in FENCE.findall(pages[page]) if found == language]


@pytest.fixture(scope="session")
def prose(pages: dict[str, str]) -> dict[str, str]:
    """Each page without its code blocks."""
    return {name: FENCE.sub("", text) for name, text in pages.items()}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder like the repository's, with a smaller sample."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "law.cfg").symlink_to(ROOT / "law.cfg")
    for part, rows in (("train", 1500), ("test", 800)):
        _shorten(ROOT / f"samples/top_tagging/{part}.root", folder / f"samples/top_tagging/{part}.root", rows)
    return folder


@pytest.fixture(scope="module")
def environment(workplace: Path) -> dict[str, str]:
    """As after installation: law and collidekit are found, results go below the folder."""
    paths = [str(Path(sys.executable).parent), os.environ["PATH"]]
    settings = {"PATH": os.pathsep.join(paths), "COLLIDEKIT_OUTPUT": str(workplace / "results"), "COLUMNS": "120"}
    settings |= {"LAW_HOME": str(workplace / ".law"), "PYTHONPATH": str(ROOT / "src")}
    return {key: value for key, value in os.environ.items() if key != "LAW_CONFIG_FILE"} | settings


def _shorten(source: Path, target: Path, rows: int) -> None:
    """The first rows of a sample."""
    with uproot.open(source) as file:
        tree = file["tree"]
        columns = {name: tree[name].array(entry_stop=rows) for name in tree.keys() if name != "npart"}  # noqa: SIM118
    parts = {name.removeprefix("part_"): values for name, values in columns.items() if name.startswith("part_")}
    rest = {name: values for name, values in columns.items() if not name.startswith("part_")}
    target.parent.mkdir(parents=True, exist_ok=True)
    with uproot.recreate(target) as file:
        file["tree"] = {"part": ak.zip(parts), **rest}
