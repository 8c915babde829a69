"""A leaderboard as the API shows it."""

from collidekit.benchmark.scoring.board import Board
from collidekit.benchmark.server.api.models import BoardEntry, BoardOut, ColumnOut, CurveOut, ScoreOut, Unranked


def board_out(benchmark: str, phase: str, board: Board) -> BoardOut:
    """Return a leaderboard as the API shows it."""
    entries = [
        BoardEntry(
            rank=row.rank, tied=row.tied, error_unknown=row.error_unknown, name=row.name, user=row.user, run=None if row.run is None else int(row.run),
            reference=row.reference, source=row.source, notes=list(row.notes),
            ensemble_runs=None if row.reference else row.runs, runs_left_out=list(row.runs_left_out),
            scores={name: ScoreOut.model_validate(score) for name, score in row.scores.items()},
            curve=None if row.curve is None else CurveOut.model_validate(row.curve),
        )
        for row in board.rows
    ]  # fmt: skip
    unranked = [Unranked(name=row.name, reason=row.reason) for row in board.unranked]
    return BoardOut(
        benchmark=benchmark, phase=phase, title=board.title, order=list(board.order), entries=entries, unranked=unranked,
        columns=[ColumnOut.model_validate(column) for column in board.columns],
    )  # fmt: skip
