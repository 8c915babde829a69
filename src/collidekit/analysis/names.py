"""Names of branches in expressions: as they are, or in backticks where a name needs them."""

import re
from collections.abc import Container

_QUOTED = re.compile(r"`([^`]*)`")
_PREFIX = "quoted_branch_"


def simple_name(name: str) -> str:
    """Return a name with ``_`` for everything but letters, digits and ``_``."""
    return re.sub(r"\W", "_", name)


def quoted(name: str) -> str:
    """Return a name in backticks, which stands for the branch of exactly this name."""
    return f"`{name}`"


def is_quoted(name: str) -> bool:
    return len(name) > 2 and name[0] == name[-1] == "`"


def column_of(name: str, columns: Container[str]) -> str | None:
    """Return the column that a name in an expression stands for; None where there is none.

    Readers replace the signs that an expression cannot have by ``_``. Where two branches would get the same name, their
    columns have the exact names in backticks.
    """
    if name in columns:
        return name
    if is_quoted(name):
        for other in (name[1:-1], simple_name(name[1:-1])):
            if other in columns:
                return other
    return None


def hide_quotes(text: str) -> tuple[str, dict[str, str]]:
    """Return the text with an identifier in place of each name in backticks, and the names by identifier."""
    found: dict[str, str] = {}

    def replace(match: re.Match[str]) -> str:
        key = _PREFIX + match[1].encode().hex()
        found[key] = match[0]
        return key

    return _QUOTED.sub(replace, text), found
