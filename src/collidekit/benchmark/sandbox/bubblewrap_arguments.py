"""Arguments of bubblewrap for a job."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from collidekit.benchmark.sandbox.job import Job, Mount
from collidekit.benchmark.sandbox.system import System

USER = 1000
"""User id inside, where the runner is not root."""
DROP = ("/usr/bin/setpriv", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all")


def arguments(
    job: Job,
    mounts: Sequence[Mount],
    system: System,
    *,
    user: int | None,
    tmp: int,
    ready: str,
    files: Mapping[str, int],
) -> list[str]:
    """Return the arguments of bubblewrap, without the command.

    ``user``: the id that the command gets where the runner is root, else None. ``ready``: an empty folder that is there when all is
    set up. ``files``: open files by name: passwd, info, block and, where there is one, seccomp.
    """
    own = ["--unshare-user", "--uid", str(USER), "--gid", str(USER)] if user is None else []
    dropped = [] if user is None else ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP"]
    found = [
        *own, "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--hostname", "sandbox",
        "--die-with-parent", "--new-session", "--clearenv", *dropped,
        "--proc", "/proc", "--dev", "/dev", *_tmpfs("/dev/shm", tmp, "1777"), "--remount-ro", "/dev", *_tmpfs("/tmp", tmp, "1777"),
    ]  # fmt: skip
    for folder in _above([*system.mounts, *mounts]):
        found += ["--perms", "0755", "--dir", folder]
    for mount in system.mounts:
        found += ["--ro-bind", str(mount.source), mount.target]
    for link, place in system.links:
        found += ["--symlink", place, link]
    for folder in system.hidden:
        found += [*_tmpfs(folder, 4096, "0555"), "--remount-ro", folder]
    for mount in mounts:
        found += ["--ro-bind", str(mount.source), mount.target]
    found += [
        "--perms",
        "0444",
        "--ro-bind-data",
        str(files["passwd"]),
        "/etc/passwd",
        *_tmpfs("/output", job.limits.output, "1777"),
    ]
    found += ["--perms", "0555", "--dir", ready, "--remount-ro", "/", "--chdir", job.directory]
    for name, value in environment(job, system).items():
        found += ["--setenv", name, value]
    if "seccomp" in files:
        found += ["--seccomp", str(files["seccomp"])]
    elif user is None:
        found += ["--disable-userns"]
    return [*found, "--info-fd", str(files["info"]), "--block-fd", str(files["block"])]


def command(job: Job, user: int | None) -> list[str]:
    """Return the command, which first becomes a user without rights where the runner is root."""
    if user is None:
        return list(job.command)
    return [*DROP, f"--reuid={user}", f"--regid={user}", "--", *job.command]


def environment(job: Job, system: System) -> dict[str, str]:
    """Return all variables that the command sees."""
    found = {"PATH": system.path, "HOME": "/tmp", "TMPDIR": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
    if system.python_path:
        found["PYTHONPATH"] = system.python_path
    return {**found, **job.environment}


def passwd(user: int | None) -> bytes:
    """Return an /etc/passwd with one user."""
    number = USER if user is None else user
    return f"sandbox:x:{number}:{number}::/tmp:/bin/sh\n".encode()


def _above(mounts: Sequence[Mount]) -> list[str]:
    """Return the folders above the places of mounts; bubblewrap would make some of them for their owner alone."""
    places = [PurePosixPath(mount.target) for mount in mounts]
    return sorted({str(folder) for place in places for folder in place.parents} - {"/", "/tmp"} | {"/etc", "/run"})


def _tmpfs(path: str, size: int, mode: str) -> list[str]:
    return ["--perms", mode, "--size", str(size), "--tmpfs", path]
