"""A store in S3 object storage; an object appears when its upload is complete."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from collidekit.errors import CollidekitError
from collidekit.extras import need
from collidekit.stores.server import ABSENT, CHUNK, FULL, NO_ACCESS, Advance, Server, StoreError, is_full

WAITS = {"connect_timeout": 10, "read_timeout": 60, "retries": {"max_attempts": 2}}
"""Time limits in seconds, and the number of attempts of the client."""

SLOWEST = 100_000
"""Lowest accepted mean rate of a transfer in bytes per second."""
LONGEST = 120
"""Time limit of any other call in seconds."""

NO_KEYS = (
    "there are no keys for it; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write ~/.aws/credentials; set AWS_ENDPOINT_URL "
    "for a server other than Amazon's"
)


class ObjectServer(Server):
    """The objects of a bucket below a prefix. Keys and endpoint are read from the standard AWS variables and files."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        need("s3fs", "s3")
        import fsspec

        self._files: Any = fsspec.filesystem("s3", use_listings_cache=False, config_kwargs=WAITS)
        self._base = url.removeprefix("s3://")

    def _inside(self, path: str) -> str:
        return f"{self._base}/{path}"

    def size(self, path: str) -> int | None:
        with self._as_store_errors(path), suppress(FileNotFoundError):
            found = self._files.info(self._inside(path), timeout=LONGEST)
            return int(found["size"]) if found["type"] == "file" else None
        return None

    def read(self, path: str) -> bytes | None:
        with self._as_store_errors(path), suppress(FileNotFoundError):
            return bytes(self._files.cat_file(self._inside(path), timeout=LONGEST))
        return None

    def chunks(self, path: str, start: int, stop: int) -> Iterator[bytes]:
        while start < stop:
            with self._as_store_errors(path):
                end = min(start + CHUNK, stop)
                seconds = _limit(end - start)
                content = bytes(self._files.cat_file(self._inside(path), start=start, end=end, timeout=seconds))
            if not content:
                return
            yield content
            start += len(content)

    def put(self, source: Path, path: str, advance: Advance) -> None:
        import fsspec

        class Counted(fsspec.callbacks.Callback):  # type: ignore[misc]
            def relative_update(self, inc: int = 1) -> None:
                advance(inc)

        with self._as_store_errors(path):
            seconds = _limit(source.stat().st_size)
            self._files.put_file(str(source), self._inside(path), callback=Counted(), timeout=seconds)

    def create(self, path: str, content: bytes) -> bool:
        try:
            with self._as_store_errors(path):
                self._files.pipe_file(self._inside(path), content, mode="create", timeout=LONGEST)
        except FileExistsError:
            return False
        return True

    def replace(self, path: str, content: bytes) -> None:
        with self._as_store_errors(path):
            self._files.pipe_file(self._inside(path), content, timeout=LONGEST)

    def names(self, folder: str) -> list[str]:
        with self._as_store_errors(folder), suppress(FileNotFoundError):
            found = self._files.ls(self._inside(folder), detail=False, refresh=True, timeout=LONGEST)
            return [str(name).rstrip("/").rpartition("/")[2] for name in found]
        return []

    def remove(self, path: str) -> None:
        with self._as_store_errors(path), suppress(FileNotFoundError):
            self._files.rm(self._inside(path), recursive=True, timeout=10 * LONGEST)

    @contextmanager
    def _as_store_errors(self, path: str) -> Iterator[None]:
        """Convert exceptions of the client in this block into store errors."""
        try:
            yield
        except (CollidekitError, FileExistsError):
            raise
        except Exception as error:
            raise self._error(error, path) from error

    def _error(self, error: Exception, path: str) -> CollidekitError:
        if is_full(error) or is_full(error.__cause__):
            return self.refused(path, FULL, error)
        if type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError"):
            return StoreError(f"{self.url}: {NO_KEYS} ({error})")
        if isinstance(error, PermissionError):
            return self.refused(path, NO_ACCESS, error)
        if isinstance(error, FileNotFoundError):
            bucket = "bucket" in str(error)
            return self.refused(
                path, "there is no such bucket; create it, or correct the URL" if bucket else ABSENT, error
            )
        return self.lost(path, f"{type(error).__name__}: {error}")


def _limit(size: int) -> float:
    """Return the time limit of a transfer of ``size`` bytes, in seconds."""
    return LONGEST + size / SLOWEST
