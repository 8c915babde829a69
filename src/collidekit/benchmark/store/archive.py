"""Archives of strangers: unpacked without links, devices, paths that lead out, or more than is allowed."""

import bz2
import errno
import gzip
import lzma
import os
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from attrs import frozen

from collidekit.benchmark.submission import LEFT_OUT, SUBMISSION_FILE, packed_files
from collidekit.errors import CollidekitError

CHUNK = 1 << 20
LONGEST_HEADER = 1 << 20
"""Bytes of the longest header of a tar file, and of the list of files of a zip file times 8."""
DAMAGED = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, ValueError, NotImplementedError,
           RuntimeError, OverflowError, LookupError, struct.error)  # fmt: skip


@frozen
class ArchiveLimits:
    """The most that an archive may hold once it is unpacked."""

    files: int = 5000
    size: int = 1024**3
    """Bytes."""
    depth: int = 30
    path: int = 1000
    """Bytes of the longest path; a disk takes 4096 with the folders above."""


def unpack(path: Path, target: Path, limits: ArchiveLimits) -> Path:
    """Unpack a tar (also gz, bz2, xz) or zip file into a new folder; returns the folder that holds the submission file."""
    target.mkdir(parents=True)
    writer = _Writer(target, limits)
    try:
        with path.open("rb") as file:
            magic = file.read(6)
            file.seek(0)
            if magic[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
                _unpack_zip(file, writer)
            else:
                _unpack_tar(file, magic, writer)
    except DAMAGED as error:
        said = " ".join(str(error).split())[:120]
        raise CollidekitError(
            f"the archive cannot be read as tar, tar.gz or zip ({said}); pack the folder again"
        ) from None
    except OSError as error:
        if isinstance(error, gzip.BadGzipFile) or error.errno in (None, errno.EINVAL):  # EINVAL: an offset below 0
            raise CollidekitError("the archive is damaged; pack the folder again") from None
        raise
    if not writer.files:
        raise CollidekitError("the archive holds no file; pack the folder of the submission")
    return _submission_folder(target)


def _submission_folder(target: Path) -> Path:
    """Return the folder with the submission file: the unpacked one, or the only one in it."""
    inner = [path for path in target.iterdir() if path.is_dir() and (path / SUBMISSION_FILE).is_file()]
    return inner[0] if not (target / SUBMISSION_FILE).is_file() and len(inner) == 1 else target


class _Writer:
    """Writes members of an archive below a folder, within the limits."""

    def __init__(self, target: Path, limits: ArchiveLimits) -> None:
        self.target, self.limits = target, limits
        self.files = self.members = self.size = 0

    def place(self, name: str) -> Path | None:
        """Return the path of a member; None for one that is left out."""
        self.members += 1
        if self.members > self.limits.files:
            raise CollidekitError(f"the archive holds more than {self.limits.files:,} files and folders")
        parts = PurePosixPath(name).parts
        shown = ascii(name[:100])
        if not name:
            raise CollidekitError("the archive holds a file without a name")
        if name.startswith("/") or ".." in parts or "\\" in name:
            raise CollidekitError(f"the archive holds {shown}, a path that leads out of its folder")
        if not all(part.isprintable() and len(part.encode()) <= 255 for part in parts):
            raise CollidekitError(f"the archive holds {shown}, a name that cannot be used for a file")
        if len(parts) > self.limits.depth:
            raise CollidekitError(f"the archive holds {shown}, which lies more than {self.limits.depth} folders deep")
        if len(name.encode()) > self.limits.path:
            raise CollidekitError(f"the archive holds {shown}..., a path of more than {self.limits.path} bytes")
        return None if set(parts) & set(LEFT_OUT) else self.target.joinpath(*parts)

    def folder(self, path: Path) -> None:
        try:
            path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise CollidekitError(f"the archive holds {path.name!r} as a file and as a folder") from None

    def file(self, path: Path, source: IO[bytes], executable: bool) -> None:
        self.folder(path.parent)
        mode = 0o755 if executable else 0o644
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        except FileExistsError:
            raise CollidekitError(f"the archive holds {path.name!r} twice") from None
        with os.fdopen(handle, "wb") as file:
            while chunk := source.read(CHUNK):
                self.count(len(chunk))
                file.write(chunk)
        self.files += 1

    def count(self, size: int) -> None:
        self.size += size
        if self.size > self.limits.size:
            raise CollidekitError(f"the archive holds more than {self.limits.size:,} bytes once it is unpacked")


def _unpack_zip(file: IO[bytes], writer: _Writer) -> None:
    _check_zip_end(file)
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            if (path := writer.place(member.filename)) is None:
                continue
            kind = stat.S_IFMT(member.external_attr >> 16)
            if member.flag_bits & 0x1:
                raise CollidekitError(
                    f"the archive holds {member.filename[:100]!a} encrypted; pack it without a password"
                )
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _special(member.filename)
            if member.is_dir():
                writer.folder(path)
                continue
            with archive.open(member) as source:
                writer.file(path, source, bool(member.external_attr >> 16 & 0o100))


def _check_zip_end(file: IO[bytes]) -> None:
    """Raise an error for a list of files that would fill the memory; the library reads it whole."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - 65557, 0))
    end = file.read()
    at = end.rfind(b"PK\x05\x06")
    if at < 0 or len(end) < at + 22:
        raise CollidekitError("the archive is a zip file without an end; pack the folder again")
    listed = int.from_bytes(end[at + 12 : at + 16], "little")
    if b"PK\x06\x07" in end or listed > 8 * LONGEST_HEADER:
        raise CollidekitError(
            "the archive is a zip file with too many files or of the zip64 kind; pack fewer files, or use tar.gz"
        )
    file.seek(0)


def _unpack_tar(file: IO[bytes], magic: bytes, writer: _Writer) -> None:
    with tempfile.TemporaryFile(dir=writer.target.parent) as plain:
        _decompress(file, magic, plain, writer.limits)
        plain.seek(0)
        bounded = cast(IO[bytes], _Bounded(plain))
        with tarfile.open(fileobj=bounded, mode="r:", errorlevel=1) as archive:
            while (member := archive.next()) is not None:
                archive.members = []  # type: ignore[attr-defined]  # a list of all would grow
                if (path := writer.place(member.name)) is None:
                    continue
                if member.isdir():
                    writer.folder(path)
                    continue
                if not member.isreg() or member.issparse():
                    raise _special(member.name)
                source = archive.extractfile(member)
                assert source is not None
                writer.file(path, source, bool(member.mode & 0o100))


def _special(name: str) -> CollidekitError:
    return CollidekitError(f"the archive holds {name[:100]!a}, a link or device; pack files and folders only")


def _decompress(file: IO[bytes], magic: bytes, target: IO[bytes], limits: ArchiveLimits) -> None:
    openers: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}
    opener = openers.get(magic[:2])
    source = opener(file) if opener else file
    largest = limits.size + 2048 * limits.files
    written = 0
    while chunk := source.read(CHUNK):
        written += len(chunk)
        if written > largest:
            raise CollidekitError(f"the archive holds more than {limits.size:,} bytes once it is unpacked")
        target.write(chunk)


class _Bounded:
    """A file whose reads are short: a header of a gigabyte is an error."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file = file
        self.seek, self.tell = file.seek, file.tell
        self.name = ""

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > 2 * LONGEST_HEADER:
            raise CollidekitError("the archive has a header that is too long")
        return self.file.read(size)


def pack(folder: Path) -> Iterator[bytes]:
    """Yield a tar.gz of a folder in pieces: the same for the same files, whatever their times and owners."""
    with tempfile.TemporaryFile() as file:
        with (
            gzip.GzipFile("", "wb", compresslevel=6, fileobj=file, mtime=0) as compressed,
            tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as archive,
        ):
            for path in packed_files(folder):
                _add(archive, folder, path)
        file.seek(0)
        while chunk := file.read(CHUNK):
            yield chunk


def _add(archive: tarfile.TarFile, folder: Path, path: Path) -> None:
    entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
    status = path.stat()
    entry.size, entry.mode = status.st_size, 0o755 if status.st_mode & 0o100 else 0o644
    with path.open("rb") as source:
        archive.addfile(entry, source)
