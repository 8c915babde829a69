"""The scoring program of other platforms: the truth in one folder, predictions in another, scores.json in a third.

It needs Python 3.11 and numpy; pyarrow for predictions in Parquet only. The files of collidekit that it uses are copied beside it.
"""

import csv
import html
import json
import re
import stat
import sys
from pathlib import Path

import numpy as np

from collidekit.benchmark.sandbox.prediction_parser import READERS, FileError
from collidekit.benchmark.scoring.arrays import in_order_of, read_truth_npz
from collidekit.benchmark.scoring.failures import UnfitPredictions
from collidekit.benchmark.scoring.plan import ScoringPlan
from collidekit.benchmark.scoring.result import Scores
from collidekit.benchmark.scoring.score import score_plan
from collidekit.benchmark.scoring.truth import Array
from collidekit.errors import CollidekitError

PLAN = "plan.json"
NAME = re.compile(r"predictions(?:_(\d{1,4}))?\.(parquet|csv|npy)")


def main(reference: Path, results: Path, output: Path) -> int:
    """Score and return the exit code; without scores there is no scores.json, and the reason is on standard error."""
    try:
        scores = score_folder(reference, results)
    except CollidekitError as error:
        print(f"Error: {error}", file=sys.stderr, flush=True)
        return 1
    output.mkdir(parents=True, exist_ok=True)
    plan = read_plan(reference)
    (output / "detailed_results.html").write_text(_page(plan, scores), encoding="utf-8")
    (output / "all_scores.json").write_text(json.dumps(scores.as_dict(), allow_nan=False), encoding="utf-8")
    (output / "scores.json").write_text(json.dumps(flat(plan, scores), allow_nan=False, indent=1), encoding="utf-8")
    return 0


def score_folder(reference: Path, results: Path) -> Scores:
    """Return the scores of the predictions in a folder: one file, or a folder for each sample."""
    plan = read_plan(reference)
    predictions, truths = {}, {}
    root = _root(results, plan.samples)
    for name in plan.samples:
        truths[name] = read_truth_npz(reference / f"{name}_truth.npz")
        keys = np.load(reference / f"{name}_keys.npy", allow_pickle=False)
        folder = root / name
        values = _predictions(folder if len(plan.samples) > 1 or folder.is_dir() else root, name, plan, keys)
        predictions[name] = in_order_of(truths[name], values, keys, name)
    return score_plan(plan, predictions, truths)


def read_plan(reference: Path) -> ScoringPlan:
    """Return the plan that the export wrote."""
    return ScoringPlan.from_dict(json.loads((reference / PLAN).read_text(encoding="utf-8")))


def flat(plan: ScoringPlan, scores: Scores) -> dict[str, float]:
    """Return the columns of a leaderboard: each metric, and its error where there is one."""
    found = {}
    for metric in plan.metrics:
        score = scores.metrics[metric.name]
        found[metric.name] = score.value
        if score.error is not None:
            found[f"{metric.name}_error"] = score.error
    return found


def _root(results: Path, samples: tuple[str, ...]) -> Path:
    """The folder with the predictions: the one that was sent, or the only folder in it, as in the archive of a folder."""
    inside = [path for path in sorted(results.iterdir()) if not path.name.startswith((".", "__MACOSX"))]
    nested = len(inside) == 1 and inside[0].is_dir() and inside[0].name not in samples
    return inside[0] if nested else results


def _predictions(folder: Path, name: str, plan: ScoringPlan, keys: Array) -> Array:
    """Return predictions (R, N, C) in the order of the features."""
    known = [
        (path, match) for path in (folder.iterdir() if folder.is_dir() else ()) if (match := NAME.fullmatch(path.name))
    ]
    found = sorted(known, key=lambda pair: int(pair[1][1] or 0))
    single = [pair for pair in found if pair[1][1] is None]
    if not found or (single and len(found) > 1):
        wanted = "predictions.npy, predictions.csv or predictions.parquet"
        where = f"{name}/" if len(plan.samples) > 1 else ""
        seen = ", ".join(path.name for path, _ in found)
        raise UnfitPredictions(
            f"{where}{wanted} is missing" if not found else f"there are {seen}; send one of {where}{wanted}"
        )
    numbers = [int(match[1]) for _, match in found if match[1] is not None]
    if numbers and numbers != list(range(len(numbers))):
        raise UnfitPredictions(f"{found[-1][0].name} is there, but not all files from predictions_0 on")
    return np.concatenate([_read(path, match[2], plan, keys) for path, match in found])


