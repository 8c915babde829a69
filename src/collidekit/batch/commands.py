"""Commands of a batch system: what they say, or why they do not."""

import re
import subprocess
from pathlib import Path

from collidekit.errors import CollidekitError

SECONDS = 120
_NO_ANSWER = re.compile("timed out|unable to contact|connection refused|failed to connect|communicat", re.IGNORECASE)


class QueueUnavailable(Exception):
    """The batch system does not answer: nothing is known of any job."""


def submit(system: str, path: Path, *words: str) -> str:
    """Return what a command says that sends ``path``.

    Raises CollidekitError where it refuses, and QueueUnavailable where nobody knows whether the job was sent.
    """
    try:
        return call(system, *words)
    except QueueUnavailable as error:
        if _NO_ANSWER.search(str(error)):
            raise
        raise CollidekitError(f"{path}: {words[0]} refused it ({error})") from None


def call(system: str, *words: str) -> str:
    """Return what a command prints. Raises QueueUnavailable where it fails, CollidekitError where it does not exist."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False)
    except FileNotFoundError:
        raise CollidekitError(
            f"{words[0]}: there is no such command; give this command where jobs can be sent to {system}"
        ) from None
    except subprocess.TimeoutExpired:
        raise QueueUnavailable(f"{words[0]} timed out: no answer in {SECONDS} s") from None
    if done.returncode:
        raise QueueUnavailable(" ".join(done.stderr.split()) or f"{words[0]} ended with {done.returncode}")
    return done.stdout
