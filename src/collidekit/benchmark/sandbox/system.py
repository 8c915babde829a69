"""The system of this machine as a sandbox sees it: programs and this Python, read-only, without anything of a user."""

import os
import sys
from pathlib import Path

from attrs import frozen

import collidekit
from collidekit.benchmark.sandbox.job import Mount

_TOP = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_SETTINGS = (
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/etc/localtime",
    "/etc/mime.types",
)


@frozen
class System:
    """Folders that a sandbox reads at the same place as this machine."""

    mounts: tuple[Mount, ...]
    links: tuple[tuple[str, str], ...]
    """Links at the top, such as ``/bin``, and where they lead."""
    hidden: tuple[str, ...]
    """Folders within the mounts that are shown empty."""
    path: str
    """Value of PATH."""
    python_path: str
    """Value of PYTHONPATH; empty where collidekit is installed in the Python itself."""


def shown_by(path: Path) -> Path | None:
    """Return the folder of this system that a submission reads and that holds a path; None where none does."""
    place = path.resolve()
    return next((mount.source for mount in this_system().mounts if place.is_relative_to(mount.source.resolve())), None)


def this_system(private: tuple[Path, ...] = ()) -> System:
    """Return what a sandbox sees of this machine; ``private`` are files or folders that it must not see."""
    top = [Path(name) for name in _TOP if os.path.lexists(name)]
    links = tuple((str(path), os.readlink(path)) for path in top if path.is_symlink())
    folders = [
        Path("/usr"),
        *(path for path in top if not path.is_symlink()),
        *(Path(name) for name in _SETTINGS if Path(name).exists()),
    ]
    source = Path(collidekit.__file__).resolve().parents[1]
    for folder in (Path(sys.prefix), Path(sys.base_prefix), Path(os.path.realpath(sys.executable)).parents[1], source):
        if not any(folder.is_relative_to(known) for known in folders):
            folders.append(folder)
    installed = any(source.is_relative_to(folder) for folder in (Path(sys.prefix), Path(sys.base_prefix)))
    samples = Path(collidekit.__file__).parent / "samples"  # the data that ships with a wheel, with its truth
    inside = [path for path in map(Path.absolute, private) if any(path.is_relative_to(folder) for folder in folders)]
    hidden = [path for path in (samples, *inside) if path.is_dir()]
    empty = [Mount(Path("/dev/null"), str(path)) for path in inside if path.is_file()]
    return System(
        mounts=(*(Mount(folder, str(folder)) for folder in folders), *empty),
        links=links,
        hidden=tuple(str(path) for path in hidden),
        path=f"{sys.prefix}/bin:/usr/local/bin:/usr/bin:/bin",
        python_path="" if installed else str(source),
    )
