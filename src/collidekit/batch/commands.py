"""Commands of a batch system: what they say, or why they do not."""

import subprocess

from collidekit.errors import CollidekitError

SECONDS = 120


class QueueUnavailable(Exception):
    """The batch system does not answer: nothing is known of any job."""


def call(system: str, *words: str) -> str:
    """Return what a command prints. Raises QueueUnavailable where it fails, CollidekitError where it does not exist."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False)
    except FileNotFoundError:
        raise CollidekitError(
            f"{words[0]}: there is no such command; give this command where jobs can be sent to {system}"
        ) from None
    except subprocess.TimeoutExpired:
        raise QueueUnavailable(f"{words[0]} gave no answer in {SECONDS} s") from None
    if done.returncode:
        raise QueueUnavailable(" ".join(done.stderr.split()) or f"{words[0]} ended with {done.returncode}")
    return done.stdout
