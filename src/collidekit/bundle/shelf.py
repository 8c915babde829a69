"""The bundled models: a table of all models, and the card of one."""

import re
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

from collidekit.errors import CollidekitError
from collidekit.evaluation.assignment import EVENT
from collidekit.evaluation.numbers import with_error
from collidekit.plain_text import literal, without_controls
from collidekit.shipped import shipped_models
from collidekit.training.checkpoint import find_checkpoint
from collidekit.training.model_folder import CARD, DESCRIPTION, check_inside, read_description

GAP, LEAST_DATA = 2, 20
"""Gap between columns, and minimum width of the column ``data``, in characters."""
SCORE = "AUC or efficiency"

HUB_HEADER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
"""Metadata of model hubs at the top of a card, which are not shown in a terminal."""


def show_models(console: Console) -> None:
    """Print one line for each bundled model."""
    models = shipped_models()
    if not models:
        console.print("This version has no bundled models. Make one: [cyan]collidekit publish CHECKPOINT FOLDER[/cyan]")
        return
    table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False)
    rows = [(name, *_cells(read_description(folder / DESCRIPTION))) for name, folder in models.items()]
    room = console.width
    for title, cells in zip(("name", "parameters", "MB", SCORE), zip(*rows, strict=True), strict=False):
        table.add_column(title, justify="left" if title in ("name", SCORE) else "right", no_wrap=True)
        room -= GAP + max(len(line) for cell in (title, *cells) for line in cell.splitlines())
    if room >= LEAST_DATA:  # the card describes the data in full
        table.add_column("data", no_wrap=True, overflow="ellipsis", width=room)
    for row in rows:
        table.add_row(*map(literal, row[: len(table.columns)]))
    console.print(table)
    first = next(iter(models))
    console.print(f"Use one:  [cyan]collidekit predict {literal(first)} FILES -o scores.root[/cyan]", highlight=False)
    console.print(f"Its card: [cyan]collidekit models {literal(first)}[/cyan]", highlight=False)


def models_as_dict(name: str | None = None) -> dict[str, Any]:
    """Return the descriptions of all bundled models, or of one, as plain values; docs/command.md describes the keys."""
    folders = shipped_models() if name is None else {name: find_checkpoint(name).parent}
    return {
        "format": "collidekit models 1",
        "models": [_described(key, folder, read_description(folder / DESCRIPTION)) for key, folder in folders.items()],
    }


def _described(name: str, folder: Path, description: dict[str, Any]) -> dict[str, Any]:
    network, data = description.get("network", {}), description.get("data", {})
    return {
        "name": name,
        "folder": str(folder),
        "analysis": description["analysis"].get("name", ""),
        "network": description["config"].get("model_name", ""),
        "parameters": network.get("parameters"),
        "bytes": description["weights"].get("bytes"),
        "classes": list(description["analysis"].get("classes", {})),
        "scores": description.get("scores", []),
        "assignments": description.get("assignments", []),
        "data": data.get("description"),
        "licence": data.get("licence"),
    }


def _cells(description: dict[str, Any]) -> tuple[str, ...]:
    network, data = description.get("network", {}), description.get("data", {})
    size = f"{description['weights'].get('bytes', 0) / 1e6:.2f}"
    scores = description.get("scores", ())
    several = len(scores) > 1
    lines = [f"{s['name'] + ' ' if several else ''}{with_error(s['auc'], s['auc_error'])}" for s in scores]
    for entry in description.get("assignments", ()):
        if entry["what"] == EVENT and entry["complete"]:
            efficiency = with_error(entry["complete"]["value"], entry["complete"]["error"])
            lines.append(f"{entry['target']} {efficiency}")
    measured = "\n".join(lines) or "not measured"
    return (
        f"{network.get('parameters', 0):,}",
        size,
        measured,
        str(data.get("description") or "not described"),
    )


def show_card(name: str, console: Console) -> None:
    """Print the card of a bundled model, or of a model in a folder."""
    card = find_checkpoint(name).parent / CARD
    check_inside(card)
    if not card.is_file():
        raise CollidekitError(f"{card}: there is no card; 'collidekit publish' writes one")
    text = HUB_HEADER.sub("", card.read_text(encoding="utf-8"))
    console.print(Markdown(without_controls(text), hyperlinks=False))
