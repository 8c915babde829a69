"""Files without entries among the files of a new analysis: they are left out of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from collidekit.analysis.schema import Source
from collidekit.errors import CollidekitError
from collidekit.progress import counting
from collidekit.readers import expand, open_file

_MOST = 5
"""Maximum number of empty files that a note lists."""


@dataclass(frozen=True)
class FilesWithEntries:
    """The source of the files, their paths, and the patterns that match only files with entries."""

    source: Source
    paths: list[str]
    patterns: list[str]
    empty: list[str]

    @property
    def notes(self) -> list[str]:
        """A message about the empty files, if there are any."""
        if not self.empty:
            return []
        more = f" and {len(self.empty) - _MOST} more" if len(self.empty) > _MOST else ""
        return [f"left out, because they hold no entries: {', '.join(self.empty[:_MOST])}{more}"]


def without_empty_files(patterns: Sequence[str], find: Callable[[str], Source]) -> FilesWithEntries:
    """Return the files with entries; ``find`` returns the source of the first of them. Files that cannot be opened are kept.

    Raises CollidekitError if no file has entries, or if the source of the first file cannot be found.
    """
    paths = expand(list(patterns))
    source: Source | None = None
    empty: list[str] = []
    with counting("Opening", "files", len(paths)) as done:
        for path in paths:
            used = source or find(path)
            if _is_empty(path, used):
                empty.append(path)
            else:
                source = source or used
            done(1)
    if source is None:
        others = f", like all {len(paths)} files" if len(paths) > 1 else ""
        raise CollidekitError(f"{paths[0]}: holds no entries{others}")
    left_out = set(empty)
    kept = [path for path in paths if path not in left_out]
    return FilesWithEntries(source, kept, [one for p in patterns for one in _only_full(p, left_out)], empty)


def _is_empty(path: str, source: Source) -> bool:
    try:
        with open_file(path, source) as reader:
            return reader.rows == 0
    except CollidekitError:
        return False  # the error is reported later


def _only_full(pattern: str, empty: set[str]) -> list[str]:
    """Return a pattern, or its files with entries if it also matches empty files."""
    if not empty:
        return [pattern]
    matched = expand([pattern])
    return [pattern] if empty.isdisjoint(matched) else [path for path in matched if path not in empty]
