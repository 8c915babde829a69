"""Worker of a job: it runs the command on the node, forwards signals, and writes the completion file.

It imports only the standard library, so that it starts fast and works even if the command cannot start.
"""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def main(words: list[str]) -> int:
    """Run ``worker FOLDER SECONDS COMMAND...``; the command is told to stop after SECONDS (0: never)."""
    folder, limit, command = Path(words[0]), int(words[1]), words[2:]
    if (folder / "closed.json").exists():  # another job has replaced it
        print(f"{folder}: this attempt was given up; nothing to do", flush=True)
        return 0
    told: list[str] = []
    begun = time.time()
    (folder / "completed.json").unlink(missing_ok=True)  # left by an evicted run
    _write(folder / "started.json", {"id": job_id(), "host": node(), "pid": os.getpid(), "began": begun})
    record: dict[str, Any] = {
        "id": job_id(),
        "host": node(),
        "clock_skew": round((folder / "started.json").stat().st_mtime - time.time(), 1),
    }
    out_of_memory = _kills_for_memory()
    child = subprocess.Popen(command)

    def stop(number: int, frame: object) -> None:
        told.append("walltime" if number in (signal.SIGUSR1, signal.SIGALRM) else signal.Signals(number).name)
        if child.poll() is None:
            child.terminate()

    for kind in (signal.SIGUSR1, signal.SIGTERM, signal.SIGALRM, signal.SIGUSR2):
        signal.signal(kind, stop)
    if limit:
        signal.alarm(limit)
    code = child.wait()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    record |= {
        "exit_code": code if code >= 0 else 128 - code,
        "signal": signal.Signals(-code).name if code < 0 else "",
        "told": told[0] if told else "",
        "peak_memory": round(max(used.ru_maxrss / 1024, 0.0), 1),
        "killed_for_memory": _kills_for_memory() > out_of_memory,
        "seconds": round(time.time() - begun, 1),
    }
    _write(folder / "completed.json", record)
    exit_code: int = record["exit_code"]
    return exit_code


def job_id() -> str:
    """Return the id that the batch system gave this job."""
    return os.environ.get("SLURM_JOB_ID") or os.environ.get("COLLIDEKIT_JOB_ID", "")


def node() -> str:
    """Return the name of the node in the batch system."""
    return os.environ.get("SLURMD_NODENAME") or socket.gethostname()


def _write(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}.{socket.gethostname()}.{os.getpid()}.part")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(content, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _kills_for_memory() -> int:
    """Return how many processes in the control group of this job were killed because of memory; 0 if not known."""
    try:
        groups = [line.strip().split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return 0
    places = [f"/sys/fs/cgroup{path}/memory.events" for _, kinds, path in groups if not kinds]
    places += [f"/sys/fs/cgroup/memory{path}/memory.oom_control" for _, kinds, path in groups if kinds == "memory"]
    for place in places:
        try:
            lines = Path(place).read_text().splitlines()
        except OSError:
            continue
        found = [int(line.split()[1]) for line in lines if line.startswith("oom_kill ")]
        if found:
            return found[0]
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
