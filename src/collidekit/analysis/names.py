"""Names of branches in expressions: bare, or in backticks if a name needs them."""

import re
from collections.abc import Iterable

_QUOTED = re.compile(r"`([^`]*)`")
_PREFIX = "quoted_branch_"


def simple_name(name: str) -> str:
    """Return the name with ``_`` for every character other than letters, digits and ``_``."""
    return re.sub(r"\W", "_", name)


def quoted(name: str) -> str:
    """Return the name in backticks, which means the branch with exactly this name."""
    return f"`{name}`"


def is_quoted(name: str) -> bool:
    return len(name) > 2 and name[0] == name[-1] == "`"


class ColumnNames:
    """The columns of a file, found by the names that expressions use.

    A bare name has ``_`` for each character that an expression cannot contain. It matches a column only if no other column
    has the same bare name. A name in backticks matches the column with exactly this name.
    """

    def __init__(self, columns: Iterable[str]) -> None:
        self._columns = set(columns)
        self._alike: dict[str, list[str]] = {}
        for column in columns:
            self._alike.setdefault(simple_name(column.strip("`")), []).append(column)

    def find(self, name: str) -> str | None:
        """Return the column with this name; None if there is none, or several."""
        if is_quoted(name):
            exact = (name, name[1:-1], simple_name(name[1:-1]))
            return next((column for column in exact if column in self._columns), None)
        found = self.alike(name)
        return found[0] if len(found) == 1 else None

    def alike(self, name: str) -> list[str]:
        """Return the columns that match a bare name, in the order of the file."""
        return self._alike.get(name, [])


def hide_quotes(text: str) -> tuple[str, dict[str, str]]:
    """Return the text with an identifier for each name in backticks, and the names by identifier."""
    found: dict[str, str] = {}

    def replace(match: re.Match[str]) -> str:
        key = _PREFIX + match[1].encode().hex()
        found[key] = match[0]
        return key

    return _QUOTED.sub(replace, text), found
