"""Finds the predictions of a submission in an output folder; nothing is opened that is no regular file of its own."""

import os
import re
from pathlib import Path

from attrs import frozen

from collidekit.benchmark.sandbox.collect import OutputError, open_regular
from collidekit.benchmark.sandbox.log import show_bytes

_NAME = re.compile(r"predictions(?:_(0|[1-9]\d{0,3}))?\.(parquet|csv|npy)")
_WANTED = "predictions.parquet, predictions.csv or predictions.npy"


@frozen
class PredictionFile:
    """An open file of predictions."""

    name: str
    kind: str
    handle: int
    size: int


def open_predictions(folder: Path, limit: int, runs: int) -> list[PredictionFile]:
    """Open the predictions of a folder: one file, or files ``predictions_0``, ``predictions_1`` of an ensemble.

    ``limit``: bytes of all files together. An ``OutputError`` says in one sentence what is wrong.
    """
    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise OutputError(f"/output: cannot be read ({error.strerror})") from None
    try:
        names = _chosen(sorted(os.listdir(opened)), runs)
        found: list[PredictionFile] = []
        try:
            for name in names:
                handle = open_regular(opened, name, name)
                found.append(PredictionFile(name, name.rpartition(".")[2], handle, os.fstat(handle).st_size))
            _check_sizes(found, limit)
        except OutputError:
            for file in found:
                os.close(file.handle)
            raise
    finally:
        os.close(opened)
    return found


def _chosen(names: list[str], runs: int) -> list[str]:
    matches = [(name, match) for name in names if (match := _NAME.fullmatch(name))]
    if not matches:
        close = [repr(name[:60]) for name in names if name.startswith("predictions")]
        hint = " (pickles are never read)" if any(name.endswith(".pkl'") for name in close) else ""
        seen = f"; there is {', '.join(close[:3])}{hint}" if close else ""
        raise OutputError(f"/output holds no {_WANTED}{seen}")
    if len({match[2] for _, match in matches}) > 1 or (
        "" in {match[1] or "" for _, match in matches} and len(matches) > 1
    ):
        raise OutputError(f"/output holds {', '.join(name for name, _ in matches[:4])}; write exactly one of {_WANTED}")
    if matches[0][1][1] is None:
        return [matches[0][0]]
    numbered = sorted((int(match[1]), name) for name, match in matches)
    if [number for number, _ in numbered] != list(range(len(numbered))):
        raise OutputError(f"/output holds {numbered[-1][1]}, but not all of the files from predictions_0 on")
    if len(numbered) > runs:
        raise OutputError(
            f"/output holds {len(numbered)} files of predictions; this benchmark takes at most {runs} runs"
        )
    return [name for _, name in numbered]


def _check_sizes(files: list[PredictionFile], limit: int) -> None:
    for file in files:
        if not file.size:
            raise OutputError(f"{file.name}: is empty")
    total = sum(file.size for file in files)
    if total > limit:
        raise OutputError(f"{files[0].name}: is larger than the limit of {show_bytes(limit)} for /output")
