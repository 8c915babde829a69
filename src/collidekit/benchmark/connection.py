"""Connections to the place that keeps runs, a store on this machine or a server, with one interface for both."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from collidekit.benchmark.check import check_benchmark
from collidekit.benchmark.definition import FILE, load_benchmark
from collidekit.benchmark.scoring.board import Board
from collidekit.benchmark.scoring.labels import score_notes
from collidekit.benchmark.submission import load_submission
from collidekit.errors import CollidekitError
from collidekit.extras import need
from collidekit.lease import user_name
from collidekit.progress import notice


class Connection(Protocol):
    """A place that keeps runs: what the verbs of the command ask of it."""

    def submit(
        self, benchmark: str, phase: str, submission: Path, name: str, parameters: Mapping[str, Any], seed: int
    ) -> int:
        """Queue a submission and return the number of its run; without a name, the first phase is meant."""

    def status(self, run: int) -> dict[str, Any]:
        """Return state, reason, scores and times of a run."""

    def log(self, run: int) -> str:
        """Return all that the steps of a run have printed."""

    def cancel(self, run: int) -> bool:
        """Cancel a run; False where it is over already."""

    def withdraw(self, run: int) -> list[int]:
        """Take a run from the leaderboard; it stays in the store. Returns the runs that repeat it and stay."""

    def share(self, run: int, member: str) -> None:
        """Let another user submit under the name of a run."""

    def leaderboard(self, benchmark: str, phase: str, curves: bool = False) -> Board:
        """Return the leaderboard of a phase, also with the ROC curves of its entries."""


class LocalConnection:
    """A store on this machine, used by its owner: whoever can write its files can do everything.

    With ``new`` a store that is not there is made, in a folder that is.
    """

    def __init__(self, url: str, folder: str | Path | None = None, user: str = "", *, new: bool = False) -> None:
        need("sqlalchemy", "server")
        from collidekit.benchmark.store.database import sqlite_file
        from collidekit.benchmark.store.store import Store

        file = sqlite_file(url)
        if file is not None and not file.parent.is_dir():
            raise CollidekitError(
                f"--store {url}: there is no folder {file.parent}; make it first, or give another path"
            )
        self.store = Store(url, folder, new=new)
        if self.store.made:
            notice(f"made the store {self.store.database.shown}")
        self._name = user or user_name()

    @cached_property
    def user(self) -> Any:
        """The user of this machine in the store, who is added where it is not there; the first one is an organiser."""
        from collidekit.benchmark.store.look_alikes import name_key

        known = self.store.users()
        if (found := next((user for user in known if name_key(user.name) == name_key(self._name)), None)) is not None:
            return found
        self.store.add_user(self._name, "participant" if known else "owner")
        return self.store.user_named(self._name)

    def submit(
        self, benchmark: str, phase: str, submission: Path, name: str, parameters: Mapping[str, Any], seed: int
    ) -> int:
        """Queue a submission; a folder of a benchmark is checked and registered first."""
        benchmark = self.register(benchmark)
        definition = self.store.benchmark(benchmark).definition
        phase = phase or next(iter(definition.phases))
        found = load_submission(submission, definition, parameters)
        return self.store.submit(
            self.user, benchmark, phase, Path(submission), name or found.name, parameters, seed=seed
        )

    def register(self, benchmark: str) -> str:
        """Return the name of a benchmark; a folder with a benchmark file is registered in the store."""
        folder = Path(benchmark)
        if not (folder / FILE).is_file():
            return benchmark
        from collidekit.benchmark.registering import register_and_tell

        definition = load_benchmark(folder)
        check_benchmark(definition)
        register_and_tell(self.store, definition, self.user.name)
        return definition.name

    def status(self, run: int) -> dict[str, Any]:
        """Return state, reason, scores and times of a run."""
        from collidekit.benchmark.store.clock import show_moment

        found = self.store.run(run)
        shown: dict[str, Any] = {
            "run": found.id, "benchmark": found.benchmark, "version": found.version, "phase": found.phase, "name": found.group, "user": found.user, "state": found.state.value,
            "fault": found.fault.value if found.fault else None, "reason": found.reason, "scores": found.scores,
            "wall_seconds": found.wall_seconds, "cpu_seconds": found.cpu_seconds, "peak_memory": found.peak_memory,
            "energy_joules": found.energy_joules, "code_hash": found.code_hash, "image_digest": found.image_digest, "seed": found.seed,
            "withdrawn": found.withdrawn_at is not None, "parameters": found.parameters, "rerun_of": found.rerun_of,
            "metrics": [metric.model_dump() for metric in self.store.version(found.version_id).definition.metrics],
            **{name: show_moment(at) for name in ("submitted_at", "started_at", "finished_at") if (at := getattr(found, name)) is not None},
        }  # fmt: skip
        if found.scores and (all_scores := self.store.scores(run)):
            shown["score_notes"] = score_notes(all_scores, found.notes or ())
        if not found.state.final:
            place = self.store.queue_place(run)
            shown |= {
                "position": place.position,
                "estimate_seconds": place.estimate_seconds,
                "reason": place.reason or found.reason,
            }
        return shown

    def log(self, run: int) -> str:
        """Return the logs of all steps of the last attempt, one after another."""
        folder = self.store.run_folder(self.store.run(run))
        return read_logs(folder) if folder.is_dir() else ""

    def cancel(self, run: int) -> bool:
        """Cancel a run; False where it is over already."""
        return bool(self.store.request_cancel(run, self.user))

    def withdraw(self, run: int) -> list[int]:
        """Take a run from the leaderboard; it stays in the store. Returns the runs that repeat it and stay."""
        self.store.withdraw(run, self.user)
        return list(self.store.reruns(run))

    def share(self, run: int, member: str) -> None:
        """Let another user submit under the name of a run."""
        self.store.add_member(self.store.run(run).group_id, self.user, self.store.user_named(member))

    def leaderboard(self, benchmark: str, phase: str, curves: bool = False) -> Board:
        """Return the leaderboard of a phase, which always has the ROC curves of its entries."""
        from collidekit.benchmark.scoring.board import Entry
        from collidekit.benchmark.scoring.ranking import rank

        name = load_benchmark(benchmark).name if (Path(benchmark) / FILE).is_file() else benchmark
        definition = self.store.benchmark(name).definition
        rows = self.store.board_rows(name, phase or next(iter(definition.phases)))
        entries = [Entry(row.run.group, row.run.id, row.scores, row.run.user) for row in rows]
        return rank(entries, definition)


def read_logs(folder: Path) -> str:
    """Return the logs of the steps of each sample in the folder of a run, each under its name."""
    logs = sorted(path for path in folder.glob("*/*.log") if path.is_file() and not path.is_symlink())
    parts = [
        f"--- {path.relative_to(folder).with_suffix('')}\n{path.read_text(encoding='utf-8', errors='replace')}"
        for path in logs
    ]
    return "\n".join(parts)


def connect(
    store: str | None, server: str | None, token: str | None, folder: Path | None = None, user: str = "", *,
    new: bool = False, public: bool = False,
) -> Connection:  # fmt: skip
    """Return the connection that the options of a verb name.

    ``new`` makes a store that is not there; ``public`` is for what a server shows without a token.
    """
    if bool(store) == bool(server):
        both = "; COLLIDEKIT_BENCHMARK_STORE and COLLIDEKIT_BENCHMARK_SERVER are options, too" if store else ""
        raise CollidekitError(
            f"name a store with --store, such as board.db, or a server with --server, and not both{both}"
        )
    if server:
        if not token and not public:
            raise CollidekitError("--server: needs --token, or the environment variable COLLIDEKIT_BENCHMARK_TOKEN")
        from collidekit.benchmark.server.client import Client

        client: Connection = Client(server, token or "")
        return client
    return LocalConnection(str(store), folder, user, new=new)
