"""Construction of a dataset: files -> chunks -> parts -> shards and a manifest.

Each chunk of a file becomes one part, made by any worker in any order. The parts are then joined to shards in the order of
the input. The shards are therefore the same for any number of workers, and an interrupted construction continues with the
first missing chunk or shard.
"""

import os
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import awkward as ak
import pyarrow as pa

from collidekit import __version__
from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.batch import Batch
from collidekit.dataset.manifest import Manifest, Summary, summarise, write_manifest
from collidekit.dataset.pieces import CHUNK, Chunk, Piece, Survey, cut, share_of
from collidekit.dataset.rows import build_rows, columns_of, matches
from collidekit.dataset.shards import from_record_batch, open_shard, schema, write_batches
from collidekit.dataset.split import break_up, constant_event
from collidekit.dataset.workers import Workers, find_workers
from collidekit.errors import CollidekitError
from collidekit.files import checksum
from collidekit.progress import counting
from collidekit.readers import BadFileError, Reader, expand, file_id, open_file
from collidekit.readers.base import LostServerError, OneTree, UnsupportedError, is_url, no_entries_in_list
from collidekit.sealed import read_sealed, write_sealed

Result = TypeVar("Result")


def construct(
    plan: Plan,
    files: str | Sequence[str],
    output: str | Path,
    chunk_size: int = 100_000,
    workers: int = 1,
    debug: bool = False,
    skip_bad_files: bool = False,
    progress: bool = True,
    executor: str = "futures",
    scheduler: str = "",
) -> Manifest:
    """Construct the dataset of an analysis in a folder; parts of an earlier, interrupted call are used again.

    ``chunk_size`` is the number of rows in a shard. ``executor`` is ``futures`` for ``workers`` processes of this machine, or
    ``dask`` for the cluster at ``scheduler``; without a scheduler, a Dask cluster is started on this machine.
    """
    paths = expand(files)
    if debug:
        paths = one_a_process(plan.analysis, paths)
    output = Path(output).absolute()
    if executor == "dask":  # its workers may run in another folder
        paths = [path if is_url(path) else os.path.abspath(path) for path in paths]
    try:
        with find_workers(executor, workers, scheduler) as pool:
            return _construct(pool, plan, paths, output, chunk_size, skip_bad_files, progress)
    finally:
        _close()


def construct_share(
    plan: Plan,
    files: str | Sequence[str],
    output: str | Path,
    share: int,
    shares: int,
    chunk_size: int = 100_000,
    workers: int = 1,
    debug: bool = False,
    skip_bad_files: bool = False,
    progress: bool = True,
) -> None:
    """Make the parts of share ``share`` of all rows, from 0 to ``shares`` - 1, in a folder.

    Jobs make one share each; ``take_parts`` then moves their parts to the place where ``construct`` finds them.
    """
    paths = expand(files)
    if debug:
        paths = one_a_process(plan.analysis, paths)
    output = Path(output).absolute()
    try:
        with find_workers("futures", workers) as pool:
            surveys, _ = _survey_and_begin(pool, plan, paths, output, chunk_size, skip_bad_files, progress)
            with _keep_finished_parts(pool, output):
                pieces = share_of(cut(paths, surveys, pool.count * shares, CHUNK), share, shares)
                _make_missing(pool, plan, pieces, output, skip_bad_files, progress)
    finally:
        _close()


def _construct(
    pool: Workers, plan: Plan, paths: list[str], output: Path, chunk_size: int, skip_bad_files: bool, progress: bool
) -> Manifest:
    parts = output / "parts"
    surveys, inputs = _survey_and_begin(pool, plan, paths, output, chunk_size, skip_bad_files, progress)
    with _keep_finished_parts(pool, output):
        pieces = cut(paths, surveys, pool.count, CHUNK)
        chunks = sorted((chunk for piece in pieces for chunk in piece.chunks), key=lambda chunk: chunk.number)
        _make_missing(pool, plan, pieces, output, skip_bad_files, progress)
        summaries = [Summary.read(parts / f"{chunk.number:06d}.json") for chunk in chunks]
        summaries = _without_bad_files(summaries, inputs)
        total = summarise(plan.analysis, summaries)
        check_classes(plan.analysis, total, paths)
        arrange = (
            partial(break_up, large={pair[0]: pair[1] for pair in total.repeated}, paths=paths)
            if total.repeated
            else None
        )
        target = schema(plan.analysis, total.kinds)
        shards = _join(pool, target, parts, summaries, output, chunk_size, progress, arrange)
    manifest = write_manifest(output, plan.analysis, inputs, shards, total)
    _remove_unfinished(output, parts)
    shutil.rmtree(parts)
    return manifest


