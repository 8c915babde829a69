"""Commands of a batch system and their errors."""

import re
import subprocess
from pathlib import Path

from collidekit.errors import CollidekitError

SECONDS = 120
_NO_ANSWER = re.compile("timed out|unable to contact|connection refused|failed to connect|communicat", re.IGNORECASE)


class QueueUnavailable(Exception):
    """Raised if the batch system does not answer: the state of all jobs is unknown."""


def submit(system: str, path: Path, *words: str) -> str:
    """Submit ``path`` with a command and return its output.

    Raises CollidekitError if the command refuses, and QueueUnavailable if it is unknown whether the job was submitted.
    """
    try:
        return call(system, *words)
    except QueueUnavailable as error:
        if _NO_ANSWER.search(str(error)):
            raise
        raise CollidekitError(f"{path}: {words[0]} refused it ({error})") from None


def call(system: str, *words: str) -> str:
    """Return the output of a command. Raises QueueUnavailable if it fails, CollidekitError if it does not exist."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False)
    except FileNotFoundError:
        raise CollidekitError(
            f"{words[0]}: there is no such command; run this on a machine where jobs can be submitted to {system}"
        ) from None
    except subprocess.TimeoutExpired:
        raise QueueUnavailable(f"{words[0]} timed out: no answer in {SECONDS} s") from None
    if done.returncode:
        raise QueueUnavailable(" ".join(done.stderr.split()) or f"{words[0]} ended with {done.returncode}")
    return done.stdout
