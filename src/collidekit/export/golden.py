"""Files of rows with the numbers that a graph must give for them, which numpy reads without pickle.

``golden.npz`` holds real rows and edge cases, ``calls.npz`` other calls, such as with many rows, and ``rows.npz`` real
rows with class and weight. Case i has the input tensors ``i.in.<name>`` of the layout for one call, and for graph g the
columns ``i.out.g.<name>``, (N,) or (N, L), of the generic layout, computed with the ragged network. N is 1, except for
calls. For layouts other than ``generic``, the outputs of the layout are ``i.raw.g.<name>``, computed with the padded
network in torch; random outputs are left out. ``cases`` has the names of all cases, ``kinds`` the kinds of calls.
``golden.bin`` holds the rows of ``golden.npz`` for ``verify.cpp``.
"""

import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from io import BytesIO
from pathlib import Path

import numpy as np
import torch

from collidekit.export.agreement import TOLERANCE, relative
from collidekit.export.calls import calls
from collidekit.export.cases import Array, Row, edge_cases, generic_arrays, has_equal_constituents
from collidekit.export.expected import expected, is_finite, noise_of
from collidekit.export.layouts.base import Layout
from collidekit.export.members import Member
from collidekit.export.sample import Sample
from collidekit.files import replacing
from collidekit.models.tagger import Tagger

GOLDEN_ROWS, REAL_ROWS = 16, 400
"""Number of real rows in ``golden.npz``, and in ``rows.npz`` for the AUC and the working points."""


def write_golden(
    path: Path, members: Sequence[Member], rows: Sequence[Row], scales: Mapping[str, float]
) -> tuple[str, ...]:
    """Write real rows and edge cases; return the names of rows that are left out because their numbers are not determined.

    These are rows whose numbers are not finite, or differ between single and double precision: extreme values may need
    more digits than single precision has. ``scales`` are the scales of columns.
    """
    first = members[0].layout
    analysis = first.graph.analysis
    cases = [*(row.changed(f"real row {i}") for i, row in enumerate(rows[:GOLDEN_ROWS])), *edge_cases(rows, analysis)]
    if any(name.startswith("index_") for name in first.graph.output_names):
        cases = [case for case in cases if not has_equal_constituents(case)]  # any of the equal ones may be assigned
    wanted = [list(_expected(member.tagger, member.layout, cases)) for member in members]
    precise = [list(_expected(deepcopy(member.tagger).double(), member.layout, cases)) for member in members]
    content: dict[str, Array] = {}
    labels, left_out = list[str](), list[str]()
    for i, (case, given) in enumerate(zip(cases, _inputs(first, cases), strict=True)):
        found = [columns[i] for columns in wanted]
        if not all(_is_determined(one, other[i], scales) for one, other in zip(found, precise, strict=True)):
            left_out.append(case.label)
            continue
        content |= _entries(len(labels), given, dict(enumerate(found)), _raw(members, given))
        labels.append(case.label)
    _save(path, {**content, "cases": np.array(labels)})
    _write(path.with_suffix(".bin"), binary(content))
    return tuple(left_out)


def _is_determined(single: Mapping[str, Array], double: Mapping[str, Array], scales: Mapping[str, float]) -> bool:
    """Return whether all columns are finite, and agree in single and double precision to half of ``TOLERANCE``."""
    if not is_finite(single).all():
        return False
    apart = [relative(values, double[name], scales.get(name, 1.0)).max(initial=0.0) for name, values in single.items()]
    return max(apart, default=0.0) <= TOLERANCE / 2


def write_calls(path: Path, members: Sequence[Member], rows: Sequence[Row], invariant: Sequence[str]) -> None:
    """Write the calls of ``calls.py``; calls with results that are not finite are left out."""
    content: dict[str, Array] = {}
    labels, kinds = list[str](), list[str]()
    first = members[0].layout
    for call in calls(first, rows, invariant):
        columns = [expected(one.tagger, one.graph, call.rows, first.graph.analysis) for one in members]
        if not all(is_finite(found).all() for found in columns):
            continue
        skipped = first.graph.ordered_outputs if call.kind == "order" else ()
        found = {
            graph: {name: values[: call.size] for name, values in one.items() if name not in skipped}
            for graph, one in enumerate(columns)
        }
        given = first.given(call.generic)
        content |= _entries(len(labels), given, found, _raw(members, given))
        labels.append(call.label)
        kinds.append(call.kind)
    _save(path, {**content, "cases": np.array(labels, dtype=str), "kinds": np.array(kinds, dtype=str)})


