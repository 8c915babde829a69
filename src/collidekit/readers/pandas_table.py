"""Tables in HDF5 files from pandas, such as the Top Tagging Reference Dataset."""

import pickletools
import re
from collections.abc import Sequence
from typing import Any

import awkward as ak
import h5py
import numpy as np
from numpy.typing import NDArray

from collidekit.readers.base import BadFileError
from collidekit.readers.flatten import number
from collidekit.readers.hdf5_parts import before_padding, full, is_padding, lists

STRINGS = {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING"}
INTEGERS = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1"}
PUTS = {"PUT", "BINPUT", "LONG_BINPUT"}
GETS = {"GET", "BINGET", "LONG_BINGET"}
STRUCTURE = {"MARK", "APPEND", "APPENDS", "PROTO", "FRAME", "STOP"}


def is_pandas(item: Any) -> bool:
    """Return whether a group was written with ``DataFrame.to_hdf``."""
    return isinstance(item, h5py.Group) and (_is_table(item) or _bytes(item.attrs.get("pandas_type", b"")) == b"frame")


def table_size(group: Any) -> tuple[int, int]:
    """Return the numbers of rows and of bytes in a row of a table from pandas."""
    index = group.get("table" if _is_table(group) else "axis1")
    rows = int(index.shape[0]) if isinstance(index, h5py.Dataset) and index.shape else 0
    stored = sum(item.nbytes for item in group.values() if isinstance(item, h5py.Dataset))
    return rows, stored // max(rows, 1)


def _is_table(group: Any) -> bool:
    """Return whether a group was written with ``format="table"``."""
    if _bytes(group.attrs.get("pandas_type", b"")) == b"frame_table":
        return True
    names = group["table"].dtype.names if isinstance(group.get("table"), h5py.Dataset) else None
    return "values_block_0" in (names or ())


def pickled_names(pickled: bytes) -> list[str]:
    """Return the strings of a pickled list of strings, read from its opcodes; nothing is unpickled.

    Raises ValueError for any other content.
    """
    names: list[str] = []
    memo: dict[int, str | None] = {}
    last: str | None = None  # the value that a PUT would store: a string, or None for the list
    operation: tuple[Any, Any, Any]
    for operation in pickletools.genops(pickled):
        opcode, argument, _ = operation
        if opcode.name in STRINGS | INTEGERS:
            last = str(argument)
            names.append(last)
        elif opcode.name in PUTS:
            memo[int(argument)] = last
        elif opcode.name == "MEMOIZE":
            memo[len(memo)] = last
        elif opcode.name in GETS:
            if (known := memo.get(int(argument))) is None:
                raise ValueError("it refers to something that is not a string")
            last = known
            names.append(known)
        elif opcode.name in ("LIST", "EMPTY_LIST"):
            last = None
        elif opcode.name not in STRUCTURE:
            raise ValueError(f"it holds {opcode.name}, not only strings")
    return names


def _bytes(value: Any) -> bytes:
    """Return an attribute as bytes; h5py gives text, bytes, a numpy scalar or an array of bytes."""
    if isinstance(value, str):
        return value.encode("latin-1")
    return value if type(value) is bytes else np.asarray(value).tobytes()


class PandasPart:
    """A data frame; numbered columns ``E_0 ... E_199`` become lists ``E`` without zero padding."""

    def __init__(self, group: Any, path: str) -> None:
        self.columns: dict[str, str] = {}
        self.unreadable: dict[str, str] = {}
        self._path, self._group = path, group.name
        self._blocks: list[tuple[Any, str | None]] = []  # dataset, its field
        self._where: dict[str, list[tuple[int, int]]] = {}  # column or family -> (block, position) of its members
        self._families: dict[int, list[str]] = {}  # number of members -> families
        try:
            blocks = self._table_blocks(group["table"]) if _is_table(group) else self._fixed_blocks(group)
        except KeyError as error:
            raise BadFileError(f"{path}: {self._group} is not a table from pandas: {error.args[0]}") from error
        self.datasets = list({dataset.name: dataset for dataset, _ in self._blocks}.values())
        self.rows = int(self.datasets[0].shape[0]) if self.datasets else 0
        self._columns(blocks)

    def _table_blocks(self, dataset: Any) -> list[list[str]]:
        names = []
        for field in dataset.dtype.names:
            if field == "index":
                continue
            width = int(np.prod(dataset.dtype[field].shape, dtype=int))
            kind = dataset.attrs.get(f"{field}_kind")
            names.append(self._names(_bytes(kind), field, width) if kind is not None else [field])
            self._blocks.append((dataset, field))
        return names

    def _fixed_blocks(self, group: Any) -> list[list[str]]:
        names = []
        for block in range(int(group.attrs["nblocks"])):
            dataset = group[f"block{block}_values"]
            items = group[f"block{block}_items"][:]
            names.append([item.decode() if isinstance(item, bytes) else str(item) for item in items])
            self._blocks.append((dataset, None))
        return names

    def _names(self, kind: bytes, field: str, width: int) -> list[str]:
        attribute = f"{self._path}: the attribute {field}_kind of {self._group}"
        if not kind.rstrip(b"\0").endswith(b"."):
            return [field]  # the kind of a data column in older tables is plain text, such as "integer"
        try:
            names = pickled_names(kind)
        except ValueError as error:
            raise BadFileError(
                f"{attribute} should list the names of columns, but {error}; write it with to_parquet"
            ) from error
        if len(names) != width:
            raise BadFileError(
                f"{attribute} names {len(names)} columns, but the block has {width}; write the file again"
            )
        return names

    def _columns(self, blocks: list[list[str]]) -> None:
        single: dict[str, tuple[int, int]] = {}
        numbered: dict[str, dict[int, tuple[int, int]]] = {}
        for block, names in enumerate(blocks):
            for position, name in enumerate(names):
                single[name] = (block, position)
                if match := re.fullmatch(r"(.*\D)_(\d+)", name):
                    numbered.setdefault(match[1], {})[int(match[2])] = (block, position)
        for family, members in numbered.items():
            if len(members) > 1 and sorted(members) == list(range(len(members))) and family not in single:
                for member in members:
                    del single[f"{family}_{member}"]
                self._families.setdefault(len(members), []).append(family)
                self._add(family, [members[member] for member in range(len(members))], "var * ")
        for name, where in single.items():
            self._add(name, [where], "")

    def _add(self, name: str, members: list[tuple[int, int]], prefix: str) -> None:
        dtypes = [self._dtype(block) for block, _ in members]
        primitive = number(np.result_type(*dtypes)) if all(number(dtype) for dtype in dtypes) else None
        if primitive is None:
            self.unreadable[name] = str(dtypes[0])
        else:
            self._where[name] = members
            self.columns[name] = prefix + primitive

    def _dtype(self, block: int) -> np.dtype[Any]:
        dataset, field = self._blocks[block]
        dtype: np.dtype[Any] = dataset.dtype[field] if field else dataset.dtype
        return dtype.base

    def read(self, names: Sequence[str], start: int, stop: int) -> dict[str, ak.Array]:
        wanted = [name for name in self._where if name in names]
        counts = {count for count, families in self._families.items() if set(families) & set(wanted)}
        # the padding of a family is only known from all families of the same length
        needed = wanted + [family for count in counts for family in self._families[count]]
        blocks = {block: self._block(block, start, stop) for name in needed for block, _ in self._where.get(name, [])}
        matrices = {name: self._matrix(name, blocks) for name in dict.fromkeys(needed) if name in self._where}
        result: dict[str, ak.Array] = {}
        for count in counts:
            padding = np.logical_and.reduce(
                [is_padding(matrices[name]) for name in self._families[count] if name in matrices]
            )
            keep = before_padding(padding)
            result |= {name: lists(matrices[name], keep) for name in self._families[count] if name in wanted}
        return result | {name: full(matrices[name][:, 0]) for name in wanted if name not in result}

    def _block(self, block: int, start: int, stop: int) -> NDArray[Any]:
        dataset, field = self._blocks[block]
        values = dataset.fields(field)[start:stop] if field else dataset[start:stop]
        return np.asarray(values).reshape(stop - start, -1)

    def _matrix(self, name: str, blocks: dict[int, NDArray[Any]]) -> NDArray[Any]:
        """Return the numbers (rows, members) of a column or family."""
        members = self._where[name]
        if len({block for block, _ in members}) == 1:
            return blocks[members[0][0]][:, [position for _, position in members]]
        return np.stack([blocks[block][:, position] for block, position in members], axis=1)
