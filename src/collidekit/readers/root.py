"""ROOT files: TTree and RNTuple, read with uproot."""

import bisect
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import awkward as ak
import uproot
from uproot.interpretation.objects import AsStridedObjects

from collidekit.analysis.names import quoted, simple_name
from collidekit.analysis.schema import Source
from collidekit.errors import CollidekitError, did_you_mean
from collidekit.readers.base import (
    BadFileError,
    FileReader,
    LostServerError,
    SeveralTreesError,
    bad_file,
    check,
    is_url,
    said_by,
    unopened,
    unsupported,
)
from collidekit.readers.exported import METADATA
from collidekit.readers.flatten import kind_of, leaves, plain
from collidekit.readers.unclosed import check_closed
from collidekit.readers.xrootd import trouble

TREES = ("TTree", "TNtuple", "TNtupleD", "TChain", "ROOT::RNTuple", "ROOT::Experimental::RNTuple")


class RootReader(FileReader):
    """One tree of a ROOT file; in branch names, characters other than letters, digits and ``_`` become ``_``."""

    def __init__(self, path: str, source: Source) -> None:
        super().__init__(path, source)
        self._cache: dict[str, tuple[int, int, ak.Array]] = {}
        check(path)
        try:
            # local files without asyncio threads, which do not survive a fork
            handler = {} if is_url(path) else {"handler": uproot.MultithreadedFileSource, "num_workers": 1}
            self._file = uproot.open({path if is_url(path) else Path(path): None}, **handler)
        except Exception as error:
            raise unopened(path, error, "a ROOT", b"root") from error
        try:
            size = self._check_size()
            self.tree = self._tree_name()
            try:
                self._tree: Any = self._file[self.tree]
                self._where: dict[str, tuple[str, tuple[str, ...]]] = {}
                self._find_columns()
                self.metadata = self._metadata()
                check_closed(path, self._file.file, size, self._tree)
            except Exception as error:
                raise bad_file(path, error, f"tree {self.tree!r} ") from error
        except BaseException:
            self._file.close()
            raise

    def _check_size(self) -> int:
        try:
            size: int = self._file.file.source.num_bytes if is_url(self.path) else os.path.getsize(self.path)
        except OSError as error:
            raise bad_file(self.path, error) from error
        if size < (end := self._file.file.fEND):
            raise BadFileError(f"{self.path}: is truncated: it should have {end} bytes and has {size}; copy it again")
        return size

    def _tree_name(self) -> str:
        try:
            classes = self._file.classnames(recursive=True, cycle=False)
        except Exception as error:
            raise bad_file(self.path, error) from error
        trees: list[str] = [name for name, kind in classes.items() if kind in TREES]
        wanted = self.source.tree
        if wanted is None:
            if len(trees) == 1:
                return trees[0]
            if "Events" in trees:
                return "Events"
            if not trees:
                raise BadFileError(f"{self.path}: holds no TTree and no RNTuple")
            raise SeveralTreesError.of(self.path, "trees", trees, self._size_of)
        if wanted.split(";")[0] not in trees:
            if not trees:
                raise BadFileError(f"{self.path}: there is no tree {wanted!r}; it holds none")
            listed = f"it holds {', '.join(trees)}"
            raise CollidekitError(f"{self.path}: there is no tree {wanted!r}{did_you_mean(wanted, trees)}; {listed}")
        return wanted

    def _size_of(self, name: str) -> tuple[int, int]:
        """Return the numbers of entries and branches of a tree; 0 if it cannot be read."""
        try:
            tree = self._file[name]
            return int(tree.num_entries), len(tree.keys())
        except Exception:  # noqa: BLE001  # uproot raises errors of many types for a damaged tree
            return 0, 0

    def _find_columns(self) -> None:
        self._branches = {} if _is_ntuple(self._tree) else _number_branches(self._tree)
        forms = _ntuple_forms(self._tree) if _is_ntuple(self._tree) else _branch_forms(self._branches)
        self._names = Counter(branch.name for branch in self._branches.values())
        shared = Counter(simple_name(branch.split("/")[-1]) for branch in forms)
        found: dict[str, list[tuple[str, tuple[str, ...], str]]] = {}
        for branch, form in forms.items():
            last = simple_name(branch.split("/")[-1])
            simple = last if shared[last] == 1 else simple_name(branch)
            if isinstance(form, str):
                self.unreadable[simple] = form
                continue
            for name, fields, columntype in leaves(simple, form):
                if columntype is None:
                    self.unreadable[simple_name(name)] = kind_of(form)
                else:
                    found.setdefault(simple_name(name), []).append((branch, fields, columntype))
        for name, columns in found.items():
            for branch, fields, columntype in columns:
                column = name if len(columns) == 1 else quoted("_".join((branch.rstrip("/"), *fields)))
                if column in self._where:  # the same path twice: the two cannot be distinguished
                    self.columns.pop(column, None)
                    self.unreadable[column] = "in the file twice under this name"
                    continue
                self._where[column] = (branch, fields)
                self.columns[column] = columntype

    def _metadata(self) -> str:
        """Return the text beside a tree of exported events."""
        kinds = self._file.classnames(recursive=False, cycle=False)
        return str(self._file[METADATA]) if kinds.get(METADATA) == "TObjString" else ""

    def _count(self) -> int:
        try:
            return int(self._tree.num_entries)
        except Exception as error:  # an RNTuple reads its page lists only now
            raise bad_file(self.path, error) from error

    def _read(self, columns: Sequence[str], start: int, stop: int) -> dict[str, ak.Array]:
        arrays = self._cached(dict.fromkeys(self._where[name][0] for name in columns), start, stop)
        result = {}
        for name in columns:
            branch, fields = self._where[name]
            result[name] = plain(arrays[branch][fields] if fields else arrays[branch], f"{self.path}: {name!r}", start)
        return result

    def _cached(self, branches: Iterable[str], start: int, stop: int) -> dict[str, ak.Array]:
        """Return the branches; baskets are decompressed as a whole, and the rest of the last one is kept for the next chunk."""
        needed: dict[tuple[int, int], list[str]] = {}
        for branch in branches:
            first, last, _ = self._cache.get(branch, (0, 0, None))
            begin = last if first <= start < last else start
            if begin >= stop:
                continue
            bounds = self._bounds(branch)
            end = bounds[bisect.bisect_left(bounds, stop)]
            needed.setdefault((begin, end), []).append(branch)
        for (begin, end), group in needed.items():
            for branch, array in self._fetch(group, begin, end).items():
                if begin > start:
                    first, _, kept = self._cache[branch]
                    array = ak.concatenate([kept[start - first :], array])
                self._cache[branch] = (start, end, array)
        result = {}
        for branch in branches:
            first, last, array = self._cache[branch]
            result[branch] = array[start - first : stop - first]
            if last == stop:
                del self._cache[branch]
        return result

    def _bounds(self, branch: str) -> list[int]:
        """Return the first rows of the baskets or clusters, and the number of rows."""
        if _is_ntuple(self._tree):
            return [int(cluster.num_first_entry) for cluster in self._tree.cluster_summaries] + [self.rows]
        return [*(int(offset) for offset in self._branches[branch].entry_offsets), self.rows]

    def _fetch(self, branches: list[str], start: int, stop: int) -> dict[str, ak.Array]:
        try:
            return self._arrays(branches, start, stop)
        except Exception as error:
            whole = bad_file(self.path, error, f"rows {start} to {stop}, ")
            for branch in branches if not isinstance(whole, LostServerError) else []:  # find the bad branch
                try:
                    self._arrays([branch], start, stop)
                except Exception as bad:
                    where = f"branch {branch!r}, rows {start} to {stop}, "
                    if self._decompresses(branch, start, stop):
                        raise unsupported(self.path, said_by(bad), where) from bad
                    raise bad_file(self.path, bad, where) from bad
            raise whole from error

    def _decompresses(self, name: str, start: int, stop: int) -> bool:
        """Return whether all baskets of these rows exist and can be decompressed, so that the branch is not truncated."""
        if _is_ntuple(self._tree):
            return False
        branch, bounds = self._branches[name], self._bounds(name)
        try:
            for number in range(branch.num_baskets):
                if bounds[number] < stop and bounds[number + 1] > start:
                    _ = branch.basket(number).data
        except Exception:  # noqa: BLE001  # of many kinds, from all libraries of compression
            return False
        return True

    def _arrays(self, branches: list[str], start: int, stop: int) -> dict[str, ak.Array]:
        options = {"entry_start": start, "entry_stop": stop, "array_cache": None}
        if _is_ntuple(self._tree):
            records = self._tree.arrays(filter_name=branches, **options)
            return {branch: records[branch] for branch in branches}
        # uproot would look up a path such as sub/fCoordinates by its last name, so branch objects are used
        found = {id(self._branches[branch]): branch for branch in branches}
        strided = [branch for branch in branches if isinstance(self._branches[branch].interpretation, AsStridedObjects)]
        if strided:
            objects = {branch: self._objects(branch, start, stop) for branch in strided}
            others = [branch for branch in branches if branch not in objects]
            return {**(self._arrays(others, start, stop) if others else {}), **objects}
        shared = [branch for branch in branches if self._names[self._branches[branch].name] > 1]
        if shared:  # uproot would give all branches of one name the data of the first
            alone = {branch: self._branches[branch].array(**options) for branch in shared}
            others = [branch for branch in branches if branch not in alone]
            return {**(self._arrays(others, start, stop) if others else {}), **alone}
        arrays = self._tree.arrays(filter_branch=lambda branch: id(branch) in found, how=tuple, **options)
        order = [found[id(branch)] for branch in self._tree.itervalues() if id(branch) in found]
        return dict(zip(order, arrays, strict=True))

    def _objects(self, branch: str, start: int, stop: int) -> ak.Array:
        """Return objects such as TLorentzVector; uproot fails if the last row is the last one of a basket."""
        end = min(stop + 1, self.rows)
        array = self._branches[branch].array(entry_start=start, entry_stop=end, array_cache=None)
        return array[: stop - start]

    def close(self) -> None:
        self._cache.clear()
        self._file.close()


