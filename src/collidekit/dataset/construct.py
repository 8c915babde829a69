"""Construction of a dataset: files -> chunks -> parts -> shards and a manifest.

Each chunk of a file becomes one part, by any worker in any order; parts are then joined in the order of the input into
shards. The shards are therefore the same for any number of workers, and an interrupted construction goes on with the
first chunk or shard that is missing.
"""

import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import awkward as ak

from collidekit import __version__
from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.batch import Batch
from collidekit.dataset.manifest import Manifest, Summary, summarise, write_manifest
from collidekit.dataset.rows import build_rows, columns_to_read
from collidekit.dataset.shards import from_record_batch, open_shard, schema, write_batches
from collidekit.errors import CollidekitError
from collidekit.files import checksum, read_json, write_json
from collidekit.readers import BadFileError, Reader, expand, file_id, open_file
from collidekit.readers.base import is_url

CHUNK = 10_000
"""Entries of a file that one worker holds in memory at once."""


@dataclass(frozen=True)
class Item:
    """One piece of work: entries start to stop of a file."""

    number: int
    file: int
    path: str
    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


def construct(
    plan: Plan,
    files: str | Sequence[str],
    output: Path,
    chunk_size: int = 100_000,
    workers: int = 1,
    debug: bool = False,
    skip_bad_files: bool = False,
    progress: bool = True,
) -> Manifest:
    """Construct the dataset of an analysis in a folder; what an earlier, interrupted call made is used again."""
    parts = output / "parts"
    paths = expand(files)
    if debug:
        paths = _one_a_process(plan.analysis, paths)
    items, inputs = _items(plan, paths, skip_bad_files)
    job = {
        "collidekit": __version__,
        "analysis": plan.analysis.fingerprint,
        "inputs": inputs,
        "chunk": CHUNK,
        "shard": chunk_size,
        "skip_bad_files": skip_bad_files,
    }
    _begin(output, parts, job)
    try:
        missing = [item for item in items if not (parts / f"{item.number:06d}.json").exists()]
        _run(missing, partial(_work, plan=plan, parts=parts, skip_bad_files=skip_bad_files), workers, parts, progress)
        summaries = [Summary.read(parts / f"{item.number:06d}.json") for item in items]
        summaries = _without_bad_files(summaries, inputs)
        total = summarise(plan.analysis, summaries)
        _check_classes(plan.analysis, total, paths)
        shards = _join(plan.analysis, parts, summaries, output, chunk_size)
    except CollidekitError as error:
        if not isinstance(error.__cause__, OSError):  # no second try can do better
            shutil.rmtree(parts)
            _remove_leftovers(output)
            with suppress(OSError):
                output.rmdir()
        raise
    manifest = write_manifest(output, plan.analysis, inputs, shards, total)
    shutil.rmtree(parts)
    return manifest


def _without_bad_files(summaries: list[Summary], inputs: list[dict[str, Any]]) -> list[Summary]:
    """A file that cannot be read to its end is left out as a whole."""
    for summary in summaries:
        if summary.failed:
            inputs[summary.file].setdefault("skipped", summary.failed)
    skipped = {number for number, entry in enumerate(inputs) if "skipped" in entry}
    result = [Summary(file=s.file, failed=inputs[s.file]["skipped"]) if s.file in skipped else s for s in summaries]
    if all(summary.failed for summary in result):
        raise CollidekitError(f"none of the {len(inputs)} input files can be used: {result[0].failed}")
    return result


def _one_a_process(analysis: Analysis, paths: list[str]) -> list[str]:
    """The first file of each process; the first file where there are no processes."""
    from fnmatch import fnmatch

    patterns = [process.files for process in analysis.processes.values()] or ["*"]
    found = [next((path for path in paths if fnmatch(path, p) or fnmatch(Path(path).name, p)), None) for p in patterns]
    return [path for path in found if path is not None]


def _items(plan: Plan, paths: list[str], skip_bad_files: bool) -> tuple[list[Item], list[dict[str, Any]]]:
    """Chunks of all files in order, and what is known of each file; names are checked before any work begins."""
    items: list[Item] = []
    inputs: list[dict[str, Any]] = []
    for number, path in enumerate(paths):
        entry: dict[str, Any] = {"path": path}
        try:
            with open_file(path, plan.analysis.source) as reader:
                rows = reader.rows
                columns_to_read(plan, list(reader.columns), path=path)
            if rows == 0:
                raise CollidekitError(f"{path}: holds no entries; take it out of the list or pass --skip-bad-files")
            entry |= {"rows": rows, "id": file_id(path)}
        except CollidekitError as error:
            if not skip_bad_files:
                raise
            entry |= {"rows": 0, "skipped": str(error)}
            rows = 0
        for start in range(0, rows, CHUNK):
            items.append(Item(len(items), number, path, start, min(start + CHUNK, rows)))
        inputs.append(entry)
    if not items:
        raise CollidekitError(
            f"none of the {len(paths)} input files can be used: {inputs[0].get('skipped', 'no rows')}"
        )
    return items, inputs


def _begin(output: Path, parts: Path, job: dict[str, Any]) -> None:
    """Parts and shards of an earlier call are used again only if that call was for just the same thing."""
    note = parts / "job.json"
    try:
        parts.mkdir(parents=True, exist_ok=True)
        if not note.exists() or read_json(note) != job:
            shutil.rmtree(parts)
            for leftover in (*output.glob("shard_*.arrow"), *output.glob("manifest.json")):
                leftover.unlink()
            parts.mkdir()
            write_json(note, job)
        _remove_unfinished(output, parts)
        (parts / "stop").unlink(missing_ok=True)
    except OSError as error:
        raise CollidekitError(f"{output}: cannot be written ({error.strerror or error})") from error


