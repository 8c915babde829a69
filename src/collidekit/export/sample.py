"""Real rows for a bundle: spread over files, without training rows, with the predictions of the checkpoints."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from attrs import frozen

from collidekit.analysis.same_inputs import check_same_inputs
from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.batch import Batch
from collidekit.dataset.learned import Known, known_by_each
from collidekit.dataset.rows import build_rows, columns_of
from collidekit.errors import CollidekitError
from collidekit.export.cases import Array
from collidekit.export.members import in_order
from collidekit.inference.calibrated import calibrated as at_temperature
from collidekit.inference.combination import combine
from collidekit.inference.predict import predict_each
from collidekit.inference.predictions import Predictions
from collidekit.inference.seen import content_of_paths
from collidekit.progress import counting
from collidekit.readers import expand, open_file
from collidekit.readers.base import Reader
from collidekit.shipped import find_analysis, load_plan, shipped_analyses
from collidekit.training.checkpoint import Checkpoint

ROWS = 20_000
BLOCKS = 16
"""Number of blocks that are read from each file, because rows are often sorted by class."""
TOGETHER = 1024
FEW = 1000
"""Number of rows below which a note says that they prove little."""


@frozen
class Sample:
    """Real rows with the predictions of the checkpoints, and the number of the member that predicts each row (N,)."""

    batches: Sequence[Batch]
    predictions: Predictions
    member: Array
    learned: int
    """Number of rows that were left out because a member was trained on them."""
    files: Sequence[str]

    def notes(self, checkpoints: Sequence[Checkpoint]) -> tuple[str, ...]:
        """Return notes on the files of the rows, and on possible training rows among them."""
        names = [Path(path).name for path in self.files]
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more files" if len(names) > 3 else "")
        notes = [f"The rows and the working points are from {shown}"]
        if len(self.predictions) < FEW:
            number = len(self.predictions)
            rows = "1 row proves" if number == 1 else f"{number:,} rows prove"
            notes.append(f"{rows} little: give {FEW:,} or more with --files and --rows")
        if self.learned:
            notes.append(f"{self.learned:,} rows of these files are training rows and were left out")
        if not all(checkpoint.learned_from for checkpoint in checkpoints):
            notes.append(
                "The checkpoint does not store its training rows: make sure that they are not among these rows"
            )
        elif not all(entry.sketch for checkpoint in checkpoints for entry in checkpoint.learned_from):
            notes.append(
                "The checkpoint recognises its training rows only in copies of its training files: make sure that they are not among these rows"
            )
        return tuple(notes)


def read_sample(
    members: Mapping[str, Checkpoint],
    files: Sequence[str] = (),
    rows: int = ROWS,
    calibrated: bool = False,
    analysis: str | None = None,
) -> Sample:
    """Read about ``rows`` rows of files, by default of the test files of the analysis, else of its training files.

    ``analysis`` is the path or name of an analysis with the same inputs, for reading the files; by default the analysis
    of the members.

    Training rows are left out. With folds, each row is predicted by the member that held it out. Raises CollidekitError
    if there are no files, or if no row is left.
    """
    members = in_order(members)
    first = next(iter(members.values()))
    plan = first.plan() if analysis is None else load_plan(analysis)
    for name, member in members.items():
        check_same_inputs(Path(name), member.analysis, plan.analysis)
    paths = (
        expand(list(files)) if files else default_files(plan.analysis, find_analysis(analysis) if analysis else None)
    )
    contents = content_of_paths(paths, members)
    kept: list[Batch] = []
    chosen: list[Array] = []
    learned = 0
    with counting("Reading rows", "rows") as done:
        for batch in _spread(plan, paths, rows):
            states = known_by_each([m.learned_from for m in members.values()], batch, plan.analysis, contents)
            held_out = states == Known.TEST
            usable = held_out.any(axis=0) | (states < Known.SAME_INPUTS).all(axis=0)
            learned += int((~usable).sum())
            kept.append(batch.take(torch.from_numpy(np.flatnonzero(usable))))
            chosen.append(held_out.argmax(axis=0)[usable])
            done(len(batch))
    batches = [part for batch in kept for part in batch.parts(TOGETHER) if len(part)]
    if not batches:
        raise CollidekitError(
            f"{paths[0]}: no row is left to check the bundle with: {learned:,} are training rows, and the others do not pass the "
            "selection; give other files with --files"
        )
    _check_classes(plan.analysis, batches, paths)
    found = dict(
        zip(members, predict_each([m.tagger for m in members.values()], plan.analysis, batches, paths), strict=True)
    )
    if calibrated:
        found = {name: at_temperature(one, members[name].temperature, name) for name, one in found.items()}
    predicted_by = np.concatenate(chosen)
    used = np.arange(len(members))[:, None] == predicted_by if len(members) > 1 else None
    predictions = combine(found, "mean", False, used) if len(members) > 1 else next(iter(found.values()))
    return Sample(batches, predictions, predicted_by, learned, paths)


def _check_classes(analysis: Analysis, batches: Sequence[Batch], paths: Sequence[str]) -> None:
    """Raise CollidekitError if the rows have no signal or no background of a discriminator."""
    labels = np.concatenate([batch.labels.numpy() for batch in batches])
    counts = {name: int((labels == number).sum()) for number, name in enumerate(analysis.classes)}
    for name, definition in analysis.discriminators.items():
        for side, classes in (("signal", definition.signal), ("background", definition.background)):
            if sum(counts[one] for one in classes):
                continue
            there = (
                ", ".join(f"{number:,} {one}" for one, number in counts.items())
                + f", {(labels < 0).sum():,} of no class"
            )
            more = f" and {len(paths) - 1} more files" if len(paths) > 1 else ""
            raise CollidekitError(
                f"{paths[0]}{more}: no row is {side} ({' or '.join(classes)}) of the discriminator {name}, so its AUC and working points "
                f"cannot be measured (there are {there}); give files of all classes whose truth is known, with --files"
            )


def default_files(analysis: Analysis, path: Path | None = None) -> list[str]:
    """Return the test files of an analysis, else its training files; ``path`` is the path of the analysis file, if known.

    File names are relative to the analysis file. If its path is not known, they are relative to the current folder or
    to the bundled analysis with the same content. Raises CollidekitError if no file exists.
    """
    named = [(analysis.files, path.parent if path else Path())]
    if path is None and analysis.name in shipped_analyses():
        bundled = load_plan(analysis.name).analysis
        if bundled.fingerprint == analysis.fingerprint:
            named.append((bundled.files, find_analysis(analysis.name).parent))
    for part in ("test", "training"):
        for files, folder in named:
            try:
                if names := getattr(files, part):
                    return expand([name if "://" in name else str(folder / name) for name in names])
            except CollidekitError:
                continue
    raise CollidekitError(
        f"analysis {analysis.name!r} names no existing files; give files with rows to check the bundle with: --files 'test/*.root'"
    )


def _spread(plan: Plan, paths: Sequence[str], rows: int) -> Iterator[Batch]:
    """Yield rows from blocks of all files."""
    quota = -(-rows // len(paths))
    for number, path in enumerate(paths):
        with open_file(path, plan.analysis.source) as reader:
            columns = columns_of(plan, reader, with_truth=False)
            for start, stop in _blocks(reader, quota):
                chunk = reader.read(columns, start, stop)
                yield build_rows(plan, chunk, path, number, start, keep_all=True).batch


def _blocks(reader: Reader, quota: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges of entries to read from a file: all entries, or ``quota`` entries in blocks at equal distances."""
    if quota >= reader.rows:
        yield from ((start, min(start + quota, reader.rows)) for start in range(0, reader.rows, max(quota, 1)))
        return
    size = -(-quota // BLOCKS)
    for start in np.unique(np.linspace(0, reader.rows - size, BLOCKS).astype(int)).tolist():
        yield start, min(start + size, reader.rows)
