"""Files that are never half-written: a temporary name first, renamed when complete."""

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
    """A temporary path to write to; it takes the given name if the block ends well, and is removed if not."""
    temporary = path.with_name(f".{path.stem}.{_here()}.{os.getpid()}-{uuid4().hex[:8]}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _to_disk(temporary)
        temporary.replace(path)
        with suppress(OSError):  # some systems cannot; the file itself is on the disk
            _to_disk(path.parent)
    except OSError as error:
        raise CollidekitError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        with suppress(OSError):  # a disk that cannot be written has no temporary file
            temporary.unlink(missing_ok=True)


@contextmanager
def gathering(folder: Path) -> Iterator[Path]:
    """A folder to write files to; they move into the given one together if the block ends well, and are removed if not."""
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
    """Return whether a file or folder belongs to this user; nothing of another user's is removed unasked."""
    try:
        return not hasattr(os, "getuid") or path.lstat().st_uid == os.getuid()
    except OSError:
        return False


def owner_of(path: Path) -> str:
    """Return the name of the user whose file or folder it is, or the number of one without a name."""
    try:
        return path.owner()
    except KeyError:
        return f"user {path.lstat().st_uid}"
    except (OSError, NotImplementedError):
        return "another user"


def staging_beside(folder: Path) -> Path:
    """Return the path of a hidden folder beside a folder, for this process alone.

    Staging folders that killed processes of this machine and user left there are removed.
    """
    for leftover in folder.parent.glob(f".{glob.escape(folder.name)}.{_here()}.*.part"):
        writer = leftover.name.split(".")[-2]
        process = writer.partition("-")[0]
        if process.isdigit() and not _alive(int(process)) and is_own(leftover):
            shutil.rmtree(leftover, ignore_errors=True)
    return folder.parent / f".{folder.name}.{_here()}.{os.getpid()}-{uuid4().hex[:8]}.part"


@contextmanager
def one_at_a_time(lock: Path) -> Iterator[bool]:
    """Hold a lock file; yields whether another process held it before, for which this one has waited.

    The system releases the lock when its process ends, however that happens. On disks of a network the file server must
    support locks (NFS does from version 4 on); Windows has none.
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
        if _is_still(file, lock):
            break
        file.close()  # the process before removed the file, and another one may hold the new one
    with file:
        try:
            yield waited
        finally:
            with suppress(PermissionError):  # that of another user, who was killed; it locks nothing by itself
                lock.unlink(missing_ok=True)


def _open_lock(lock: Path) -> TextIO:
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        return lock.open("a", encoding="utf-8")
    except PermissionError as error:
        at = lock if lock.exists() else next(parent for parent in lock.parents if parent.exists())
        raise CollidekitError(
            f"{lock}: cannot be written ({error.strerror}): {at} belongs to {owner_of(at)}; give a folder of yours with --output"
        ) from error
    except OSError as error:
        raise CollidekitError(f"{lock}: cannot be written ({error.strerror or error})") from error


def _is_still(file: TextIO, path: Path) -> bool:
    """Return whether an open file is the one that its path names now."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _to_disk(path: Path) -> None:
    """Wait until a file, or the names in a folder, would survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _here() -> str:
    """This machine, as a part of a file's name."""
    return "".join(letter if letter.isalnum() else "-" for letter in platform.node())[:40] or "here"


def remove_abandoned(path: Path) -> None:
    """What processes of this machine left that were killed while they wrote this file."""
    for leftover in path.parent.glob(f".{glob.escape(path.stem)}.*.part{glob.escape(path.suffix)}"):
        machine, _, writer = (
            leftover.name.removeprefix(f".{path.stem}.").removesuffix(f".part{path.suffix}").rpartition(".")
        )
        with suppress(OSError):
            old = machine == "" and time.time() - leftover.stat().st_mtime > 60  # by an earlier version, from somewhere
            process = writer.partition("-")[0]
            killed = process.isdigit() and not _alive(int(process)) and is_own(leftover)
            if killed and (machine == _here() or old):
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
    """Write a text file; what is not UTF-8, such as a part of some file's name, is escaped, in JSON so that it is read back."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path


def write_json(path: Path, content: Any) -> Path:
    """Write JSON; NaN and infinity, which JSON does not have, become null."""
    return write_text(path, json.dumps(plain(content), indent=1, allow_nan=False, ensure_ascii=False) + "\n")


def plain(value: Any) -> Any:
    """numpy numbers, arrays and mappings as plain Python; NaN and infinity as None."""
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
    """Read JSON; a broken file is one clear error, and so is a pipe, which might never end."""
    try:
        if path.exists() and not path.is_file():
            raise CollidekitError(f"{path}: is no file, but a folder, pipe or device; {remedy}")
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CollidekitError(f"{path}: there is no such file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise CollidekitError(f"{path}: not a readable JSON file ({error}); {remedy}") from None


def checksum(path: Path) -> int:
    """CRC-32 of a file's content."""
    found = 0
    with path.open("rb") as file:
        while content := file.read(1 << 20):
            found = zlib.crc32(content, found)
    return found