def _remove_unfinished(output: Path, parts: Path) -> None:
    """What a killed process was writing."""
    for pattern in (".*.part", ".*.part.json"):
        for leftover in (*output.glob(pattern), *parts.glob(pattern)):
            leftover.unlink(missing_ok=True)


def _remove_leftovers(output: Path) -> None:
    for leftover in output.glob("shard_*.arrow"):
        leftover.unlink()


def _run(items: list[Item], work: Any, workers: int, parts: Path, progress: bool) -> None:
    """Work through the items with a coffea executor; the first error stops the rest."""
    if not items:
        return
    from coffea.processor import FuturesExecutor, IterativeExecutor

    options = {"status": progress, "desc": "Processing", "unit": "chunk", "compression": None}
    if workers > 1 and len(items) > 1:
        with _pool(min(workers, len(items)), parts) as pool:
            errors, _ = FuturesExecutor(pool=pool, **options)(items, work, {})
    else:
        try:
            errors, _ = IterativeExecutor(**options)(items, work, {})
        finally:
            _close()
    if errors:
        message, cause = errors[min(errors)]
        raise CollidekitError(message) from cause


@contextmanager
def _pool(workers: int, parts: Path) -> Iterator[Any]:
    """Processes that are ended at once when this one is interrupted."""
    from concurrent.futures.process import BrokenProcessPool

    from loky import ProcessPoolExecutor

    pool = ProcessPoolExecutor(max_workers=workers, initializer=_end_with, initargs=(os.getpid(),))
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # Ctrl-C goes to all; workers leave it to this process
    pool.submit(os.getpid)  # starts them
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        yield pool
    except BrokenProcessPool as error:
        raise CollidekitError(
            f"{parts.parent}: a worker was killed, perhaps for want of memory; run the same command again with fewer "
            "workers: it goes on where it was"
        ) from OSError(error)
    except BaseException:
        pool.shutdown(wait=True, kill_workers=True)
        _remove_unfinished(parts.parent, parts)
        raise
    finally:
        pool.shutdown(wait=True)


def _end_with(parent: int) -> None:
    """In a worker: do not outlive the process that started it, even if that was killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


_opened: dict[str, Reader] = {}
"""The file that this process reads: going on in it is cheaper than to open it again for each chunk."""


def _close() -> None:
    while _opened:
        _opened.popitem()[1].close()


def _read(item: Item, plan: Plan) -> ak.Array:
    if item.path not in _opened:
        _close()
        _opened[item.path] = open_file(item.path, plan.analysis.source)
    reader = _opened[item.path]
    try:
        return reader.read(columns_to_read(plan, list(reader.columns), path=item.path), item.start, item.stop)
    except BaseException:
        _close()
        raise


def _work(item: Item, plan: Plan, parts: Path, skip_bad_files: bool) -> dict[int, tuple[str, OSError | None]]:
    """Make one part; an error is returned with the number of its item, and tells the other workers to stop."""
    if (parts / "stop").exists():
        return {}
    try:
        try:
            summary = _make_part(item, plan, parts)
        except BadFileError as error:
            if not skip_bad_files:
                raise
            summary = Summary(file=item.file, failed=str(error))
        write_json(parts / f"{item.number:06d}.json", summary.content())
    except CollidekitError as error:
        with suppress(OSError):
            (parts / "stop").touch()
        damaged = isinstance(error, BadFileError) and not is_url(item.path)
        cause = error.__cause__ if isinstance(error.__cause__, OSError) and not damaged else None
        return {item.number: (str(error), cause and OSError(cause.errno, str(cause)))}
    return {}


def _make_part(item: Item, plan: Plan, parts: Path) -> Summary:
    rows = build_rows(plan, _read(item, plan), item.path, item.file, item.start)
    write_batches(parts / f"{item.number:06d}.arrow", schema(plan.analysis), iter([rows.batch]), compress=False)
    return Summary.of(item.file, rows, plan.analysis)


def _check_classes(analysis: Analysis, total: Summary, paths: list[str]) -> None:
    where = paths[0] if len(paths) == 1 else f"{len(paths)} files ({paths[0]} ...)"
    if total.rows == 0:
        steps = "; ".join(f"{name}: {count}" for name, count in total.cutflow.items())
        raise CollidekitError(f"{where}: no row is left after the selection ({steps})")
    for name, count in total.class_counts.items():
        if count == 0:
            raise CollidekitError(
                f"{where}: no row is in class {name!r} ({analysis.classes[name]!r}); check its condition"
            )


def _join(
    analysis: Analysis, parts: Path, summaries: list[Summary], output: Path, chunk_size: int
) -> list[dict[str, Any]]:
    """Cut the rows of all parts, in order, into shards of chunk_size rows; parts that are used up are removed."""
    target = schema(analysis)
    total = sum(summary.rows for summary in summaries)
    starts = [0]
    for summary in summaries:
        starts.append(starts[-1] + summary.rows)
    shards = []
    for number, first in enumerate(range(0, total, chunk_size)):
        path, last = output / f"shard_{number:05d}.arrow", min(first + chunk_size, total)
        if not path.exists():
            write_batches(path, target, _rows_between(parts, starts, first, last))
        for i, stop in enumerate(starts[1:]):
            if stop <= last:
                (parts / f"{i:06d}.arrow").unlink(missing_ok=True)
        shards.append({"file": path.name, "rows": last - first, "checksum": checksum(path)})
    return shards


def _rows_between(parts: Path, starts: list[int], first: int, last: int) -> Iterator[Batch]:
    """The rows first to last of all parts in order, block by block."""
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
