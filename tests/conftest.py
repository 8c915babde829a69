"""Fixtures for all tests: a real data folder where there is one, and numbered toy datasets."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("collidekit", deadline=None)  # a busy machine is no fault of the code
settings.load_profile("collidekit")

SHARED = Path(os.environ.get("COLLIDEKIT_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session", autouse=True)
def _own_code(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What the tests name as their own code is not remembered beyond them."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))
    os.environ.pop("COLLIDEKIT_TRUST_CODE", None)


@pytest.fixture(autouse=True)
def _own_environment() -> Iterator[None]:
    """Variables that a command sets, such as the folder of ``--output``, end with the test."""
    before = dict(os.environ)
    yield
    for name in os.environ.keys() - before.keys():
        if name.startswith("COLLIDEKIT_"):
            del os.environ[name]
    os.environ.update({name: value for name, value in before.items() if name.startswith("COLLIDEKIT_")})


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; tests that need it are skipped where it is not."""
    if not SHARED.is_dir():
        pytest.skip(f"the real data is not here: {SHARED} (set COLLIDEKIT_SHARED_DATA)")
    return SHARED
