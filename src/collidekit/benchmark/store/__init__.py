"""The store of a benchmark service: SQLite or PostgreSQL for rows, a folder for files. Nothing is ever deleted.

``from collidekit.benchmark.store import Store`` needs SQLAlchemy and alembic (extra ``server``). All calls raise
``CollidekitError`` with one line for users; ``StoreUnavailable`` (a subclass) where the database does not answer at the
moment. A ``Store`` may be used by several threads and any number of processes may open the same one.

::

    Store(url, folder=None)                   "board.db", "sqlite:///board.db", "postgresql://user@host/database"
    .folder: Path   .now() -> float           times are seconds since 1970 (UTC) by the clock of the database
    .close()

    # users: roles "owner" (organiser), "participant", "reader"; actor = name of the user who does it, for the audit trail
    .add_user(name, role, actor=...) -> str   the token, shown only now; its SHA-256 is stored
    .user_of(token) -> User | None            .user_named(name) -> User            .users() -> list[User]
    .tokens(user) -> list[Token]              .add_token(user, label) -> str
    .rotate_token(user) -> str                .revoke_tokens(user, actor, only=token_id | None) -> int
    .set_role(user, role, actor) -> User      .set_disabled(user, True, actor) -> User

    # benchmarks: Version(id, name, number, definition: Benchmark, folder, scorer_version, ...)
    .register(benchmark, folder, scorer_version="", actor=...) -> version id
    .benchmarks() -> list[Version] (current ones)    .benchmark(name, number=None) -> Version
    .versions(name) -> list[Version]                 .version(version_id) -> Version

    # uploads: archives (tar, tar.gz, zip) by SHA-256, read-only, written whole or not at all
    .upload(user, chunks: Iterable[bytes], name, largest=..., sha256="") -> Upload(sha256, name, size, received_at)
    .upload_folder(user, folder) -> Upload           .uploads_of(user) -> list[Upload]
    .uploads.path(sha256) -> Path                    .uploads.unpack(sha256, new folder) -> folder with submission.yaml

    # submissions: `name` is that of a group = one row of the board, with members
    .submit(user, benchmark, phase, sha256 | Path(folder), name, parameters={}, *, seed=0, request=None) -> run number
        reads the submission at once: its errors are raised here; `request` makes repeated calls safe (same text, same run)
    .remaining(user, benchmark, phase) -> (today, in the whole phase)
    .withdraw(run, user) -> Run     .request_cancel(run, user) -> bool (False: over already)
    .rerun(run, user) -> new run    .rerun_all(benchmark, phase, user) -> new runs        (organisers)
    .reruns(run) -> runs that repeat a run and are not withdrawn
    .groups(benchmark=None, user=None) -> list[Group]    .group(id) -> Group    .add_member(group id, user, added user)

    # runs: Run has state, fault, reason, times, attempt, hashes, seed, wall/cpu/memory/energy, scores, steps, folder
    .run(number) -> Run             .attempts(number) -> list[Attempt]
    .runs(benchmark=, phase=, user=, group=, state=, before=, limit=100) -> list[Run], the newest first
    .may_see(run, user | None) -> bool               log, files and changes: members of the group and organisers
    .queue_place(number) -> QueuePlace(position, running, workers, waited_seconds, estimate_seconds, reason)
    .queue_position(number) -> int                   1 is the next, 0 does not wait
    .run_folder(run) -> Path                         files of the last attempt; predictions in <sample>/predictions.npz
    .logs(run) -> list[LogFile(name, size)]          progress.log and <sample>/<step>.log, which grow while it runs
    .read_log(run, name, offset=0) -> (text, next offset)

    # work: a lease with a heartbeat; the number of the attempt fences off workers that lost it
    .claim(worker, lease_seconds=60) -> Run | None   .heartbeat(run, worker, lease_seconds) -> bool (False: lost, stop)
    .cancel_requested(run) -> bool                   .finish(run, worker, RunResult) -> bool (False: lost)
        a fault of the service is tried again by another worker, up to 3 times; a server calls .expire() every 30 s or so
    .give_back(run, worker, reason) -> bool          .expire() -> numbers of runs whose lease was over
    .worker_seen(name, host, job, message)  .worker_stopped(name)  .workers() -> list[WorkerRow]

    # board
    .board_rows(benchmark, phase, number=None) -> list[BoardRow(run, scores)]: the best run of each group, not withdrawn
    .board_state(benchmark, phase) -> str            changes whenever the board does: the key of a cache
    .audit(subject="", after=0, limit=1000) -> list[Event(id, at, actor, action, subject, details)]
"""

from collidekit.extras import need

for _module in ("sqlalchemy", "alembic"):
    need(_module, "server")

from collidekit.benchmark.store.database import StoreUnavailable
from collidekit.benchmark.store.records import (
    Attempt,
    BoardRow,
    Event,
    Group,
    QueuePlace,
    Role,
    Run,
    Token,
    Upload,
    User,
    Version,
    WorkerRow,
)  # fmt: skip
from collidekit.benchmark.store.store import LEASE_SECONDS, Store

__all__ = [
    "LEASE_SECONDS", "Attempt", "BoardRow", "Event", "Group", "QueuePlace", "Role", "Run", "Store", "StoreUnavailable", "Token",
    "Upload", "User", "Version", "WorkerRow",
]  # fmt: skip
