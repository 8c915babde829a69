"""Predictions are never written over what they are made from."""

import glob
import os
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from collidekit.errors import CollidekitError
from collidekit.readers import expand
from collidekit.readers.base import is_url


def check_output(output: Path, files: Sequence[str], others: Sequence[str | Path]) -> None:
    """An error where the output is one of the input files, also by a link, or would be one the next time, by a glob.

    ``others`` are files that are read too: lists of files, checkpoints, the analysis.
    """
    inputs = [path for path in expand(list(files)) if not is_url(path)]
    lists = [name for name in files if name.endswith(".txt") and not is_url(name)]
    for path in [*inputs, *lists, *map(str, others)]:
        if _same(output, Path(path)):
            raise CollidekitError(f"{output}: is {path}, which is read; give --out another name")
    for pattern in files:
        if not is_url(pattern) and glob.has_magic(pattern) and not os.path.exists(pattern):
            place = os.path.abspath(os.path.expanduser(pattern))
            if _matches(Path(os.path.abspath(output)).parts, Path(place).parts):
                raise CollidekitError(
                    f"{output}: the same command would read it the next time, since {pattern!r} names it; write it to another "
                    "folder"
                )


def _same(one: Path, other: Path) -> bool:
    if os.path.exists(one) and os.path.exists(other):
        return one.samefile(other)
    return os.path.realpath(one) == os.path.realpath(other)


def _matches(path: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Whether a glob names a path, part by part; ``**`` stands for any number of folders."""
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(_matches(path[skipped:], pattern[1:]) for skipped in range(len(path) + 1)) or len(pattern) == 1
    return bool(path) and fnmatchcase(path[0], pattern[0]) and _matches(path[1:], pattern[1:])
