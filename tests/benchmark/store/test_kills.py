"""Workers and submitters are killed at random points: a short form of ``benchmarks/board_kills.py``."""

from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


def test_nothing_is_lost_or_doubled(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import board_kills

    found = board_kills.kill_under_load(url, tmp_path / "load", kills=8, runs=12, run_seconds=0.3, pause=0.3)
    assert sum(found["kills"].values()) == 8
    assert found["runs"] == 24
    assert found["attempts"]["lost"] >= 1  # else the kills hit nobody at work
