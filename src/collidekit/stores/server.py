"""What a store must be able to do, and which kinds of stores there are."""

import os
import platform
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from collidekit.errors import CollidekitError, did_you_mean
from collidekit.readers.base import LostServerError

CHUNK = 16 << 20
"""Bytes that are sent or asked for at a time."""

PROTOCOLS = ("root", "roots", "xroot", "s3", "file")

Advance = Callable[[int], None]
"""Gets the number of bytes that are done more."""


class StoreError(CollidekitError):
    """What a store refuses for good: another try cannot help."""


class Server(ABC):
    """The files of a store. Paths are relative to its URL; no method waits for more than a few minutes.

    What the store refuses is a ``StoreError``; one that does not answer is a ``LostServerError``.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def at(self, path: str) -> str:
        """Return the URL of a path."""
        return f"{self.url}/{path}"

    @abstractmethod
    def size(self, path: str) -> int | None:
        """Return the size of a file in bytes; None where there is none."""

    @abstractmethod
    def read(self, path: str) -> bytes | None:
        """Return the content of a small file; None where there is none."""

    @abstractmethod
    def chunks(self, path: str, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes of a file from ``start`` to ``stop``; a ``StoreError`` where there is no such file."""

    @abstractmethod
    def put(self, source: Path, path: str, advance: Advance) -> None:
        """Copy a file into the store; it has its name there only when it is complete."""

    @abstractmethod
    def create(self, path: str, content: bytes) -> bool:
        """Write a small file; return False, and change nothing, where there is one already."""

    @abstractmethod
    def replace(self, path: str, content: bytes) -> None:
        """Write a small file in the place of the one that is there."""

    @abstractmethod
    def names(self, folder: str) -> list[str]:
        """Return the names of all that is in a folder; none where there is no such folder."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """Remove a file or a folder with all that is in it; nothing happens where there is none."""

    def refused(self, path: str, why: str, said: object) -> StoreError:
        return StoreError(f"{self.at(path)}: {why} ({_short(said)})")

    def lost(self, path: str, said: object) -> LostServerError:
        return LostServerError(f"{self.at(path)}: the store does not answer ({_short(said)})", _short(said))


FULL = "the store is full, or your quota is used up; free space there, then run the same command again: it only sends what is missing"
NO_ACCESS = "the store does not let you write or read here; look at its permissions and at your certificate, ticket, token or keys"
ABSENT = "is not in the store any more"


def is_full(said: object) -> bool:
    """Return whether a message of a store is about space."""
    text = str(said).lower()
    return any(word in text for word in ("no space", "quota", "storagefull", "insufficientstorage"))


def _short(said: object) -> str:
    return " ".join(str(said).split())[:200]


def temporary_name(path: str) -> str:
    """Return a hidden name beside a path, for this transfer alone."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}.{name}.{platform.node()}.{os.getpid()}-{uuid.uuid4().hex[:8]}.part"


def check_url(url: str, where: str) -> str:
    """Return the URL of a store without a slash at its end; an error in one line where it cannot be one."""
    protocol, _, rest = url.partition("://")
    if protocol not in PROTOCOLS:
        close = did_you_mean(protocol, PROTOCOLS)
        raise CollidekitError(
            f"{where}: {url}: is no store{close}; write root://host//path, s3://bucket/path or file:///path"
        )
    host, slash, path = rest.partition("/")
    if protocol in ("root", "roots", "xroot") and not (host and path.startswith("/")):
        raise CollidekitError(f"{where}: {url}: write a host and an absolute path, as in root://host//path")
    if protocol == "s3" and not host:
        raise CollidekitError(f"{where}: {url}: names no bucket; write s3://bucket/path")
    if protocol == "file" and (host or not slash):
        raise CollidekitError(f"{where}: {url}: write an absolute path, as in file:///path")
    return f"{protocol}://{host}{slash}{path.rstrip('/')}".rstrip("/") if protocol == "s3" else url.rstrip("/")


@cache
def server_at(url: str) -> Server:
    """Return the server of a store."""
    if url.startswith("s3://"):
        from collidekit.stores.objects import ObjectServer

        return ObjectServer(url)
    if url.startswith("file://"):
        from collidekit.stores.disk import DiskServer

        return DiskServer(url)
    from collidekit.stores.xrootd import XRootDServer

    return XRootDServer(url)
