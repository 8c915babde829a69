"""Progress bars in a notebook: an HTML element that is updated in place.

Bars of a terminal move the cursor, which a notebook cannot do. These bars need no widgets.
"""

import sys
import time
from html import escape
from importlib import import_module
from typing import Any

from collidekit.plain_text import without_controls
from collidekit.shown import clock

_IPYTHON = "IPython"
EVERY = 0.25
"""Seconds between two updates of a bar."""


def in_notebook() -> bool:
    """Return whether the code runs in a kernel that shows HTML, such as Jupyter, VS Code or Colab."""
    ipython = sys.modules.get(_IPYTHON)
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and getattr(shell, "kernel", None) is not None


class NotebookBar:
    """A progress bar below a cell, which disappears when it is closed and is not saved with the notebook."""

    def __init__(self, description: str, total: float | None) -> None:
        self.description, self.total = description, total
        self.done, self.status = 0.0, ""
        self._begun = self._shown = time.monotonic()
        self._handle: Any = None

    def advance(self, number: float = 1, status: str = "") -> None:
        """Add to the count and update the bar, at most every ``EVERY`` seconds."""
        self.done += number
        self.status = status or self.status
        now = time.monotonic()
        if now - self._shown >= EVERY:
            self._shown = now
            self._show(self.html(now - self._begun))

    def close(self) -> None:
        """Remove the bar."""
        if self._handle is not None:
            self._show("")

    def html(self, seconds: float) -> str:
        """Return the HTML of the bar with elapsed and remaining time, in the colours of the notebook."""
        parts = [f"{self.done:,.0f}" + (f" of {self.total:,.0f}" if self.total else ""), self.status]
        parts.append(f"{clock(seconds)} elapsed")
        if self.total and self.done:
            parts.append(f"{clock(seconds * max(self.total - self.done, 0) / self.done)} left")
        value = f' value="{min(self.done / self.total, 1):.4f}"' if self.total else ""
        words = escape(without_controls(" · ".join(part for part in parts if part)))
        return (
            f'<div style="font-family: monospace">{escape(without_controls(self.description))} '
            f'<progress max="1"{value} style="vertical-align: middle"></progress> {words}</div>'
        )

    def _show(self, text: str) -> None:
        shown = import_module(f"{_IPYTHON}.display")  # not a dependency: this runs only in an IPython kernel
        if self._handle is None:
            self._handle = shown.display(shown.HTML(text), display_id=True)
        else:
            self._handle.update(shown.HTML(text))
