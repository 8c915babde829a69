"""Run by test_interruption.py in a process of its own: a construction that is slow enough to be stopped anywhere."""

import sys
import time
from pathlib import Path
from typing import Any

from makers import NUMBERED, make_plan

from collidekit.dataset import construct as construction
from collidekit.dataset import workers as processes

CHUNK, SHARD = 100, 330
construction.CHUNK = CHUNK
processes.WORTH = 0.0
_write = construction.write_batches


def _slowly(*args: Any, **options: Any) -> int:
    time.sleep(0.15)
    return _write(*args, **options)


if __name__ == "__main__":
    construction.write_batches = _slowly
    path, output, workers = sys.argv[1:]
    construction.construct(
        make_plan(NUMBERED), path, Path(output), chunk_size=SHARD, workers=int(workers), progress=False
    )
