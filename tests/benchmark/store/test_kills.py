"""Workers, submitters and the server are killed at random points: a short form of ``benchmarks/board_kills.py``."""

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


def test_the_server_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fastapi", reason="needs the extra 'server'")
    pytest.importorskip("uvicorn", reason="needs the extra 'server'")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import board_kills

    url = f"sqlite:///{tmp_path / 'board.db'}"
    found = board_kills.kill_under_load(
        url, tmp_path / "load", kills=8, runs=16, run_seconds=0.3, pause=0.5, server=True
    )
    assert found["runs"] == 32
    assert found["kills"]["server"] >= 1
