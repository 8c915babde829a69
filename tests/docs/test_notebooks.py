"""The notebooks run, and their pages show the same cells."""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"
NOTEBOOKS = sorted(path.stem for path in (DOCS / "notebooks").glob("*.ipynb"))


@pytest.fixture(scope="module")
def runner() -> Any:
    """docs/run_notebooks.py as a module."""
    spec = importlib.util.spec_from_file_location("run_notebooks", DOCS / "run_notebooks.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_notebook_has_a_page_in_the_navigation(runner: Any) -> None:
    navigation = (DOCS.parent / "mkdocs.yml").read_text()
    assert sorted(runner.NOTEBOOKS) == NOTEBOOKS
    assert len(NOTEBOOKS) == 3
    for name in NOTEBOOKS:
        assert f"notebooks/{name}.md" in navigation


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_stored_without_outputs_and_its_page_has_the_same_cells(name: str) -> None:
    cells = json.loads((DOCS / "notebooks" / f"{name}.ipynb").read_text())["cells"]
    page = (DOCS / "notebooks" / f"{name}.md").read_text()
    places = []
    for cell in cells:
        source = "".join(cell["source"])
        places.append(page.find(f"```python\n{source}\n```" if cell["cell_type"] == "code" else source))
        assert not cell.get("outputs"), f"{name}: clear the outputs, and run docs/run_notebooks.py"
    assert -1 not in places, f"{name}: run docs/run_notebooks.py"
    assert places == sorted(places)
    assert "\x1b" not in page


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_runs(name: str, runner: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(DOCS.parent / "src"), prepend=":")
    page, pictures = runner.as_page(name, runner.run(name, tmp_path))
    assert pictures
    assert all(content.startswith(b"\x89PNG") for content in pictures.values())
    assert "\x1b" not in page
    assert "Traceback" not in page
    aucs = [float(number) for number in re.findall(r"AUC (0\.\d+) ±", page)]
    assert aucs
    assert min(aucs) > 0.85
    assert "<progress" not in page  # bars disappear
