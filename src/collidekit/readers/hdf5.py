"""HDF5 files: pandas tables, structured arrays and plain arrays, read with h5py."""

import importlib
import os
from collections import Counter
from collections.abc import Sequence
from typing import Any

import awkward as ak
import h5py

from collidekit.analysis.schema import Source
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.readers.base import BadFileError, FileReader, SeveralTreesError, bad_file, check, is_url, open_binary
from collidekit.readers.exported import METADATA, MOST_METADATA, ListPart, counts_of_lists, no_inputs
from collidekit.readers.hdf5_parts import Part, part_of, read_parts
from collidekit.readers.pandas_table import PandasPart, is_pandas, table_size
from collidekit.readers.spanet import datasets_of, find_layout, is_spanet

MOST_COMPRESSED = 5000
"""Largest compression ratio of a valid dataset; zeros compressed with gzip reach 1000."""

KEPT = 256
"""Cached blocks of a remote file (64 MiB), because all its datasets are read side by side."""


class Hdf5Reader(FileReader):
    """All datasets of one group with the same number of rows; names are joined with ``_`` (see docs/formats.md)."""

    def __init__(self, path: str, source: Source) -> None:
        super().__init__(path, source)
        check(path)
        importlib.import_module("hdf5plugin")  # registers blosc, zstd and other filters
        self._bytes = open_binary(path, KEPT) if is_url(path) else None
        try:
            self._file = h5py.File(self._bytes or path, "r", rdcc_nbytes=16 << 20)
        except Exception as error:
            raise self._not_hdf5(error) from error
        try:
            self._parts: dict[str, Part] = {}
            self._rows = self._find(self._root())
        except CollidekitError:
            self._file.close()
            raise
        except Exception as error:
            self._file.close()
            raise bad_file(path, error) from error

    def _not_hdf5(self, error: Exception) -> CollidekitError:
        if not is_url(self.path) and not h5py.is_hdf5(self.path):
            return BadFileError(f"{self.path}: is not an HDF5 file; set `source: {{format: ...}}`")
        return bad_file(self.path, error)

    def _root(self) -> Any:
        """Return the group or dataset to read."""
        groups: list[str] = []
        names: list[str] = []

        def visit(name: str, item: Any) -> None:
            names.append(name)
            if is_pandas(item):
                groups.append(name)

        self._file.visititems(visit)
        wanted = self.source.tree
        if wanted is not None:
            if wanted.strip("/") and wanted.strip("/") not in names:
                known = groups or [name for name in names if "/" not in name]
                raise CollidekitError(
                    f"{self.path}: there is no group {wanted!r}{did_you_mean(wanted, names)}; it holds {', '.join(known)}"
                )
            self._check_links(wanted)
            return self._file[wanted]
        if len(groups) > 1:
            raise SeveralTreesError.of(self.path, "tables", groups, lambda name: table_size(self._file[name]))
        self.tree = groups[0] if groups else ""
        return self._file[groups[0]] if groups else self._file

    def _find(self, root: Any) -> int:
        """Fill the columns and return the number of rows."""
        found = {"": root} if isinstance(root, h5py.Dataset) else {}
        if is_pandas(root):
            table = PandasPart(root, self.path)
            self._add(table)
            return table.rows
        if isinstance(root, h5py.Group):
            found = {
                name: item for name, item in datasets_of(root).items() if "/_i_" not in f"/{name}"
            }  # indices of PyTables
        if is_spanet(found):
            return self._find_spanet(found)
        tables = {name: dataset for name, dataset in found.items() if dataset.shape}
        rows = self._common({name: dataset.shape[0] for name, dataset in tables.items()})
        counts = self._counts_of_lists(found)
        for path, dataset in found.items():
            name = "_".join(part for part in path.split("/") if part)
            if not dataset.shape or dataset.shape[0] != rows:
                self.unreadable[name] = f"of shape {dataset.shape} while the table has {rows} rows"
                continue
            if path in counts:
                self._add(ListPart(self.path, name, dataset, found[counts[path]], counts[path]))
            else:
                self._add(part_of(name, dataset))
        if not self.columns:
            raise BadFileError(f"{self.path}: holds no table of numbers")
        return rows

    def _counts_of_lists(self, found: dict[str, Any]) -> dict[str, str]:
        """Return the dataset of counts of each padded list of exported events; empty for other files."""
        entry = found.get(METADATA)
        if entry is None or entry.shape != () or h5py.check_string_dtype(entry.dtype) is None:
            return {}
        if entry.id.get_storage_size() > MOST_METADATA:
            return {}
        self.metadata = text = entry.asstr(errors="replace")[()]
        self.truth |= no_inputs(text)
        return counts_of_lists(self.path, text, found) or {}

    def _find_spanet(self, found: dict[str, Any]) -> int:
        """Fill the columns from a file in SPANet's layout and return the number of rows."""
        layout = find_layout({name: one for name, one in found.items() if one.shape}, self.path, self.source.layout)
        self.unreadable.update(layout.unreadable)
        self.truth.update(layout.truth)
        for part in layout.parts:
            self._add(part)
        if not self.columns:
            raise BadFileError(f"{self.path}: holds no table of numbers")
        return layout.rows

    def _common(self, lengths: dict[str, int]) -> int:
        """Return the number of rows of ``jets`` if it exists, else the most common number of rows."""
        if not lengths:
            raise BadFileError(f"{self.path}: holds no table of numbers")
        for name, length in lengths.items():
            if name.split("/")[-1] == "jets":
                return length
        (length, count), *others = Counter(lengths.values()).most_common()
        if others and others[0][1] == count:
            listed = ", ".join(f"{name} ({length})" for name, length in lengths.items())
            raise CollidekitError(
                f"{self.path}: the datasets have different numbers of rows: {listed}; "
                "select the group or dataset to read with `source: {tree: ...}`"
            )
        return length

    def _add(self, part: Part) -> None:
        for dataset in part.datasets:
            self._check_filters(dataset)
            self._check_sources(dataset)
            self._check_size(dataset)
        for name, columntype in part.columns.items():
            if name in self.columns:
                raise CollidekitError(
                    f"{self.path}: two datasets give a column {name!r}; choose with `source: {{tree: ...}}`"
                )
            self.columns[name] = columntype
            self._parts[name] = part
        self.unreadable.update(part.unreadable)

    def _check_filters(self, dataset: Any) -> None:
        filters = dataset.id.get_create_plist()
        for index in range(filters.get_nfilters()):
            code, _, _, name = filters.get_filter(index)
            if not h5py.h5z.filter_avail(code):
                raise CollidekitError(
                    f"{self.path}: is compressed with filter {name.decode(errors='replace') or code}, "
                    "which neither h5py nor hdf5plugin has; write it again with gzip or blosc"
                )

    def _check_links(self, wanted: str) -> None:
        """Raise an error for a name that points into another file."""
        parts = [part for part in wanted.split("/") if part]
        for depth in range(1, len(parts) + 1):
            link = self._file.get("/".join(parts[:depth]), getlink=True)
            if isinstance(link, h5py.ExternalLink):
                raise BadFileError(
                    f"{self.path}: {wanted!r} is in another file ({link.filename}); name that file itself"
                )

    def _check_size(self, dataset: Any) -> None:
        """Raise an error for a dataset that is larger than any compression allows, so that most of it was never written."""
        claimed, held = dataset.size * dataset.dtype.itemsize, dataset.id.get_storage_size()
        if claimed > MOST_COMPRESSED * max(held, 1 << 20):
            raise BadFileError(
                f"{self.path}: {dataset.name} should have {dataset.shape[0]:,} rows but holds {held:,} bytes; it was not fully "
                "written: write it again or leave it out"
            )

    def _check_sources(self, dataset: Any) -> None:
        """Raise an error for values in files elsewhere, and for missing parts of a virtual file, which would read as zeros."""
        folder = os.path.dirname(self.path)
        if dataset.external:
            raise BadFileError(
                f"{self.path}: {dataset.name} keeps its values in another file ({dataset.external[0][0]}), which is not read; "
                "write them into one file"
            )
        for source in dataset.virtual_sources() if dataset.is_virtual else []:
            name = source.file_name
            places = [name, os.path.join(folder, name), os.path.join(folder, os.path.basename(name))]
            if name != "." and "%" not in name and not any(map(os.path.exists, places)):
                raise BadFileError(
                    f"{self.path}: is a virtual file whose part {name} is missing; copy it beside the file"
                )
            if name != "." and not _is_below(os.path.join(folder, name), folder):
                raise BadFileError(
                    f"{self.path}: is a virtual file with a part in another folder ({name}), which is not read; copy it beside the file"
                )

    def _count(self) -> int:
        return self._rows

    def _read(self, columns: Sequence[str], start: int, stop: int) -> dict[str, ak.Array]:
        return read_parts(self.path, self._parts, columns, start, stop)

    def close(self) -> None:
        self._file.close()
        if self._bytes:
            self._bytes.close()


def _is_below(path: str, folder: str) -> bool:
    """Return whether a file is in a folder or below it, after following links."""
    inside = os.path.realpath(folder or ".")
    return os.path.commonpath([os.path.realpath(path), inside]) == inside
