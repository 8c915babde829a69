"""The leaderboard as text: CSV, Markdown and JSON."""

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from collidekit.benchmark.scoring.board import Board, Column, Row
from collidekit.benchmark.scoring.labels import shown_runs, shown_score
from collidekit.errors import CollidekitError
from collidekit.files import write_json, write_text
from collidekit.plain_text import without_controls

NOTHING = "–"
LONGEST_NAME = 60
"""Characters of a name; the rest of a longer one is left out in tables and plots."""
PLOTS = (".png", ".pdf")
"""Suffixes of plots."""
TIES = "= : no entry of this rank is better than another by 2 standard deviations of their paired difference"


def shown_name(name: str, longest: int = LONGEST_NAME) -> str:
    """Return a name without line breaks and control characters, cut where it is too long."""
    plain = " ".join(without_controls(name).split()) or "(no name)"
    return plain if len(plain) <= longest else plain[: longest - 1] + "…"


def shown_rank(row: Row) -> str:
    """Return ``1``, ``1 =`` where entries share the rank, ``1 (error unknown)``, or ``ref`` for a published result."""
    if row.rank is None:
        return "ref"
    return f"{row.rank}{' =' if row.tied else ''}{' (error unknown)' if row.error_unknown else ''}"


def has_ensembles(board: Board) -> bool:
    """Return whether an entry has several runs, so that the leaderboard shows how many count."""
    return any(row.runs > 1 for row in board.rows)


def cells(row: Row, columns: Sequence[Column], runs: bool = False) -> list[str]:
    """Return rank, name and scores of a row as text, and how many of its runs count."""
    shown = [row.scores.get(column.name) for column in columns]
    texts = [
        NOTHING if score is None else shown_score(score, column.precision)
        for score, column in zip(shown, columns, strict=True)
    ]
    ensemble = [shown_runs(row.runs, row.runs_left_out) or NOTHING] if runs else []
    return [shown_rank(row), shown_name(row.name), *texts, *ensemble]


def header(board: Board) -> list[str]:
    """Return the titles of the columns, with an arrow for the direction of those that rank."""
    arrows = {"higher": "↑", "lower": "↓"}
    titles = [
        f"{column.label} {arrows[column.direction]}" if column.ranks else column.label for column in board.columns
    ]
    return ["rank", "name", *titles, *(["runs"] if has_ensembles(board) else [])]


def markdown(board: Board) -> str:
    """Return the leaderboard as a Markdown table; characters of names that Markdown or HTML would read are escaped."""
    lines = [header(board), *(cells(row, board.columns, has_ensembles(board)) for row in board.rows)]
    text = [_markdown_line(line) for line in lines]
    text.insert(1, "|" + "|".join("---" if number == 1 else "---:" for number in range(len(lines[0]))) + "|")
    if any(row.tied for row in board.rows):
        text += ["", _escaped(TIES)]
    for row in board.rows:
        if row.reference:
            text += ["", f"{_escaped(shown_name(row.name))}: {_escaped(shown_name(row.source, 300))}"]
    if board.unranked:
        text += ["", "Not ranked:", ""]
        text += [
            f"- {_escaped(shown_name(entry.name))}: {_escaped(shown_name(entry.reason, 300))}"
            for entry in board.unranked
        ]
    return "\n".join(text) + "\n"


def csv_text(board: Board) -> str:
    """Return the leaderboard as CSV with all digits: value, error, spread and limit of each metric, runs, and those not ranked."""
    names = ["rank", "tied", "error_unknown", "reference", "name", "user", "run", "runs", "runs_left_out"]
    parts = [f"{column.name}{end}" for column in board.columns for end in ("", "_error", "_spread", "_limit")]
    lines: list[list[Any]] = [[*names, *parts, "reason"]]
    for row in board.rows:
        numbers: list[Any] = []
        for column in board.columns:
            score = row.scores.get(column.name)
            numbers += ["", "", "", ""] if score is None else [score.value, score.error, score.spread, int(score.limit)]
        who = [_harmless(row.name), _harmless(row.user), _harmless(str(row.run if row.run is not None else ""))]
        runs = ["", ""] if row.reference else [row.runs, " ".join(map(str, row.runs_left_out))]
        lines.append([row.rank, int(row.tied), int(row.error_unknown), int(row.reference), *who, *runs, *numbers, ""])
    for entry in board.unranked:
        who = [_harmless(entry.name), _harmless(entry.user), _harmless(str(entry.run if entry.run is not None else ""))]
        lines.append(["", "", "", 0, *who, "", "", *[""] * len(parts), _harmless(entry.reason)])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([["" if cell is None else cell for cell in line] for line in lines])
    return text.getvalue()


def write_board(path: Path, board: Board) -> Path:
    """Write the leaderboard in the format of the suffix: .csv, .md, .json, or a plot as .png or .pdf."""
    suffix = path.suffix.lower()
    if suffix == ".csv":
        return write_text(path, csv_text(board))
    if suffix == ".md":
        return write_text(path, markdown(board))
    if suffix == ".json":
        return write_json(path, board.as_dict())
    if suffix in PLOTS:
        from collidekit.benchmark.scoring.plot import plot_board

        plot_board(path.with_suffix(""), board)
        return path
    raise CollidekitError(f"{path}: a leaderboard is written as .csv, .md, .json, .png or .pdf")


def _harmless(text: str) -> str:
    """Return a text that a spreadsheet does not take for a formula."""
    plain = shown_name(text, 300) if text else ""
    return f"'{plain}" if plain[:1] in "=+-@" and plain else plain


def _markdown_line(line: Sequence[str]) -> str:
    return "| " + " | ".join(map(_escaped, line)) + " |"


def _escaped(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&$])", lambda found: f"&#{ord(found[0])};", text)
