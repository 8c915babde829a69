"""A store on a mounted disk, such as EOS or AFS."""

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from collidekit.errors import CollidekitError
from collidekit.stores.server import ABSENT, CHUNK, FULL, NO_ACCESS, Advance, Server, StoreError, temporary_name

FULL_DISK = (errno.ENOSPC, errno.EDQUOT)


class DiskServer(Server):
    """The files below a folder. The folder must exist, so that nothing is written if the disk is not mounted."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._base = Path(url.removeprefix("file://"))

    def size(self, path: str) -> int | None:
        with self._as_store_errors(path), suppress(FileNotFoundError):
            return (self._base / path).stat().st_size
        return None

    def read(self, path: str) -> bytes | None:
        with self._as_store_errors(path), suppress(FileNotFoundError):
            return (self._base / path).read_bytes()
        return None

    def chunks(self, path: str, start: int, stop: int) -> Iterator[bytes]:
        with self._as_store_errors(path), (self._base / path).open("rb") as file:
            file.seek(start)
            while start < stop and (content := file.read(min(CHUNK, stop - start))):
                yield content
                start += len(content)

    def put(self, source: Path, path: str, advance: Advance) -> None:
        temporary, target = self._base / temporary_name(path), self._base / path
        with self._as_store_errors(path):
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                with source.open("rb") as local, temporary.open("wb") as file:
                    while content := local.read(CHUNK):
                        file.write(content)
                        advance(len(content))
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)

    def create(self, path: str, content: bytes) -> bool:
        target = self._base / path
        with self._as_store_errors(path):
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                with target.open("xb") as file:
                    file.write(content)
            except FileExistsError:
                return False
        return True

    def replace(self, path: str, content: bytes) -> None:
        temporary = temporary_name(path)
        self.create(temporary, content)
        with self._as_store_errors(path):
            (self._base / temporary).replace(self._base / path)

    def names(self, folder: str) -> list[str]:
        with self._as_store_errors(folder), suppress(FileNotFoundError):
            return [entry.name for entry in (self._base / folder).iterdir()]
        return []

    def remove(self, path: str) -> None:
        target = self._base / path
        with self._as_store_errors(path), suppress(FileNotFoundError):
            shutil.rmtree(target) if target.is_dir() else target.unlink()

    @contextmanager
    def _as_store_errors(self, path: str) -> Iterator[None]:
        if not self._base.is_dir():
            raise StoreError(f"{self.url}: there is no such folder; create it, or mount its disk")
        try:
            yield
        except OSError as error:
            raise self._error(error, path) from error

    def _error(self, error: OSError, path: str) -> CollidekitError:
        if error.errno in FULL_DISK:
            return self.refused(path, FULL, error.strerror)
        if isinstance(error, PermissionError) or error.errno == errno.EROFS:
            return self.refused(path, NO_ACCESS, error.strerror)
        if isinstance(error, FileNotFoundError):
            return self.refused(path, ABSENT, error.strerror)
        return self.lost(path, error.strerror or error)
