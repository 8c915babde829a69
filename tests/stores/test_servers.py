"""All kinds of stores treat files in the same way."""

from pathlib import Path

import pytest

from collidekit.stores.server import CHUNK, StoreError, server_at


@pytest.fixture
def local(tmp_path: Path) -> Path:
    path = tmp_path / "local"
    path.write_bytes(bytes(range(256)) * 100)
    return path


def test_a_file_comes_back_as_it_was(store: str, local: Path) -> None:
    server, sent = server_at(store), []
    server.put(local, "a/b/file", sent.append)
    assert sum(sent) == server.size("a/b/file") == 25_600
    assert server.read("a/b/file") == local.read_bytes()
    assert b"".join(server.chunks("a/b/file", 100, 1000)) == local.read_bytes()[100:1000]
    assert server.names("a/b") == ["file"]  # no temporary file stays


def test_a_file_takes_the_place_of_another_one(store: str, local: Path) -> None:
    server = server_at(store)
    server.put(local, "file", lambda size: None)
    local.write_bytes(b"other")
    server.put(local, "file", lambda size: None)
    assert server.read("file") == b"other"


def test_an_empty_file(store: str, local: Path) -> None:
    local.write_bytes(b"")
    server_at(store).put(local, "empty", lambda size: None)
    assert server_at(store).size("empty") == 0


def test_a_file_of_many_chunks(store: str, local: Path) -> None:
    local.write_bytes(bytes(range(256)) * ((2 * CHUNK + 512) // 256))
    server_at(store).put(local, "large", lambda size: None)
    assert b"".join(server_at(store).chunks("large", 0, 2 * CHUNK + 512)) == local.read_bytes()


def test_a_file_is_created_once(store: str) -> None:
    server = server_at(store)
    assert server.create("a/marker", b"first")
    assert not server.create("a/marker", b"second")
    assert server.read("a/marker") == b"first"
    server.replace("a/marker", b"third")
    assert server.read("a/marker") == b"third"
    assert server.names("a") == ["marker"]


def test_what_is_removed_is_not_there(store: str, local: Path) -> None:
    server = server_at(store)
    for name in ("a/b/file", "a/other"):
        server.put(local, name, lambda size: None)
    server.remove("a/other")
    assert server.names("a") == ["b"]
    server.remove("a")
    server.remove("a")
    assert server.names("a") == []
    assert server.size("a/b/file") is None


def test_what_never_was_there(store: str) -> None:
    server = server_at(store)
    assert server.size("no/file") is None
    assert server.read("no/file") is None
    assert server.names("no") == []
    with pytest.raises(StoreError, match="no/file: is no longer in the store"):
        list(server.chunks("no/file", 0, 10))
