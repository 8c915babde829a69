"""Law target of a file of an output, in the results folder or in a store."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import law

from collidekit.stores.output import StoredOutput


class OutputTarget(law.LocalFileTarget):  # type: ignore[misc]
    """File of an output. With a store, it exists if the store has the complete output, and is downloaded for reading.

    The remote targets of law are not used: they need gfal2, which pip cannot install, and they move single files, but
    an output is a folder that is only complete as a whole.
    """

    name = ""
    stored: StoredOutput | None = None

    @classmethod
    def of(cls, path: Path, name: str, stored: StoredOutput | None) -> Self:
        target = cls(str(path))
        target.name, target.stored = name, stored
        return target

    def exists(self, **options: Any) -> bool:
        return self.stored.holds(self.name) if self.stored else bool(super().exists(**options))

    def _fetch(self) -> None:
        if self.stored:
            self.stored.fetch()

    def open(self, mode: str = "r", **options: Any) -> Any:
        self._fetch()
        return super().open(mode, **options)

    def load(self, *args: Any, **options: Any) -> Any:
        self._fetch()
        return super().load(*args, **options)

    def copy_to(self, *args: Any, **options: Any) -> Any:
        self._fetch()
        return super().copy_to(*args, **options)

    @contextmanager
    def localize(self, *args: Any, **options: Any) -> Iterator[law.LocalFileTarget]:
        self._fetch()
        with super().localize(*args, **options) as local:
            yield local
