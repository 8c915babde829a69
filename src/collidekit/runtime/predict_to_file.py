"""Prediction of files with bundles into a file, for ``collidekit predict``."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

from collidekit.analysis.load import read_analysis
from collidekit.analysis.same_inputs import check_same_constituents, check_same_inputs
from collidekit.analysis.scope import Plan
from collidekit.dataset.not_finite import NotFinite
from collidekit.errors import CollidekitError
from collidekit.inference.combination import Combination, check_same_rows, combine
from collidekit.inference.file_rows import output_suffix
from collidekit.inference.own_output import check_output
from collidekit.inference.predicted import Predicted
from collidekit.progress import counting
from collidekit.runtime.bundle import Bundle, BundlePredictions
from collidekit.runtime.schema import SCHEMA
from collidekit.shipped import find_analysis


def check_bundle_prediction(
    names: Sequence[str], files: Sequence[str], output: Path, analysis: str | None, threads: int | None
) -> tuple[dict[str, Bundle], Plan | None]:
    """Return the bundles and the other analysis of a prediction; raise the errors that are found without the rows."""
    output_suffix(output)
    if os.path.isdir(output):
        raise CollidekitError(f"{output}: is a folder; name a file to write")
    bundles = _open(names, threads or 1)
    own = [bundle.path / name for bundle in bundles.values() for name in (SCHEMA, *bundle.members)]
    check_output(output, files, own)
    plan = None if analysis is None else Plan(*read_analysis(find_analysis(analysis)))
    if plan:
        for bundle in bundles.values():
            check_same_inputs(bundle.path, bundle.analysis, plan.analysis)
            check_same_constituents(bundle.path, bundle.analysis, plan.analysis)
    return bundles, plan


def predict_bundles_to_file(
    names: Sequence[str],
    files: Sequence[str],
    output: Path,
    analysis: str | None = None,
    batch_size: int = 1024,
    skip_bad_files: bool = False,
    threads: int | None = None,
    combination: Combination = "mean",
    keep_members: bool = False,
    allow_training_rows: bool = False,
) -> Predicted:
    """Predict all selected rows of files with a bundle, or with several bundles as an ensemble, each with its own analysis.

    Rows that a graph was trained on are an error, unless ``allow_training_rows`` is true.
    """
    bundles, plan = check_bundle_prediction(names, files, output, analysis, threads)
    begun, counts = time.monotonic(), NotFinite()
    found: dict[str, BundlePredictions] = {}
    title = f"Predicting with {len(bundles)} bundles" if len(bundles) > 1 else "Predicting"
    with counting(title, "rows") as done:
        for name, bundle in bundles.items():
            counted = counts if not found else None
            found[name] = bundle.predict_files(
                files, batch_size, plan, skip_bad_files, allow_training_rows, done, counted
            )
    members = {name: one.predictions for name, one in found.items()}
    check_same_rows(members)
    several = len(members) > 1
    predictions = combine(members, combination, keep_members) if several else next(iter(members.values()))
    seconds = time.monotonic() - begun
    predictions.write(output)
    far = dict.fromkeys(note for one in found.values() for note in one.far)
    notes = [*far, *counts.notes(), *dict.fromkeys(note for one in found.values() for note in one.seen.notes())]
    warning = "; ".join(dict.fromkeys(said for one in found.values() if (said := one.seen.warning())))
    skipped = list(dict.fromkeys(message for one in found.values() for message in one.skipped))
    assignments = next(iter(bundles.values())).analysis.assignments
    return Predicted(output, predictions, seconds, skipped, members if several else {}, notes, warning, assignments)


def _open(names: Sequence[str], threads: int) -> dict[str, Bundle]:
    """Open the bundles, by the given names; raise CollidekitError if one is given twice."""
    places: dict[Path, str] = {}
    found = {}
    for name in names:
        place = Path(name).resolve()
        if place in places:
            raise CollidekitError(
                f"{name}: is the same bundle as {places[place]}; name each member of an ensemble once"
            )
        places[place] = name
        found[name] = Bundle(name, threads)
    return found
