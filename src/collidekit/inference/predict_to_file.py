"""Prediction of files with checkpoints into a file, for ``collidekit predict``."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from collidekit.analysis.load import read_analysis
from collidekit.analysis.same_inputs import check_same_inputs
from collidekit.analysis.scope import Plan
from collidekit.dataset.not_finite import NotFinite
from collidekit.errors import CollidekitError
from collidekit.inference.calibrated import calibrated, required_temperature
from collidekit.inference.combination import Combination, check_same_rows, combine
from collidekit.inference.ensemble import load_members, predict_files_with
from collidekit.inference.file_rows import output_suffix
from collidekit.inference.own_output import check_output
from collidekit.inference.predicted import Predicted
from collidekit.inference.seen import Refusal, SeenRows, content_of_paths
from collidekit.progress import counting
from collidekit.readers import expand
from collidekit.shipped import find_analysis
from collidekit.training.checkpoint import Checkpoint, find_checkpoint


def check_prediction(
    names: Sequence[str | Path], files: Sequence[str], output: Path, analysis: str | None, use_temperature: bool
) -> tuple[dict[str, Checkpoint], Plan | None]:
    """Return the checkpoints and the other analysis of a prediction; raise the errors that are found without the rows."""
    output_suffix(output)
    if os.path.isdir(output):
        raise CollidekitError(f"{output}: is a folder; name a file to write")
    check_output(output, files, [find_checkpoint(name) for name in names])
    loaded = load_members(names)
    if use_temperature:
        for name, member in loaded.items():
            required_temperature(member.temperature, name)
    plan = None if analysis is None else Plan(*read_analysis(find_analysis(analysis)))
    if plan:
        for name, member in loaded.items():
            check_same_inputs(Path(name), member.analysis, plan.analysis)
    return loaded, plan


def predict_to_file(
    checkpoint: str | Path,
    files: Sequence[str],
    output: Path,
    analysis: str | None = None,
    batch_size: int = 1024,
    skip_bad_files: bool = False,
    threads: int | None = None,
    others: Sequence[str | Path] = (),
    combination: Combination = "mean",
    keep_members: bool = False,
    use_temperature: bool = False,
    allow_training_rows: bool = False,
) -> Predicted:
    """Predict all selected rows of files with the analysis of the checkpoint, or with another analysis with the same inputs.

    With ``others``, the checkpoints form an ensemble, each with its own analysis; ``keep_members`` writes also their
    probabilities. A row that a member held out as its fold is predicted only by members that were not trained on it.
    With ``use_temperature``, the probabilities of each member are calibrated with its own temperature. Training rows of
    the members that predict them are an error, unless ``allow_training_rows`` is true.
    """
    loaded, plan = check_prediction([checkpoint, *others], files, output, analysis, use_temperature)
    if threads:
        torch.set_num_threads(threads)
    begun, counts = time.monotonic(), NotFinite()
    paths = expand(list(files))
    seen = SeenRows(loaded, content_of_paths(paths, loaded), None if allow_training_rows else Refusal(paths))
    with counting(f"Predicting with {len(loaded)} models" if others else "Predicting", "rows") as done:
        members, skipped = predict_files_with(loaded, files, plan, batch_size, skip_bad_files, done, counts, seen)
    if use_temperature:
        members = {name: calibrated(found, loaded[name].temperature, name) for name, found in members.items()}
    check_same_rows(members)
    seen.refuse()
    used = seen.used()
    predictions = combine(members, combination, keep_members, used) if others else next(iter(members.values()))
    seconds = time.monotonic() - begun
    predictions.write(output)
    notes = [*counts.notes(), *seen.notes(combination)]
    # with folds, members are not shown one by one, because each was trained on some of the rows
    shown = members if others and used is None else {}
    assignments = next(iter(loaded.values())).analysis.assignments
    return Predicted(output, predictions, seconds, skipped, shown, notes, seen.warning(), assignments)
