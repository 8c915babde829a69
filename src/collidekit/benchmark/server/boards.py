"""Leaderboards as they are shown, made again only when they change."""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillWorking
from contextlib import suppress

from attrs import frozen
from jinja2 import Environment

from collidekit.benchmark.scoring.board import Board, Entry
from collidekit.benchmark.scoring.ranking import rank
from collidekit.benchmark.server.api.board import board_out
from collidekit.benchmark.server.board_page import board_html
from collidekit.benchmark.server.packed import packed
from collidekit.benchmark.server.roc_svg import NARROW, WIDE, roc_svg
from collidekit.benchmark.store import BoardRow, Store, Version

PATIENCE = 0.05
"""Seconds that a reader waits for a leaderboard that is made again; after that the one before is shown."""


@frozen
class Shown:
    """A leaderboard and what is made from it."""

    state: str
    board: Board
    html: str
    content: bytes
    """JSON for the API, packed with gzip as the plots are."""
    with_curves: bytes
    """The same with the ROC curves of the entries."""
    wide: bytes | None
    """The plot of ROC curves; None where no entry has one."""
    narrow: bytes | None


@frozen
class _Making:
    state: str
    result: "Future[Shown]"


class Boards:
    """The leaderboards of a store; one thread makes them, and readers share what it made."""

    def __init__(self, store: Store, templates: Environment) -> None:
        self._store, self._templates = store, templates
        self._shown: dict[tuple[str, str], Shown] = {}
        self._making: dict[tuple[str, str], _Making] = {}
        self._lock = threading.Lock()
        self._maker = ThreadPoolExecutor(1, "board")

    def get(self, version: Version, phase: str) -> Shown:
        """Return a leaderboard: the newest one, or the one before while a new one is made."""
        key = (version.name, phase)
        state = self._store.board_state(version.name, phase, version.number)
        with self._lock:
            shown = self._shown.get(key)
            if shown is not None and shown.state == state:
                return shown
            making = self._making.get(key)
            if making is None or making.result.done():
                making = _Making(state, self._maker.submit(self._make, version, phase, state))
                self._making[key] = making
        if shown is None:
            return making.result.result()
        with suppress(StillWorking):
            return making.result.result(PATIENCE)
        return shown

    def _make(self, version: Version, phase: str, state: str) -> Shown:
        entries = [_entry(row) for row in self._store.board_rows(version.name, phase, version.number)]
        board = rank(entries, version.definition)
        address = f"/benchmarks/{version.name}/phases/{phase}/roc.svg?v={abs(hash(state)):x}"
        html = board_html(self._templates, version.definition, board, address, time.time())
        plots = [roc_svg(board, layout) for layout in (WIDE, NARROW)]
        wide, narrow = (None if plot is None else packed(plot) for plot in plots)
        out = board_out(version.name, phase, board)
        kinds = ({"entries": {"__all__": {"curve"}}}, None)
        content, with_curves = (packed(out.model_dump_json(exclude=kind).encode()) for kind in kinds)
        shown = Shown(state, board, html, content, with_curves, wide, narrow)
        with self._lock:
            self._shown[(version.name, phase)] = shown
        return shown


def _entry(row: BoardRow) -> Entry:
    run = row.run
    details = {
        "code_hash": run.code_hash, "image_digest": run.image_digest, "seed": run.seed, "wall_seconds": run.wall_seconds,
        "energy_joules": run.energy_joules,
    }  # fmt: skip
    return Entry(run.group, run.id, row.scores, run.user, details=details)
