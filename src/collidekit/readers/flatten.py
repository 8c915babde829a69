"""Conversion of the awkward arrays of a file to columns: numbers or lists of numbers, not nested and never missing."""

from collections.abc import Iterator
from typing import Any

import awkward as ak
import numpy as np

from collidekit.errors import CollidekitError


def leaves(name: str, form: ak.forms.Form) -> Iterator[tuple[str, tuple[str, ...], str | None]]:
    """Yield ``(column, fields on the way to it, type)`` for everything in a column; the type is None if it is not a number.

    Fields of records become separate columns, also inside lists: ``jets`` of ``{pt, eta}`` gives ``jets_pt`` and
    ``jets_eta``.
    """
    for fields, columntype in _leaves(form):
        yield "_".join((name, *fields)), fields, columntype


def _leaves(form: ak.forms.Form) -> Iterator[tuple[tuple[str, ...], str | None]]:
    if form.is_option or form.is_indexed:
        yield from _leaves(form.content)
    elif form.is_record and not form.is_tuple:
        for field, content in zip(form.fields, form.contents, strict=True):
            for fields, columntype in _leaves(content):
                yield (field, *fields), columntype
    elif form.is_list and form.parameter("__array__") not in ("string", "bytestring"):
        for fields, columntype in _leaves(form.content):
            yield fields, columntype and f"var * {columntype}"
    elif form.is_numpy and form.parameter("__array__") not in ("char", "byte") and number(form.primitive):
        yield (), "var * " * len(form.inner_shape) + (number(form.primitive) or "")
    else:
        yield (), None


def kind_of(form: ak.forms.Form) -> str:
    """Return the kind of a column without numbers: ``string`` for text at any depth, else ``no number``."""
    inner = getattr(form, "contents", None) or [getattr(form, "content", None)]
    if form.parameter("__array__") in ("string", "bytestring") or "string" in [
        kind_of(f) for f in inner if f is not None
    ]:
        return "string"
    return "no number"


def number(dtype: Any) -> str | None:
    """Return the type of a number in memory; half precision becomes float32, and None means that it is not a number."""
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return "float32" if dtype.itemsize <= 4 else "float64"
    return dtype.newbyteorder("=").name if dtype.kind in "biu" else None


def plain(array: ak.Array, where: str, first_row: int = 0) -> ak.Array:
    """Return the same numbers without missing values, with fixed-length lists as ordinary lists.

    A missing number becomes NaN, and a missing list becomes an empty list. A missing integer or flag is an error that
    begins with ``where`` and names the row.
    """
    layout = ak.to_layout(array)
    return ak.Array(_plain(layout.to_packed() if layout.is_indexed else layout, layout, where, first_row))


def _plain(layout: Any, whole: Any, where: str, first_row: int) -> Any:
    if layout.is_numpy:
        if layout.purelist_depth > 1:
            return _lists(layout)
        return layout if layout.dtype != np.float16 else ak.contents.NumpyArray(layout.data.astype(np.float32))
    if layout.is_regular:
        layout = layout.to_ListOffsetArray64(False)
    if layout.is_list:
        layout = layout.to_ListOffsetArray64(True)
        offsets = layout.offsets
        content = layout.content[: offsets[-1]]
        return ak.contents.ListOffsetArray(offsets, _plain(content, whole, where, first_row))
    if layout.is_option:
        missing = np.asarray(layout.mask_as_bool(valid_when=False))
        if not missing.any():
            content = layout.project() if layout.is_indexed else layout.content[: len(missing)]
            return _plain(content, whole, where, first_row)
        return _plain(_filled(layout, missing, whole, where, first_row), whole, where, first_row)
    if layout.is_indexed:
        return _plain(layout.project(), whole, where, first_row)
    raise TypeError(f"{where}: not numbers but {layout.form.type}")  # `leaves` excludes these


def _lists(layout: Any) -> Any:
    return ak.to_layout(ak.from_regular(ak.Array(layout.to_RegularArray()), axis=None))


def _filled(layout: Any, missing: Any, whole: Any, where: str, first_row: int) -> Any:
    content = layout.project()
    if content.is_list or content.is_regular:
        lists = content.to_ListOffsetArray64(True)
        counts = np.zeros(len(missing), np.int64)
        counts[~missing] = np.diff(np.asarray(lists.offsets))
        return ak.contents.ListOffsetArray(ak.index.Index64(np.concatenate([[0], np.cumsum(counts)])), lists.content)
    numbers = np.asarray(ak.to_numpy(content))
    if numbers.dtype.kind != "f":
        row = first_row + _row_of(whole, layout)
        raise CollidekitError(
            f"{where}: the value in row {row} is missing, and an integer or flag cannot be missing; "
            "write the column as floating point, or fill it"
        )
    values = np.full(len(missing), np.nan, numbers.dtype)
    values[~missing] = numbers
    return ak.contents.NumpyArray(values)


def _row_of(whole: Any, option: Any) -> int:
    """Return the first row with a missing number."""
    missing = ak.is_none(ak.Array(whole), axis=-1)
    while missing.ndim > 1:
        missing = ak.any(missing, axis=-1)
    return int(np.argmax(ak.to_numpy(ak.fill_none(missing, False))))
