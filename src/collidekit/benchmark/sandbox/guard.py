"""Removes a container when its runner is killed: a shell that waits for the end of a pipe."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_SCRIPT = 'read -r ended || exec "$0" rm --force "$@"'


@contextmanager
def guarded(engine: str, container: str, *options: str) -> Iterator[None]:
    """Remove the container if this process is killed within the block; ``options`` are passed to ``rm``."""
    process = subprocess.Popen(
        ["/bin/sh", "-c", _SCRIPT, engine, *options, container],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    assert process.stdin is not None
    try:
        yield
    finally:
        with suppress(BrokenPipeError):
            process.stdin.write(b"ended\n")
            process.stdin.close()
        process.wait()
