"""A graph in onnxruntime, and a layout of it as a function of generic arrays."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from collidekit.analysis.discriminators import Discriminator
from collidekit.errors import CollidekitError
from collidekit.export.cases import Array, Row, generic_arrays
from collidekit.export.expected import noise_of
from collidekit.export.layouts.base import Layout
from collidekit.extras import need

PROBES = 16
"""Rows that show where a column is."""


def open_session(model: bytes | str, threads: int = 1) -> Any:
    """Return an inference session on the CPU for a model or its path; its optimisations are those of users: all."""
    runtime = need("onnxruntime", "export")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    try:
        return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001  # of kinds that are not named in Python
        said = " ".join(str(error).split())[:200]
        raise CollidekitError(f"onnxruntime {runtime.__version__} does not take the graph: {said}") from None


def run_layout(session: Any, layout: Layout, generic: Mapping[str, Array]) -> dict[str, Array]:
    """Return the generic columns that a layout gives for generic inputs, in calls of as many rows as it takes."""
    if layout.batched:
        return run_call(session, layout, generic)
    rows = len(next(iter(generic.values())))
    return joined([run_call(session, layout, one_row(generic, i)) for i in range(rows)])


def run_call(session: Any, layout: Layout, generic: Mapping[str, Array]) -> dict[str, Array]:
    """Return the columns of one call."""
    given = layout.given(generic)
    found = session.run(layout.output_names, {name: np.ascontiguousarray(given[name]) for name in layout.input_names})
    return layout.found(dict(zip(layout.output_names, found, strict=True)), generic)


def with_discriminators(columns: Mapping[str, Array], definitions: Mapping[str, Discriminator]) -> dict[str, Array]:
    """Return the columns with the discriminators that a layout leaves to its consumer, from the probabilities of classes (N,)."""
    found = dict(columns)
    for name, definition in definitions.items():
        classes = (*definition.signal, *definition.background)
        if name not in columns and all(f"prob_{one}" in columns for one in classes):
            found[name] = definition.scores({one: columns[f"prob_{one}"] for one in classes})
    return found


def places_of_columns(session: Any, layout: Layout, rows: Sequence[Row]) -> dict[str, tuple[str, int]]:
    """Return for each column of rows the output that holds it and its place among the numbers of one row.

    A layout need not say this: the numbers of some rows show it. A column that is computed from the outputs is not named.
    """
    analysis = layout.graph.analysis
    columns: dict[str, list[Array]] = {}
    outputs: dict[str, list[Array]] = {}
    for row in rows[:PROBES]:
        generic = generic_arrays([row], analysis, noise_of(layout.graph, [row], analysis))
        given = layout.given(generic)
        ran = session.run(layout.output_names, {name: np.ascontiguousarray(given[name]) for name in layout.input_names})
        raw = dict(zip(layout.output_names, ran, strict=True))
        for name, values in layout.found(raw, generic).items():
            if name not in layout.graph.constituent_outputs:
                columns.setdefault(name, []).append(np.ravel(values))
        for name, values in raw.items():
            outputs.setdefault(name, []).append(np.ravel(values))
    found: dict[str, tuple[str, int]] = {}
    for name, wanted in columns.items():
        for output in (name, *outputs) if name in outputs else outputs:
            length = min(len(values) for values in outputs[output])
            table = np.stack([values[:length] for values in outputs[output]])
            same = np.flatnonzero((table == np.concatenate(wanted)[:, None]).all(axis=0)).tolist()
            if same:
                free = [place for place in same if (output, place) not in found.values()]
                found[name] = output, (free or same)[0]
                break
    return found


def time_ratio(after: Any, before: Any, feeds: Sequence[Mapping[str, Array]]) -> float:
    """Return the time per row of a session over that of another one: the median over rows, in turns, a row a call."""
    ratios = []
    for session in (after, before):
        session.run(None, feeds[0])
    for given in feeds:
        taken = []
        for session in (after, before):
            start = time.perf_counter()
            session.run(None, given)
            taken.append(time.perf_counter() - start)
        ratios.append(taken[0] / taken[1])
    return float(np.median(ratios))


def one_row(generic: Mapping[str, Array], row: int) -> dict[str, Array]:
    """Return the arrays of one row, as (1, ...), without empty slots."""
    found = {name: values[row : row + 1] for name, values in generic.items()}
    for name in list(found):
        if (mask := found.get(f"{name}_mask")) is not None:
            length = int(mask.sum())
            found[name], found[f"{name}_mask"] = found[name][:, :length], mask[:, :length]
    return found


def joined(parts: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
    """Return columns one after another; those of constituents (N, L) are filled up to the longest with -1."""
    columns = {}
    for name in parts[0] if parts else ():
        values = [part[name] for part in parts]
        if values[0].ndim == 2:
            longest = max(one.shape[1] for one in values)
            values = [np.pad(one, ((0, 0), (0, longest - one.shape[1])), constant_values=-1) for one in values]
        columns[name] = np.concatenate(values)
    return columns
