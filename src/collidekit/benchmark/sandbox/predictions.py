"""The fixed reader of predictions: what a submission wrote becomes an array of numbers, or one sentence that says what is wrong."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from collidekit.benchmark.definition import Benchmark
from collidekit.benchmark.sandbox import prediction_parser
from collidekit.benchmark.sandbox.collect import OutputError
from collidekit.benchmark.sandbox.prediction_checks import check_keys, check_values
from collidekit.benchmark.sandbox.prediction_files import PredictionFile, open_predictions
from collidekit.errors import CollidekitError
from collidekit.files import replacing

LONGEST = 300
"""Seconds that reading one file may take."""


class PredictionsError(CollidekitError):
    """What is wrong with the predictions, in one sentence for the participant."""


@frozen
class Predictions:
    """Predictions for the rows of a sample, in the order of its features."""

    values: NDArray[np.float64] = field(eq=False)
    """Of shape (runs, rows, columns), finite and in range."""
    notes: tuple[str, ...] = ()
    """What a participant should know, such as that the order of a npy file cannot be checked."""

    def write(self, path: Path) -> Path:
        """Write the values to a npz file, as ``values``."""
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, values=self.values)
        return path


def read_predictions(folder: Path, benchmark: Benchmark, keys: NDArray[np.int64]) -> Predictions:
    """Read the predictions in an output folder for the rows with these keys, in this order.

    Links, devices and pipes are refused, nothing is unpickled, and each file is parsed by a process of its own with little memory.
    A ``PredictionsError`` says in one sentence what is wrong.
    """
    keys = np.ascontiguousarray(keys, np.int64)
    columns, most = benchmark.output.columns, benchmark.output.runs
    try:
        files = open_predictions(folder, benchmark.limits.output << 20, most)
        try:
            read = [_parse(file, benchmark, len(keys)) for file in files]
        finally:
            for file in files:
                os.close(file.handle)
        notes: list[str] = []
        for file, (found, values) in zip(files, read, strict=True):
            if found is None:
                notes.append(
                    f"{file.name} has no column {benchmark.key}: its rows are taken to be in the order of features.parquet"
                )
            else:
                check_keys(file.name, benchmark.key, found, keys)
            check_values(file.name, columns, values, keys, benchmark.output.minimum, benchmark.output.maximum)
    except OutputError as error:
        raise PredictionsError(str(error)) from None
    values = np.concatenate([values for _, values in read])
    if len(values) > most:
        raise PredictionsError(f"{files[0].name}: there are {len(values)} runs; this benchmark takes at most {most}")
    return Predictions(values, tuple(notes[:1]))


def _parse(
    file: PredictionFile, benchmark: Benchmark, rows: int
) -> tuple[NDArray[np.int64] | None, NDArray[np.float64]]:
    """Return keys, where the file has them, and values of shape (runs, rows, columns)."""
    columns, runs = benchmark.output.columns, benchmark.output.runs
    settings = {"kind": file.kind, "key": benchmark.key, "columns": columns, "rows": rows, "runs": runs}
    answer = _answer(file, settings)
    line, _, content = answer.partition(b"\n")
    try:
        found = json.loads(line)
        if "error" in found:
            raise OutputError(f"{file.name}: {found['error']}")
        read_runs, has_key = int(found["runs"]), bool(found["has_key"])
    except (ValueError, KeyError, TypeError):
        raise OutputError(f"{file.name}: cannot be read as {file.kind}") from None
    numbers = rows * has_key + read_runs * rows * len(columns)
    if not 1 <= read_runs <= runs or len(content) != 8 * numbers:
        raise OutputError(f"{file.name}: cannot be read as {file.kind}")
    keys = np.frombuffer(content, np.int64, rows) if has_key else None
    values = np.frombuffer(content, np.float64, offset=8 * rows * has_key)
    return keys, values.reshape(read_runs, rows, len(columns))


def _answer(file: PredictionFile, settings: dict[str, object]) -> bytes:
    """Return what the parser says of a file; it starts with nothing of this process but its search path."""
    os.lseek(file.handle, 0, os.SEEK_SET)
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(Path(prediction_parser.__file__)), json.dumps(settings)],
            stdin=file.handle,
            capture_output=True,
            timeout=LONGEST,
            check=False,
            env={
                "PATH": "/usr/bin:/bin",
                "LANG": "C.UTF-8",
                "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
            },
            cwd="/",
        )
    except subprocess.TimeoutExpired:
        raise OutputError(f"{file.name}: takes more than {LONGEST} seconds to read") from None
    if done.returncode:
        name = signal.Signals(-done.returncode).name if done.returncode < 0 else f"exit code {done.returncode}"
        raise OutputError(f"{file.name}: cannot be read as {file.kind}; the reader ended with {name}")
    return done.stdout
