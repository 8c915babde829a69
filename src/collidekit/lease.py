"""A lease beside an output, which names its writer and makes two writers impossible, also on disks without working locks.

The holder renews a counter in the file. A waiting process watches the counter with its own clock, so the clocks of
nodes may differ. A holder that finds the lease held by another process exits at once, before it writes again.
"""

import getpass
import json
import os
import platform
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from collidekit.errors import CollidekitError
from collidekit.files import one_at_a_time
from collidekit.progress import notice

RENEWED = 20.0
"""Seconds between two renewals."""
DEAD = 90.0
"""Seconds without a renewal after which the holder is considered dead."""
LOST_LEASE = 75
"""Exit code of a process that has lost its lease."""


def user_name() -> str:
    """Return the name of the user, or the user id if there is no name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"


def machine_name() -> str:
    """Return a name of the running system and its process table, in which a process id is unique."""
    parts = [platform.node()]
    for path in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        with suppress(OSError):
            parts.append(os.readlink(path) if path.endswith("pid") else Path(path).read_text().strip())
    return " ".join(parts)


def began_at(process: int) -> str:
    """Return the start time of a process in clock ticks; it distinguishes processes that have had the same id."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


_held: set[Path] = set()
"""Lock files that this process holds."""


@contextmanager
def alone(lock: Path) -> Iterator[bool]:
    """Hold a lock file and the lease beside it; yield whether this process had to wait for another one.

    Inside the block, the same process may take them again, which has no effect.
    """
    if lock in _held:
        yield False
        return
    with one_at_a_time(lock) as waited, leased(lock.with_suffix(".lease")) as waited_too:
        _held.add(lock)
        try:
            yield waited or waited_too
        finally:
            _held.remove(lock)


@contextmanager
def leased(path: Path, dead: float = DEAD, renewed: float = RENEWED) -> Iterator[bool]:
    """Hold the lease at a path; yield whether this process had to wait for another one."""
    own = {
        "id": uuid4().hex, "host": socket.gethostname(), "machine": machine_name(), "pid": os.getpid(), "born": began_at(os.getpid()),
        "user": user_name(), "job": os.environ.get("SLURM_JOB_ID") or os.environ.get("COLLIDEKIT_JOB_ID", ""), "beat": 0,
    }  # fmt: skip
    waited = _take(path, own, dead)
    ended = threading.Event()
    thread = threading.Thread(target=_renew, args=(path, own, ended, renewed), daemon=True)
    thread.start()
    try:
        yield waited
    finally:
        ended.set()
        thread.join()
        if _read(path).get("id") == own["id"]:
            path.unlink(missing_ok=True)


def _take(path: Path, own: dict[str, Any], dead: float) -> bool:
    """Create the lease: wait for a living holder, and replace a dead one. Return whether there was a wait."""
    waited, seen, since = False, "", time.monotonic()
    while True:
        temporary = _written(path, own)
        try:
            os.link(temporary, path)  # fails where it exists, also on network disks
            return waited
        except FileExistsError:
            pass
        except OSError:  # a disk without hard links
            with suppress(FileExistsError), path.open("x") as file:
                json.dump(own, file)
                return waited
        finally:
            temporary.unlink(missing_ok=True)
        holder = _read(path)
        sign = f"{holder.get('id')} {holder.get('beat')}"
        if sign != seen:
            seen, since = sign, time.monotonic()
        if _has_ended(holder) or time.monotonic() - since > dead:
            aside = path.with_name(f"{path.name}.{own['id']}")
            with suppress(OSError):
                try:
                    path.rename(aside)  # one of several waiting processes succeeds
                except PermissionError:  # a folder in which users can remove only their own files, such as /tmp
                    raise CollidekitError(
                        f"{path}: was left by a process of {_describe(holder)} that has ended, and you may not remove it; ask that user to "
                        "remove it, or use your own folder with --output"
                    ) from None
                if f"{_read(aside).get('id')} {_read(aside).get('beat')}" != seen:
                    os.link(aside, path)  # another holder had taken it already: put it back
                aside.unlink()
            continue
        if not waited:
            notice(f"{path.parent}: {path.name} is held by {_describe(holder)}; waiting for it")
        waited = True
        time.sleep(min(1.0, dead / 10))


def _describe(holder: dict[str, Any]) -> str:
    job = f" in job {holder['job']}" if holder.get("job") else ""
    return f"{holder.get('user', 'an unknown user')} on {holder.get('host', 'an unknown host')}{job}"


def _has_ended(holder: dict[str, Any]) -> bool:
    """Return whether the holder ran on this system and has ended."""
    if not holder or holder.get("machine") != machine_name():
        return False
    return began_at(int(holder["pid"])) != holder.get("born")


def _renew(path: Path, own: dict[str, Any], ended: threading.Event, renewed: float) -> None:
    while not ended.wait(renewed):
        holder = _read(path)
        if holder and holder.get("id") != own["id"]:
            print(
                f"error: {path}: the lease is now held by {_describe(holder)}; this process exits",
                file=sys.stderr,
                flush=True,
            )
            _END(LOST_LEASE)
        own["beat"] += 1
        with suppress(OSError, CollidekitError):
            _written(path, own).replace(path)


_END: Callable[[int], None] = os._exit


def _written(path: Path, own: dict[str, Any]) -> Path:
    temporary = path.with_name(f"{path.name}.{own['host']}.{own['id']}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(own), encoding="utf-8")
    except OSError as error:
        raise CollidekitError(
            f"{temporary}: cannot be written ({error.strerror or error}); if the results belong to another user, give your own folder "
            "with --output"
        ) from None
    return temporary


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
