"""Arguments of podman for a job."""

import os
from pathlib import Path

from collidekit.benchmark.sandbox.containers import plain_environment, shared_options, tmpfs_options
from collidekit.benchmark.sandbox.images import Image
from collidekit.benchmark.sandbox.job import Job, Mount
from collidekit.benchmark.sandbox.system import System
from collidekit.benchmark.sandbox.tmpfs import tmp_size


def create_options(
    job: Job,
    mounts: tuple[Mount, ...],
    image: Image,
    system: System | None,
    *,
    user: int | None,
    owner: str,
    seccomp: Path | None,
    parent: str,
) -> list[str]:
    """Return the options of ``podman create``, without image and command.

    ``system``: what is mounted of this machine, where the image is empty. ``user``: the id of the command where podman runs as root.
    ``parent``: the control group above that of the container.
    """
    tmp = tmp_size(job.limits)
    environment = plain_environment(job, system.path if system else image.path)
    if system and system.python_path:
        environment.setdefault("PYTHONPATH", system.python_path)
    found = shared_options(job, (*(system.mounts if system else ()), *mounts), _user(user), environment, owner)
    found += [
        "--read-only-tmpfs=false", "--image-volume", "ignore", "--no-hosts", "--http-proxy=false", "--env-host=false",
        "--systemd=false", "--init=false", "--sdnotify", "ignore", "--restart", "no", "--uts", "private", "--pid", "private",
        "--cgroups", "no-conmon", "--security-opt", "mask=/sys", "--timeout", str(int(job.limits.walltime) + 30),
        "--tmpfs", f"/output:{tmpfs_options(job.limits.output)},noexec,notmpcopyup",
    ]  # fmt: skip
    for folder in system.hidden if system else ():
        found += ["--tmpfs", f"{folder}:ro,size=4096,mode=0555,notmpcopyup"]
    if user is None:
        found += ["--userns", "keep-id"]
    if seccomp is not None:
        found += ["--security-opt", f"seccomp={seccomp}"]
    if parent:
        found += ["--cgroup-parent", parent]
    return [*found, "--ulimit", f"msgqueue={min(tmp, 1 << 19)}"]


def _user(user: int | None) -> str:
    return f"{os.getuid()}:{os.getgid()}" if user is None else f"{user}:{user}"
