"""Files of participants: by their SHA-256, read-only, written whole or not at all."""

import hashlib
import os
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from attrs import frozen

from collidekit.benchmark.store.archive import ArchiveLimits, pack, unpack
from collidekit.errors import CollidekitError

LARGEST = 200 * 1024**2
"""Bytes of an upload, by default."""
ABANDONED = 86400.0
"""Seconds after which what did not end is removed."""


@frozen
class Stored:
    """A file that is stored."""

    sha256: str
    size: int


def remove_abandoned(*folders: Path) -> None:
    """Remove what killed processes left in these folders more than a day ago."""
    for path in (path for folder in folders for path in folder.glob("*")):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > ABANDONED:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


class Uploads:
    """The folder of uploads: ``ab/<sha256>``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, sha256: str) -> Path:
        """Return the path of an upload; an error where there is none or the text is no checksum."""
        if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
            raise CollidekitError(f"upload {sha256[:70]!r}: is not a SHA-256")
        path = self.folder / sha256[:2] / sha256
        if not path.is_file():
            raise CollidekitError(f"upload {sha256[:12]}: is not in {self.folder}")
        return path

    def receive(self, chunks: Iterable[bytes], largest: int = LARGEST, expected: str = "") -> Stored:
        """Store the content that arrives in pieces.

        An error, and nothing is stored, where it is larger than allowed, does not have the expected SHA-256, or is empty.
        """
        incoming = self.folder / "incoming" / uuid4().hex
        found, size = hashlib.sha256(), 0
        try:
            incoming.parent.mkdir(parents=True, exist_ok=True)
            with incoming.open("xb") as file:
                for chunk in chunks:
                    size += len(chunk)
                    if size > largest:
                        raise CollidekitError(
                            f"the upload is larger than {largest:,} bytes; leave out what is not needed"
                        )
                    found.update(chunk)
                    file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
            sha256 = found.hexdigest()
            if not size:
                raise CollidekitError("the upload is empty")
            if expected and expected.lower() != sha256:
                raise CollidekitError(
                    f"the upload has SHA-256 {sha256} and not {expected.lower()[:64]}: it was damaged on its way; send it again"
                )
            self._keep(incoming, sha256)
        except OSError as error:
            raise CollidekitError(f"{self.folder}: the upload cannot be stored ({error.strerror or error})") from None
        finally:
            with suppress(OSError):
                incoming.unlink(missing_ok=True)
        return Stored(sha256, size)

    def receive_folder(self, folder: Path, largest: int = LARGEST) -> Stored:
        """Store a folder as an archive: the same files give the same SHA-256."""
        return self.receive(pack(folder), largest)

    def unpack(self, sha256: str, target: Path, limits: ArchiveLimits | None = None) -> Path:
        """Unpack an upload into a new folder after a check of its checksum; returns the folder of the submission."""
        path = self.path(sha256)
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != sha256:
            raise CollidekitError(f"{path}: the stored upload is damaged; the participant has to send it again")
        return unpack(path, target, limits or ArchiveLimits())

    def _keep(self, incoming: Path, sha256: str) -> None:
        target = self.folder / sha256[:2] / sha256
        target.parent.mkdir(exist_ok=True)
        incoming.chmod(0o444)
        incoming.replace(target)  # the same content, should it be there
        for folder in (target.parent, self.folder):
            handle = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
