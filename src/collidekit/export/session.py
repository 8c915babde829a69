"""Calls of a graph in onnxruntime, with the inputs and outputs of the generic layout."""

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
"""Number of rows that are used to find the place of a column."""


def open_session(model: bytes | str, threads: int = 1) -> Any:
    """Return an inference session on the CPU for a model or its path, with all optimisations, as users have it."""
    runtime = need("onnxruntime", "export")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    try:
        return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001  # onnxruntime's errors have no common base class
        said = " ".join(str(error).split())[:200]
        raise CollidekitError(f"onnxruntime {runtime.__version__} cannot load the graph: {said}") from None


def run_layout(session: Any, layout: Layout, generic: Mapping[str, Array]) -> dict[str, Array]:
    """Return the generic columns of a layout for generic inputs, in one call or in calls of one row."""
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
    """Return the columns, with missing discriminators computed from the class probabilities (N,)."""
    found = dict(columns)
    for name, definition in definitions.items():
        classes = (*definition.signal, *definition.background)
        if name not in columns and all(f"prob_{one}" in columns for one in classes):
            found[name] = definition.scores({one: columns[f"prob_{one}"] for one in classes})
    return found


def places_of_columns(session: Any, layout: Layout, rows: Sequence[Row]) -> dict[str, tuple[str, int]]:
    """Return the output of each column of rows, and its index among the numbers of one row.

    The places are found by comparison of the numbers of some rows. A column that is computed from outputs is left out.
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
    """Return the ratio of the times of two sessions: the median over calls of one row, which run in turn."""
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
    """Concatenate columns; columns of constituents (N, L) are padded to the longest with -1."""
    columns = {}
    for name in parts[0] if parts else ():
        values = [part[name] for part in parts]
        if values[0].ndim == 2:
            longest = max(one.shape[1] for one in values)
            values = [np.pad(one, ((0, 0), (0, longest - one.shape[1])), constant_values=-1) for one in values]
        columns[name] = np.concatenate(values)
    return columns
