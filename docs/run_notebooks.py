"""Runs the notebooks: ``python docs/run_notebooks.py`` writes docs/notebooks/NAME.md and pictures from NAME.ipynb.

The notebooks are stored without outputs; the pages have the cells with the outputs of this run. Each notebook runs in an empty
folder. Needs ``pip install --group test``.
"""

import base64
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "notebooks"
PICTURES = Path(__file__).parent / "images" / "notebooks"
NOTEBOOKS = ("first_tagger", "own_network", "reading_predictions")
LONGEST = 300
"""Seconds that a cell may take."""
NOT_SHOWN = re.compile(r"<style.*?</style>\s*|\x1b\[[0-9;]*m", re.DOTALL)


def run(name: str, folder: Path) -> Any:
    """Run a notebook in a folder and return it with its outputs; the first error ends it."""
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    return NotebookClient(notebook, timeout=LONGEST, resources={"metadata": {"path": str(folder)}}).execute()


def as_page(name: str, notebook: Any) -> tuple[str, dict[str, bytes]]:
    """Return the page of a notebook, and its pictures by the name of their file."""
    parts: list[str] = []
    pictures: dict[str, bytes] = {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        here = len(parts)
        texts: list[str] = []
        for output in cell.outputs:
            data = output.get("data", {})
            if "image/png" in data:
                file = f"{name}_{len(pictures) + 1}.png"
                pictures[file] = base64.b64decode(data["image/png"])
                parts.append(f"![Plot of the cell above](../images/notebooks/{file})")
            elif shown := NOT_SHOWN.sub("", "".join(data.get("text/html", ""))).strip():
                parts.append("\n".join(line for line in shown.splitlines() if line.strip()))
            elif "text/html" not in data and (text := output.get("text") or data.get("text/plain", "")):
                texts.append(NOT_SHOWN.sub("", text))
        if printed := "".join(texts).strip("\n"):
            parts.insert(here, f"```text\n{printed}\n```")
    about = f"*This page is the [notebook]({name}.ipynb) with the outputs of one run.*"
    return "\n\n".join([parts[0], about, *parts[1:]]) + "\n", pictures


def main() -> None:
    PICTURES.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or NOTEBOOKS:
        with tempfile.TemporaryDirectory() as folder:
            page, pictures = as_page(name, run(name, Path(folder)))
            page = page.replace(folder, "/home/me")
        (FOLDER / f"{name}.md").write_text(page)
        for file in PICTURES.glob(f"{name}_*.png"):
            file.unlink()
        for file_name, content in pictures.items():
            (PICTURES / file_name).write_bytes(content)
        print(f"{FOLDER / name}.md: {len(pictures)} pictures")


if __name__ == "__main__":
    main()
