"""A command to run in a sandbox, its limits, and how it ended."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from attrs import field, frozen


@frozen
class Mount:
    """A file or folder of this machine that the command can read, and its path inside."""

    source: Path
    target: str


@frozen
class JobLimits:
    """Limits of a command, in bytes and seconds."""

    memory: int
    cpus: float
    processes: int
    walltime: float
    output: int
    log: int


@frozen
class Job:
    """A command for a sandbox.

    ``output`` is a folder of this machine, the only one that the command can write besides a small /tmp; it is /output inside.
    """

    command: tuple[str, ...]
    """Words of the command; a text for the shell is ``("sh", "-c", text)``."""
    output: Path
    log: Path
    """Standard output and error; cut at the limit, with a last line that says so."""
    limits: JobLimits
    mounts: tuple[Mount, ...] = ()
    image: str = ""
    """Container image; without one, an engine uses its default image and bubblewrap the system of this machine."""
    environment: Mapping[str, str] = field(factory=dict)
    directory: str = "/submission"


@frozen
class Outcome:
    """Outcome of a command."""

    ok: bool
    """True where the exit code is 0 and no limit was exceeded."""
    reason: str
    """One sentence for the participant; empty where it is ok."""
    exit_code: int | None
    wall_seconds: float
    cpu_seconds: float | None
    peak_memory: int | None
    """Bytes; None where the sandbox cannot tell."""
    canceled: bool = False
    service_fault: bool = False
    """True where the sandbox itself failed, not the command."""
    image_digest: str = ""
    details: Mapping[str, Any] = field(factory=dict)


@frozen
class Probe:
    """Result of the probe of a sandbox: the tested layers, and a remedy for the first one that fails."""

    works: bool
    engine: str
    layer: str = ""
    """The layer that fails, such as ``user namespaces`` or ``memory limit``."""
    message: str = ""
    remedy: str = ""
    enforced: tuple[str, ...] = ()
    """The limits that were tested and hold."""
    not_enforced: tuple[str, ...] = ()
    """Guarantees that this engine cannot give on this machine."""


class Sandbox(Protocol):
    """An engine that runs commands of participants."""

    name: str

    def probe(self) -> Probe:
        """Run small hostile commands in the sandbox and tell which layers hold."""

    def run(self, job: Job, canceled: Callable[[], bool] = lambda: False) -> Outcome:
        """Run a command to its end, a limit, or until ``canceled`` (asked once a second) is true."""
