"""Storage of a study: a journal file, a PostgreSQL database, or an SQLite file for one worker."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from collidekit.errors import CollidekitError
from collidekit.extras import need
from collidekit.search.disk import NETWORK, WITHOUT_LOCKS, file_system

POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg")
KINDS = "a journal file such as /shared/search.journal, postgresql://user@host/database, or sqlite:///file.db for one worker"


def check_storage(storage: str, workers: int) -> None:
    """Raise an error for a storage that is not supported, or that several processes would damage."""
    scheme, mark, rest = storage.partition("://")
    if not mark:
        _check_journal(Path(storage))
    elif scheme == "sqlite":
        _check_sqlite(storage, rest, workers)
    elif scheme not in POSTGRESQL:
        raise CollidekitError(f"--storage {without_password(storage)}: is not supported; give {KINDS}")


def _check_journal(path: Path) -> None:
    kind = file_system(path)
    if WITHOUT_LOCKS.fullmatch(kind):
        raise CollidekitError(
            f"--storage {path}: is on a disk of type {kind}, where files cannot be locked for processes of other machines; give a "
            "path on a local or NFS disk, or postgresql://user@host/database"
        )
    if path.is_dir():
        raise CollidekitError(f"--storage {path}: is a folder; give a file, such as {path / 'search.journal'}")


def _check_sqlite(storage: str, rest: str, workers: int) -> None:
    path = Path(rest.removeprefix("/"))
    if not rest.startswith("/") or not path.name or path.name == ":memory:":
        raise CollidekitError(f"--storage {storage}: names no file; write sqlite:///file.db")
    kind = file_system(path)
    if NETWORK.fullmatch(kind):
        raise CollidekitError(
            f"--storage {storage}: the file is on a network disk ({kind}), where SQLite damages its files; leave --storage out for "
            "a journal file, or give postgresql://user@host/database"
        )
    if workers > 1:
        raise CollidekitError(
            f"--storage {storage}: SQLite supports one worker, and --workers is {workers}; leave --storage out for a journal file, or "
            "give postgresql://user@host/database"
        )


def without_password(storage: str) -> str:
    """Return a URL with *** instead of its password, also in its options."""
    hidden = re.sub(r"(?<=://)([^/@:]*):(.*)@", r"\1:***@", storage)
    return re.sub(r"(?i)(password|passfile|sslpassword)=[^&]*", r"\1=***", hidden)


def open_storage(storage: str) -> Any:
    """Open a storage; raise an error without any password if this fails."""
    of = need("optuna", "search").storages
    with storage_errors(storage):
        if "://" not in storage:
            path = Path(storage).expanduser()
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = of.journal.JournalFileOpenLock(str(path))
            return of.JournalStorage(of.journal.JournalFileBackend(str(path), lock_obj=lock))
        if storage.startswith("sqlite"):
            return of.RDBStorage(storage, engine_kwargs={"connect_args": {"timeout": 60}})
        need("psycopg", "search")
        url = "postgresql+psycopg://" + storage.partition("://")[2]
        return of.RDBStorage(url, engine_kwargs={"pool_pre_ping": True, "pool_size": 2})


@contextmanager
def storage_errors(storage: str) -> Iterator[None]:
    """Convert errors of a storage within the block into one line without any password."""
    try:
        yield
    except CollidekitError:
        raise
    except (JSONDecodeError, UnicodeDecodeError) as error:
        raise _damaged(storage, error) from None
    except Exception as error:
        if isinstance(error, OSError):
            raise CollidekitError(f"--storage {without_password(storage)}: {error.strerror or error}") from None
        if isinstance(error, ValueError) and "log format" in str(error):
            raise _damaged(storage, error) from None
        module = type(error).__module__.partition(".")[0]
        if module not in ("sqlalchemy", "psycopg") and type(error).__name__ != "StorageInternalError":
            raise
        said = without_secrets(" ".join(str(getattr(error, "orig", None) or error.__cause__ or error).split()), storage)
        raise CollidekitError(
            f"--storage {without_password(storage)}: the database cannot be used ({said[:300]}); check that it runs, and user, "
            "password (better in ~/.pgpass) and name"
        ) from None


def _damaged(storage: str, error: Exception) -> CollidekitError:
    return CollidekitError(
        f"--storage {storage}: is not a complete journal file ({error}); remove its last line if it is not JSON, or give another file"
    )


def without_secrets(text: str, storage: str) -> str:
    """Return a text without the password of a URL."""
    try:
        secret = urlsplit(storage).password
    except ValueError:
        secret = None
    return text.replace(secret, "***") if secret else text
