"""Where runs are kept: a store on this machine, or a server. The command says the same words to both."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from collidekit.benchmark.check import check_benchmark
from collidekit.benchmark.definition import FILE, load_benchmark
from collidekit.benchmark.scoring.board import Board
from collidekit.benchmark.submission import load_submission
from collidekit.errors import CollidekitError
from collidekit.extras import need
from collidekit.lease import user_name


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

    def withdraw(self, run: int) -> None:
        """Take a run from the leaderboard; it stays in the store."""

    def leaderboard(self, benchmark: str, phase: str) -> Board:
        """Return the leaderboard of a phase."""


class LocalConnection:
    """A store on this machine, used by its owner: whoever can write its files can do everything."""

    def __init__(self, url: str, folder: str | Path | None = None, user: str = "") -> None:
        need("sqlalchemy", "server")
        from collidekit.benchmark.store.store import Store

        self.store = Store(url, folder)
        self.url = url
        self.user = self._user(user or user_name())

    def _user(self, name: str) -> Any:
        known = {user.name.lower(): user for user in self.store.users()}
        if name.lower() not in known:
            self.store.add_user(name, "participant" if known else "owner")
        return self.store.user_named(name)

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
        from collidekit.benchmark.scoring.version import SCORER_VERSION

        definition = load_benchmark(folder)
        check_benchmark(definition)
        self.store.register(definition, folder.absolute(), SCORER_VERSION, self.user.name)
        return definition.name

    def status(self, run: int) -> dict[str, Any]:
        """Return state, reason, scores and times of a run."""
        found = self.store.run(run)
        shown: dict[str, Any] = {
            "run": found.id, "benchmark": found.benchmark, "phase": found.phase, "name": found.group, "state": found.state.value,
            "fault": found.fault.value if found.fault else None, "reason": found.reason, "scores": found.scores,
            "wall_seconds": found.wall_seconds, "cpu_seconds": found.cpu_seconds, "peak_memory": found.peak_memory,
            "energy_joules": found.energy_joules, "code_hash": found.code_hash, "image_digest": found.image_digest, "seed": found.seed,
            "withdrawn": found.withdrawn_at is not None,
        }  # fmt: skip
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

    def withdraw(self, run: int) -> None:
        """Take a run from the leaderboard; it stays in the store."""
        self.store.withdraw(run, self.user)

    def leaderboard(self, benchmark: str, phase: str) -> Board:
        """Return the leaderboard of a phase."""
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
    store: str | None, server: str | None, token: str | None, folder: Path | None = None, user: str = ""
) -> Connection:
    """Return the connection that the options of a verb name."""
    if bool(store) == bool(server):
        raise CollidekitError("name a store with --store, such as board.db, or a server with --server, and not both")
    if server:
        if not token:
            raise CollidekitError("--server: needs --token, or the environment variable COLLIDEKIT_BENCHMARK_TOKEN")
        from collidekit.benchmark.server.client import Client

        client: Connection = Client(server, token)
        return client
    return LocalConnection(str(store), folder, user)
