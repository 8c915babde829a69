"""The store: users, benchmarks, uploads and runs in a database, files in a folder."""

import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, select

from collidekit.benchmark.checksums import verify
from collidekit.benchmark.definition import Benchmark
from collidekit.benchmark.run_result import RunResult
from collidekit.benchmark.scoring.result import Scores
from collidekit.benchmark.states import Fault, State
from collidekit.benchmark.store import audit, board, queue, rows, submissions, users, versions, workers
from collidekit.benchmark.store.clock import now
from collidekit.benchmark.store.database import Database
from collidekit.benchmark.store.logs import PIECE, LogFile, log_files, read_log
from collidekit.benchmark.store.migrate import is_current, upgrade
from collidekit.benchmark.store.outcome import columns_of
from collidekit.benchmark.store.private import make_folder, repair
from collidekit.benchmark.store.records import (
    Attempt,
    BoardRow,
    Event,
    Group,
    QueuePlace,
    Run,
    Token,
    Upload,
    User,
    Version,
    WorkerRow,
)  # fmt: skip
from collidekit.benchmark.store.tables import benchmarks, groups, members, uploads
from collidekit.benchmark.store.text import stored_text
from collidekit.benchmark.store.uploads import LARGEST, Uploads, remove_abandoned
from collidekit.benchmark.submission import code_hash, load_submission
from collidekit.errors import CollidekitError

LEASE_SECONDS = 60.0
"""Time that a worker may be silent before its run is given to another one."""


