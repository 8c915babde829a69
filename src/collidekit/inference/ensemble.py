"""Ensembles of several taggers that predict the same rows; ``inference.combination`` combines them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from collidekit.analysis.same_inputs import check_same_inputs
from collidekit.analysis.scope import Plan
from collidekit.dataset.not_finite import NotFinite
from collidekit.errors import CollidekitError
from collidekit.inference.predict import predict_files_each
from collidekit.inference.predictions import Predictions
from collidekit.inference.seen import SeenRows
from collidekit.training.checkpoint import Checkpoint, find_checkpoint, load_checkpoint


def load_members(names: Sequence[str | Path]) -> dict[str, Checkpoint]:
    """Load the checkpoints of an ensemble, by the given names; raise CollidekitError if one is given twice."""
    files: dict[Path, str] = {}
    members = {}
    for name in map(str, names):
        file = find_checkpoint(name).resolve()
        if file in files:
            raise CollidekitError(f"{name}: is the same model as {files[file]}; name each member of an ensemble once")
        files[file] = name
        members[name] = load_checkpoint(file)
    return members


def predict_files_with(
    members: Mapping[str, Checkpoint],
    files: str | Sequence[str],
    plan: Plan | None = None,
    batch_size: int = 1024,
    skip_bad_files: bool = False,
    done: Callable[[int], None] = lambda rows: None,
    counts: NotFinite | None = None,
    seen: SeenRows | None = None,
) -> tuple[dict[str, Predictions], list[str]]:
    """Return the predictions of each member for all selected rows of files, and the files that could not be read.

    Each member uses the analysis of its training, unless ``plan`` is given. Files are read once for all members with
    the same inputs. ``counts`` counts NaN and infinity for the first of these analyses, ``seen`` records rows of the
    training set.
    """
    if plan:
        for name, member in members.items():
            check_same_inputs(Path(name), member.analysis, plan.analysis)
    groups: dict[str, list[str]] = {}
    for name, member in members.items():
        groups.setdefault("" if plan else member.analysis.fingerprint, []).append(name)
    found: dict[str, Predictions] = {}
    skipped: dict[str, None] = {}
    for names in groups.values():
        taggers = [members[name].tagger for name in names]
        used = plan or members[names[0]].plan()
        watch = partial(seen.watch, names=names, analysis=used.analysis) if seen else lambda rows: rows
        predictions, left_out = predict_files_each(
            taggers, used, files, batch_size, skip_bad_files, done, counts, watch
        )
        counts = None
        for name, rows in zip(names, predictions, strict=True):
            found[name] = replace(rows, units=members[name].analysis.units_of_values)
        skipped |= dict.fromkeys(left_out)
    return {name: found[name] for name in members}, list(skipped)
