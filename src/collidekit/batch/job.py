"""Jobs of a batch system: one command that makes one output, and its attempts on disk."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collidekit.batch.site import Resources
from collidekit.files import read_json, write_json


@dataclass(frozen=True)
class Job:
    """One command; ``needs`` are the names of the jobs that must be complete before."""

    name: str
    kind: str
    command: tuple[str, ...]
    output: Path
    needs: tuple[str, ...] = ()
    done: Callable[[], bool] | None = None
    """Function that returns whether the job is done; without it, the existence of run.json decides, which is written last."""

    @property
    def complete(self) -> bool:
        """Return whether the job is done."""
        return self.done() if self.done else (self.output / "run.json").is_file()

    def fingerprint(self) -> str:
        """Return a text that changes when the job writes to its output."""
        try:
            stats = {path.name: path.stat() for path in self.output.iterdir() if not path.name.startswith(".")}
        except OSError:
            return ""
        return " ".join(f"{name}:{stat.st_size}:{stat.st_mtime_ns}" for name, stat in sorted(stats.items()))


@dataclass(frozen=True)
class Attempt:
    """One submission of a job; all its data are files in its folder."""

    folder: Path

    @property
    def script(self) -> Path:
        return self.folder / "job.sh"

    @property
    def log(self) -> Path:
        return self.folder / "job.log"

    def read(self, name: str) -> dict[str, Any]:
        """Return ``submitted``, ``started``, ``completed`` or ``closed``; empty if it is not written yet."""
        path = self.folder / f"{name}.json"
        found: dict[str, Any] = read_json(path) if path.is_file() else {}
        return found

    def write(self, name: str, content: dict[str, Any]) -> None:
        write_json(self.folder / f"{name}.json", content)

    @property
    def job_id(self) -> str:
        return str(self.read("submitted").get("id") or self.read("started").get("id") or "")

    @property
    def resources(self) -> Resources:
        return Resources.model_validate(self.read("asked")["resources"])

    def last_line(self) -> str:
        """Return the last line of the log that is not empty."""
        lines = [line for path in (self.log, self.folder / "job.err") for line in tail(path)]
        own = [line for line in lines if not line.startswith(("slurmstepd", "srun:"))]
        return (own or lines or [""])[-1]

    def log_tail(self) -> str:
        return "\n".join(line for path in (self.log, self.folder / "job.err") for line in tail(path))


def tail(path: Path, size: int = 8192) -> list[str]:
    """Return the last lines of a file that are not empty."""
    try:
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - size, 0))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    return [line.strip() for line in text.replace("\r", "\n").splitlines() if line.strip()]


def attempts_of(folder: Path) -> list[Attempt]:
    """Return the attempts of a job, the first one first."""
    numbers = sorted(int(path.name.removeprefix("attempt_")) for path in folder.glob("attempt_*") if path.is_dir())
    return [Attempt(folder / f"attempt_{number}") for number in numbers]


Say = Callable[[str], None]
