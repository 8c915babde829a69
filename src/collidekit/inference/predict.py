"""Prediction: class probabilities for the rows of a dataset or of new files, in input order."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.batch import Batch
from collidekit.dataset.exact import join_exact
from collidekit.dataset.loader import Dataset, Loader, ahead
from collidekit.dataset.not_finite import NotFinite
from collidekit.dataset.pieces import CHUNK
from collidekit.dataset.rows import build_rows, columns_of
from collidekit.dataset.targets import UNKNOWN
from collidekit.errors import CollidekitError
from collidekit.inference.finite import check_answers
from collidekit.inference.predictions import Predictions
from collidekit.inference.uncertainties import densities_of, uncertainties_of
from collidekit.models.tagger import Tagger
from collidekit.readers import BadFileError, expand, open_file
from collidekit.readers.base import LostServerError, OneTree, UnsupportedError
from collidekit.threads import sharing_cores
from collidekit.training.checkpoint import Checkpoint

OF_TRUTH = ("pit_", "nll_")
"""Columns that compare a prediction with the truth: NaN where that is not known."""


class NothingToPredictError(CollidekitError):
    """No row is left to predict."""


def predict(tagger: Tagger, analysis: Analysis, batches: Iterable[Batch]) -> Predictions:
    """Probabilities, labels, weights, spectators and event numbers of all rows, in the order of the batches."""
    return predict_each([tagger], analysis, batches)[0]


@torch.inference_mode()
def predict_each(
    taggers: Sequence[Tagger], analysis: Analysis, batches: Iterable[Batch], files: Sequence[str] = ()
) -> list[Predictions]:
    """``predict`` of each of several taggers with the same inputs; each batch is made once.

    ``files`` are the names of the files that the rows come from, for errors.
    """
    for tagger in taggers:
        tagger.eval()
    decoded: list[list[dict[str, np.ndarray]]] = [[] for _ in taggers]
    labels, weights = [], []
    spectators: dict[str, list[np.ndarray]] = {}
    event: dict[str, list[np.ndarray]] = {}
    truth: dict[str, list[np.ndarray]] = {}
    for batch in _sharing(batches):
        for number, (found, tagger) in enumerate(zip(decoded, taggers, strict=True), 1):
            answers = {name: values.numpy() for name, values in tagger.predict(batch).items()}
            model = f"model {number}" if len(taggers) > 1 else "the model"
            of_inputs = [column for name, column in answers.items() if not name.startswith(OF_TRUTH)]
            check_answers(np.stack(of_inputs, axis=1), batch, tagger, model, files)
            found.append(answers)
        labels.append(batch.labels.numpy().copy())
        weights.append(batch.weights.numpy().copy())
        for target, found_truth in batch.truth.items():
            for v, name in enumerate(analysis.row_targets[target].values):
                truth.setdefault(name, []).append(found_truth[:, v].numpy().copy())
        for name, values in batch.spectators.items():
            spectators.setdefault(name, []).append(values.numpy().copy())
        source = {"file": batch.source[:, 0], "row": batch.source[:, 1]}
        for name, values in {**batch.event, **source}.items():
            event.setdefault(name, []).append(values.numpy().copy())
    if not labels:
        raise NothingToPredictError("no row passes the selection, so there is nothing to predict")
    columns = [{name: np.concatenate([part[name] for part in found]) for name in found[0]} for found in decoded]
    first = Predictions(
        classes=tuple(analysis.classes),
        **_answers(columns[0], analysis),
        labels=np.concatenate(labels),
        weights=np.concatenate(weights),
        definitions=analysis.discriminators,
        spectators={name: join_exact(parts, name) for name, parts in spectators.items()},
        event={name: join_exact(parts, name) for name, parts in event.items()},
        **_truths(truth, analysis),
        units=analysis.units_of_values,
    )
    return [first, *(replace(first, **_answers(found, analysis)) for found in columns[1:])]


def _truths(parts: Mapping[str, list[np.ndarray]], analysis: Analysis) -> dict[str, Any]:
    """The truth of values and of positions as fields of ``Predictions``."""
    joined = {name: np.concatenate(part) for name, part in parts.items()}
    slots = [name for target in analysis.assignments.values() for name in target.values]
    return {
        "truth": {name: values for name, values in joined.items() if name not in slots},
        "true_positions": {name: np.nan_to_num(joined[name], nan=UNKNOWN).astype(np.int32) for name in slots},
    }


def _answers(columns: Mapping[str, np.ndarray], analysis: Analysis) -> dict[str, Any]:
    """The columns of a head as fields of ``Predictions``."""
    rows = len(next(iter(columns.values())))
    classes = [columns[f"prob_{name}"] for name in analysis.classes]
    probabilities = np.stack(classes, axis=1) if classes else np.zeros((rows, 0))
    values = {name: columns[f"pred_{name}"] for target in analysis.regressions.values() for name in target.values}
    slots = [name for target in analysis.assignments.values() for name in target.values]
    parents = [parent for target in analysis.assignments.values() for parent in target.parents]
    kinds = [f"{parent}_{kind}" for parent in parents for kind in ("assignment", "detection")]
    return {
        "probabilities": probabilities,
        "relegated": columns.get("prob_relegated"),
        "values": values,
        "uncertainties": uncertainties_of(columns, analysis),
        "densities": densities_of(columns, analysis),
        "positions": {name: columns[f"index_{name}"].astype(np.int32) for name in slots},
        "parent_probabilities": {kind: columns[f"{kind}_probability"] for kind in kinds},
    }


def _sharing(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Yield the same batches while the threads of torch share the cores with other processes."""
    with sharing_cores(torch.get_num_threads()):
        yield from batches


