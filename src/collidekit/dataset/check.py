"""One pass over the files of an analysis that finds problems before a training does."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from collidekit.analysis.load import read_analysis
from collidekit.analysis.scope import Plan, no_numbers
from collidekit.dataset.check_part import SAMPLE, CheckedFile, Part
from collidekit.dataset.check_problems import (
    Problem,
    problems_of,
    problems_of_both,
    problems_of_units,
    separation_of,
)
from collidekit.dataset.check_training import training_problems
from collidekit.dataset.pieces import CHUNK
from collidekit.dataset.rows import columns_of
from collidekit.dataset.separation import Separation
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.progress import counting
from collidekit.readers import expand, open_file
from collidekit.readers.base import OneTree
from collidekit.shipped import find_analysis
from collidekit.shown import counted, html_table

_PLACES = 40
"""Number of positions that a limited check reads, spread evenly over the files."""


@dataclass
class Check:
    """The result of a check."""

    plan: Plan
    parts: list[Part]
    problems: list[Problem]
    alone: dict[str, Separation]
    seconds: float

    @property
    def errors(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.error]

    @property
    def warnings(self) -> list[Problem]:
        return [problem for problem in self.problems if not problem.error]

    @property
    def rate(self) -> float:
        """Entries per second of this check."""
        return sum(part.seen for part in self.parts) / max(self.seconds, 1e-9)

    def _repr_html_(self) -> str:
        rows: list[tuple[str, str]] = [("error", problem.text) for problem in self.errors]
        rows += [("warning", problem.text) for problem in self.warnings]
        seen = ", ".join(f"{counted(part.seen, 'entry')} of {part.name}" for part in self.parts)
        return html_table(f"Check of {self.plan.analysis.name!r}: {seen}", rows or [("ok", "no problem was found")])


def check_named(
    analysis: str, files: Sequence[str] | None = None, test_files: Sequence[str] | None = None, limit: int | None = None
) -> Check:
    """Check an analysis, given by path or bundled name; without files, check the files named in the analysis."""
    path = find_analysis(analysis)
    plan = Plan(*read_analysis(path))
    if not files and not test_files:
        test_files = _beside(path, plan.analysis.files.test)
    return check(plan, files or named_files(analysis, plan), test_files or (), limit)


def named_files(analysis: str, plan: Plan) -> list[str]:
    """Return the training files named in an analysis file; raise an error if there are none."""
    if not plan.analysis.files.training:
        raise CollidekitError(
            f"{analysis}: names no files; give them after it, or as 'files: {{training: ...}}' in the file"
        )
    return _beside(find_analysis(analysis), plan.analysis.files.training)


def _beside(analysis: Path, patterns: Sequence[str]) -> list[str]:
    """Return the files named in an analysis file, relative to its folder."""
    return [pattern if "://" in pattern else str(analysis.resolve().parent / pattern) for pattern in patterns]


def check(plan: Plan, files: Sequence[str], test_files: Sequence[str] = (), limit: int | None = None) -> Check:
    """Check all files, or ``limit`` rows spread over them; memory grows by 48 bytes per row, and 8 per number of a target."""
    parts = [Part("training", [CheckedFile(path) for path in expand(files)])]
    if test_files:
        parts.append(Part("test", [CheckedFile(path) for path in expand(test_files)]))
    columns: dict[str, list[str]] = {}
    for part in parts:
        trees = OneTree()
        for file in part.files:
            columns[file.path] = _open(plan, file, trees)
    wanted = sum(part.rows for part in parts) if limit is None else min(limit, sum(part.rows for part in parts))
    begun = time.monotonic()
    with counting("Checking", "rows", wanted) as done:
        for part in parts:
            share = part.rows / max(sum(other.rows for other in parts), 1)
            blocks = _blocks(part, None if limit is None else max(int(limit * share), 1))
            part.share = min(1.0, SAMPLE / max(sum(stop - start for places in blocks for start, stop in places), 1))
            for number, places in enumerate(blocks):
                _look(plan, part, number, places, columns[part.files[number].path], done)
    seconds = time.monotonic() - begun
    alone, leaks = separation_of(plan, parts[0])
    found = [problem for part in parts for problem in problems_of(plan, part)]
    found += [*training_problems(plan, parts[0]), *problems_of_both(plan, parts), *problems_of_units(parts), *leaks]
    return Check(plan, parts, sorted(found, key=lambda problem: not problem.error), alone, seconds)


def _open(plan: Plan, file: CheckedFile, trees: OneTree) -> list[str]:
    """Return the columns to read from a file; missing columns become its problem."""
    try:
        with open_file(file.path, plan.analysis.source) as reader:
            trees.add(file.path, reader.tree)
            if not reader.rows:  # its columns may have no types
                raise CollidekitError(
                    f"{file.path}: holds no entries; take it out of the list, or pass --skip-bad-files to 'collidekit run'"
                )
            available = list(reader.columns)
            if plan.analysis.processor is None and (missing := plan.missing(available)):
                known = [*plan.variables, *available]
                for name, user in missing.items():
                    if name in reader.unreadable:
                        raise CollidekitError(
                            f"{user.where}: {no_numbers(name, reader.unreadable[name])} ({file.path})"
                        )
                names = [
                    f"{name!r}{did_you_mean(name, known)}, needed at {user.where}" for name, user in missing.items()
                ]
                raise CollidekitError(f"{file.path}: there is no branch {'; no '.join(names)}")
            columns = columns_of(plan, reader)
            file.rows = reader.rows
            return columns
    except CollidekitError as error:
        file.problem, file.rows = str(error), 0
        return []


def _blocks(part: Part, limit: int | None) -> list[list[tuple[int, int]]]:
    """Return for each file the first and last rows of the blocks to read."""
    if limit is None or limit >= part.rows:
        return [[(start, min(start + CHUNK, file.rows)) for start in range(0, file.rows, CHUNK)] for file in part.files]
    size = max(1, min(CHUNK, limit // _PLACES))
    step = max(size, part.rows * size // limit)
    blocks: list[list[tuple[int, int]]] = []
    first = 0
    for file in part.files:
        blocks.append([(start, min(start + size, file.rows)) for start in range(-first % step, file.rows, step)])
        first += file.rows
    return blocks


def _look(
    plan: Plan,
    part: Part,
    number: int,
    places: list[tuple[int, int]],
    columns: list[str],
    done: Callable[[int], None],
) -> None:
    """Read and count blocks of a file; the first error ends the file and is stored."""
    file = part.files[number]
    if not places:
        return
    try:
        with open_file(file.path, plan.analysis.source) as reader:
            for start, stop in places:
                part.add(plan, reader.read(columns, start, stop), number, start)
                done(stop - start)
    except CollidekitError as error:
        file.problem = str(error)
