"""NPZ files: archives of numpy arrays with one row for each event, streamed without unpickling anything."""

from collections.abc import Sequence
from zipfile import ZipFile

import awkward as ak

from collidekit.analysis.schema import Source
from collidekit.errors import CollidekitError
from collidekit.readers.base import BadFileError, FileReader, bad_file, check, is_url, open_binary, unopened
from collidekit.readers.exported import METADATA, MOST_METADATA, ListPart, counts_of_lists, no_inputs
from collidekit.readers.hdf5_parts import NumericPart, Part, read_parts
from collidekit.readers.npz_member import Member

KEPT = 256
"""Cached blocks of a remote file (64 MiB), because all its arrays are read side by side."""


class NpzReader(FileReader):
    """Arrays with the same number of rows: (N,) are numbers, (N, L) lists, (N, L, F) F lists.

    In files from ``collidekit export-events``, a column of counts gives the length of each list.
    """

    def __init__(self, path: str, source: Source) -> None:
        super().__init__(path, source)
        check(path)
        if source.tree:
            raise CollidekitError(f"{path}: NPZ files have no trees; remove `tree: {source.tree}` from `source`")
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
                self.unreadable[name] = "not a .npy array" if name == info.filename else "encrypted"
            elif name in members:
                raise BadFileError(f"{self.path}: contains the array {name!r} twice; write it again")
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
            self.unreadable.pop(name, None)  # a member of another kind, without the suffix
            if name in collections:
                counts = members[collections[name]].copy()
                self._add(ListPart(self.path, name, member, counts, collections[name]))
            else:
                self._add(NumericPart(name, member))
        if not self.columns:
            objects = [name for name, member in members.items() if member.problem]
            why = f" ({objects[0]} is {members[objects[0]].problem})" if objects else ""
            raise BadFileError(f"{self.path}: holds no array of numbers{why}")
        return rows

    def _common(self, lengths: dict[str, int]) -> int:
        """Return the number of rows, which must be the same for all arrays."""
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
        """Return the array of counts for each array that is a padded list according to the metadata."""
        entry = members.pop(METADATA, None)
        if entry is None:
            return {}
        if entry.dtype.kind != "U" or entry.shape or entry.dtype.itemsize > MOST_METADATA:
            members[METADATA] = entry
            return {}
        self.unreadable[METADATA] = "text"
        self.metadata = text = str(entry.scalar())
        self.truth |= no_inputs(text)
        return counts_of_lists(self.path, text, members) or {}

    def _add(self, part: Part) -> None:
        self.unreadable |= part.unreadable
        for name, columntype in part.columns.items():
            if name in self._parts:
                if name == getattr(part, "name", ""):  # an array with this name, not a numbered member of another one
                    self._parts[name], self.columns[name] = part, columntype
                continue
            self._parts[name], self.columns[name] = part, columntype

    def _count(self) -> int:
        return self._rows

    def _read(self, columns: Sequence[str], start: int, stop: int) -> dict[str, ak.Array]:
        return read_parts(self.path, self._parts, columns, start, stop)

    def detour(self, start: int) -> int:
        """Return the number of rows before this one; they are decompressed, about fifty times faster than rows are made."""
        return start // 50

    def close(self) -> None:
        self._archive.close()
        self._bytes.close()