def write_real(
    path: Path,
    members: Sequence[Member],
    rows: Sequence[Row],
    sample: Sample,
    left_out: Collection[int] = (),
) -> None:
    """Write real rows except ``left_out``, with the numbers of the graph that predicts each row; ``graph (N,)`` is its number."""
    chosen = [i for i in _spread(len(rows)) if i not in left_out]
    content: dict[str, Array] = {
        "labels": sample.predictions.labels[chosen],
        "weights": sample.predictions.weights[chosen],
        "graph": sample.member[chosen],
        "cases": np.array([f"row {i}" for i in chosen]),
    }
    for graph, member in enumerate(members):
        own = [place for place, i in enumerate(chosen) if sample.member[i] == graph]
        some = [rows[chosen[place]] for place in own]
        for place, given, found in zip(
            own, _inputs(member.layout, some), _expected(member.tagger, member.layout, some), strict=True
        ):
            content |= _entries(place, given, {graph: found}, _raw([member], given, graph))
    _save(path, content)


def _spread(rows: int) -> list[int]:
    """Return the indices of the rows to write, at equal distances, because rows are often sorted by class."""
    found: list[int] = np.unique(np.linspace(0, rows - 1, min(REAL_ROWS, rows)).astype(int)).tolist()
    return found


def _inputs(layout: Layout, rows: Sequence[Row]) -> Iterator[dict[str, Array]]:
    """Yield the tensors of the layout for each row."""
    for row in rows:
        noise = noise_of(layout.graph, [row], layout.graph.analysis)
        yield layout.given(generic_arrays([row], layout.graph.analysis, noise))


def _expected(tagger: Tagger, layout: Layout, rows: Sequence[Row]) -> Iterator[dict[str, Array]]:
    """Yield the columns of the checkpoint for each row; columns of constituents have the length of the row."""
    columns = expected(tagger, layout.graph, rows, layout.graph.analysis) if rows else {}
    for i, row in enumerate(rows):
        lengths = {name: len(row.values[of]) for name, of in layout.graph.constituent_outputs.items()}
        yield {
            name: values[i : i + 1, : lengths[name]] if name in lengths else values[i : i + 1]
            for name, values in columns.items()
        }


@torch.inference_mode()
def _raw(members: Sequence[Member], given: Mapping[str, Array], first: int = 0) -> dict[int, dict[str, Array]]:
    """Return the outputs of layouts other than ``generic``, by graph number, without random outputs, which differ in two calls."""
    found: dict[int, dict[str, Array]] = {}
    for graph, layout in enumerate((member.layout for member in members), first):
        if type(layout) is Layout:
            continue
        tensors = [torch.from_numpy(np.ascontiguousarray(given[name])) for name in layout.input_names]
        once, again = layout(*tensors), layout(*tensors)
        named = zip(layout.output_names, once, again, strict=True)
        found[graph] = {name: a.numpy() for name, a, b in named if torch.equal(a.nan_to_num(), b.nan_to_num())}
    return found


Columns = Mapping[int, Mapping[str, Array]]


def _entries(number: int, given: Mapping[str, Array], found: Columns, raw: Columns) -> dict[str, Array]:
    entries = {f"{number}.in.{name}": values for name, values in given.items()}
    for kind, graphs in (("out", found), ("raw", raw)):
        for graph, columns in graphs.items():
            entries |= {f"{number}.{kind}.{graph}.{name}": values for name, values in columns.items()}
    return entries


def _save(path: Path, arrays: Mapping[str, Array]) -> None:
    memory = BytesIO()
    np.savez_compressed(memory, allow_pickle=False, **arrays)
    _write(path, memory.getvalue())


MAGIC = b"CKGOLD01"
TYPES = {"float32": 1, "int8": 3, "int32": 6, "int64": 7, "bool": 9, "float64": 11}
"""Numbers of ONNX's TensorProto.DataType."""


def binary(arrays: Mapping[str, Array]) -> bytes:
    """Return arrays in the binary format of ``golden.bin``, which is described in templates/verify.cpp."""
    parts = [MAGIC, struct.pack("<i", len(arrays))]
    for name, values in arrays.items():
        text = name.encode()
        parts += [struct.pack("<i", len(text)), text]
        parts += [struct.pack(f"<ii{values.ndim}q", TYPES[values.dtype.name], values.ndim, *values.shape)]
        parts += [np.ascontiguousarray(values).astype(values.dtype.newbyteorder("<")).tobytes()]
    return b"".join(parts)


def _write(path: Path, content: bytes) -> None:
    with replacing(path) as temporary:
        temporary.write_bytes(content)
