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
    """Error in the predictions, as one sentence for the participant."""


@frozen
class Predictions:
    """Predictions for the rows of a sample, in the order of its features."""

    values: NDArray[np.float64] = field(eq=False)
    """Values of shape (runs, rows, columns), finite and in range."""
    notes: tuple[str, ...] = ()
    """Notes for the participant, such as that the order of a npy file cannot be checked."""

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
            settings = {"key": benchmark.key, "columns": columns, "rows": len(keys), "runs": most}
            answer = _answer(files, settings)
        finally:
            for file in files:
                os.close(file.handle)
        read = _decode(answer, files, len(keys), len(columns), most)
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


def _answer(files: list[PredictionFile], settings: dict[str, object]) -> bytes:
    """Return what the parser says of the files; it starts with nothing of this process but its search path."""
    for file in files:
        os.lseek(file.handle, 0, os.SEEK_SET)
    given = json.dumps({"files": [(file.handle, file.kind) for file in files], **settings})
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-S", str(Path(prediction_parser.__file__)), given],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LONGEST,
            check=False,
            pass_fds=[file.handle for file in files],
            env={
                "PATH": "/usr/bin:/bin",
                "LANG": "C.UTF-8",
                "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
            },
            cwd="/",
        )
    except subprocess.TimeoutExpired:
        raise OutputError(f"{files[0].name}: takes more than {LONGEST} seconds to read") from None
    if done.returncode:
        name = signal.Signals(-done.returncode).name if done.returncode < 0 else f"exit code {done.returncode}"
        raise OutputError(f"{files[0].name}: cannot be read as {files[0].kind}; the reader ended with {name}")
    return done.stdout


def _decode(
    answer: bytes, files: list[PredictionFile], rows: int, columns: int, most: int
) -> list[tuple[NDArray[np.int64] | None, NDArray[np.float64]]]:
    """Return for each file its keys, where it has them, and values of shape (runs, rows, columns)."""
    found: list[tuple[NDArray[np.int64] | None, NDArray[np.float64]]] = []
    place = 0
    for file in files:
        end = answer.find(b"\n", place) + 1
        try:
            about = json.loads(answer[place:end])
            if "error" in about:
                raise OutputError(f"{file.name}: {about['error']}")
            runs, has_key = int(about["runs"]), bool(about["has_key"])
            if not 1 <= runs <= most:
                raise ValueError
            keys = np.frombuffer(answer, np.int64, rows, end) if has_key else None
            start, count = end + 8 * rows * has_key, runs * rows * columns
            values = np.frombuffer(answer, np.float64, count, start)
        except (ValueError, KeyError, TypeError):
            raise OutputError(f"{file.name}: cannot be read as {file.kind}") from None
        found.append((keys, values.reshape(runs, rows, columns)))
        place = start + 8 * count
    return found
