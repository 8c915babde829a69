"""Outputs and files that can be removed from the results without loss, and their removal."""

import csv
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from collidekit.errors import CollidekitError
from collidekit.files import is_own
from collidekit.outputs.find import DATASET, HALF_REMOVED, TRAINING, File, Output, State, find_outputs
from collidekit.sealed import read_sealed
from collidekit.shown import counted

_TEMPORARY = re.compile(r"\..+\.part(\.\w+)?")
_EPOCH = re.compile(r"model_(\d+)\.pt")


class Kind(Enum):
    """Kind of a removable file or folder, as a noun and the words after it."""

    DATASET = "unused dataset", ""
    UNFINISHED = "unfinished output", ""
    HALF_REMOVED = "half-removed output", ""
    TEMPORARY = "temporary file", "of killed processes"
    CACHED = "cached file", "that no dataset uses"
    CHECKPOINT = "checkpoint", "of epochs that are neither the best nor the last"

    @property
    def is_folder(self) -> bool:
        return self in (Kind.DATASET, Kind.UNFINISHED, Kind.HALF_REMOVED)

    def count(self, number: int) -> str:
        """Return a text such as ``2 unused datasets``."""
        noun, rest = self.value
        return f"{counted(number, noun)} {rest}".rstrip()


@dataclass(frozen=True)
class Removable:
    """A folder or a file that can be removed."""

    kind: Kind
    path: Path
    size: int


_STATES = {
    State.UNUSED: Kind.DATASET,
    State.UNFINISHED: Kind.UNFINISHED,
    State.HALF_REMOVED: Kind.HALF_REMOVED,
}


def find_removable(outputs: Sequence[Output], checkpoints: bool = False) -> list[Removable]:
    """Return everything that nothing needs; with ``checkpoints``, also checkpoints of single epochs."""
    found: list[Removable] = []
    for output in (output for output in outputs if output.inside and output.own):
        if output.state in _STATES:
            found.append(Removable(_STATES[output.state], output.folder, output.size))
        elif output.state not in (State.MAKING, State.DAMAGED):
            found.extend(_temporary(output))
            found.extend(_checkpoints(output) if checkpoints else ())
    order = list(Kind)
    return sorted([*found, *_cached(outputs)], key=lambda item: (order.index(item.kind), -item.size, item.path))


def _temporary(output: Output) -> Iterator[Removable]:
    for name, file in output.files.items():
        if _TEMPORARY.fullmatch(Path(name).name) and not file.recent:
            yield Removable(Kind.TEMPORARY, output.folder / name, file.size)


def _checkpoints(output: Output) -> Iterator[Removable]:
    """Yield the checkpoints of a complete training that are not needed to predict, to continue or to extend it."""
    complete = output.state in (State.USED, State.RESULT) and {"best_model.pt", "last.pt"} <= output.files.keys()
    if output.task != TRAINING or not complete or (best := _best_epoch(output.folder)) is None:
        return
    epochs = {int(match[1]): match[0] for match in map(_EPOCH.fullmatch, output.files) if match}
    for epoch in sorted(epochs.keys() - {best, max(epochs, default=0)}):
        yield Removable(Kind.CHECKPOINT, output.folder / epochs[epoch], output.files[epochs[epoch]].size)


def _best_epoch(folder: Path) -> int | None:
    """Return the first epoch with the lowest validation loss; None if the history cannot be read."""
    try:
        with (folder / "history.csv").open(newline="", encoding="utf-8") as file:
            return int(min(csv.DictReader(file), key=lambda row: float(row["val_loss"]))["epoch"])
    except (OSError, KeyError, TypeError, ValueError):
        return None


def _cached(outputs: Sequence[Output]) -> Iterator[Removable]:
    """Yield local copies of remote files that are certainly not used by any dataset."""
    from collidekit.readers.remote import cached_files

    if not outputs or not (copies := cached_files()) or (inputs := _inputs(outputs)) is None:
        return
    for copy in copies:
        address = copy.url.partition("://")[2]  # the URL of an input may also have a user and parameters
        named = any(address in path for path in inputs)
        if (
            not named
            and copy.path.is_file()
            and is_own(copy.path)
            and not File(copy.size, copy.path.lstat().st_mtime).recent
        ):
            yield Removable(Kind.CACHED, copy.path, copy.size)


def _inputs(outputs: Sequence[Output]) -> set[str] | None:
    """Return the input files of all datasets, also of those under construction; None if a list cannot be read."""
    notes = [
        output.folder / note
        for output in outputs
        for note in ("manifest.json", "parts/job.json")
        if output.task == DATASET and note in output.files
    ]
    try:
        return {entry["path"] for note in notes for entry in read_sealed(note)["inputs"]}
    except (CollidekitError, KeyError, TypeError):
        return None


def remove(results: Path, items: Sequence[Removable]) -> list[Removable]:
    """Remove the items that are still removable, and return them; raise CollidekitError at the end if a removal failed."""
    now = {(item.kind, item.path) for item in find_removable(find_outputs(results), checkpoints=True)}
    removed, failed = [], []
    for item in items:
        if (item.kind, item.path) not in now:
            continue
        try:
            if item.kind.is_folder:
                remove_folder(item.path, results)
            else:
                item.path.unlink(missing_ok=True)
            removed.append(item)
        except OSError as error:
            failed.append(f"{item.path}: cannot be removed ({error.strerror or error})")
    if failed:
        raise CollidekitError(failed[0] + (f"; the same for {len(failed) - 1} more" if len(failed) > 1 else ""))
    return removed


def remove_folder(folder: Path, results: Path) -> None:
    """Rename and remove a folder, so that an interrupted removal leaves nothing that looks like an output."""
    if not HALF_REMOVED.fullmatch(folder.name):
        folder = folder.rename(folder.with_name(f".{folder.name}.{os.getpid()}.removed"))
    shutil.rmtree(folder)
    for parent in folder.parents:
        if parent == results:
            break
        try:
            parent.rmdir()
        except OSError:  # it holds other outputs
            break
