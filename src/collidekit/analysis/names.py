"""Names of branches in expressions: as they are, or in backticks where a name needs them."""

import re
from collections.abc import Container

_QUOTED = re.compile(r"`([^`]*)`")
_PREFIX = "quoted_branch_"


def quoted(name: str) -> str:
    """A name in backticks: it stands for the branch of exactly this name."""
    return f"`{name}`"


def is_quoted(name: str) -> bool:
    return len(name) > 2 and name[0] == name[-1] == "`"


def column_of(name: str, columns: Container[str]) -> str | None:
    """The column that a name of an expression stands for; None where there is none.

    A reader writes the names of branches with ``_`` for signs that an expression cannot have. Only where two branches
    would get one name, they keep their own in backticks.
    """
    if name in columns:
        return name
    if is_quoted(name):
        for other in (name[1:-1], re.sub(r"\W", "_", name[1:-1])):
            if other in columns:
                return other
    return None


def hide_quotes(text: str) -> tuple[str, dict[str, str]]:
    """The text with an identifier in place of each name in backticks, and what each of them stands for."""
    found: dict[str, str] = {}

    def replace(match: re.Match[str]) -> str:
        key = _PREFIX + match[1].encode().hex()
        found[key] = match[0]
        return key

    return _QUOTED.sub(replace, text), found
