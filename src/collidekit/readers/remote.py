"""Remote files, read with the reader of their format, from the server or from a local copy."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from typing import Self, TypeVar

import awkward as ak

from collidekit.errors import CollidekitError
from collidekit.progress import notice
from collidekit.readers import cache, server
from collidekit.readers.base import BadFileError, LostServerError, Reader
from collidekit.readers.cache import CachedFile, cached_files
from collidekit.readers.exported import metadata_of
from collidekit.readers.server import Status, trying

__all__ = ["CachedFile", "RemoteReader", "cached_files", "known_status"]

SILENCE = 600.0
"""Seconds before a server that did not answer is contacted again for files with local copies."""

T = TypeVar("T")

_silent: dict[str, float] = {}
"""Time at which each such server may be contacted again."""


class RemoteReader:
    """A file on a server. If the server is lost, the file is opened again and the same rows are read again.

    If COLLIDEKIT_CACHE is set, the first read copies the file to this folder.
    """

    def __init__(self, url: str, open_: Callable[[str], Reader]) -> None:
        self.path = url
        self._open = open_
        self._reader: Reader | None = None
        self._status = known_status(url)
        self._source = str(cache.find(url, self._status) or url)
        self._lost = False
        self.columns, self.unreadable, self.tree, self.truth, self.metadata = self._try(
            url, lambda reader: (reader.columns, reader.unreadable, reader.tree, reader.truth, metadata_of(reader))
        )

    @cached_property
    def rows(self) -> int:
        return self._try(self.path, lambda reader: reader.rows)

    def detour(self, start: int) -> int:
        return self._try(self.path, lambda reader: reader.detour(start))

    def read(self, columns: Sequence[str], start: int, stop: int) -> ak.Array:
        """Return rows ``start`` to ``stop`` as records of exactly these columns, in this order."""
        if self._source == self.path and (copy := cache.fetch(self.path, self._status)):
            self.close()
            self._source = str(copy)
        return self._try(f"{self.path}: rows {start} to {stop}", lambda reader: reader.read(columns, start, stop))

    def _try(self, what: str, action: Callable[[Reader], T]) -> T:
        def once() -> T:
            try:
                self._reader = self._reader or self._opened()
                return action(self._reader)
            except LostServerError:
                self._lost = True
                self.close()
                raise
            except BadFileError:
                self._check_unchanged()
                raise

        try:
            return trying(what, once)
        except CollidekitError as error:
            if self._source != self.path:
                error.args = (str(error).replace(self._source, f"{self.path} (its copy {self._source})"),)
            raise

    def _opened(self) -> Reader:
        if self._lost:
            self._check_unchanged()
        return self._open(self._source)

    def _check_unchanged(self) -> None:
        if self._source == self.path and server.status(self.path) != self._status:
            raise BadFileError(f"{self.path}: has changed while it was read; run the same command again")

    def close(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            with suppress(OSError):
                reader.close()
        if self._source == self.path:
            server.forget(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def known_status(url: str) -> Status:
    """Return size and modification time of a remote file; from its local copy if the server does not answer."""
    copied = cache.newest(url)
    if copied is None:
        return trying(url, lambda: server.status(url))
    host = url.partition("://")[2].partition("/")[0]
    if time.monotonic() < _silent.get(host, 0):
        return copied
    try:
        return server.status(url)
    except LostServerError as error:
        notice(f"{host}: does not answer ({error.said}); using local copies of its files without a check for changes")
        _silent[host] = time.monotonic() + SILENCE
        return copied
