"""A quick look at all files of a dataset before anything is written, to find errors within seconds."""

from collections.abc import Sequence

from collidekit.analysis.scope import Plan
from collidekit.dataset.batch import Batch
from collidekit.dataset.construct import check_classes, check_names, one_a_process
from collidekit.dataset.manifest import Summary, summarise
from collidekit.dataset.rows import Rows, build_rows
from collidekit.errors import CollidekitError
from collidekit.progress import counting
from collidekit.readers import BadFileError, open_file
from collidekit.readers.base import LostServerError, OneTree

FIRST = 500
"""Number of entries to read from a file."""
MOST_OPENED, MOST_READ = 20, 5
"""Number of files to open, and to read, spread over all; the construction opens the others before it writes anything."""


def first_look(
    plan: Plan, paths: Sequence[str], skip_bad_files: bool = False, debug: bool = False, progress: bool = True
) -> Batch | None:
    """Open the files, check the names that the analysis uses, and make rows from the first entries.

    Returns the rows of the first file that has some. Raises the error that the construction of a dataset would raise. A
    class without rows is an error only if the files have no other entries.
    """
    paths = one_a_process(plan.analysis, list(paths)) if debug else list(paths)
    chosen = spread(paths, MOST_OPENED)
    read = set(spread(chosen, MOST_READ))
    summaries: list[Summary] = []
    first: Batch | None = None
    whole, trees = len(read) == len(paths), OneTree()
    with counting("Looking at", "files", len(chosen), shown=progress) as done:
        for number, path in enumerate(chosen):
            done(1)
            try:
                rows, entries, tree = _first_rows(plan, path, number, FIRST if path in read else 0, skip_bad_files)
            except LostServerError:
                raise
            except BadFileError as error:
                if not skip_bad_files:
                    raise
                summaries.append(Summary(file=number, failed=str(error)))
                continue
            trees.add(path, tree)
            whole = whole and entries <= FIRST
            summaries.append(Summary.of(number, rows, plan.analysis))
            first = rows.batch if first is None and len(rows.batch) else first
    if all(summary.failed for summary in summaries):
        raise CollidekitError(f"none of the {len(chosen)} input files can be used: {summaries[0].failed}")
    if whole:
        check_classes(plan.analysis, summarise(plan.analysis, summaries), chosen)
    return first


def spread(paths: Sequence[str], most: int) -> list[str]:
    """Return at most ``most`` paths, spread over all, including the first and the last one."""
    if len(paths) <= most:
        return list(paths)
    return [paths[i * (len(paths) - 1) // (most - 1)] for i in range(most)]


def _first_rows(plan: Plan, path: str, number: int, entries: int, skip_bad_files: bool) -> tuple[Rows, int, str]:
    """Return rows of the first entries of a file, the number of its entries, and its tree."""
    with open_file(path, plan.analysis.source) as reader:
        columns = check_names(plan, reader, skip_bad_files)
        chunk = reader.read(columns, 0, min(entries, reader.rows))
        return build_rows(plan, chunk, path, number, 0), reader.rows, reader.tree
