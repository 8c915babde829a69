"""Real Slurms of two virtual nodes: a plain one, and one with accounting and control groups."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from slurm_cluster import MEMORY_GROUPS, SlurmCluster, missing


def running(**settings: object) -> Iterator[SlurmCluster]:
    """A cluster that runs until the tests are over."""
    if why := missing(accounting=bool(settings.get("accounting"))):
        pytest.skip(why)
    with tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True) as folder:
        found = SlurmCluster(Path(folder), **settings)  # type: ignore[arg-type]
        try:
            try:
                found.start()
            except (RuntimeError, AssertionError, OSError) as error:
                pytest.skip(f"Slurm does not start on this machine: {str(error)[-600:]}")
            yield found
        finally:
            found.stop()


@pytest.fixture(scope="session")
def cluster() -> Iterator[SlurmCluster]:
    """Neither accounting nor control groups."""
    yield from running()


@pytest.fixture(scope="session")
def accounting_cluster() -> Iterator[SlurmCluster]:
    """Accounting by slurmdbd, and memory limited by control groups where this machine lets tests make some."""
    names = (f"n1p{os.getpid()}", f"n2p{os.getpid()}")
    yield from running(accounting=True, control_groups=os.access(MEMORY_GROUPS, os.W_OK), nodes=names)


def _use(cluster: SlurmCluster, patch: pytest.MonkeyPatch, folder: Path) -> SlurmCluster:
    for name, value in cluster.environment.items():
        patch.setenv(name, value)
    source = Path(__file__).parents[2] / "src"
    patch.setenv("PYTHONPATH", f"{source}{os.pathsep}{os.environ.get('PYTHONPATH', '')}".rstrip(os.pathsep))
    patch.chdir(folder)
    return cluster


@pytest.fixture
def slurm(cluster: SlurmCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SlurmCluster:
    """The cluster, for commands of this process, in a folder of the test."""
    return _use(cluster, monkeypatch, tmp_path)


@pytest.fixture
def accounting(accounting_cluster: SlurmCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SlurmCluster:
    """The cluster with accounting, for commands of this process, in a folder of the test."""
    return _use(accounting_cluster, monkeypatch, tmp_path)