def _read(path: Path, kind: str, plan: ScoringPlan, keys: Array) -> Array:
    if not stat.S_ISREG(path.lstat().st_mode):
        raise UnfitPredictions(f"{path.name} is no regular file")
    settings = (plan.key, list(plan.columns), len(keys), plan.runs)
    try:
        with path.open("rb") as file:
            runs, arrays = READERS[kind](file, path.stat().st_size, *settings)
    except ImportError:
        if kind == "parquet":
            raise UnfitPredictions(
                f"{path.name}: this platform cannot read Parquet (pyarrow is missing); send npy or csv"
            ) from None
        runs, arrays = 1, _read_csv(path, plan, len(keys))
    except FileError as error:
        raise UnfitPredictions(f"{path.name}: {error}") from None
    except Exception as error:  # noqa: BLE001 - libraries raise many kinds for a damaged file
        said = " ".join(str(error).split())[:200]
        raise UnfitPredictions(f"{path.name}: cannot be read as {kind} ({said})") from None
    *found, values = arrays
    if found and not np.array_equal(found[0], keys):
        place = int(np.flatnonzero(found[0] != keys)[0])
        raise UnfitPredictions(
            f"{path.name}: the rows must have the order of the features; line {place + 1} of the data has {plan.key} "
            f"{found[0][place]} and not {keys[place]}"
        )
    _check_values(path.name, values, plan, keys)
    return np.asarray(values).reshape(runs, len(keys), len(plan.columns))


def _read_csv(path: Path, plan: ScoringPlan, rows: int) -> list[Array]:
    """Read a key and columns of numbers without pyarrow."""
    wanted = [plan.key, *plan.columns]
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = csv.reader(file)
        names = next(lines, [])
        if sorted(names) != sorted(wanted):
            raise UnfitPredictions(
                f"{path.name}: has the columns {', '.join(names)[:200]}; it must have {', '.join(wanted)}"
            )
        keys, values = np.empty(rows, np.int64), np.empty((1, rows, len(plan.columns)))
        count = 0
        for number, line in enumerate(lines):
            if number >= rows or len(line) != len(names):
                raise UnfitPredictions(f"{path.name}: line {number + 2} is too much, or has not {len(names)} numbers")
            try:
                entry = dict(zip(names, line, strict=True))
                keys[number] = int(entry[plan.key])
                values[0, number] = [float(entry[name]) for name in plan.columns]
            except (ValueError, OverflowError):
                raise UnfitPredictions(f"{path.name}: line {number + 2} holds no numbers") from None
            count += 1
    if count != rows:
        raise UnfitPredictions(f"{path.name}: has {count} rows; it must have the {rows} rows of the features")
    return [keys, values]


def _check_values(file: str, values: Array, plan: ScoringPlan, keys: Array) -> None:
    low = -np.inf if plan.minimum is None else plan.minimum
    high = np.inf if plan.maximum is None else plan.maximum
    bad = ~np.isfinite(values) | (values < low) | (values > high)
    if bad.any():
        run, row, column = np.argwhere(bad)[0]
        raise UnfitPredictions(
            f"{file}: {plan.columns[column]} = {values[run, row, column]:g} for row {keys[row]} is not finite or not between "
            f"{low:g} and {high:g}"
        )


def _page(plan: ScoringPlan, scores: Scores) -> str:
    """All scores as a small page."""
    rows = [("", name, score) for name, score in scores.metrics.items()]
    rows += [(sample, name, score) for sample, entries in scores.samples.items() for name, score in entries.items()]
    lines = []
    for sample, name, score in rows:
        value = f"{'&gt; ' if score.limit else ''}{score.value:.6g}"
        error = "" if score.error is None else f"&plusmn; {score.error:.2g}"
        spread = "" if score.spread is None else f"{score.spread:.2g}"
        cells = (html.escape(sample), html.escape(name), value, error, spread)
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    head = "".join(f"<th>{title}</th>" for title in ("sample", "metric", "value", "error", "spread of runs"))
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in scores.notes)
    left_out = f"<p>Runs left out: {', '.join(map(str, scores.runs_left_out))}</p>" if scores.runs_left_out else ""
    return (
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>Scores</title><table border='1' cellpadding='4'>"
        f"<tr>{head}</tr>{''.join(lines)}</table><p>{scores.rows} rows, {scores.runs} runs</p>{left_out}{notes}</html>\n"
    )
