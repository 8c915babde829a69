"""NPZ files: archives of numpy arrays with one row for each event, streamed without unpickling anything."""

import json
from collections.abc import Sequence
from typing import Any
from zipfile import ZipFile

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from collidekit.analysis.schema import Source
from collidekit.errors import CollidekitError
from collidekit.readers.base import BadFileError, FileReader, bad_file, check, is_url, open_binary, unopened
from collidekit.readers.flatten import number
from collidekit.readers.hdf5_parts import NumericPart, Part, lists
from collidekit.readers.npz_member import Member

BATCH = 8_192
"""Rows whose padding is in memory at a time."""
METADATA = "metadata"
MOST_METADATA = 1 << 26
"""Bytes of the metadata."""
KEPT = 256
"""Blocks of a remote file that are kept, 64 MiB: all its arrays are read side by side."""


class NpzReader(FileReader):
    """Arrays with the same number of rows: (N,) are numbers, (N, L) lists, (N, L, F) lists for each of F features.

    Lists of files that ``collidekit export-events`` wrote end where their column of counts says so.
    """

    def __init__(self, path: str, source: Source) -> None:
        super().__init__(path, source)
        check(path)
        if source.tree:
            raise CollidekitError(f"{path}: NPZ files have no trees; leave `tree: {source.tree}` out of `source`")
        self._bytes = open_binary(path, KEPT if is_url(path) else None)
        try:
            self._archive = ZipFile(self._bytes)
        except Exception as error:
            self._bytes.close()
            raise unopened(path, error, "an NPZ", b"PK") from error
        try:
            self._parts: dict[str, Part] = {}
            self._rows = self._find()
        except Exception as error:
            self.close()
            raise bad_file(path, error) from error

    def _find(self) -> int:
        """Fill the columns and return the number of rows."""
        members: dict[str, Member] = {}
        for info in self._archive.infolist():
            name = info.filename.removesuffix(".npy")
            if name == info.filename or info.flag_bits & 1:
                self.unreadable[name] = "no .npy array" if name == info.filename else "encrypted"
            elif name in members:
                raise BadFileError(f"{self.path}: holds the array {name!r} twice; write it again")
            else:
                members[name] = Member(self.path, self._archive, info, name)
        collections = self._collections(members)
        tables = {}
        for name, member in members.items():
            if member.problem or not member.shape:
                self.unreadable[name] = member.problem or f"a single value ({member.dtype})"
            else:
                tables[name] = member
        rows = self._common({name: member.shape[0] for name, member in tables.items()})
        for name, member in tables.items():
            counts = members.get(collections.get(name, ""))
            self._add(ListPart(self.path, name, member, counts) if counts else NumericPart(name, member))
        if not self.columns:
            objects = [name for name, member in members.items() if member.problem]
            why = f" ({objects[0]} is {members[objects[0]].problem})" if objects else ""
            raise BadFileError(f"{self.path}: holds no array of numbers{why}")
        return rows

    def _common(self, lengths: dict[str, int]) -> int:
        """Return the number of rows, which all arrays share."""
        found = set(lengths.values())
        if len(found) > 1:
            first = next(iter(lengths))
            other = next(name for name, rows in lengths.items() if rows != lengths[first])
            raise BadFileError(
                f"{self.path}: {first} has {lengths[first]:,} rows and {other} {lengths[other]:,}: all arrays need one entry for "
                "each row; write the others into another file"
            )
        return found.pop() if found else 0

    def _collections(self, members: dict[str, Member]) -> dict[str, str]:
        """Return the array of counts of each array that the metadata calls a padded list."""
        entry = members.pop(METADATA, None)
        if entry is None:
            return {}
        self.unreadable[METADATA] = "text"
        if entry.dtype.kind != "U" or entry.shape or entry.dtype.itemsize > MOST_METADATA:
            members[METADATA] = entry
            return {}
        try:
            content = json.loads(str(entry.scalar()))
        except ValueError:
            return {}
        if not (isinstance(content, dict) and "collidekit_events" in content):
            return {}
        try:
            counts = {name: str(about["count"]) for name, about in content["collections"].items()}
            padded = {name: about["collection"] for name, about in content["columns"].items() if "collection" in about}
            found = {name: counts[collection] for name, collection in padded.items()}
        except (KeyError, TypeError, AttributeError) as error:
            raise BadFileError(f"{self.path}: its metadata is incomplete ({error}); write the file again") from None
        for name, count in found.items():
            problem = self._wrong_list(members.get(name), members.get(count))
            if problem:
                raise BadFileError(f"{self.path}: its metadata says that {count} counts {name}, but {problem}")
        return found

    @staticmethod
    def _wrong_list(member: Member | None, counts: Member | None) -> str:
        """Return what is wrong with a padded list and its counts; nothing where they fit together."""
        if member is None or counts is None:
            return "one of them is not there"
        if member.problem or len(member.shape) != 2 or number(member.dtype) is None:
            return f"the list is {member.problem or f'{member.dtype} of shape {member.shape}'}"
        if counts.problem or len(counts.shape) != 1 or counts.dtype.kind not in "iu":
            return f"the counts are {counts.problem or f'{counts.dtype} of shape {counts.shape}'}"
        return ""

    def _add(self, part: Part) -> None:
        self.unreadable |= part.unreadable
        for name, columntype in part.columns.items():
            if name in self._parts:
                if name == getattr(part, "name", ""):  # an array of this name, and not a numbered member of another one
                    self._parts[name], self.columns[name] = part, columntype
                continue
            self._parts[name], self.columns[name] = part, columntype

    def _count(self) -> int:
        return self._rows

    def _read(self, columns: Sequence[str], start: int, stop: int) -> dict[str, ak.Array]:
        pieces: dict[str, list[ak.Array]] = {name: [] for name in columns}
        wanted: dict[int, tuple[Part, list[str]]] = {}
        for name in columns:
            wanted.setdefault(id(self._parts[name]), (self._parts[name], []))[1].append(name)
        for begin in range(start, stop, BATCH):
            end = min(begin + BATCH, stop)
            for part, names in wanted.values():
                try:
                    arrays = part.read(names, begin, end)
                except Exception as error:
                    raise bad_file(self.path, error, f"column {names[0]!r}, rows {begin} to {end}, ") from error
                for name in names:
                    pieces[name].append(arrays[name])
        return {name: ak.concatenate(arrays) if len(arrays) > 1 else arrays[0] for name, arrays in pieces.items()}

    def detour(self, start: int) -> int:
        """The rows before are decompressed, some fifty times as fast as rows are made of them."""
        return start // 50

    def close(self) -> None:
        self._archive.close()
        self._bytes.close()


class ListPart:
    """(N, L) with a column of counts (N,) -> lists of these lengths."""

    def __init__(self, path: str, name: str, member: Member, counts: Member) -> None:
        self.path, self.name, self._counts = path, name, counts.copy()
        self.columns = {name: f"var * {number(member.dtype)}"}
        self.unreadable: dict[str, str] = {}
        self.datasets: list[Any] = [member]

    def read(self, names: Sequence[str], start: int, stop: int) -> dict[str, ak.Array]:
        values: NDArray[Any] = self.datasets[0][start:stop]
        counts = self._counts[start:stop]
        if len(wrong := np.flatnonzero((counts < 0) | (counts > values.shape[1]))):
            raise BadFileError(
                f"{self.path}: row {start + wrong[0]}: {self._counts.name} is {counts[wrong[0]]}, and {self.name} has room for "
                f"{values.shape[1]}; write the file again"
            )
        return {self.name: lists(values, np.arange(values.shape[1]) < counts[:, None])}