def predict_dataset(checkpoint: Checkpoint, dataset: Dataset, batch_size: int = 1024, threads: int = 1) -> Predictions:
    """Predictions for all rows of a constructed dataset."""
    return predict(checkpoint.tagger, dataset.analysis, Loader(dataset, batch_size, threads=threads))


def counted(batches: Iterable[Batch], done: Callable[[int], None]) -> Iterator[Batch]:
    """The same batches; ``done`` is told how many rows of each were used, when the next one is asked for."""
    for batch in batches:
        yield batch
        done(len(batch))


def predict_files(
    checkpoint: Checkpoint,
    plan: Plan,
    files: str | Sequence[str],
    batch_size: int = 1024,
    skip_bad_files: bool = False,
    done: Callable[[int], None] = lambda rows: None,
    counts: NotFinite | None = None,
) -> tuple[Predictions, list[str]]:
    """Predictions for all selected rows of files, truth known or not, and the files that could not be read.

    ``done`` is told how many rows were predicted, batch by batch; NaN and infinity are counted in ``counts``.
    """
    found, skipped = predict_files_each([checkpoint.tagger], plan, files, batch_size, skip_bad_files, done, counts)
    return found[0], skipped


def predict_files_each(
    taggers: Sequence[Tagger],
    plan: Plan,
    files: str | Sequence[str],
    batch_size: int = 1024,
    skip_bad_files: bool = False,
    done: Callable[[int], None] = lambda rows: None,
    counts: NotFinite | None = None,
    watch: Callable[[Iterator[Batch]], Iterator[Batch]] = lambda rows: rows,
) -> tuple[list[Predictions], list[str]]:
    """``predict_files`` of each of several taggers with the same inputs; each file is read once.

    ``watch`` is given the rows that are predicted, and gives them back.
    """
    skipped: list[str] = []
    paths = expand(files)
    rows = ahead(watch(_rows_of_files(plan, paths, skip_bad_files, skipped, counts or NotFinite())), 2)
    batches = counted((part for batch in rows for part in batch.parts(batch_size)), done)
    try:
        return predict_each(taggers, plan.analysis, batches, paths), skipped
    except NothingToPredictError:
        if skipped:
            raise CollidekitError(f"none of the files could be read: {skipped[0]}") from None
        raise


def _rows_of_files(
    plan: Plan, paths: list[str], skip_bad_files: bool, skipped: list[str], counts: NotFinite
) -> Iterator[Batch]:
    trees = OneTree()
    for number, path in enumerate(paths):
        start, opened = 0, False
        try:
            with open_file(path, plan.analysis.source) as reader:
                columns = columns_of(plan, reader, with_truth=False)
                if reader.rows == 0:
                    raise BadFileError(f"{path}: holds no entries; take it out of the list or pass --skip-bad-files")
                opened = True
                trees.add(path, reader.tree)
                for start in range(0, reader.rows, CHUNK):
                    chunk = reader.read(columns, start, min(start + CHUNK, reader.rows))
                    rows = build_rows(plan, chunk, path, number, start, keep_all=True)
                    counts.add(rows.replaced, rows.lost)
                    if len(rows.batch):
                        yield rows.batch
        except CollidekitError as error:
            lost = isinstance(error, LostServerError | UnsupportedError)
            if not skip_bad_files or lost or (opened and not isinstance(error, BadFileError)):
                raise
            skipped.append(f"{error} (its first {start:,} entries are predicted)" if start else str(error))


def output_suffix(path: Path) -> None:
    """Predictions are written as Parquet or ROOT; anything else is refused before any work is done."""
    if path.suffix not in (".parquet", ".root"):
        raise CollidekitError(f"{path}: predictions are written as .parquet or .root, not {path.suffix or 'no suffix'}")