def _survey_and_begin(
    pool: Workers, plan: Plan, paths: list[str], output: Path, chunk_size: int, skip_bad_files: bool, progress: bool
) -> tuple[list[Survey], list[dict[str, Any]]]:
    """Return the survey of each file, and the entries of the files in the manifest."""
    surveys = _survey(pool, plan, paths, skip_bad_files, progress)
    inputs = [survey.entry(path) for path, survey in zip(paths, surveys, strict=True)]
    job = {
        "collidekit": __version__,
        "analysis": plan.analysis.fingerprint,
        "inputs": inputs,
        "chunk": CHUNK,
        "shard": chunk_size,
        "skip_bad_files": skip_bad_files,
    }
    _begin(output, output / "parts", job)
    return surveys, inputs


def _make_missing(
    pool: Workers, plan: Plan, pieces: list[Piece], output: Path, skip_bad_files: bool, progress: bool
) -> None:
    parts = output / "parts"
    make = partial(_make_parts, plan=plan, parts=parts, skip_bad_files=skip_bad_files)
    _run(pool, "Constructing", _missing(pieces, parts), make, parts, progress)


@contextmanager
def _keep_finished_parts(pool: Workers, output: Path) -> Iterator[None]:
    """Keep finished parts after an error, unless the same error would occur again with them."""
    parts = output / "parts"
    try:
        yield
    except BaseException as error:
        pool.end(killed=True)
        _remove_unfinished(output, parts)
        another_try_may_help = isinstance(error.__cause__, OSError) or not isinstance(error, CollidekitError)
        if not another_try_may_help:
            shutil.rmtree(parts)
            _remove_shards(output)
            with suppress(OSError):
                output.rmdir()
        raise


def _without_bad_files(summaries: list[Summary], inputs: list[dict[str, Any]]) -> list[Summary]:
    """Return the results without files that cannot be read to their end; such files are left out completely."""
    for summary in summaries:
        if summary.failed:
            inputs[summary.file].setdefault("skipped", summary.failed)
    skipped = {number for number, entry in enumerate(inputs) if "skipped" in entry}
    result = [Summary(file=s.file, failed=inputs[s.file]["skipped"]) if s.file in skipped else s for s in summaries]
    if all(summary.failed for summary in result):
        raise CollidekitError(f"none of the {len(inputs)} input files can be used: {result[0].failed}")
    return result


def one_a_process(analysis: Analysis, paths: list[str]) -> list[str]:
    """Return the first file of each process; without processes, the first file."""
    patterns = [process.files for process in analysis.processes.values()] or ["*"]
    found = [next((path for path in paths if matches(path, p)), None) for p in patterns]
    return [path for path in found if path is not None]


def _survey(pool: Workers, plan: Plan, paths: list[str], skip_bad_files: bool, progress: bool) -> list[Survey]:
    """Return the survey of each file; names in the analysis are checked before any other work starts."""
    look = partial(_look_at, plan=plan, skip_bad_files=skip_bad_files, chunk=CHUNK)
    with counting("Opening", "files", len(paths), shown=progress) as done:
        surveys = pool.run(paths, look, lambda path: done(1)) if len(paths) > 1 else [look(paths[0])]
    trees = OneTree()
    for path, survey in zip(paths, surveys, strict=True):
        trees.add(path, survey.tree)
    if not any(survey.rows for survey in surveys):
        raise CollidekitError(f"none of the {len(paths)} input files can be used: {surveys[0].failed or 'no rows'}")
    return surveys


def _look_at(path: str, plan: Plan, skip_bad_files: bool, chunk: int) -> Survey:
    try:
        with open_file(path, plan.analysis.source) as reader:
            check_names(plan, reader, skip_bad_files)
            detours = [reader.detour(start) for start in range(0, reader.rows, chunk)]
            return Survey(reader.rows, file_id(path), detours, tree=reader.tree)
    except CollidekitError as error:
        if not skip_bad_files or isinstance(error, LostServerError | UnsupportedError):
            raise
        return Survey(failed=str(error))


def check_names(plan: Plan, reader: Reader, skip_bad_files: bool = False) -> list[str]:
    """Return the columns to read from an open file; a file without entries and a missing name are errors."""
    if reader.rows == 0:  # its columns may have no types
        raise no_entries_in_list(reader.path, skip_bad_files)
    return columns_of(plan, reader)


