"""A bundle: a trained model that predicts with onnxruntime alone, without torch."""

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
from collidekit.trust import check_code

Array = np.ndarray[Any, Any]


@frozen
class BundlePredictions:
    """The predictions of a bundle, the files that could not be read, and what is to know of the rows."""

    predictions: Predictions
    skipped: list[str]
    seen: SeenRows
    far: list[str]
    """Files whose values lie far from those that the bundle was made with, a sentence each."""


class Bundle:
    """The graphs of a bundle, whose checksums have been verified; one graph, or one for each fold.

    ``threads`` is how many threads onnxruntime uses. Raises CollidekitError where the bundle is damaged or cannot be run here.
    """

    def __init__(self, path: str | Path, threads: int = 1) -> None:
        if threads < 1:
            raise CollidekitError(f"threads: {threads} is not a number from 1")
        self.path = Path(path)
        self.schema = read_generic(self.path)
        with as_written(self.path / SCHEMA):
            self.analysis = self._with_own_code(Analysis.model_validate_json(json.dumps(self.schema.analysis)))
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

    @property
    def temperature(self) -> float:
        """The temperature that is part of the graphs; 1 where there is none."""
        return float((self.schema.temperature or {}).get("value", 1.0))

    def plan(self) -> Plan:
        """Its analysis, to read files with; an error where that would run code that is not known to be the user's."""
        form, code = self.analysis.source.format, self.schema.code
        check_code(self.path, "processor", self.analysis.processor, code.get("processor"))
        check_code(self.path, "reader", None if form in FORMATS else form, code.get("reader"))
        return Plan(self.analysis)

    def _with_own_code(self, analysis: Analysis) -> Analysis:
        """The analysis with the processor and the reader whose source is in the bundle."""
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
        """Predictions for all selected rows of files, truth known or not, in input order.

        Files are read as ``plan`` says, which needs the same inputs; by default as the bundle's own analysis does. Rows that a graph
        was trained on are an error, unless ``allow_training_rows``.
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
        """``predict`` that says nothing itself: ``done`` is told how many rows were predicted, ``counts`` takes NaN and infinity."""
        if batch_size < 1:
            raise CollidekitError(f"batch_size: {batch_size} is not a number from 1")
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
                assembly.add(part, self._answers(part, chosen, paths))
                done(len(part))
        try:
            found = assembly.predictions()
        except NothingToPredictError:
            if skipped:
                raise CollidekitError(f"none of the files could be read: {skipped[0]}") from None
            raise
        return BundlePredictions(self._joined(found, guard.seen), skipped, guard.seen, far.notes())

    def _answers(self, rows: RowArrays, used: Array, files: Sequence[str]) -> list[dict[str, Array]]:
        """The columns (n,) of each graph, which has predicted only the rows that it is used for."""
        answers = []
        for name, runner, chosen in zip(self.members, self.runners, used, strict=True):
            part = rows if chosen.all() else rows.take(np.flatnonzero(chosen))
            found = runner(part)
            check_answers(found, part, "the model" if len(self.members) == 1 else name, files)
            answers.append({column: _spread(values, chosen) for column, values in found.items()})
        return answers

    def _joined(self, members: Sequence[Predictions], seen: SeenRows) -> Predictions:
        found = members[0]
        if len(members) > 1:
            found = combine(dict(zip(self.members, members, strict=True)), "mean", used=seen.used())
        return replace(found, units=self.analysis.units_of_values, temperature=self.temperature)

    def predict_arrays(self, inputs: Mapping[str, Any], fold: int | None = None) -> dict[str, Array]:
        """Return all outputs of a graph by name, for tensors as the schema describes them.

        Of each collection ``<name>`` (N, L, C) and ``<name>_mask`` (N, L), 1 for a constituent and 0 for an empty slot; of each flat group
        ``<name>`` (N, F); of each flow ``noise_<target>`` (N, K, V). ``fold`` names the graph where there are several. Raises CollidekitError
        for a tensor that is missing, or of another shape.
        """
        return run_tensors(self._of_fold(fold), inputs)

    def _of_fold(self, fold: int | None) -> Runner:
        if fold is None and len(self.runners) == 1:
            return self.runners[0]
        folds = [member.graph.fold for member in self.members.values()]
        if fold is None or fold not in folds:
            known = ", ".join(str(number) for number in folds if number is not None) or "none"
            raise CollidekitError(f"{self.path}: fold {fold}: name the fold that the rows belong to; there are {known}")
        return self.runners[folds.index(fold)]


def _parts(rows: RowArrays, used: Array, size: int) -> Iterator[tuple[RowArrays, Array]]:
    """Yield parts of the rows, with the graphs (M, n) that are used for each."""
    for number, part in enumerate(rows.parts(size)):
        yield part, used[:, number * size : number * size + len(part)]


def _spread(values: Array, chosen: Array) -> Array:
    """Values of the rows that were chosen at their places among all (n,): NaN elsewhere, -1 for integers."""
    if chosen.all():
        return values
    missing = np.nan if values.dtype.kind == "f" else -1
    found = np.full(len(chosen), missing, dtype=values.dtype)
    found[chosen] = values
    return found
