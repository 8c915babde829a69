"""Write jets to a ROOT TTree in chunks; the file gets its name only when it is complete."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import awkward as ak
import uproot

from collidekit.errors import CollidekitError
from collidekit.simulation.columns import Columns, concatenate

JETS_PER_BASKET = 4000
COMPRESSION = uproot.LZMA(7)


def check_output(output: Path) -> None:
    """Raise CollidekitError if the file cannot be written."""
    if not os.path.isdir(output.parent):
        raise CollidekitError(f"{output}: the folder {output.parent} does not exist; create it first")
    if os.path.isdir(output):
        raise CollidekitError(f"{output} is a folder; name a file to write")
    if not os.access(output.parent, os.W_OK):
        raise CollidekitError(f"{output}: the folder {output.parent} is not writable")


def write_tree(output: Path, parts: Iterable[Columns], made: str = "") -> None:
    """Write the parts in order as `tree`, and the settings of the simulation as the text `simulated`.

    Branches of a collection are named `<collection>_<field>`, its length `n<collection>`. The fields of a collection without a
    name are complete names of branches; its length is `N_jets`.

    After an error or interrupt, no file remains.
    """
    temporary = output.with_name(f".{output.name}.{os.getpid()}.partial")
    try:
        with uproot.recreate(temporary, compression=COMPRESSION) as file:
            tree = None
            for basket in _baskets(parts):
                if tree is None:
                    types = {name: ak.type(values) for name, values in _arrays(basket).items()}
                    tree = file.mktree("tree", types, counter_name=lambda name: f"n{name}" if name else "N_jets")
                tree.extend(_arrays(basket))
            if made:
                file["simulated"] = made
        temporary.replace(output)
    except OSError as error:
        raise CollidekitError(f"{output}: cannot write: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _arrays(columns: Columns) -> dict[str, ak.Array]:
    return {name: ak.Array(values) for name, values in columns.items()}


def _baskets(parts: Iterable[Columns]) -> Iterable[Columns]:
    """Yield the parts joined to a few thousand jets each, which limits the memory and compresses well."""
    waiting: list[Columns] = []
    for part in parts:
        waiting.append(part)
        if sum(len(columns["event"]) for columns in waiting) >= JETS_PER_BASKET:
            yield concatenate(waiting)
            waiting = []
    if waiting:
        yield concatenate(waiting)
