"""Amount of printed text: with ``--quiet`` only warnings, errors and results."""

import os

VARIABLE = "COLLIDEKIT_QUIET"
_WARNINGS = ("[yellow]", "[bold yellow]", "[red]", "[bold red]")


def is_quiet() -> bool:
    """Return whether steps and progress are hidden; worker processes and jobs inherit the environment variable."""
    return os.environ.get(VARIABLE, "") not in ("", "0")


def set_quiet(quiet: bool) -> bool:
    """Hide steps and progress from now on if ``quiet``; return the same value."""
    if quiet:
        os.environ[VARIABLE] = "1"
    return quiet


def is_warning(markup: str) -> bool:
    """Return whether a text with rich markup is a warning, which is always shown."""
    return markup.lstrip().startswith(_WARNINGS)
