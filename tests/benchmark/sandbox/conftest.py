"""Real engines, each made once in a session."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from sandboxes import ENGINES, make_engine, podman_storage, starts_here

from collidekit.benchmark.sandbox.job import Sandbox


@pytest.fixture(scope="session")
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Sandbox]]:
    """Engines by name, made at their first use; a skip where one is not installed or starts nothing here."""
    made: dict[str, Sandbox | str] = {}

    def make(name: str) -> Sandbox | str:
        folder = tmp_path_factory.mktemp("engine")
        if name == "podman":
            stack.enter_context(podman_storage(folder))
        engine = make_engine(name)
        reason = starts_here(engine, folder)
        return f"{name} does not work here: {reason}" if reason else engine

    def get(name: str) -> Sandbox:
        if name not in made:
            made[name] = make(name)
        found = made[name]
        if isinstance(found, str):
            pytest.skip(found)
        return found

    with ExitStack() as stack:
        yield get


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, engines: Callable[[str], Sandbox]) -> Sandbox:
    """Each engine that is installed and starts here."""
    return engines(request.param)
