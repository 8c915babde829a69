"""Settings of a server."""

import os
import secrets
import tempfile
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from attrs import field, frozen

from collidekit.benchmark.store.private import make_folder
from collidekit.errors import CollidekitError

KEY_FILE = "server.key"


@frozen
class Rate:
    """Requests that may come at once, and how many are added each second."""

    burst: int
    per_second: float


@frozen
class ServerSettings:
    """Settings of a server; sizes in bytes, times in seconds."""

    folder: Path
    """Folder of the service: database, key, uploads and runs."""
    url: str = "http://127.0.0.1:8000"
    """The address that people use; with https, cookies are sent over https only."""
    title: str = "Benchmarks of collidekit"
    """Name of this service, at the foot of each page."""
    public: bool = True
    """False asks for a token before anything is shown."""
    without_images: str = ""
    """The engine of the server's own workers, where it runs no container images of participants."""
    upload: int = 200_000_000
    """Largest archive of a submission."""
    free: int = 2_000_000_000
    """Free space of the disk that uploads leave."""
    body: int = 1_000_000
    """Largest request that is no upload."""
    body_seconds: float = 30
    """Longest pause within the body of a request."""
    body_rate: float = 1_000
    """Bytes each second that a body must bring on average, after the first ``body_seconds``."""
    uploads: Rate = Rate(20, 0.2)
    """For each user."""
    by_token: Rate = Rate(200, 20)
    by_address: Rate = Rate(400, 40)
    logins: Rate = Rate(10, 0.1)
    """Failed tokens of each address."""
    session: int = 12 * 3600
    """Lifetime of a login on the pages."""
    key: bytes = field(repr=False, factory=lambda: secrets.token_bytes(32))
    """Signs sessions and forms."""

    @property
    def secure(self) -> bool:
        """Return whether people reach the server by https."""
        return urlsplit(self.url).scheme == "https"

    @property
    def accepted_hosts(self) -> frozenset[str]:
        """Return the host names, without port, that a request may name."""
        own = urlsplit(self.url).hostname or ""
        local = {"127.0.0.1", "localhost", "::1"} if _is_local(own) else set()
        return frozenset({own.lower(), *local})


def read_key(folder: Path) -> bytes:
    """Return the key of a service folder; the first call makes it, readable for its owner alone."""
    path = folder / KEY_FILE
    try:
        make_folder(folder)
        if not path.exists():
            _write_key(path)
        key = path.read_bytes()
    except OSError as error:
        raise CollidekitError(f"{path}: cannot be written or read ({error.strerror or error})") from None
    if len(key) != 32:
        raise CollidekitError(f"{path}: has {len(key)} bytes and not 32; remove it, then people log in again")
    return key


def _write_key(path: Path) -> None:
    """Write a new key, whole or not at all; the first of several processes wins."""
    handle, temporary = tempfile.mkstemp(prefix=f".{KEY_FILE}-", dir=path.parent)  # with rights 0600
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(32))
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        os.unlink(temporary)


def check_url(url: str) -> str:
    """Return a public address without the slash at its end; an error where it is none."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise CollidekitError(f"--url {url}: is no address of a server; write it like https://benchmark.example.org")
    if parts.path.strip("/"):
        raise CollidekitError(f"--url {url}: the server needs a host name of its own, without {parts.path} behind it")
    return f"{parts.scheme}://{parts.netloc}"


def _is_local(host: str) -> bool:
    try:
        return ip_address(host).is_loopback or ip_address(host).is_unspecified
    except ValueError:
        return host == "localhost"
