"""A service for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

for _package in ("fastapi", "sqlalchemy", "httpx", "python_multipart"):
    pytest.importorskip(_package)

from served import Served, make_served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    found = make_served(tmp_path)
    yield found
    found.store.close()
