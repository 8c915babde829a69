"""The contracts of the frameworks that consume a graph: a file each."""

from collidekit.errors import CollidekitError, did_you_mean
from collidekit.export.layouts.base import Layout

LAYOUTS: dict[str, type[Layout]] = {"generic": Layout}


def find_layout(name: str) -> type[Layout]:
    """Return a layout by its name."""
    if name not in LAYOUTS:
        names = list(LAYOUTS)
        raise CollidekitError(f"there is no layout {name!r}{did_you_mean(name, names)}; known are {', '.join(names)}")
    return LAYOUTS[name]
