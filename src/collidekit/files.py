"""Files that are never half-written: they are written under a temporary name and renamed when complete."""

import glob
import json
import math
import os
import platform
import shutil
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO
from uuid import uuid4

import numpy as np

from collidekit.errors import CollidekitError
from collidekit.progress import notice


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; rename it to ``path`` if the block succeeds, and remove it if not."""
    temporary = path.with_name(f".{path.stem}.{_machine()}.{os.getpid()}-{uuid4().hex[:8]}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _flush(temporary)
        temporary.replace(path)
        with suppress(OSError):  # not all systems can flush a folder; the file itself is on the disk
            _flush(path.parent)
    except OSError as error:
        raise CollidekitError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with suppress(OSError):  # a disk that cannot be written has no temporary file
            temporary.unlink(missing_ok=True)


@contextmanager
def gathering(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder; move its files into ``folder`` if the block succeeds, and remove them if not."""
    staging = staging_beside(folder.absolute())
    try:
        staging.mkdir(parents=True, exist_ok=True)
        yield staging
        folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(staging.iterdir()):
            path.replace(folder / path.name)
    except OSError as error:
        raise CollidekitError(f"{folder}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def is_own(path: Path) -> bool:
    """Return whether a file or folder belongs to this user, so that files of other users are not removed."""
    try:
        return not hasattr(os, "getuid") or path.lstat().st_uid == os.getuid()
    except OSError:
        return False


def owner_of(path: Path) -> str:
    """Return the name of the owner of a file or folder, or the user id if there is no name."""
    try:
        return path.owner()
    except KeyError:
        return f"user {path.lstat().st_uid}"
    except (OSError, NotImplementedError):
        return "another user"


def staging_beside(folder: Path) -> Path:
    """Return the path of a hidden folder beside a folder, unique for this process.

    Remove staging folders of killed processes of this machine and user.
    """
    for leftover in folder.parent.glob(f".{glob.escape(folder.name)}.{_machine()}.*.part"):
        writer = leftover.name.split(".")[-2]
        process = writer.partition("-")[0]
        if process.isdigit() and not _alive(int(process)) and is_own(leftover):
            shutil.rmtree(leftover, ignore_errors=True)
    return folder.parent / f".{folder.name}.{_machine()}.{os.getpid()}-{uuid4().hex[:8]}.part"


@contextmanager
def one_at_a_time(lock: Path) -> Iterator[bool]:
    """Hold a lock file; yield whether this process had to wait for another one.

    The system releases the lock when the process ends, also when it is killed. On network disks the file server must
    support locks (NFS does from version 4 on). On Windows there is no lock.
    """
    try:
        import fcntl
    except ImportError:  # pragma: no cover - Windows
        yield False
        return
    waited = False
    while True:
        file = _open_lock(lock)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = True
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            notice(f"{lock.parent}: locks do not work on this disk ({error.strerror}); start one process at a time")
        if _is_same_file(file, lock):
            break
        file.close()  # the previous process removed the file, and another process may hold a new file
    with file:
        try:
            yield waited
        finally:
            with suppress(PermissionError):  # the file of another user's killed process; the file alone is no lock
                lock.unlink(missing_ok=True)


def _open_lock(lock: Path) -> TextIO:
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        return lock.open("a", encoding="utf-8")
    except PermissionError as error:
        at = lock if lock.exists() else next(parent for parent in lock.parents if parent.exists())
        raise CollidekitError(
            f"{lock}: cannot be written ({error.strerror}): {at} belongs to {owner_of(at)}; use your own folder with --output"
        ) from error
    except OSError as error:
        raise CollidekitError(f"{lock}: cannot be written ({error.strerror or error})") from error


def _is_same_file(file: TextIO, path: Path) -> bool:
    """Return whether an open file is still the file at this path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _flush(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk, so that they survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _machine() -> str:
    """Return the name of this machine as a part of a file name."""
    return "".join(letter if letter.isalnum() else "-" for letter in platform.node())[:40] or "here"


def remove_abandoned(path: Path) -> None:
    """Remove the temporary files of killed processes of this machine that were writing this file."""
    for leftover in path.parent.glob(f".{glob.escape(path.stem)}.*.part{glob.escape(path.suffix)}"):
        machine, _, writer = (
            leftover.name.removeprefix(f".{path.stem}.").removesuffix(f".part{path.suffix}").rpartition(".")
        )
        with suppress(OSError):
            old = machine == "" and time.time() - leftover.stat().st_mtime > 60  # by an earlier version, on any machine
            process = writer.partition("-")[0]
            killed = process.isdigit() and not _alive(int(process)) and is_own(leftover)
            if killed and (machine == _machine() or old):
                leftover.unlink()


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def write_text(path: Path, text: str) -> Path:
    """Write a text file; characters that are not UTF-8, such as in some file names, are escaped."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path


def write_json(path: Path, content: Any) -> Path:
    """Write JSON; NaN and infinity, which JSON cannot hold, become null."""
    return write_text(path, json.dumps(plain(content), indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def plain(value: Any) -> Any:
    """Return numpy numbers, arrays and mappings as plain Python objects, with None for NaN and infinity."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def read_json(path: Path, remedy: str = "remove it and run again") -> Any:
    """Read JSON; raise CollidekitError with ``remedy`` if the file is damaged or not a regular file."""
    try:
        if path.exists() and not path.is_file():
            raise CollidekitError(f"{path}: is not a file, but a folder, pipe or device; {remedy}")
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CollidekitError(f"{path}: there is no such file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise CollidekitError(f"{path}: not a readable JSON file ({error}); {remedy}") from None


def checksum(path: Path) -> int:
    """Return the CRC-32 checksum of a file."""
    found = 0
    with path.open("rb") as file:
        while content := file.read(1 << 20):
            found = zlib.crc32(content, found)
    return found