def _begin(output: Path, parts: Path, job: dict[str, Any]) -> None:
    """Prepare the folder; parts and shards of an earlier call are kept only if that call had the same settings."""
    note = parts / "job.json"
    try:
        parts.mkdir(parents=True, exist_ok=True)
        if not note.exists() or _earlier(note) != job:
            shutil.rmtree(parts)
            _remove_shards(output)
            (output / "manifest.json").unlink(missing_ok=True)
            parts.mkdir()
            write_sealed(note, job)
        _remove_unfinished(output, parts)
        (parts / "stop").unlink(missing_ok=True)
    except OSError as error:
        raise CollidekitError(f"{output}: cannot be written ({error.strerror or error})") from error


def _earlier(note: Path) -> dict[str, Any] | None:
    """Return the settings of an earlier call; None if they cannot be read."""
    try:
        return read_sealed(note, always=True)
    except CollidekitError:
        return None


def _remove_unfinished(output: Path, parts: Path) -> None:
    """Remove files that a killed process was writing."""
    for pattern in (".*.part", ".*.part.json"):
        for leftover in (*output.glob(pattern), *parts.glob(pattern)):
            leftover.unlink(missing_ok=True)


def _remove_shards(output: Path) -> None:
    for shard in output.glob("shard_*.arrow"):
        shard.unlink()


@dataclass(frozen=True)
class _Failure:
    """An error in a worker, in the form that is sent back."""

    message: str
    system: OSError | None

    def error(self) -> CollidekitError:
        error = CollidekitError(self.message)
        error.__cause__ = self.system
        return error


def _run(
    pool: Workers, title: str, pieces: Sequence[Any], work: Callable[[Any], Result], parts: Path, progress: bool
) -> list[Result]:
    """Return the results of all pieces; the first error stops the rest."""
    with counting(title, "rows", sum(len(piece) for piece in pieces), shown=progress) as done:
        results = pool.run(pieces, partial(_guarded, work=work, parts=parts), lambda piece: done(len(piece)))
    for result in results:
        if isinstance(result, _Failure):
            raise result.error()
    return results  # type: ignore[return-value]


def _guarded(piece: Any, work: Callable[[Any], Result], parts: Path) -> Result | _Failure | None:
    """Process a piece; an error is returned, and tells the other workers to stop."""
    if (parts / "stop").exists():
        return None
    try:
        return work(piece)
    except CollidekitError as error:
        with suppress(OSError):
            (parts / "stop").touch()
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else None
        return _Failure(str(error), cause and OSError(cause.errno, str(cause)))
    finally:
        if getattr(piece, "last", True):
            _close()


def _missing(pieces: list[Piece], parts: Path) -> list[Piece]:
    """Return the pieces with a chunk whose part is missing; damaged parts are removed."""
    made = set()
    joining = any(parts.glob("shard_*.json"))
    for note in parts.glob("[0-9]*.json"):
        if note.stem.isdecimal() and _is_whole(note, joining):
            made.add(int(note.stem))
        else:
            note.unlink()
    return [piece for piece in pieces if any(chunk.number not in made for chunk in piece.chunks)]


def _is_whole(note: Path, joining: bool) -> bool:
    """Return whether a part matches its checksum, which may fail after a power cut; parts already in shards may be gone."""
    part = note.with_suffix(".arrow")
    try:
        summary = Summary.read(note)
    except CollidekitError:
        return False
    if summary.failed:
        return True
    return checksum(part) == summary.part_checksum if part.exists() else joining


def _make_parts(piece: Piece, plan: Plan, parts: Path, skip_bad_files: bool) -> None:
    """Make the missing part of each chunk."""
    for chunk in piece.chunks:
        done = parts / f"{chunk.number:06d}.json"
        if done.exists():
            continue
        if (parts / "stop").exists():
            return
        try:
            summary = _make_part(chunk, plan, parts)
        except LostServerError:  # the file may well be good
            raise
        except BadFileError as error:
            if not skip_bad_files:
                raise error from None  # another try cannot help
            summary = Summary(file=chunk.file, failed=str(error))
        write_sealed(done, summary.content())


_opened = threading.local()
"""The file that this thread has open, because continuing in it is cheaper than opening it for each piece."""


def _close() -> None:
    reader = vars(_opened).pop("reader", None)
    if reader is not None:
        reader.close()


