"""The database of a store: SQLite or PostgreSQL, its transactions and its errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, DataError, DBAPIError, InterfaceError, OperationalError, TimeoutError

from collidekit.benchmark.store.private import make_database
from collidekit.benchmark.store.sqlite_files import ReadOnly, disk_is_full, open_file
from collidekit.errors import CollidekitError
from collidekit.extras import need
from collidekit.files import one_at_a_time
from collidekit.search.disk import NETWORK, file_system
from collidekit.search.storage import POSTGRESQL, without_password, without_secrets

BUSY_SECONDS = 30.0
"""Time that a transaction of SQLite waits for another one."""
KINDS = "a file such as board.db, sqlite:///board.db, or postgresql://user@host/database"


class StoreUnavailable(CollidekitError):
    """The database does not answer at the moment; the same call may work later."""


class Database:
    """A database by its URL; one of SQLite is made where it is not there, unless ``new`` is false."""

    def __init__(self, url: str, new: bool = True) -> None:
        self.url, self.path = _parsed(url)
        if self.path is not None and new:
            make_database(self.path)
        elif self.path is not None and not self.path.is_file():
            raise CollidekitError(f"--store {url}: there is no such file; collidekit benchmark serve makes one")
        self.shown = without_password(url)
        self.engine = _postgresql_engine(self.url) if self.path is None else _sqlite_engine(self.path)

    @property
    def is_postgresql(self) -> bool:
        return self.path is None

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        with self.errors(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that writes; SQLite has one at a time."""
        with (
            self.errors(),
            self.engine.connect().execution_options(collidekit_writes=True) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def alone(self) -> Iterator[Connection]:
        """A transaction that writes, while no other process is in such a block."""
        if self.path is None:
            with self.writing() as connection:
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(2026113021)")
                yield connection
            return
        with one_at_a_time(self.path.with_name(f".{self.path.name}.upgrade")):
            self._use_wal()
            with self.writing() as connection:
                yield connection

    def _use_wal(self) -> None:
        with self.errors(), self.engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            (mode,) = driver.execute("PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise CollidekitError(
                f"{self.path}: SQLite cannot use a write-ahead log on this disk (its mode is {mode}); give a path on a local "
                "disk, or postgresql://user@host/database"
            )

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Make one line, without any password, of an error of the database."""
        try:
            yield
        except (OperationalError, InterfaceError, TimeoutError) as error:
            raise StoreUnavailable(self._line(error)) from None
        except (DataError, UnicodeEncodeError, OverflowError):
            raise CollidekitError(
                "a name, text or number is not one that the database can hold; give another one"
            ) from None
        except DBAPIError as error:
            if error.connection_invalidated:
                raise StoreUnavailable(self._line(error)) from None
            if type(error) is DatabaseError:  # what SQLite says of a file that is damaged or none of its own
                raise CollidekitError(f"{self.shown}: {error.orig}; give another file, or restore a backup") from None
            raise

    def _line(self, error: Exception) -> str:
        said = " ".join(str(getattr(error, "orig", None) or error).split())
        remedy = (
            "check that it runs, and user, password (better in ~/.pgpass) and name"
            if self.path is None
            else "check that the file can be written, and that its disk has space"
        )
        if self.path is not None and disk_is_full(self.path):
            remedy = "its disk is full: free some space"
        return f"{self.shown}: the database cannot be used ({without_secrets(said, self.url)[:300]}); {remedy}"

    def close(self) -> None:
        self.engine.dispose()


def sqlite_file(url: str) -> Path | None:
    """Return the file of a URL, which need not be there; None for PostgreSQL."""
    return _parsed(url)[1]


def _parsed(url: str) -> tuple[str, Path | None]:
    """Return the URL for SQLAlchemy, and the file where it is SQLite."""
    scheme, mark, rest = url.partition("://")
    if mark and scheme in POSTGRESQL:
        need("psycopg", "server")
        return f"postgresql+psycopg://{rest}", None
    if mark and scheme != "sqlite":
        raise CollidekitError(f"--store {without_password(url)}: is not supported; give {KINDS}")
    text = rest.removeprefix("/") if mark else url
    path = Path(text).expanduser()
    if (mark and not rest.startswith("/")) or not path.name or ":memory:" in text or "?" in text:
        raise CollidekitError(f"--store {url}: names no file; give {KINDS}")
    if path.is_dir():
        raise CollidekitError(f"--store {url}: is a folder; give a file, such as {path / 'board.db'}")
    if NETWORK.fullmatch(kind := file_system(path)):
        raise CollidekitError(
            f"--store {url}: the file lies on a network disk ({kind}), where SQLite damages its files; give a path on a local disk, "
            "or postgresql://user@host/database"
        )
    return f"sqlite:///{path.absolute()}", path.absolute()


def _postgresql_engine(url: str) -> Engine:
    return create_engine(url, pool_pre_ping=True, pool_size=5, max_overflow=15, connect_args={"connect_timeout": 10})


def _sqlite_engine(path: Path) -> Engine:
    from sqlalchemy import URL

    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        creator=lambda: open_file(path, BUSY_SECONDS),
        pool_size=5,
        max_overflow=15,
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, record: Any) -> None:
        connection.isolation_level = None  # transactions begin below, with the lock that they need
        for line in ("foreign_keys=ON", "synchronous=FULL", "trusted_schema=OFF"):
            connection.execute(f"PRAGMA {line}")

    @event.listens_for(engine, "checkin")
    def _forget(connection: Any, record: Any) -> None:
        if isinstance(connection, ReadOnly):
            record.invalidate()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("collidekit_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
