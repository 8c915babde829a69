"""Options that podman and docker share."""

import csv
import io
import math
import resource
from pathlib import Path

from collidekit.benchmark.sandbox.job import Job, JobLimits, Mount
from collidekit.benchmark.sandbox.rlimits import OPEN_FILES, within
from collidekit.benchmark.sandbox.tmpfs import tmp_size

LABEL = "collidekit.owner"


def shared_options(
    job: Job, mounts: tuple[Mount, ...], user: str, environment: dict[str, str], owner: str
) -> list[str]:
    """Return the options of ``run`` or ``create`` that limit a container; the image and the command follow them."""
    limits, tmp = job.limits, tmp_size(job.limits)
    found = [
        "--network", "none", "--hostname", "sandbox", "--ipc", "private", "--cgroupns", "private",
        "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", user,
        "--memory", str(limits.memory), "--memory-swap", str(limits.memory), "--cpus", f"{limits.cpus:g}",
        "--pids-limit", str(limits.processes), "--shm-size", str(tmp), "--tmpfs", f"/tmp:{tmpfs_options(tmp)}",
        "--log-driver", "none", "--pull", "never", "--entrypoint", "", "--no-healthcheck",
        "--label", f"{LABEL}={owner}", "--workdir", job.directory,
    ]  # fmt: skip
    for name, most in _ulimits(limits, tmp).items():
        found += ["--ulimit", f"{name}={most}:{most}"]
    for mount in mounts:
        found += ["--mount", bind(mount.source, mount.target, "readonly")]
    for name, value in environment.items():
        found += ["--env", f"{name}={value}"]
    return found


def tmpfs_options(size: int) -> str:
    """Return the options of a folder in memory that every user can write."""
    return f"rw,nosuid,nodev,size={size},mode=1777"


def bind(source: Path, target: str, *options: str) -> str:
    """Return the value of ``--mount`` for a file or folder; it is read as a line of CSV."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(["type=bind", f"src={source.absolute()}", f"dst={target}", *options])
    return line.getvalue()


def plain_environment(job: Job, path: str) -> dict[str, str]:
    """Return all variables that a command in a container gets, besides those of its image."""
    found = {"HOME": "/tmp", "TMPDIR": "/tmp", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
    if path:
        found["PATH"] = path
    return {**found, **job.environment}


def _ulimits(limits: JobLimits, tmp: int) -> dict[str, int]:
    cpu = math.ceil(limits.walltime * max(1.0, limits.cpus)) + 1
    return {
        "core": 0,
        "nofile": within(resource.RLIMIT_NOFILE, OPEN_FILES),
        "fsize": within(resource.RLIMIT_FSIZE, max(limits.output, tmp)),
        "cpu": within(resource.RLIMIT_CPU, cpu),
        "nproc": within(resource.RLIMIT_NPROC, 1 << 15),  # processes are counted by --pids-limit
    }
