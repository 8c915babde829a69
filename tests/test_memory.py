"""Memory that is freed stays with the process, but for large pieces."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource, numpy as np
from collidekit.memory import keep_freed_memory
if {kept}:
    keep_freed_memory()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def use(size):
    for part in [np.full(size, 1, np.uint8) for _ in range(3)]:
        del part
use(20 << 20)
before = faults()
use(20 << 20)
print(faults() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_what_is_freed_is_not_asked_for_again() -> None:
    def faults(kept: bool, **environment: str) -> int:
        settings = {"NUMPY_MADVISE_HUGEPAGE": "0", **environment}
        run = [sys.executable, "-c", PROGRAM.format(kept=kept)]
        return int(subprocess.run(run, capture_output=True, text=True, check=True, env=settings).stdout)

    pages = 3 * (20 << 20) // 4096
    assert faults(True) < 0.1 * pages
    assert faults(False) > 0.9 * pages
    assert faults(True, MALLOC_TRIM_THRESHOLD_="131072") > 0.9 * pages