class Store:
    """A store by its URL: ``board.db``, ``sqlite:///board.db`` or ``postgresql://user@host/database``.

    ``folder`` holds uploads and the files of runs; workers on other machines must see it under the same path. With SQLite it is by
    default the folder of the database with the suffix ``.files``. Without ``new`` a store that is not there is an error. Times are seconds since 1970 (UTC) by the clock of the database.
    """

    made = False
    """True if this object has made the tables, in a database without any."""

    def __init__(self, url: str, folder: str | Path | None = None, *, new: bool = True) -> None:
        self.database = Database(url, new)
        if folder is None and self.database.path is None:
            raise CollidekitError(
                f"--store {self.database.shown}: PostgreSQL needs a folder for uploads and results; give --folder"
            )
        place = folder if folder is not None else self.database.path.with_suffix(".files")  # type: ignore[union-attr]
        self.folder = Path(place).expanduser().absolute()
        self.uploads = Uploads(self.folder / "uploads")
        try:
            if not is_current(self.database):
                self.made = upgrade(self.database, new=new)
        except BaseException:
            self.close()
            raise
        if new:
            with suppress(OSError):  # what writes into it says so
                make_folder(self.folder)
        repair(self.database.path, self.folder)
        remove_abandoned(self.folder / "uploads" / "incoming", self.folder / "checks")

    def close(self) -> None:
        """Close the connections to the database."""
        self.database.close()

    def now(self) -> float:
        """Return the time by the clock of the database."""
        with self._read() as connection:
            return float(connection.execute(select(now())).scalar_one())

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with self.database.reading() as connection:
            yield connection

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with self.database.writing() as connection:
            yield connection

    # users

    def add_user(self, name: str, role: str, actor: str = audit.SYSTEM) -> str:
        """Add a user with role ``owner``, ``participant`` or ``reader``; returns the token, which is shown only now."""
        with self._write() as connection:
            return users.add_user(connection, name, role, actor)[1]

    def user_of(self, token: str) -> User | None:
        """Return the user of a token; None where the token is unknown or revoked, or the user is disabled."""
        with self._read() as connection:
            return users.user_of_token(connection, token)

    def user_named(self, name: str) -> User:
        """Return a user by name, whatever its case."""
        with self._read() as connection:
            return users.user_named(connection, name)

    def users(self) -> list[User]:
        """Return all users."""
        with self._read() as connection:
            return users.all_users(connection)

    def tokens(self, user: User) -> list[Token]:
        """Return the tokens of a user without their secrets."""
        with self._read() as connection:
            return users.tokens_of(connection, user)

    def add_token(self, user: User, label: str = "", actor: str = audit.SYSTEM) -> str:
        """Return a further token of a user."""
        with self._write() as connection:
            return users.add_token(connection, user, label, actor)

    def rotate_token(self, user: User, actor: str = audit.SYSTEM) -> str:
        """Revoke all tokens of a user and return a new one."""
        with self._write() as connection:
            users.revoke_tokens(connection, user, actor)
            return users.add_token(connection, user, "rotated", actor)

    def revoke_tokens(self, user: User, actor: str = audit.SYSTEM, only: int | None = None) -> int:
        """Revoke one token by its id, or all of a user; returns how many were valid."""
        with self._write() as connection:
            return users.revoke_tokens(connection, user, actor, only)

    def set_role(self, user: User, role: str, actor: str = audit.SYSTEM) -> User:
        """Change the role of a user."""
        with self._write() as connection:
            return users.set_role(connection, user, role, actor)

    def set_disabled(self, user: User, disabled: bool, actor: str = audit.SYSTEM) -> User:
        """Disable a user or enable it again; its runs stay on the board until they are withdrawn."""
        with self._write() as connection:
            return users.set_disabled(connection, user, disabled, actor)

    # benchmarks

    def register(
        self, benchmark: Benchmark, folder: str | Path, scorer_version: str = "", actor: str = audit.SYSTEM
    ) -> int:
        """Add a benchmark, or a new version where its definition or scorer changed; returns the id of the version.

        Runs of earlier versions stay with theirs. They stay on the board as long as nothing changed that scores depend on.
        The files must be there and have the checksums of the definition.
        """
        benchmark = benchmark.model_copy(update={"folder": Path(folder).absolute()})
        verify(benchmark)
        with self._write() as connection:
            return versions.register(connection, self.database, benchmark, Path(folder), scorer_version, actor)

    def benchmarks(self) -> list[Version]:
        """Return the current version of each benchmark."""
        with self._read() as connection:
            return versions.current_versions(connection)

    def benchmark(self, name: str, number: int | None = None) -> Version:
        """Return the current version of a benchmark, or one by its number."""
        with self._read() as connection:
            return versions.version_of(connection, name, number)

    def versions(self, name: str) -> list[Version]:
        """Return all versions of a benchmark, the newest first."""
        with self._read() as connection:
            return versions.versions_of(connection, name)

    def version(self, version_id: int) -> Version:
        """Return a version by its id, as runs name it."""
        with self._read() as connection:
            return versions.version_by_id(connection, version_id)

    # uploads

    def upload(
        self, user: User, chunks: Iterable[bytes], name: str, largest: int = LARGEST, sha256: str = ""
    ) -> Upload:
        """Store an archive of a submission; an error where it is too large or does not have the SHA-256 that is given."""
        stored = self.uploads.receive(chunks, largest, sha256)
        return self._note_upload(user, stored.sha256, name, stored.size)

    def upload_folder(self, user: User, folder: str | Path, largest: int = LARGEST) -> Upload:
        """Pack and store the folder of a submission."""
        stored = self.uploads.receive_folder(Path(folder), largest)
        return self._note_upload(user, stored.sha256, f"{Path(folder).absolute().name}.tar.gz", stored.size)

    def _note_upload(self, user: User, sha256: str, name: str, size: int) -> Upload:
        chosen = (uploads.c.sha256 == sha256) & (uploads.c.user_id == user.id)
        with self._write() as connection:
            values = {
                "sha256": sha256,
                "user_id": user.id,
                "name": stored_text(name, 200),
                "size": size,
                "received_at": now(),
            }
            if connection.execute(select(uploads.c.id).where(chosen)).first() is None:
                versions.insert_or_not(connection, self.database, uploads, values)
                audit.record(connection, user.name, "upload", f"upload {sha256}", {"name": name, "size": size})
            row = connection.execute(select(uploads).where(chosen)).mappings().one()
        return Upload(row["sha256"], row["name"], row["size"], row["received_at"])

    def uploads_of(self, user: User) -> list[Upload]:
        """Return the uploads of a user, the newest first."""
        query = select(uploads).where(uploads.c.user_id == user.id).order_by(uploads.c.id.desc())
        with self._read() as connection:
            found = connection.execute(query).mappings().all()
        return [Upload(row["sha256"], row["name"], row["size"], row["received_at"]) for row in found]

    # submissions

    def submit(
        self, user: User, benchmark: str, phase: str, submission: str | Path, name: str,
        parameters: Mapping[str, Any] | None = None, *, seed: int = 0, request: str | None = None, without_images: str = "",
    ) -> int:  # fmt: skip
        """Add a run to the queue within the limits of the phase; returns its number. A submission with an error is refused.

        ``submission`` is the SHA-256 of an upload of this user, or a folder. ``name`` is that of the group: one row of the board.
        ``request`` is a text of the caller's choice: a second call with the same text returns the run of the first one.
        ``without_images`` is the engine of the workers where it runs no container images: a submission with one is refused.
        """
        if not 0 <= seed < 2**31:
            raise CollidekitError(f"seed {seed}: is not between 0 and {2**31 - 1}")
        request = None if request is None else stored_text(request, 200)
        sha256 = self.upload_folder(user, submission).sha256 if isinstance(submission, Path) else submission
        with self._read() as connection:
            version = submissions.check(connection, user, benchmark, phase, sha256, request)
        values, code = self._read_submission(sha256, version, parameters or {}, without_images)
        with self._write() as connection:
            return submissions.submit(
                connection, self.database, user, benchmark, phase, sha256, name, values, code, seed, request
            )

    def _read_submission(
        self, sha256: str, version: Version, parameters: Mapping[str, Any], without_images: str
    ) -> tuple[dict[str, Any], str]:
        """Unpack a submission and read it; returns its parameters and the hash of its code."""
        place = self.folder / "checks" / uuid4().hex
        try:
            folder = self.uploads.unpack(sha256, place)
            found = load_submission(folder, version.definition, parameters)
            if without_images and (image := next((image for _, _, image in found.steps() if image), "")):
                raise CollidekitError(
                    f"image {image}: this server runs no container images (it uses {without_images}); leave the image out, or ask "
                    "the organiser for podman or docker"
                )
            return dict(found.parameters), code_hash(folder)
        except CollidekitError as error:
            raise CollidekitError(str(error).replace(f"{place}/", "").replace(str(place), "the submission")) from None
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def remaining(self, user: User, benchmark: str, phase: str) -> tuple[int, int]:
        """Return how many submissions a user has left today (UTC) and in the whole phase."""
        with self._read() as connection:
            return submissions.remaining(connection, user, benchmark, phase)

    def withdraw(self, run: int, user: User) -> Run:
        """Take a run from the leaderboard; it stays in the store."""
        with self._write() as connection:
            return submissions.withdraw(connection, run, user)

    def reruns(self, run: int) -> list[int]:
        """Return the runs that repeat a run and stand on the board or may still do so."""
        with self._read() as connection:
            return submissions.reruns(connection, run)

    def request_cancel(self, run: int, user: User) -> bool:
        """Cancel a run, or ask its worker to stop it; False where it is over already."""
        with self._write() as connection:
            return submissions.request_cancel(connection, run, user)

    def rerun(self, run: int, user: User) -> int:
        """Run a submission again with the current version of its benchmark (organisers); returns the new run."""
        with self._write() as connection:
            return submissions.rerun(connection, run, user)

    def rerun_all(self, benchmark: str, phase: str, user: User) -> list[int]:
        """Run again all runs that an earlier version ranked or that failed by a fault of others (organisers); returns the new runs."""
        with self._write() as connection:
            return submissions.rerun_all(connection, benchmark, phase, user)

    def groups(self, benchmark: str | None = None, user: User | None = None) -> list[Group]:
        """Return groups, those of a benchmark or of a user."""
        condition: Any = groups.c.id == groups.c.id
        if benchmark is not None:
            condition &= benchmarks.c.name == benchmark
        if user is not None:
            condition &= groups.c.id.in_(select(members.c.group_id).where(members.c.user_id == user.id))
        with self._read() as connection:
            return rows.groups_where(connection, condition)

    def group(self, group: int) -> Group:
        """Return a group by its id."""
        with self._read() as connection:
            found = rows.groups_where(connection, groups.c.id == group)
        if not found:
            raise CollidekitError(f"group {group}: there is no such group")
        return found[0]

    def add_member(self, group: int, user: User, added: User) -> None:
        """Let another user submit to a group."""
        with self._write() as connection:
            submissions.add_member(connection, self.database, group, user, added)

    # runs

    def run(self, run: int) -> Run:
        """Return a run by its number."""
        with self._read() as connection:
            return rows.run_by_id(connection, run)

    def runs(
        self, benchmark: str | None = None, phase: str | None = None, user: User | None = None, group: int | None = None,
        state: State | None = None, before: int | None = None, limit: int = 100, fault: Fault | None = None, oldest: bool = False,
    ) -> list[Run]:  # fmt: skip
        """Return runs, the newest or the oldest first; ``before`` is the last number of the page before.

        Runs of a user's groups are its own.
        """
        with self._read() as connection:
            number = None if user is None else user.id
            return board.listed_runs(connection, benchmark, phase, number, group, state, before, limit, fault, oldest)

    def attempts(self, run: int) -> list[Attempt]:
        """Return the attempts of a run."""
        with self._read() as connection:
            return rows.attempts_of(connection, run)

    def may_see(self, run: Run, user: User | None) -> bool:
        """Return whether a user may see the log of a run and change it: members of its group and organisers may."""
        if user is None:
            return False
        with self._read() as connection:
            return submissions.may_see(connection, run, user)

    def queue_place(self, run: int) -> QueuePlace:
        """Return where a run stands in the queue, when it may start, and why it waits."""
        with self._read() as connection:
            return board.queue_place(connection, run)

    def queue_position(self, run: int) -> int:
        """Return the position in the queue; 1 is the next, 0 does not wait."""
        return self.queue_place(run).position

    def run_folder(self, run: Run) -> Path:
        """Return the folder of the last attempt of a run; it exists once a worker has begun."""
        return self.folder / (run.folder or queue.folder_of(run.id, 0))

    def logs(self, run: Run) -> list[LogFile]:
        """Return the logs of the last attempt of a run, the oldest first; they grow while it runs."""
        return log_files(self.run_folder(run))

    def read_log(self, run: Run, name: str, offset: int = 0, largest: int = PIECE) -> tuple[str, int]:
        """Return a piece of a log and where the next one begins."""
        return read_log(self.run_folder(run), name, offset, largest)

    # work

    def claim(self, worker: str, lease_seconds: float = LEASE_SECONDS, without: Collection[int] = ()) -> Run | None:
        """Give the oldest waiting run to a worker; None where no run waits. Leases that are over end first.

        ``without`` are the ids of users whose runs are not given.
        """
        with self._read() as connection:
            if not queue.work_waits(connection):
                return None
        with self._write() as connection:
            queue.expire(connection, self.database)
            return queue.claim(connection, self.database, worker, lease_seconds, without)

    def heartbeat(self, run: Run, worker: str, lease_seconds: float = LEASE_SECONDS) -> bool:
        """Extend the lease of a claimed run; False where it is lost and the worker has to stop."""
        with self._write() as connection:
            return queue.heartbeat(connection, run, worker, lease_seconds)

    def cancel_requested(self, run: Run) -> bool:
        """Return whether somebody asked to stop a run."""
        with self._read() as connection:
            return queue.cancel_requested(connection, run)

    def finish(self, run: Run, worker: str, result: RunResult) -> bool:
        """Write how a claimed run ended; False where it is lost, and nothing is written."""
        values, details = columns_of(result)
        if run.scorer_version and result.scorer_version:  # a worker of another version has another scorer
            values["scorer_version"] = result.scorer_version
        with self._write() as connection:
            return queue.finish(connection, run, worker, values, details, result.details)

    def give_back(self, run: Run, worker: str, reason: str) -> bool:
        """Put a claimed run back into the queue; False where it is lost."""
        with self._write() as connection:
            return queue.give_back(connection, run, worker, stored_text(reason))

    def expire(self) -> list[int]:
        """End the leases that are over; returns the numbers of their runs. Each claim does so, too."""
        with self._write() as connection:
            return queue.expire(connection, self.database)

    def worker_seen(self, name: str, host: str = "", job: str = "", message: str = "") -> None:
        """Note that a worker runs; ``message`` says why it takes no runs, if so."""
        with self._write() as connection:
            workers.worker_seen(connection, name, host, job, message)

    def worker_stopped(self, name: str) -> None:
        """Note that a worker ended."""
        with self._write() as connection:
            workers.worker_stopped(connection, name)

    def workers(self) -> list[WorkerRow]:
        """Return the workers that were seen last."""
        with self._read() as connection:
            return workers.all_workers(connection)

    # board

    def board_rows(self, benchmark: str, phase: str, number: int | None = None) -> list[BoardRow]:
        """Return the best run of each group with its scores and replicates, for ``scoring.ranking.rank``."""
        with self._read() as connection:
            version = versions.version_of(connection, benchmark, number)
            return board.board_rows(connection, version, phase)

    def scores(self, run: int) -> Scores | None:
        """Return all scores of a run, with those of its samples and trainings; None where it has none."""
        with self._read() as connection:
            return board.run_scores(connection, run)

    def board_state(self, benchmark: str, phase: str, number: int | None = None) -> str:
        """Return a text that changes whenever the leaderboard does: the key of a cache."""
        with self._read() as connection:
            version = versions.version_of(connection, benchmark, number)
            return board.board_state(connection, version, phase)

    def audit(self, subject: str = "", after: int = 0, limit: int = 1000, before: int | None = None) -> list[Event]:
        """Return the events, those of one subject such as ``run 17`` or ``user 3``, or all after an id.

        With ``before`` those below this id come, the newest first.
        """
        with self._read() as connection:
            return audit.read_events(connection, subject, after, limit, before)
