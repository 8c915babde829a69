"""Fixtures for all tests: a real data folder where there is one, and numbered toy datasets."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("COLLIDEKIT_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; tests that need it are skipped where it is not."""
    if not SHARED.is_dir():
        pytest.skip(f"the real data is not here: {SHARED} (set COLLIDEKIT_SHARED_DATA)")
    return SHARED
