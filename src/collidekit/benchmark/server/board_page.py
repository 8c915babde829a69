"""The part of a leaderboard's page that is the same for all readers."""

from collections.abc import Sequence
from typing import Any

from jinja2 import Environment

from collidekit.benchmark.definition import Benchmark
from collidekit.benchmark.scoring.board import Board, Column, Row
from collidekit.benchmark.scoring.labels import shown_runs, shown_score
from collidekit.benchmark.scoring.result import Curve, Score
from collidekit.benchmark.scoring.tables import shown_rank
from collidekit.benchmark.server.roc_svg import NARROW, WIDE
from collidekit.benchmark.server.words import ranked_by

EFFICIENCIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Signal efficiencies in the table beside the plot."""


def board_html(templates: Environment, benchmark: Benchmark, board: Board, plot: str, made: float) -> str:
    """Return ranks, scores, unranked entries, the plot's address and its numbers as HTML."""
    curves = [(row.name, row.curve) for row in board.rows if row.curve is not None]
    return templates.get_template("board.html").render(
        metrics=board.columns, rows=[_row(row, board.columns) for row in board.rows], unranked=board.unranked,
        ranked_by=f"Ranked by {ranked_by(benchmark)}", ties=any(row.tied for row in board.rows),
        references=any(row.reference for row in board.rows), made=made, plot=plot, wide=WIDE, narrow=NARROW, alt=_words(curves), efficiencies=EFFICIENCIES,
        curves=[{"name": name, "points": _values(curve)} for name, curve in curves],
    )  # fmt: skip


def _row(row: Row, columns: Sequence[Column]) -> dict[str, Any]:
    return {
        "rank": "published" if row.rank is None else shown_rank(row), "name": row.name, "by": row.user, "run": row.run, "reference": row.reference, "source": row.source,
        "cells": [_cell(row.scores.get(column.name), column) for column in columns], "notes": row.notes,
        "ensemble": shown_runs(row.runs, row.runs_left_out),
    }  # fmt: skip


def _cell(score: Score | None, column: Column) -> dict[str, str]:
    if score is None:
        return {"value": "–", "error": "", "spread": ""}
    value, _, error = shown_score(score, column.precision).partition(" ± ")
    return {"value": value, "error": error, "spread": "" if score.spread is None else f"{score.spread:.2g}"}


def _values(curve: Curve) -> list[str]:
    """Return the background rejection at the signal efficiencies of the table."""
    found = []
    for wanted in EFFICIENCIES:
        at = min(range(len(curve.signal_efficiency)), key=lambda index: abs(curve.signal_efficiency[index] - wanted))
        background = curve.background_efficiency[at]
        found.append(f"> {curve.background_rows:.3g}" if not background else f"{1 / background:.4g}")
    return found


def _words(curves: Sequence[tuple[str, Curve]]) -> str:
    """Return what the plot shows, for those who do not see it."""
    if not curves:
        return ""
    best = curves[0]
    return (
        f"ROC curves of {len(curves)} entries: background rejection (logarithmic) against signal efficiency from 0 to 1. The first "
        f"entry, {best[0]}, rejects {_values(best[1])[4]} at signal efficiency 0.5."
    )
