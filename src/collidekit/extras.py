"""Packages that are imported on demand, which an extra of the installation brings."""

from importlib import import_module
from typing import Any

from collidekit.errors import CollidekitError


def need(module: str, extra: str) -> Any:
    """The module, or an error that names the extra to install."""
    try:
        return import_module(module)
    except ImportError as error:
        raise CollidekitError(
            f"this needs {module.partition('.')[0]} ({error}); install it with: pip install 'collidekit[{extra}]'"
        ) from None
