"""A store on an XRootD server: files are written under a temporary name and renamed."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from collidekit.errors import CollidekitError
from collidekit.extras import need
from collidekit.readers.xrootd import limit_waits
from collidekit.stores.server import ABSENT, CHUNK, FULL, NO_ACCESS, Advance, Server, is_full, temporary_name

NOT_THERE, THERE, NO_FOLDER = 3011, 3018, 3015
FINAL = {3009: FULL, 3021: FULL, 3010: NO_ACCESS, 3025: NO_ACCESS, 3030: NO_ACCESS}
"""Error codes of XRootD that another attempt does not change, with their messages."""


class XRootDServer(Server):
    """The files below a path of an XRootD server, such as EOS or dCache."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._client = need("XRootD.client", "remote")
        self._flags = need("XRootD.client.flags", "remote")
        limit_waits()
        protocol, _, rest = url.partition("://")
        host, _, self._base = rest.partition("/")
        self._host = f"{protocol}://{host}"
        self._files = self._client.FileSystem(self._host)

    def _inside(self, path: str) -> str:
        return f"{self._base}/{path}"

    def size(self, path: str) -> int | None:
        status, found = self._files.stat(self._inside(path))
        return int(found.size) if self._there(status, path) else None

    def read(self, path: str) -> bytes | None:
        size = self.size(path)
        return None if size is None else b"".join(self.chunks(path, 0, size))

    def chunks(self, path: str, start: int, stop: int) -> Iterator[bytes]:
        file = self._open(path, self._flags.OpenFlags.READ)
        try:
            while start < stop:
                status, content = file.read(start, min(CHUNK, stop - start))
                self._check(status, path)
                if not content:
                    return
                yield content
                start += len(content)
        finally:
            file.close()

    def put(self, source: Path, path: str, advance: Advance) -> None:
        temporary = temporary_name(path)
        try:
            self._write(source, temporary, advance)
            self._rename(temporary, path)
        except BaseException:
            with suppress(Exception):
                self._files.rm(self._inside(temporary))
            raise

    def _write(self, source: Path, path: str, advance: Advance) -> None:
        """Write a file. If a full disk has not taken some bytes, write them again, so that the server returns the reason."""
        file = self._open(path, self._flags.OpenFlags.NEW | self._flags.OpenFlags.MAKEPATH)
        size = source.stat().st_size
        try:
            with source.open("rb") as local:
                for _ in range(2):
                    status, found = file.stat(True)
                    self._check(status, path)
                    self._write_from(int(found.size), local, file, path, advance)
        finally:
            closed, _ = file.close()
        self._check(closed, path)
        if (arrived := self.size(path)) != size:
            raise self.lost(path, f"{arrived} bytes of {size} arrived")

    def _write_from(self, start: int, local: BinaryIO, file: Any, path: str, advance: Advance) -> None:
        local.seek(start)
        while content := local.read(CHUNK):
            self._check(file.write(content, start)[0], path)
            start += len(content)
            advance(len(content))

    def _rename(self, temporary: str, path: str) -> None:
        """Rename a file; some servers refuse this if the target exists, so remove the target first."""
        status, _ = self._files.mv(self._inside(temporary), self._inside(path))
        if status.errno == THERE:
            self._check(self._files.rm(self._inside(path))[0], path)
            status, _ = self._files.mv(self._inside(temporary), self._inside(path))
        self._check(status, path)

    def create(self, path: str, content: bytes) -> bool:
        file = self._client.File()
        flags = self._flags.OpenFlags.NEW | self._flags.OpenFlags.MAKEPATH
        status, _ = file.open(self._host + "/" + self._inside(path), flags)
        if status.errno == THERE:
            return False
        self._check(status, path)
        status, _ = file.write(content)
        closed, _ = file.close()
        for done in (status, closed):
            if not done.ok:
                self._files.rm(self._inside(path))
            self._check(done, path)
        return True

    def replace(self, path: str, content: bytes) -> None:
        temporary = temporary_name(path)
        self.create(temporary, content)
        self._rename(temporary, path)

    def names(self, folder: str) -> list[str]:
        status, found = self._files.dirlist(self._inside(folder))
        return [entry.name for entry in found] if self._there(status, folder) else []

    def remove(self, path: str) -> None:
        status, found = self._files.stat(self._inside(path))
        if not self._there(status, path):
            return
        if found.flags & self._flags.StatInfoFlags.IS_DIR:
            for name in self.names(path):
                self.remove(f"{path}/{name}")
            self._there(self._files.rmdir(self._inside(path))[0], path)
        else:
            self._there(self._files.rm(self._inside(path))[0], path)

    def _open(self, path: str, flags: Any) -> Any:
        file = self._client.File()
        self._check(file.open(self._host + "/" + self._inside(path), flags)[0], path)
        return file

    def _there(self, status: Any, path: str) -> bool:
        """Return whether the status says that the file or folder exists."""
        if status.errno == NOT_THERE:
            return False
        self._check(status, path)
        return True

    def _check(self, status: Any, path: str) -> None:
        if not status.ok:
            raise self._error(status, path)

    def _error(self, status: Any, path: str) -> CollidekitError:
        said = str(status.message).strip()
        if status.errno == NOT_THERE:
            return self.refused(path, ABSENT, said)
        if is_full(said):
            return self.refused(path, FULL, said)
        if "Auth failed" in said:
            return self.refused(path, NO_ACCESS, said)
        if status.errno in FINAL:
            return self.refused(path, FINAL[status.errno], said)
        return self.lost(path, said)
