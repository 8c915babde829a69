"""Simulate a sample by its name and write it to a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from collidekit.errors import CollidekitError
from collidekit.progress import counting
from collidekit.simulation.columns import Columns, round_mantissa
from collidekit.simulation.flavour_lines import is_lines, read_tree, write_lines
from collidekit.simulation.hdf5_output import is_hdf5, write_hdf5
from collidekit.simulation.jobs import plan, run
from collidekit.simulation.metadata import describe_simulated
from collidekit.simulation.output import check_output, write_tree
from collidekit.simulation.samples import Sample, check_settings, find_sample, named_sample

MAX_SEED = 2**31 - 1


def check_simulation(
    sample: str,
    output: Path,
    jets: int,
    seed: int = 1,
    workers: int = 1,
    mantissa_bits: int | None = None,
    settings: Mapping[str, float] | None = None,
    source: Path | None = None,
) -> Sample:
    """Return the sample; raise the errors of `simulate` that are found without a simulation and without its packages."""
    chosen = named_sample(sample)
    check_settings(sample, settings or {})
    _check_range(chosen.rows, jets, 1, 10**9)
    _check_range("seed", seed, 0, MAX_SEED)
    _check_range("workers", workers, 1, 1024)
    if mantissa_bits is not None:
        _check_range("mantissa bits", mantissa_bits, 1, 23)
        if chosen.is_hdf5:
            raise CollidekitError(
                f"{sample}: mantissa bits cannot be set, because it has no ragged collections; its file is compressed"
            )
    output = Path(output)
    check_output(output)
    if (is_lines(output) or source) and sample != "jet-flavour":
        what = "--from is" if source else f"{output.name}: JSON lines are"
        raise CollidekitError(f"{what} for the sample jet-flavour, not for {sample}")
    if chosen.is_hdf5 != is_hdf5(output):
        wanted = ".h5 or .hdf5" if chosen.is_hdf5 else ".root"
        raise CollidekitError(f"{output.name}: the name of a file of {sample} must end in {wanted}")
    return chosen


def simulate(
    sample: str,
    output: Path,
    jets: int,
    seed: int = 1,
    workers: int = 1,
    mantissa_bits: int | None = None,
    settings: Mapping[str, float] | None = None,
    source: Path | None = None,
) -> Path:
    """Simulate exactly `jets` rows (jets or events) of a sample, and write them to the TTree `tree` of a new ROOT file.

    If the name ends in `.json`, `.jsonl`, or one of these and `.gz`, jets of the sample jet-flavour are written as lines in
    the layout `jet_flavour_2016`. With `source`, a ROOT file of this sample, its first jets are used instead of new ones.
    The samples ttbar-hadronic and tth-semileptonic are written as HDF5; the name must end in `.h5` or `.hdf5`.

    Croissant metadata with the checksum is written to `<output>.croissant.json`.

    The content depends on the sample, the number of rows, the random seed and the settings, not on the number of worker processes.
    `settings` are the settings of the sample. `mantissa_bits` (1 to 23) rounds the floats of the collections, for smaller files. With more
    than one worker, a script must call this function under `if __name__ == "__main__":`.
    """
    find_sample(sample)
    chosen = check_simulation(sample, output, jets, seed, workers, mantissa_bits, settings, source)
    output = Path(output)
    parts: Iterable[Columns] = (
        read_tree(source, jets) if source else run(plan(sample, seed, jets, settings or {}), workers)
    )
    if mantissa_bits is not None:
        bits = mantissa_bits
        parts = (round_mantissa(part, bits) for part in parts)
    made: dict[str, Any] = {"sample": sample, "settings": {**chosen.settings, **(settings or {})}}
    counted = _with_progress(parts, sample, jets, chosen.rows)
    if is_lines(output):
        write_lines(output, counted)
    elif chosen.is_hdf5:
        write_hdf5(output, counted, json.dumps(made))
    else:
        write_tree(output, counted, json.dumps(made) if chosen.settings else "")
    describe_simulated(output, sample, jets, chosen.rows, seed, made["settings"])
    return output


def _check_range(name: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise CollidekitError(f"{name} must be between {low} and {high}, not {value}")


def _with_progress(parts: Iterable[Columns], sample: str, jets: int, unit: str) -> Iterator[Columns]:
    with counting(sample, unit, total=jets) as advance:
        for part in parts:
            yield part
            advance(len(part["event"]))
