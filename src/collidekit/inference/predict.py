"""Prediction of the rows of a dataset or of files, in input order."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import torch

from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.ahead import ahead
from collidekit.dataset.batch import Batch
from collidekit.dataset.loader import Dataset, Loader
from collidekit.dataset.not_finite import NotFinite
from collidekit.errors import CollidekitError
from collidekit.inference.assembly import Assembly, NothingToPredictError
from collidekit.inference.file_rows import counted, rows_of_files
from collidekit.inference.finite import check_answers, weights_are_finite
from collidekit.inference.predictions import Predictions
from collidekit.inference.seen import Refusal, SeenRows, content_of_inputs, content_of_paths
from collidekit.models.tagger import Tagger
from collidekit.readers import expand
from collidekit.threads import sharing_cores
from collidekit.training.checkpoint import Checkpoint


def predict(tagger: Tagger, analysis: Analysis, batches: Iterable[Batch]) -> Predictions:
    """Return the predictions of all rows with labels, weights, spectators and event numbers, in the order of the batches."""
    return predict_each([tagger], analysis, batches)[0]


@torch.inference_mode()
def predict_each(
    taggers: Sequence[Tagger], analysis: Analysis, batches: Iterable[Batch], files: Sequence[str] = ()
) -> list[Predictions]:
    """Return the predictions of several taggers with the same inputs; each batch is made once.

    ``files`` are the names of the files of the rows, for error messages.
    """
    for tagger in taggers:
        tagger.eval()
    assembly = Assembly(analysis, len(taggers))
    with _on_device(taggers) as device:
        for batch in _with_shared_cores(batches):
            found, moved = [], batch.to(device)
            for number, tagger in enumerate(taggers, 1):
                answers = {name: values.cpu().numpy() for name, values in tagger.predict(moved).items()}
                model = f"model {number}" if len(taggers) > 1 else "the model"
                check_answers(answers, batch, model, files, partial(weights_are_finite, tagger))
                found.append(answers)
            assembly.add(batch, found)
    return assembly.predictions()


@contextmanager
def _on_device(taggers: Sequence[Tagger]) -> Iterator[torch.device]:
    """Move the taggers to the GPU inside the block, if there is a GPU."""
    homes = [next((value.device for value in tagger.state_dict().values()), torch.device("cpu")) for tagger in taggers]
    if not torch.cuda.is_available():
        yield homes[0]
        return
    try:
        for tagger in taggers:
            tagger.to("cuda")
        yield torch.device("cuda", torch.cuda.current_device())
    finally:
        for tagger, home in zip(taggers, homes, strict=True):
            tagger.to(home)


def _with_shared_cores(batches: Iterable[Batch]) -> Iterator[Batch]:
    """Yield the same batches, and let the threads of torch share the cores with other processes meanwhile."""
    with sharing_cores(torch.get_num_threads()):
        yield from batches


def predict_dataset(
    checkpoint: Checkpoint,
    dataset: Dataset,
    batch_size: int = 1024,
    threads: int = 1,
    *,
    allow_training_rows: bool = False,
) -> Predictions:
    """Return the predictions of all rows of a constructed dataset.

    Rows of the training set are an error, unless ``allow_training_rows`` is true.
    """
    members, files = {"the model": checkpoint}, dataset.manifest.files
    seen = SeenRows(members, content_of_inputs(dataset.manifest), None if allow_training_rows else Refusal(files))
    rows = seen.watch(Loader(dataset, batch_size, threads=threads), list(members), dataset.analysis)
    return predict(checkpoint.tagger, dataset.analysis, rows)


def predict_files(
    checkpoint: Checkpoint,
    plan: Plan,
    files: str | Sequence[str],
    batch_size: int = 1024,
    skip_bad_files: bool = False,
    done: Callable[[int], None] = lambda rows: None,
    counts: NotFinite | None = None,
    *,
    allow_training_rows: bool = False,
) -> tuple[Predictions, list[str]]:
    """Return the predictions of all selected rows of files, with or without truth, and the files that could not be read.

    ``done`` is called with the number of rows of each predicted batch. NaN and infinity are counted in ``counts``. Rows
    of the training set are an error, unless ``allow_training_rows`` is true.
    """
    members, paths = {"the model": checkpoint}, expand(files)
    seen = SeenRows(members, content_of_paths(paths, members), None if allow_training_rows else Refusal(paths))
    watch = partial(seen.watch, names=list(members), analysis=plan.analysis)
    found, skipped = predict_files_each(
        [checkpoint.tagger], plan, files, batch_size, skip_bad_files, done, counts, watch
    )
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
    """Return the predictions of several taggers with the same inputs, as in ``predict_files``; each file is read once.

    ``watch`` gets the rows before they are predicted, and yields them.
    """
    skipped: list[str] = []
    paths = expand(files)
    read = rows_of_files(plan, paths, skip_bad_files, skipped, counts or NotFinite())
    rows = ahead(watch(map(Batch.of, read)), 2)
    batches = counted((part for batch in rows for part in batch.parts(batch_size)), done)
    try:
        return predict_each(taggers, plan.analysis, batches, paths), skipped
    except NothingToPredictError:
        if skipped:
            raise CollidekitError(f"none of the files could be read: {skipped[0]}") from None
        raise
