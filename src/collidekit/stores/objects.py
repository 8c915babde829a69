"""A store of objects that speaks S3; an object is there when its upload is complete, and not before."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from collidekit.errors import CollidekitError
from collidekit.extras import need
from collidekit.stores.server import ABSENT, CHUNK, FULL, NO_ACCESS, Advance, Server, StoreError, is_full

WAITS = {"connect_timeout": 10, "read_timeout": 60, "retries": {"max_attempts": 2}}
"""Seconds, and a number of tries of the client."""

SLOWEST = 100_000
"""Bytes in a second: a transfer that is slower on the whole is given up."""
LONGEST = 120
"""Seconds of any other call."""

NO_KEYS = (
    "there are no keys for it; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or write ~/.aws/credentials, and AWS_ENDPOINT_URL "
    "for a server that is not Amazon's"
)


class ObjectServer(Server):
    """The objects of a bucket below a prefix. Keys and endpoint come from the usual places of AWS."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        need("s3fs", "s3")
        import fsspec

        self._files: Any = fsspec.filesystem("s3", use_listings_cache=False, config_kwargs=WAITS)
        self._base = url.removeprefix("s3://")

    def _inside(self, path: str) -> str:
        return f"{self._base}/{path}"

    def size(self, path: str) -> int | None:
        with self._asking(path), suppress(FileNotFoundError):
            found = self._files.info(self._inside(path), timeout=LONGEST)
            return int(found["size"]) if found["type"] == "file" else None
        return None

    def read(self, path: str) -> bytes | None:
        with self._asking(path), suppress(FileNotFoundError):
            return bytes(self._files.cat_file(self._inside(path), timeout=LONGEST))
        return None

    def chunks(self, path: str, start: int, stop: int) -> Iterator[bytes]:
        while start < stop:
            with self._asking(path):
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

        with self._asking(path):
            seconds = _limit(source.stat().st_size)
            self._files.put_file(str(source), self._inside(path), callback=Counted(), timeout=seconds)

    def create(self, path: str, content: bytes) -> bool:
        try:
            with self._asking(path):
                self._files.pipe_file(self._inside(path), content, mode="create", timeout=LONGEST)
        except FileExistsError:
            return False
        return True

    def replace(self, path: str, content: bytes) -> None:
        with self._asking(path):
            self._files.pipe_file(self._inside(path), content, timeout=LONGEST)

    def names(self, folder: str) -> list[str]:
        with self._asking(folder), suppress(FileNotFoundError):
            found = self._files.ls(self._inside(folder), detail=False, refresh=True, timeout=LONGEST)
            return [str(name).rstrip("/").rpartition("/")[2] for name in found]
        return []

    def remove(self, path: str) -> None:
        with self._asking(path), suppress(FileNotFoundError):
            self._files.rm(self._inside(path), recursive=True, timeout=10 * LONGEST)

    @contextmanager
    def _asking(self, path: str) -> Iterator[None]:
        """Within the block what the client raises becomes an error of the store."""
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
                path, "there is no such bucket; create it or write another one" if bucket else ABSENT, error
            )
        return self.lost(path, f"{type(error).__name__}: {error}")


def _limit(size: int) -> float:
    """Seconds that a transfer may take."""
    return LONGEST + size / SLOWEST
