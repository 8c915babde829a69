"""A store of each kind: a folder, a real XRootD server, a real server that speaks S3."""

import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import s3_server
import xrootd_server

from collidekit.stores.server import server_at

NUMBERS = itertools.count()


@pytest.fixture(scope="session")
def xrootd() -> Iterator[xrootd_server.Server]:
    if lacks := xrootd_server.missing():
        pytest.skip(f"needs {lacks}")
    with tempfile.TemporaryDirectory(prefix="collidekit-xrootd-") as folder:
        server = xrootd_server.Server(Path(folder), writable=True)
        server.start()
        yield server
        server.kill()


@pytest.fixture(scope="session")
def moto() -> Iterator[s3_server.S3Server]:
    if lacks := s3_server.missing():
        pytest.skip(f"needs {lacks}")
    server = s3_server.S3Server()
    server.start()
    yield server
    server.kill()


@pytest.fixture
def s3(moto: s3_server.S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty store on the server."""
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{s3_server.BUCKET}/store{next(NUMBERS)}"


@pytest.fixture
def root(xrootd: xrootd_server.Server) -> str:
    """The URL of an empty store on the server."""
    return xrootd.url(f"store{next(NUMBERS)}")


@pytest.fixture
def disk(tmp_path: Path) -> str:
    """The URL of an empty store in a folder."""
    (tmp_path / "store").mkdir()
    return f"file://{tmp_path}/store"


@pytest.fixture(params=["disk", "root", "s3"])
def store(request: pytest.FixtureRequest) -> str:
    """The URL of an empty store of each kind."""
    url: str = request.getfixturevalue(request.param)
    server_at.cache_clear()
    return url
