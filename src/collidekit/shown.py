"""Objects as a notebook shows them: a title and a small table, with everything that comes from files escaped."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from collidekit.plain_text import without_controls

MOST = 20
"""Rows of a table that are shown."""


def html_table(title: str, rows: Iterable[Sequence[Any]], header: Sequence[str] = (), note: str = "") -> str:
    """Return HTML of a table with a title, a line of headings and a line of text below; of many rows the first.

    It sets no colours, so that it can be read in light and dark notebooks, and a wide table scrolls on its own.
    """
    lines = [list(row) for row in rows]
    left_out = f"and {len(lines) - MOST:,} more" if len(lines) > MOST else ""
    head = f"<thead><tr>{_cells('th', header)}</tr></thead>" if header else ""
    body = "".join(f"<tr>{_cells('td', row)}</tr>" for row in lines[:MOST])
    below = "".join(f"<div>{_text(text)}</div>" for text in (left_out, note) if text)
    table = f'<div style="overflow-x: auto"><table>{head}<tbody>{body}</tbody></table></div>'
    return f"<div><b>{_text(title)}</b>{table}{below}</div>"


def _cells(kind: str, values: Sequence[Any]) -> str:
    return "".join(f"<{kind}>{_text(value)}</{kind}>" for value in values)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return escape(
        without_controls(f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value))
    )


def counted(number: int, thing: str) -> str:
    """``1 class``, ``3 classes``, ``1,200 rows``."""
    several = f"{thing}es" if thing.endswith("s") else f"{thing[:-1]}ies" if thing.endswith("y") else f"{thing}s"
    return f"{number:,} {thing if number == 1 else several}"
