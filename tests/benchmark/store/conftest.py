"""Stores in SQLite and in a real PostgreSQL."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from postgres_server import PostgresServer, missing

pytest.importorskip("sqlalchemy", reason="needs the extra 'server'")
pytest.importorskip("alembic", reason="needs the extra 'server'")

from collidekit.benchmark.store import Store


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server that lives as long as these tests."""
    if why := missing():
        pytest.skip(why)
    server = PostgresServer()
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'board.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.make_database()


@pytest.fixture
def open_store(tmp_path: Path) -> Iterator[Callable[[str], Store]]:
    """Open stores that are closed after the test."""
    opened: list[Store] = []

    def open_one(url: str) -> Store:
        opened.append(Store(url, tmp_path / "files"))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture(scope="session")
def postgres_tables(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a database with the tables, whose rows each test removes first."""
    url = postgres.make_database()
    Store(url, tmp_path_factory.mktemp("tables")).close()
    return url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the tables, to be copied."""
    path = tmp_path_factory.mktemp("template") / "board.db"
    Store(str(path)).close()
    return path


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path, open_store: Callable[[str], Store]) -> Store:
    """An empty store of each kind of database."""
    if request.param == "sqlite":
        store: Store = request.getfixturevalue("local")
        return store
    server: PostgresServer = request.getfixturevalue("postgres")
    url: str = request.getfixturevalue("postgres_tables")
    server.empty(url)
    return open_store(url)


@pytest.fixture
def local(tmp_path: Path, sqlite_template: Path, open_store: Callable[[str], Store]) -> Store:
    """An empty store in SQLite."""
    shutil.copy(sqlite_template, tmp_path / "board.db")
    return open_store(f"sqlite:///{tmp_path / 'board.db'}")
