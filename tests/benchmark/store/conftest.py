"""Stores in SQLite and in a real PostgreSQL."""

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


@pytest.fixture
def store(url: str, open_store: Callable[[str], Store]) -> Store:
    """An empty store of each kind of database."""
    return open_store(url)


@pytest.fixture
def local(tmp_path: Path, open_store: Callable[[str], Store]) -> Store:
    """An empty store in SQLite."""
    return open_store(f"sqlite:///{tmp_path / 'board.db'}")
