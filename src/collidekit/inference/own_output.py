"""Check that an output does not overwrite an input."""

import glob
import os
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from collidekit.errors import CollidekitError
from collidekit.readers import expand
from collidekit.readers.base import is_url


def check_output(output: Path, files: Sequence[str], others: Sequence[str | Path]) -> None:
    """Raise CollidekitError if the output is an input file, also through a link, or would match an input glob the next time.

    ``others`` are further files that are read: lists of files, checkpoints, the analysis.
    """
    inputs = [path for path in expand(list(files), ask_servers=False) if not is_url(path)]
    lists = [name for name in files if name.endswith(".txt") and not is_url(name)]
    for path in [*inputs, *lists, *map(str, others)]:
        if _same(output, Path(path)):
            raise CollidekitError(f"{output}: is the same file as the input {path}; give --out another name")
    for pattern in files:
        if not is_url(pattern) and glob.has_magic(pattern) and not os.path.exists(pattern):
            place = os.path.abspath(os.path.expanduser(pattern))
            if _matches(Path(os.path.abspath(output)).parts, Path(place).parts):
                raise CollidekitError(
                    f"{output}: matches the input {pattern!r}, so the same command would read it the next time; write it to another "
                    "folder"
                )


def _same(one: Path, other: Path) -> bool:
    if os.path.exists(one) and os.path.exists(other):
        return one.samefile(other)
    return os.path.realpath(one) == os.path.realpath(other)


def _matches(path: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Return whether a path matches a glob, part by part; ``**`` matches any number of folders."""
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(_matches(path[skipped:], pattern[1:]) for skipped in range(len(path) + 1)) or len(pattern) == 1
    return bool(path) and fnmatchcase(path[0], pattern[0]) and _matches(path[1:], pattern[1:])