def _is_ntuple(tree: Any) -> bool:
    return isinstance(tree, uproot.behaviors.RNTuple.RNTuple)


def _ntuple_forms(ntuple: Any) -> dict[str, ak.forms.Form | str]:
    form = ntuple.to_akform()
    form = form[0] if isinstance(form, tuple) else form
    return dict(zip(form.fields, form.contents, strict=True))


def _number_branches(tree: Any) -> dict[str, Any]:
    """Return the branches that hold data by their full paths; a second branch with the same path has a ``/`` at its end."""
    branches: dict[str, Any] = {}
    for name, branch in tree.iteritems(full_paths=True):
        if branch.branches:
            continue
        key = name
        while key in branches:
            key += "/"
        branches[key] = branch
    return branches


def _branch_forms(branches: dict[str, Any]) -> dict[str, ak.forms.Form | str]:
    """Return the form of each branch that holds numbers, and the type in words for other branches."""
    forms: dict[str, ak.forms.Form | str] = {}
    for name, branch in branches.items():
        try:
            interpretation = branch.interpretation
            if isinstance(interpretation, uproot.interpretation.identify.UnknownInterpretation):
                raise NotImplementedError
            forms[name] = interpretation.awkward_form(branch.file)
        except Exception as error:  # branches that uproot cannot interpret are unreadable
            if trouble(error):
                raise  # the server caused the error
            forms[name] = str(branch.typename)
    return forms
