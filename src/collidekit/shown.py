"""Text for people: HTML tables of objects in a notebook, with all text from files escaped; counts and times."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from collidekit.plain_text import without_controls

MOST = 20
"""Maximum number of rows of a table."""


def html_table(title: str, rows: Iterable[Sequence[Any]], header: Sequence[str] = (), note: str = "") -> str:
    """Return the HTML of a table with a title, a header and a note below; only the first ``MOST`` rows are shown.

    It sets no colours, so it is readable in light and dark notebooks. Wide tables can be scrolled.
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
    """Return a number with its noun, such as ``1 class``, ``3 classes``, ``1,200 rows``."""
    several = f"{thing}es" if thing.endswith("s") else f"{thing[:-1]}ies" if thing.endswith("y") else f"{thing}s"
    return f"{number:,} {thing if number == 1 else several}"


def clock(seconds: float | None) -> str:
    """Return a time such as ``3:07`` or ``1:02:45``; ``-:--`` if it is unknown."""
    if seconds is None:
        return "-:--"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