def _read(chunk: Chunk, plan: Plan) -> ak.Array:
    reader = getattr(_opened, "reader", None)
    if reader is None or reader.path != chunk.path:
        _close()
        reader = _opened.reader = open_file(chunk.path, plan.analysis.source)
    try:
        return reader.read(columns_of(plan, reader), chunk.start, chunk.stop)
    except BaseException:
        _close()
        raise


def _make_part(chunk: Chunk, plan: Plan, parts: Path) -> Summary:
    rows = build_rows(plan, _read(chunk, plan), chunk.path, chunk.file, chunk.start)
    path = parts / f"{chunk.number:06d}.arrow"
    summary = Summary.of(chunk.file, rows, plan.analysis)
    write_batches(path, schema(plan.analysis, summary.kinds), iter([rows.batch]), compress=False)
    return replace(summary, part_checksum=checksum(path))


def check_classes(analysis: Analysis, total: Summary, paths: Sequence[str]) -> None:
    """Raise an error if a class or a target has no row, or if all rows have the same event number."""
    where = paths[0] if len(paths) == 1 else f"{len(paths)} files ({paths[0]} ...)"
    if total.rows == 0:
        steps = "; ".join(f"{name}: {count}" for name, count in total.cutflow.items())
        raise CollidekitError(f"{where}: no row is left after the selection ({steps})")
    for name, count in total.class_counts.items():
        if count == 0:
            raise CollidekitError(
                f"{where}: no row is in class {name!r} ({analysis.classes[name]!r}); check its condition"
            )
    for name, count in total.known.items():
        if count == 0:
            values = ", ".join(analysis.row_targets[name].values)
            raise CollidekitError(
                f"{where}: target {name!r}: no row has all of its values ({values}); NaN and infinity do not count"
            )
    if analysis.event and total.rows > 1 and total.keys[0] == total.keys[1] and total.entries > 1:
        raise CollidekitError(constant_event(analysis, where))


@dataclass(frozen=True)
class _Cut:
    """The rows from first to last of all parts, which become one shard."""

    number: int
    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first

    def __str__(self) -> str:
        return f"shard {self.number}, rows {self.first} to {self.last}"


def _join(
    pool: Workers,
    target: pa.Schema,
    parts: Path,
    summaries: list[Summary],
    output: Path,
    size: int,
    progress: bool,
    arrange: Callable[[Batch], Batch] | None = None,
) -> list[dict[str, Any]]:
    """Cut the rows of all parts, in order, into shards of ``chunk_size`` rows."""
    starts = [0]
    for summary in summaries:
        starts.append(starts[-1] + summary.rows)
    cuts = [_Cut(i, first, min(first + size, starts[-1])) for i, first in enumerate(range(0, starts[-1], size))]
    write = partial(_write_shard, target=target, parts=parts, starts=starts, output=output, arrange=arrange)
    return _run(pool, "Writing shards", cuts, write, parts, progress)


def _write_shard(
    cut: _Cut,
    target: pa.Schema,
    parts: Path,
    starts: list[int],
    output: Path,
    arrange: Callable[[Batch], Batch] | None = None,
) -> dict[str, Any]:
    """Write one shard, remove parts that are no longer needed, and return the entry of the shard in the manifest."""
    path = output / f"shard_{cut.number:05d}.arrow"
    note = parts / f"shard_{cut.number:05d}.json"
    if not (path.exists() and _earlier(note)):
        rows = _rows_between(parts, starts, cut.first, cut.last)
        written = write_batches(path, target, map(arrange, rows) if arrange else rows)
        write_sealed(note, {"file": path.name, **asdict(written)})
    for i, (start, stop) in enumerate(pairwise(starts)):
        if cut.first <= start and stop <= cut.last:
            (parts / f"{i:06d}.arrow").unlink(missing_ok=True)
    return read_sealed(note, always=True)


def _rows_between(parts: Path, starts: list[int], first: int, last: int) -> Iterator[Batch]:
    """Yield the rows from first to last of all parts in order, block by block."""
    for i, (start, stop) in enumerate(pairwise(starts)):
        if stop <= first or start >= last or start == stop:
            continue
        reader = open_shard(parts / f"{i:06d}.arrow")
        position = start
        for number in range(reader.num_record_batches):
            batch = from_record_batch(reader.get_batch(number), 0)
            low, high = max(first - position, 0), min(last - position, len(batch))
            if low < high:
                yield batch.slice(low, high)
            position += len(batch)
