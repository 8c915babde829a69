"""The space file: the settings that a search varies, and their values."""

import hashlib
import json
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

from attrs import frozen

from collidekit.analysis.load import parse_yaml
from collidekit.errors import CollidekitError
from collidekit.search.parameter import Parameter, read_parameter

KindOf = Callable[[str, str], type | None]
"""Name of a setting, its place in the space file -> type of a number; None if it is not known."""


@frozen
class Space:
    """All settings that a search varies."""

    path: Path
    parameters: tuple[Parameter, ...]

    @classmethod
    def read(cls, path: Path, kind_of: KindOf) -> "Space":
        """Read a space file; ``kind_of`` raises an error for a name that is not a setting."""
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            raise CollidekitError(f"{path}: there is no such space file") from None
        except (OSError, UnicodeDecodeError) as error:
            raise CollidekitError(f"{path}: cannot be read as a text file ({error})") from None
        content, lines = parse_yaml(text, str(path), "a space file")
        if not isinstance(content, dict) or not content:
            raise CollidekitError(
                f"{path}:1: a space file names settings and their values, such as 'batch_size: [128, 256]'; see docs/search.md"
            )
        found = []
        for name, entry in content.items():
            where = lines.at((name,))
            found.append(read_parameter(name, entry, where, kind_of(name, where)))
        return cls(path, tuple(found))

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self.parameters)

    @property
    def names(self) -> list[str]:
        return [parameter.name for parameter in self]

    def as_dict(self) -> dict[str, Any]:
        """Return the space for JSON."""
        content: dict[str, Any] = json.loads(json.dumps({one.name: one.as_dict() for one in self}))
        return content

    @property
    def hash(self) -> str:
        """Short hash of the space; it does not depend on the order of the entries."""
        return hashlib.sha256(json.dumps(self.as_dict(), sort_keys=True).encode()).hexdigest()[:10]

    def distributions(self) -> dict[str, Any]:
        """Return the distributions of optuna, by name."""
        return {one.name: one.distribution() for one in self}

    def values(self, drawn: dict[str, Any]) -> dict[str, Any]:
        """Return the settings of a trial from the values drawn by optuna."""
        return {one.name: one.value(drawn[one.name]) for one in self}

    def grid(self) -> list[dict[str, Any]]:
        """Return all combinations of values in the form of optuna; the last setting varies fastest."""
        lists = [[one.drawn(value) for value in one.grid()] for one in self]
        return [dict(zip(self.names, values, strict=True)) for values in product(*lists)]

    def grid_size(self) -> int:
        """Return the number of points of the grid."""
        size = 1
        for one in self:
            size *= len(one.grid())
        return size
