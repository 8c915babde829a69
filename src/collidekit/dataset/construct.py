"""Construction of a dataset: files -> chunks -> parts -> shards and a manifest.

Each chunk of a file becomes one part, by any worker in any order; parts are then joined in the order of the input into
shards. The shards are therefore the same for any number of workers, and an interrupted construction goes on with the
first chunk or shard that is missing.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.batch import Batch
from collidekit.dataset.manifest import Manifest, Summary, summarise, write_manifest
from collidekit.dataset.rows import build_rows, columns_to_read
from collidekit.dataset.shards import from_record_batch, open_shard, schema, write_batches
from collidekit.errors import CollidekitError
from collidekit.files import checksum, read_json, write_json
from collidekit.readers import expand, file_id, open_file

CHUNK = 20_000
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
    parts.mkdir(parents=True, exist_ok=True)
    paths = expand(files)
    if debug:
        paths = _one_a_process(plan.analysis, paths)
    items, inputs = _items(plan, paths, skip_bad_files)
    _begin(parts, {"analysis": plan.analysis.fingerprint, "inputs": inputs, "chunk": CHUNK, "shard": chunk_size})
    missing = [item for item in items if not (parts / f"{item.number:06d}.json").exists()]
    _run(missing, partial(_work, plan=plan, parts=parts, skip_bad_files=skip_bad_files), workers, progress)
    summaries = [Summary.read(parts / f"{item.number:06d}.json") for item in items]
    for summary in summaries:
        if summary.failed:
            inputs[summary.file]["skipped"] = summary.failed
    total = summarise(plan.analysis, summaries)
    _check_classes(plan.analysis, total, paths)
    shards = _join(plan.analysis, parts, summaries, output, chunk_size)
    manifest = write_manifest(output, plan.analysis, inputs, shards, total)
    shutil.rmtree(parts)
    return manifest


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
        raise CollidekitError(f"none of the {len(paths)} input files can be used: {inputs[0].get('skipped', 'no rows')}")
    return items, inputs


def _begin(parts: Path, job: dict[str, Any]) -> None:
    """Parts of an earlier call are used again only if that call was for just the same thing."""
    note = parts / "job.json"
    if note.exists() and read_json(note) != job:
        shutil.rmtree(parts)
        parts.mkdir()
        for leftover in parts.parent.glob("shard_*.arrow"):
            leftover.unlink()
    write_json(note, job)
    (parts / "stop").unlink(missing_ok=True)


def _run(items: list[Item], work: Any, workers: int, progress: bool) -> None:
    """Work through the items with a coffea executor; the first error stops the rest."""
    if not items:
        return
    from coffea.processor import FuturesExecutor, IterativeExecutor

    options = {"status": progress, "desc": "Processing", "unit": "chunk", "compression": None}
    if workers > 1 and len(items) > 1:
        executor = FuturesExecutor(workers=min(workers, len(items)), **options)
    else:
        executor = IterativeExecutor(**options)
    errors, _ = executor(items, work, {})
    if errors:
        raise CollidekitError(errors[min(errors)])


def _work(item: Item, plan: Plan, parts: Path, skip_bad_files: bool) -> dict[int, str]:
    """Make one part; an error is returned with the number of its item, and tells the other workers to stop."""
    if (parts / "stop").exists():
        return {}
    try:
        try:
            summary = _make_part(item, plan, parts)
        except CollidekitError as error:
            if not skip_bad_files or not str(error).startswith(item.path):
                raise
            summary = Summary(file=item.file, failed=str(error))
        write_json(parts / f"{item.number:06d}.json", summary.content())
    except CollidekitError as error:
        (parts / "stop").touch()
        return {item.number: str(error)}
    return {}


def _make_part(item: Item, plan: Plan, parts: Path) -> Summary:
    with open_file(item.path, plan.analysis.source) as reader:
        chunk = reader.read(columns_to_read(plan, list(reader.columns)), item.start, item.stop)
    rows = build_rows(plan, chunk, item.path, item.file, item.start)
    write_batches(parts / f"{item.number:06d}.arrow", schema(plan.analysis), iter([rows.batch]))
    return Summary.of(item.file, rows, plan.analysis)


def _check_classes(analysis: Analysis, total: Summary, paths: list[str]) -> None:
    where = paths[0] if len(paths) == 1 else f"{len(paths)} files ({paths[0]} ...)"
    if total.rows == 0:
        steps = "; ".join(f"{name}: {count}" for name, count in total.cutflow.items())
        raise CollidekitError(f"{where}: no row is left after the selection ({steps})")
    for name, count in total.class_counts.items():
        if count == 0:
            raise CollidekitError(f"{where}: no row is in class {name!r} ({analysis.classes[name]!r}); check its condition")


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
    for i, (start, stop) in enumerate(zip(starts, starts[1:], strict=False)):
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
