"""Pickled files of the organiser of an old benchmark: lists, tuples, numbers and numpy arrays, and nothing else.

This is the only place that reads a pickle. It is used once, by the organiser, on files that the organiser names. Files of
participants never come here.
"""

import codecs
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from collidekit.errors import CollidekitError

NUMERIC = "biufc"


def read_pickled_arrays(path: Path) -> Any:
    """Return what a pickle holds of lists, tuples, numbers, text and numeric numpy arrays.

    Raises CollidekitError where it would import or call anything else.
    """
    try:
        with path.open("rb") as file:
            found = _ArraysOnly(file, encoding="latin1").load()
    except OSError as error:
        raise CollidekitError(f"{path}: cannot be read ({error.strerror or error})") from None
    except _RefusedError as error:
        raise CollidekitError(
            f"{path}: {error}; only lists, tuples, numbers and numpy arrays are read from a pickle"
        ) from None
    except Exception as error:  # noqa: BLE001  # a damaged pickle raises almost anything
        raise CollidekitError(f"{path}: is no pickle, or is damaged ({type(error).__name__}: {error})") from None
    return found


class _RefusedError(Exception):
    pass


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """Bytes in pickles of protocol 2."""
    if codecs.lookup(encoding).name not in ("iso8859-1", "utf-8", "ascii"):
        raise _RefusedError(f"holds text in the encoding {encoding!r}")
    return text.encode(encoding)


class _ArrayType:
    """Placeholder for the array types that a pickle names; it does nothing itself."""


def _empty_array(kind: Any, shape: Any, code: Any) -> Any:
    """The empty array that a pickle fills next."""
    if kind is not _ArrayType:
        raise _RefusedError("holds an array of another type than numpy.ndarray")
    return np.empty(0, dtype=np.int8)


def _dtype(*given: Any) -> Any:
    found = np.dtype(*given)
    if found.hasobject and found != np.dtype(object):
        raise _RefusedError(f"holds an array of {found}")
    return found


def _scalar(dtype: Any, content: Any = None) -> Any:
    if not isinstance(dtype, np.dtype) or dtype.kind not in NUMERIC or not isinstance(content, bytes | str):
        raise _RefusedError("holds a numpy number of an unknown type")
    data = content.encode("latin1") if isinstance(content, str) else content
    return np.frombuffer(data, dtype=dtype, count=1)[0]


def _from_buffer(buffer: Any, dtype: Any, shape: Any, order: Any) -> Any:
    """Arrays in pickles of protocol 5."""
    if not isinstance(dtype, np.dtype) or dtype.kind not in NUMERIC:
        raise _RefusedError("holds an array of an unknown type")
    return np.frombuffer(buffer, dtype=dtype).reshape(shape, order=order)


_ALLOWED = {
    ("_codecs", "encode"): _encode,
    ("numpy", "ndarray"): _ArrayType,
    ("numpy", "dtype"): _dtype,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _empty_array for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
}


class _ArraysOnly(pickle.Unpickler):
    """An unpickler that can name nothing but what numeric arrays need."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise _RefusedError(f"would import {module}.{name}")
        return _ALLOWED[module, name]

    def persistent_load(self, number: Any) -> Any:
        raise _RefusedError("refers to an object outside of it")
