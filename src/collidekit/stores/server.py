"""Interface of a store, and the kinds of stores."""

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
"""Number of bytes in one transfer request."""

PROTOCOLS = ("root", "roots", "xroot", "s3", "file")

Advance = Callable[[int], None]
"""Function that gets the number of additional bytes that are done."""


class StoreError(CollidekitError):
    """A request that the store refuses permanently: another attempt does not help."""


class Server(ABC):
    """The files of a store. Paths are relative to its URL. No method waits longer than a few minutes.

    Methods raise ``StoreError`` if the store refuses a request, and ``LostServerError`` if it does not answer.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def at(self, path: str) -> str:
        """Return the URL of a path."""
        return f"{self.url}/{path}"

    @abstractmethod
    def size(self, path: str) -> int | None:
        """Return the size of a file in bytes; None if there is no such file."""

    @abstractmethod
    def read(self, path: str) -> bytes | None:
        """Return the content of a small file; None if there is no such file."""

    @abstractmethod
    def chunks(self, path: str, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes of a file from ``start`` to ``stop``; raise ``StoreError`` if there is no such file."""

    @abstractmethod
    def put(self, source: Path, path: str, advance: Advance) -> None:
        """Copy a file into the store; it gets its name there when it is complete."""

    @abstractmethod
    def create(self, path: str, content: bytes) -> bool:
        """Create a small file; return False, and change nothing, if it exists already."""

    @abstractmethod
    def replace(self, path: str, content: bytes) -> None:
        """Write a small file, which replaces an existing one."""

    @abstractmethod
    def names(self, folder: str) -> list[str]:
        """Return the names of all files and folders in a folder; an empty list if there is no such folder."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """Remove a file, or a folder with its content; do nothing if it does not exist."""

    def refused(self, path: str, why: str, said: object) -> StoreError:
        """Return the error for a refused request, with the answer of the server in brackets."""
        return StoreError(f"{self.at(path)}: {why} ({_short(said)})")

    def lost(self, path: str, said: object) -> LostServerError:
        """Return the error for a server that does not answer."""
        return LostServerError(f"{self.at(path)}: the store does not answer ({_short(said)})", _short(said))


FULL = "the store is full, or your quota is used up; free space there and run the same command again: it uploads only missing files"
NO_ACCESS = (
    "the store does not let you write or read here; check its permissions and your certificate, ticket, token or keys"
)
ABSENT = "is no longer in the store"


def is_full(said: object) -> bool:
    """Return whether a message of a store says that it is full."""
    text = str(said).lower()
    return any(word in text for word in ("no space", "quota", "storagefull", "insufficientstorage"))


def _short(said: object) -> str:
    return " ".join(str(said).split())[:200]


def temporary_name(path: str) -> str:
    """Return a hidden path in the same folder that is unique for this transfer."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}.{name}.{platform.node()}.{os.getpid()}-{uuid.uuid4().hex[:8]}.part"


def check_url(url: str, where: str) -> str:
    """Return the URL of a store without a final slash; raise CollidekitError if it is not valid."""
    protocol, _, rest = url.partition("://")
    if protocol not in PROTOCOLS:
        close = did_you_mean(protocol, PROTOCOLS)
        raise CollidekitError(
            f"{where}: {url}: is not a store{close}; write root://host//path, s3://bucket/path or file:///path"
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
