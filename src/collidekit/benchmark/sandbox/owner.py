"""Mark of the process that started a sandbox, by which the leftovers of a killed process are found and ended."""

import os
from pathlib import Path

from collidekit.lease import began_at

PREFIX = "collidekit"


def owner_tag() -> str:
    """Return a name of this process that no other one has, also in another container or after a restart."""
    return _tag(os.getpid())


def owner_is_gone(tag: str) -> bool:
    """Return True where the process of a tag ran on this system and has ended; False where that is not known."""
    parts = tag.split("-")
    if len(parts) != 4 or not parts[2].isdigit() or parts[1] != _process_table():
        return False
    return parts[0] != _boot() or _tag(int(parts[2])) != tag


def _tag(process: int) -> str:
    return f"{_boot()}-{_process_table()}-{process}-{began_at(process) or 'gone'}"


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip().replace("-", "")[:12]
    except OSError:
        return "unknown"


def _process_table() -> str:
    """Return the number of the pid namespace: a process id means something only there."""
    try:
        return os.readlink("/proc/self/ns/pid").strip("pid:[]")
    except OSError:
        return "unknown"
