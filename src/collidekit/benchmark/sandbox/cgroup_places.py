"""Places where this process may make control groups: below its own in version 1, beside its own in version 2."""

import os
from pathlib import Path

from attrs import frozen

CONTROLLERS = ("memory", "pids", "cpu", "cpuacct")
FOLDER = "COLLIDEKIT_CGROUP"
"""Environment variable with a folder of cgroup version 2 that is delegated to this process."""


@frozen
class Place:
    """Folders for a new control group, by controller; version 2 has one folder for all."""

    version: int
    folders: dict[str, Path]


def find_place(above_all: bool = False) -> Place | None:
    """Return where new control groups go, or None where none may be made.

    ``above_all``: below the root of the hierarchy, at the same path for each controller, as container engines need it.
    """
    mounts, own = _mounts(), _own()
    if "" in mounts and _controllers(mounts[""]) & {"memory", "pids"}:
        return _version_2(mounts[""], own.get("", "/"), above_all)
    folders = {}
    for name in CONTROLLERS:
        if name in mounts and name in own:
            folder = mounts[name] if above_all else mounts[name] / own[name].strip("/")
            if folder.is_dir() and os.access(folder, os.W_OK):
                folders[name] = folder
    return Place(1, folders) if folders else None


def all_mounts() -> list[Path]:
    """Return the mounts of all hierarchies, also of those without a limit that matters here."""
    return sorted({path for _, _, path in _lines()})


def _version_2(mount: Path, own: str, above_all: bool) -> Place | None:
    """A group with processes of its own cannot hand controllers down, so new groups stand beside that of this process."""
    named = os.environ.get(FOLDER, "")
    beside = mount / own.strip("/")
    beside = beside.parent if beside != mount else mount
    for folder in [Path(named)] if named else [mount if above_all else beside]:
        if not (folder.is_dir() and os.access(folder, os.W_OK)):
            continue
        handed_down = _words(folder / "cgroup.subtree_control")
        if "memory" in handed_down:
            return Place(2, dict.fromkeys([name for name in CONTROLLERS if name in handed_down], folder))
    return None


def _controllers(folder: Path) -> set[str]:
    return _words(folder / "cgroup.controllers")


def _words(path: Path) -> set[str]:
    try:
        return set(path.read_text(encoding="utf-8").split())
    except OSError:
        return set()


def _mounts() -> dict[str, Path]:
    """Return the mount of each controller of version 1, and that of version 2 under an empty name."""
    found: dict[str, Path] = {}
    for kind, options, path in _lines():
        if kind == "cgroup2":
            found.setdefault("", path)
        for name in set(options.split(",")) & set(CONTROLLERS) if kind == "cgroup" else ():
            found.setdefault(name, path)
    return found


def _lines() -> list[tuple[str, str, Path]]:
    """Return kind, options and place of each mount of control groups."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            found.append((kind, options, Path(before.split(" ")[4])))
    return found


def _own() -> dict[str, str]:
    """Return the path of this process in each hierarchy; version 2 has an empty name."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    found: dict[str, str] = {}
    for line in lines:
        _, names, path = line.split(":", 2)
        found |= dict.fromkeys(names.split(","), path)
    return found
