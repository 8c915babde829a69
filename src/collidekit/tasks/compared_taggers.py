"""Scores of other taggers in the files, such as DeepJet or GN2, for the rows of predictions."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from collidekit.analysis.names import ColumnNames
from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.pieces import CHUNK
from collidekit.dataset.rows import columns_of, select_rows, with_truth
from collidekit.dataset.rows import labels_of as labels_of_rows
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.evaluation.comparison.contenders import Contender
from collidekit.inference.predictions import Array, Predictions
from collidekit.progress import counting
from collidekit.readers import open_file
from collidekit.tasks.compared_runs import Run
from collidekit.training.checkpoint import code_names
from collidekit.training.config import TrainingConfig
from collidekit.trust import check_code

_GIVEN = re.compile(
    r"(?:(?P<discriminator>\w+):)?(?:(?P<name>[^=<>!]*[^=<>!\s])\s*=(?!=))?(?P<expression>.+)", re.DOTALL
)
_VARIABLE = "score_of_another_tagger_{}"
F_C = 0.1
"""Default fraction of c jets in the background of a discriminant of pb, pc and pu."""


@dataclass(frozen=True)
class GivenTagger:
    """A tagger of ``--tagger [DISCRIMINATOR:][NAME=]EXPRESSION``."""

    text: str
    name: str
    expression: str
    discriminator: str = ""

    @classmethod
    def parse(cls, text: str, discriminators: Sequence[str]) -> "GivenTagger":
        """Parse the text of ``--tagger``."""
        if not (found := _GIVEN.fullmatch(text.strip())):
            raise CollidekitError(f"--tagger {text!r}: write it as BRANCH or NAME=EXPRESSION")
        expression, wanted = found["expression"].strip(), found["discriminator"] or ""
        if wanted and wanted not in discriminators:
            close = did_you_mean(wanted, list(discriminators)) or f"; there are {', '.join(discriminators)}"
            raise CollidekitError(f"--tagger {text!r}: there is no discriminator {wanted!r}{close}")
        return cls(text, found["name"] or expression, expression, wanted)


def tagger_contenders(
    texts: Sequence[str], run: Run, predictions: Predictions, f_c: float = F_C
) -> tuple[list[Contender], list[str]]:
    """Return a contender for each ``--tagger`` on the rows of a run, and notes on their values.

    Without a discriminator, a tagger is compared in all discriminators with the signal of the first one.
    """
    check_f_c(f_c)
    if not texts:
        return [], []
    given = [GivenTagger.parse(text, list(predictions.definitions)) for text in texts]
    plan, keep_all = _plan_of(run)
    resolved = [_with_classes_of_gn2(one, plan, run.files, f_c) for one in given]
    values = _read(plan, run, [one.expression for one in resolved], predictions, keep_all)
    contenders, notes = [], []
    first = next(iter(predictions.definitions.values()))
    for one, found in zip(resolved, values, strict=True):
        names = [one.discriminator] if one.discriminator else [
            name for name, entry in predictions.definitions.items() if set(entry.signal) == set(first.signal)
        ]  # fmt: skip
        others = [name for name in predictions.definitions if name not in names]
        if others and not one.discriminator:
            notes.append(
                f"{one.name} is compared only in discriminators with the signal {' + '.join(first.signal)} ({', '.join(names)}); for others write --tagger {others[0]}:..."
            )
        if absent := int(np.isnan(found).sum()):
            notes.append(f"{one.name} is NaN in {absent:,} of {len(found):,} rows; these get the lowest score")
        scores = _as_scores(found)
        facts = {"network": "", "hash": "", "folder": "", "expression": one.expression}
        contenders.append(Contender(one.name, (predictions,), "", run.source, facts, dict.fromkeys(names, scores)))
    return contenders, notes


def check_f_c(f_c: float) -> None:
    """Raise an error if ``--f-c`` is not a fraction."""
    if not 0 <= f_c <= 1:
        raise CollidekitError(f"--f-c {f_c:g}: is not between 0 and 1")


def _as_scores(values: Array) -> Array:
    """Return finite scores in the same order; NaN is the lowest score, infinities are beyond all finite scores."""
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    step = max(1.0, abs(low), abs(high))
    if not isfinite(low - 2 * step) or not isfinite(high + step):
        order = np.unique(np.nan_to_num(values, nan=-np.inf), return_inverse=True)[1]
        return np.asarray(order, dtype=np.float64)
    found = np.where(np.isneginf(values), low - step, np.where(np.isposinf(values), high + step, values))
    return np.where(np.isnan(values), low - 2 * step, found)


def _plan_of(run: Run) -> tuple[Plan, bool]:
    """Return the plan that made the rows, and whether rows without a class were kept."""
    if run.plan is not None:
        return run.plan, True
    if run.dataset is None and run.folder.suffix == ".parquet":
        raise CollidekitError(
            f"{run.given}: a file of predictions does not name its test files; name a training or report first"
        )
    if run.dataset is None:
        raise CollidekitError(
            f"{run.given}: its test dataset was removed, so --tagger does not know its files; give them with --files"
        )
    from collidekit.dataset.manifest import read_manifest

    analysis = read_manifest(run.dataset).analysis
    names = code_names(analysis, TrainingConfig())
    for what in ("processor", "reader"):
        if names[what] is not None:
            check_code(run.dataset / "manifest.json", what, names[what], None)
    return Plan(analysis), False


def _with_classes_of_gn2(given: GivenTagger, plan: Plan, files: Sequence[str], f_c: float) -> GivenTagger:
    """Return a tagger in which a prefix of ``_pb``, ``_pc``, ``_pu`` is replaced by the discriminant with ``f_c``."""
    prefix = given.expression
    if not re.fullmatch(r"\w+", prefix) or not files or prefix in plan.variables:
        return given
    with open_file(files[0], plan.analysis.source) as reader:
        known = ColumnNames(reader.columns)
    parts = {letter: f"{prefix}_p{letter}" for letter in "bcu"}
    if known.find(prefix) is not None or any(known.find(name) is None for name in parts.values()):
        return given
    expression = f"log({parts['b']} / ({f_c!r} * {parts['c']} + {1 - f_c!r} * {parts['u']}))"
    name = given.name if given.name != prefix else f"{prefix} (f_c = {f_c:g})"
    return GivenTagger(given.text, name, expression, given.discriminator)


def _read(plan: Plan, run: Run, expressions: Sequence[str], predictions: Predictions, keep_all: bool) -> list[Array]:
    """Return the value (N,) of each expression for the predicted rows, which are found by file, entry and order."""
    names = [_VARIABLE.format(number) for number in range(len(expressions))]
    try:
        wider = Plan(_with_variables(plan.analysis, dict(zip(names, expressions, strict=True))))
    except (CollidekitError, ValueError) as error:
        raise CollidekitError(f"--tagger: {_without_names(str(error), names, expressions)}") from None
    needed = {int(number) for number in np.unique(predictions.event["file"])}
    found: list[list[Array]] = [[] for _ in names]
    keys: list[tuple[Array, Array, Array]] = []
    with counting("Reading the scores of taggers", "files", len(needed)) as done:
        for number, path in enumerate(run.files):
            if number not in needed:
                continue
            with open_file(path, plan.analysis.source) as reader:
                try:
                    columns = columns_of(wider, reader, with_truth=not keep_all)
                except CollidekitError as error:
                    raise CollidekitError(f"--tagger: {_without_names(str(error), names, expressions)}") from None
                for start in range(0, reader.rows, CHUNK):
                    chunk = reader.read(columns, start, min(start + CHUNK, reader.rows))
                    scope, _ = select_rows(wider, chunk, path, start, keep_all)
                    labels = labels_of_rows(wider, scope, keep_all)
                    if not keep_all and plan.analysis.classes:
                        kept = with_truth(wider, labels, {})
                        scope, labels = scope.select(kept), labels[kept]
                    keys.append((np.full(scope.rows, number), scope.entries, labels))
                    for values, name in zip(found, names, strict=True):
                        values.append(scope.numbers(wider.variables[name]).astype(np.float64))
            done(1)
    file, entry, labels = (np.concatenate(parts) for parts in zip(*keys, strict=True))
    places = _places(predictions.event["file"], predictions.event["row"], file, entry, run)
    if not np.array_equal(labels[places], predictions.labels):
        raise CollidekitError(
            f"{run.given}: its files have changed since the prediction (classes differ); repeat the run before you use --tagger"
        )
    return [np.concatenate(values)[places] for values in found]


def _places(file: Array, entry: Array, all_files: Array, all_entries: Array, run: Run) -> Array:
    """Return the index (N,) of each predicted row in all rows that were read."""
    most = int(max(entry.max(initial=0), all_entries.max(initial=0))) + 1
    wanted, available = file.astype(np.int64) * most + entry, all_files.astype(np.int64) * most + all_entries
    order = np.argsort(available, kind="stable")
    first = np.searchsorted(available[order], wanted)
    count = np.searchsorted(available[order], wanted, side="right") - first
    mine = np.argsort(wanted, kind="stable")
    starts = np.searchsorted(wanted[mine], wanted[mine])
    occurrence = np.empty(len(wanted), dtype=np.int64)
    occurrence[mine] = np.arange(len(wanted)) - starts
    totals = np.searchsorted(wanted[mine], wanted, side="right") - np.searchsorted(wanted[mine], wanted)
    if (count != totals).any():
        raise CollidekitError(
            f"{run.given}: its files have changed since the prediction (other rows are selected); repeat the run before you use --tagger"
        )
    found: Array = order[first + occurrence]
    return found


def _with_variables(analysis: Analysis, variables: dict[str, str]) -> Analysis:
    content = analysis.model_dump(mode="json")
    content["variables"] = {**content["variables"], **variables}
    content["spectators"] = [*content["spectators"], *variables]
    return Analysis.model_validate(content)


def _without_names(text: str, names: Sequence[str], expressions: Sequence[str]) -> str:
    """Return an error text in which the names of variables are replaced by the expressions of the user."""
    for name, expression in zip(names, expressions, strict=True):
        text = text.replace(name, expression)
    return " ".join(text.split())
