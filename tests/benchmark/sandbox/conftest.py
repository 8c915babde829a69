"""Real engines, each made once in a session."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sandboxes import ENGINES, make_engine, podman_storage, starts_here

from collidekit.benchmark.sandbox.job import Sandbox


@pytest.fixture(scope="session", params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Each engine that is installed and starts here."""
    folder: Path = tmp_path_factory.mktemp("engine")
    if request.param != "podman":
        yield working(request.param, folder)
        return
    with podman_storage(folder):
        yield working(request.param, folder)


def working(name: str, folder: Path) -> Sandbox:
    """An engine that starts a command here, or a skip that says why not."""
    engine = make_engine(name)
    if reason := starts_here(engine, folder):
        pytest.skip(f"{name} does not work here: {reason}")
    return engine
