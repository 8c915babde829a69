"""Optional packages, which are imported when they are needed and installed with an extra."""

from importlib import import_module
from typing import Any

from collidekit.errors import CollidekitError


def need(module: str, extra: str) -> Any:
    """Import and return a module; raise CollidekitError with the extra to install if it is missing."""
    try:
        found = import_module(module)
        if found.__spec__ and found.__spec__.submodule_search_locations and not found.__spec__.origin:
            raise ImportError(f"{next(iter(found.__path__))} is a folder without this package")
        return found
    except ImportError as error:
        raise CollidekitError(
            f"this needs {module.partition('.')[0]} ({error}); install it with: pip install 'collidekit[{extra}]'"
        ) from None
