"""A bundle: a trained model that predicts with onnxruntime, without torch."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from attrs import frozen

from collidekit.analysis.same_inputs import check_same_constituents, check_same_inputs
from collidekit.analysis.schema import FORMATS, Analysis
from collidekit.analysis.scope import Plan
from collidekit.dataset.ahead import ahead
from collidekit.dataset.arrays import RowArrays
from collidekit.dataset.not_finite import NotFinite
from collidekit.errors import CollidekitError
from collidekit.inference.assembly import Assembly, NothingToPredictError
from collidekit.inference.combination import combine
from collidekit.inference.file_rows import rows_of_files
from collidekit.inference.finite import check_answers
from collidekit.inference.predictions import Predictions
from collidekit.inference.seen import SeenRows, content_of_paths
from collidekit.progress import notice
from collidekit.readers import expand
from collidekit.runtime.far_columns import FarColumns
from collidekit.runtime.folder import read_generic, read_graph
from collidekit.runtime.guard import Guard, Member
from collidekit.runtime.known_rows import read_learned
from collidekit.runtime.runner import Runner
from collidekit.runtime.schema import SCHEMA
from collidekit.runtime.session import Session
from collidekit.runtime.tensors import run_tensors
from collidekit.sealed import as_written
from collidekit.shown import html_table
from collidekit.trust import check_code

Array = np.ndarray[Any, Any]


@frozen
class BundlePredictions:
    """Predictions of a bundle, files that could not be read, and warnings about the rows."""

    predictions: Predictions
    skipped: list[str]
    seen: SeenRows
    far: list[str]
    """A message for each file whose values are far from the values of the export."""


class Bundle:
    """A bundle with verified checksums; it has one graph, or one graph for each fold.

    ``threads`` is the number of threads of onnxruntime. Raises CollidekitError if the bundle is damaged or cannot be
    run.
    """

    def __init__(self, path: str | Path, threads: int = 1) -> None:
        if threads < 1:
            raise CollidekitError(f"threads: {threads} is below 1; give at least 1")
        self.path = Path(path)
        self.schema = read_generic(self.path)
        with as_written(self.path / SCHEMA):
            self.analysis = self._with_user_code(Analysis.model_validate_json(json.dumps(self.schema.analysis)))
            self.members = {
                graph.file: Member(graph, read_learned(self.path, graph.learned_from)) for graph in self.schema.graphs
            }
        self.runners = [self._runner(member, threads) for member in self.members.values()]

    def _runner(self, member: Member, threads: int) -> Runner:
        path = self.path / member.graph.file
        session = Session(read_graph(self.path, member.graph), path, self.schema.opset, threads)
        return Runner(session, self.schema, self.analysis)

    def __repr__(self) -> str:
        graphs = f"{len(self.members)} graphs" if len(self.members) > 1 else "1 graph"
        network = self.schema.network.get("name", "?")
        columns = [entry.name for entry in self.schema.outputs]
        shown = ", ".join(columns[:6]) + (f" and {len(columns) - 6} more" if len(columns) > 6 else "")
        return f"Bundle({str(self.path)!r}: {network}, {graphs}, {self.schema.precision}: {shown})"

    def _repr_html_(self) -> str:
        rows = [(entry.name, "x".join(map(str, entry.shape)), entry.dtype) for entry in self.schema.outputs]
        return html_table(repr(self), rows, ("output", "shape", "type"))

    @property
    def temperature(self) -> float:
        """Return the temperature in the graphs; 1 without calibration."""
        return float((self.schema.temperature or {}).get("value", 1.0))

    def plan(self) -> Plan:
        """Return the analysis for reading files; raise CollidekitError if it has code that the user has never named."""
        form, code = self.analysis.source.format, self.schema.code
        check_code(self.path, "processor", self.analysis.processor, code.get("processor"))
        check_code(self.path, "reader", None if form in FORMATS else form, code.get("reader"))
        return Plan(self.analysis)

    def _with_user_code(self, analysis: Analysis) -> Analysis:
        """Return the analysis with the paths of processor and reader in the bundle."""
        processor, source = analysis.processor, analysis.source
        if processor and "file" in self.schema.code.get("processor", {}):
            processor = str(self.path.absolute() / processor)
        if "file" in self.schema.code.get("reader", {}):
            source = source.model_copy(update={"format": str(self.path.absolute() / source.format)})
        return analysis.model_copy(update={"processor": processor, "source": source})

    def predict(
        self,
        files: str | Sequence[str],
        batch_size: int = 1024,
        *,
        plan: Plan | None = None,
        skip_bad_files: bool = False,
        allow_training_rows: bool = False,
    ) -> Predictions:
        """Return the predictions of all selected rows of files, with or without truth, in input order.

        Files are read with the analysis of ``plan``, which must have the same inputs; by default with the analysis of
        the bundle. Rows that a graph was trained on are an error, unless ``allow_training_rows`` is true.
        """
        found = self.predict_files(files, batch_size, plan, skip_bad_files, allow_training_rows)
        for message in [*(f"skipped: {message}" for message in found.skipped), *found.far]:
            notice(message)
        if warning := found.seen.warning():
            notice(warning)
        return found.predictions

    def predict_files(
        self,
        files: str | Sequence[str],
        batch_size: int = 1024,
        plan: Plan | None = None,
        skip_bad_files: bool = False,
        allow_training_rows: bool = False,
        done: Callable[[int], None] = lambda rows: None,
        counts: NotFinite | None = None,
    ) -> BundlePredictions:
        """Predict like ``predict``, but print nothing.

        ``done`` is called with the number of rows of each part. NaN and infinity are counted in ``counts``.
        """
        if batch_size < 1:
            raise CollidekitError(f"batch_size: {batch_size} is below 1; give at least 1")
        if plan is not None:
            check_same_inputs(self.path, self.analysis, plan.analysis)
            check_same_constituents(self.path, self.analysis, plan.analysis)
        plan = plan or self.plan()
        paths = expand(files)
        contents = content_of_paths(paths, self.members)
        guard = Guard(self.path, self.schema, self.members, contents, paths, allow_training_rows)
        skipped: list[str] = []
        read = rows_of_files(plan, paths, skip_bad_files, skipped, counts or NotFinite())
        far = FarColumns(self.schema, paths)
        watched = ahead(guard.watch(far.watch(read), plan.analysis), 2)
        assembly = Assembly(plan.analysis, len(self.members))
        for rows, used in watched:
            for part, chosen in _parts(rows, used, batch_size):
                assembly.add(part, self._predict_part(part, chosen, paths))
                done(len(part))
        try:
            found = assembly.predictions()
        except NothingToPredictError:
            if skipped:
                raise CollidekitError(f"none of the files could be read: {skipped[0]}") from None
            raise
        return BundlePredictions(self._combine(found, guard.seen), skipped, guard.seen, far.notes())

    def _predict_part(self, rows: RowArrays, used: Array, files: Sequence[str]) -> list[dict[str, Array]]:
        """Return the columns (n,) of each graph, which predicts only the rows that it is used for."""
        answers = []
        for name, runner, chosen in zip(self.members, self.runners, used, strict=True):
            part = rows if chosen.all() else rows.take(np.flatnonzero(chosen))
            found = runner(part)
            check_answers(found, part, "the model" if len(self.members) == 1 else name, files)
            answers.append({column: _spread(values, chosen) for column, values in found.items()})
        return answers

    def _combine(self, members: Sequence[Predictions], seen: SeenRows) -> Predictions:
        found = members[0]
        if len(members) > 1:
            found = combine(dict(zip(self.members, members, strict=True)), "mean", used=seen.used())
        return replace(found, units=self.analysis.units_of_values, temperature=self.temperature)

    def predict_arrays(self, inputs: Mapping[str, Any], fold: int | None = None) -> dict[str, Array]:
        """Return all outputs of a graph by name, for the input tensors that the schema describes.

        A collection has the tensors ``<name>`` (N, L, C) and ``<name>_mask`` (N, L), 1 for a constituent and 0 for an
        empty slot. A flat group has ``<name>`` (N, F), a flow ``noise_<target>`` (N, K, V). ``fold`` selects the graph
        of a bundle with folds. Raises CollidekitError for a missing tensor or a wrong shape.
        """
        return run_tensors(self._of_fold(fold), inputs)

    def _of_fold(self, fold: int | None) -> Runner:
        if fold is None and len(self.runners) == 1:
            return self.runners[0]
        folds = [member.graph.fold for member in self.members.values()]
        if fold is None or fold not in folds:
            known = ", ".join(str(number) for number in folds if number is not None) or "none"
            raise CollidekitError(f"{self.path}: fold {fold}: give the fold of the rows, one of {known}")
        return self.runners[folds.index(fold)]


def _parts(rows: RowArrays, used: Array, size: int) -> Iterator[tuple[RowArrays, Array]]:
    """Yield parts of the rows, with flags (M, n) of the graphs that predict them."""
    for number, part in enumerate(rows.parts(size)):
        yield part, used[:, number * size : number * size + len(part)]


def _spread(values: Array, chosen: Array) -> Array:
    """Return the values of the chosen rows at their places among all rows (n,), with NaN (or -1 for integers) elsewhere."""
    if chosen.all():
        return values
    missing = np.nan if values.dtype.kind == "f" else -1
    found = np.full(len(chosen), missing, dtype=values.dtype)
    found[chosen] = values
    return found
