"""HDF5 files in the layout of SPANet (arXiv 2106.03898): inputs (padded, or one number per row) and truth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import h5py

from collidekit.errors import CollidekitError
from collidekit.readers.base import BadFileError, open_binary
from collidekit.readers.flatten import number
from collidekit.readers.hdf5_parts import NumericPart, Part
from collidekit.readers.spanet_parts import MASK, TARGETS, Positions, Sequential

INPUTS = "INPUTS"
TRUTH = (TARGETS, "REGRESSIONS", "CLASSIFICATIONS")


def is_spanet(found: Mapping[str, Any]) -> bool:
    """Return whether datasets, by path, have SPANet's groups: inputs in groups, with a MASK or with truth."""
    inputs = [name.split("/")[-1] for name in found if name.startswith(f"{INPUTS}/") and name.count("/") > 1]
    return bool(inputs) and (
        MASK in inputs or any(name.startswith(tuple(f"{one}/" for one in TRUTH)) for name in found)
    )


def datasets_of(root: Any) -> dict[str, Any]:
    """Return the datasets of a group by their path in it; links are not followed."""
    found: dict[str, Any] = {}
    root.visititems(lambda name, item: found.update({name: item}) if isinstance(item, h5py.Dataset) else None)
    return found


def padded_lengths(path: str, tree: str | None = None) -> dict[str, int]:
    """Return the number of entries in the padded lists of each sequential input of a file, or of a group of it."""
    with open_binary(path, 64) as opened, h5py.File(opened, "r") as file:
        root = file.get(tree) if tree else file
        found = datasets_of(root) if isinstance(root, h5py.Group) else {}
        masks = {
            name: one for name, one in found.items() if name.endswith(f"/{MASK}") and name.startswith(f"{INPUTS}/")
        }
        return {
            name.removeprefix(f"{INPUTS}/").removesuffix(f"/{MASK}").replace("/", "_"): one.shape[1]
            for name, one in masks.items()
            if _is_mask(one)
        }


def _is_mask(dataset: Any) -> bool:
    return bool(dataset.shape and len(dataset.shape) == 2 and number(dataset.dtype))


@dataclass
class Layout:
    """The content of a file in SPANet's layout."""

    rows: int
    parts: list[Part] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    truth: set[str] = field(default_factory=set)
    """The columns of TARGETS, REGRESSIONS and CLASSIFICATIONS."""


def find_layout(found: Mapping[str, Any], path: str, order: Sequence[Any] | str | None) -> Layout:
    """Return the content of a file, from its datasets by path.

    ``order`` is the order in which numbers in TARGETS count over several sequential inputs, if the analysis file gives it.
    Raises BadFileError if the inputs have different numbers of rows.
    """
    layout = Layout(_common_rows({name: one for name, one in found.items() if name.startswith(f"{INPUTS}/")}, path))
    sequences = _add_inputs(layout, found, path)
    positions = {}
    for name, dataset in found.items():
        column = name.removeprefix(f"{TARGETS}/").replace("/", "_")
        if name.startswith(f"{INPUTS}/"):
            continue
        if dataset.shape != (layout.rows,) or not number(dataset.dtype):
            layout.unreadable[column] = (
                f"{dataset.dtype} of shape {dataset.shape}, not one number for each of the {layout.rows} rows"
            )
        elif name.startswith(f"{TARGETS}/"):
            positions[name] = dataset
        else:
            layout.parts.append(NumericPart(column, dataset))
            layout.truth |= {column} if name.split("/")[0] in TRUTH else set()
    if positions and not sequences:
        raise BadFileError(
            f"{path}: {TARGETS} are positions in an input, but no input has a {MASK} of shape (rows, entries)"
        )
    if positions:
        layout.parts.append(Positions(positions, sequences, path, _checked_order(order, list(sequences), path)))
        layout.truth |= set(layout.parts[-1].columns)
    return layout


def _add_inputs(layout: Layout, found: Mapping[str, Any], path: str) -> dict[str, Sequential]:
    """Add the columns of the inputs, and return the sequential inputs by name."""
    inputs: dict[str, dict[str, Any]] = {}
    for name, dataset in found.items():
        group, _, feature = name.rpartition("/")
        if group.startswith(f"{INPUTS}/"):
            inputs.setdefault(group.removeprefix(f"{INPUTS}/").replace("/", "_"), {})[feature] = dataset
    sequences: dict[str, Sequential] = {}
    for name, features in inputs.items():
        if MASK in features and _is_mask(features[MASK]):
            sequences[name] = Sequential(name, features[MASK], features, path)
            layout.parts.append(sequences[name])
            continue
        for feature, dataset in features.items():
            if dataset.ndim == 1 and number(dataset.dtype):
                layout.parts.append(NumericPart(f"{name}_{feature}", dataset))
            else:
                why = (
                    f", and no {MASK} of that shape beside it says which entries are padding"
                    if dataset.ndim == 2
                    else ""
                )
                layout.unreadable[f"{name}_{feature}"] = f"{dataset.dtype} of shape {dataset.shape}{why}"
    return sequences


def _common_rows(datasets: Mapping[str, Any], path: str) -> int:
    lengths = {name: dataset.shape[0] if dataset.shape else 0 for name, dataset in datasets.items()}
    if not lengths:
        raise BadFileError(f"{path}: holds no table of numbers")
    first = next(iter(lengths))
    for name, length in lengths.items():
        if length != lengths[first]:
            raise BadFileError(
                f"{path}: the datasets have different numbers of rows: {first} ({lengths[first]}), {name} ({length}); "
                "write the file again"
            )
    return lengths[first]


def _checked_order(order: Sequence[Any] | str | None, names: list[str], path: str) -> list[str]:
    if order is None:
        return []
    if not isinstance(order, list) or len(set(map(str, order))) < len(order) or not set(map(str, order)) <= set(names):
        raise CollidekitError(
            f"{path}: for a file in SPANet's layout, `source: {{layout: ...}}` must list its sequential inputs in the order "
            f"of the event file: {', '.join(names)}"
        )
    return [str(name) for name in order]
