"""Figures that are made but not drawn: drawing takes most of the time of a report."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from matplotlib.figure import Figure

EMPTY = {
    "png": bytes.fromhex(
        "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
        "1f15c4890000000a49444154789c6300010000050001"
        "0d0a2db40000000049454e44ae426082"
    ),
    "pdf": b"%PDF-1.4\n%%EOF\n",
}
"""One transparent pixel, and a document without pages."""


@contextmanager
def without_drawing() -> Iterator[None]:
    """Within the block, figures are saved as empty pictures. ``tests/evaluation`` and ``tests/docs`` look at real ones."""

    def save(figure: Figure, target: Any, *, format: str, **settings: Any) -> None:
        target.write(EMPTY[format])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "savefig", save)
        yield
