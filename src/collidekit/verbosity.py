"""How much is said: with ``--quiet`` only warnings, errors and results."""

import os

VARIABLE = "COLLIDEKIT_QUIET"
_WARNINGS = ("[yellow]", "[bold yellow]", "[red]", "[bold red]")


def is_quiet() -> bool:
    """Return whether steps and progress are not shown; worker processes and jobs ask the same variable."""
    return os.environ.get(VARIABLE, "") not in ("", "0")


def set_quiet(quiet: bool) -> bool:
    """Show no steps and no progress from now on; return the same value."""
    if quiet:
        os.environ[VARIABLE] = "1"
    return quiet


def is_warning(markup: str) -> bool:
    """Return whether a text in rich's markup is a warning, which is always shown."""
    return markup.lstrip().startswith(_WARNINGS)
