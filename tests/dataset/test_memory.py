"""Memory does not grow with the file."""

import json
import subprocess
import sys
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
from makers import write_parquet


def measured(folder: Path, rows: int) -> dict[str, float]:
    """Peaks in MiB for a file with one row group, 50 constituents in a row on average."""
    generator = np.random.default_rng(0)
    counts = generator.integers(0, 100, rows)
    x = ak.unflatten(generator.exponential(1, counts.sum()).astype(np.float32) + np.float32(1e-3), counts)
    file = write_parquet(folder / f"{rows}.parquet", {"label": np.arange(rows) % 2, "x": x}, group=rows)
    script = Path(__file__).with_name("memory_use.py")
    done = subprocess.run(
        [sys.executable, str(script), str(file), str(folder / f"out{rows}")], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


@pytest.mark.slow
def test_a_file_ten_times_larger(tmp_path: Path) -> None:
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("the peak of memory is measured with Linux's /proc/self/clear_refs")
    small, large = measured(tmp_path, 15_000), measured(tmp_path, 150_000)
    assert (small["rows"], large["rows"]) == (15_000, 150_000)
    for stage in ("construct", "loader"):
        assert large[stage] < 1.3 * small[stage], (stage, small, large)
    # also without what the imports take it is bounded, and not in proportion to the file
    assert large["construct"] - large["start"] < 2 * (small["construct"] - small["start"]), (small, large)
