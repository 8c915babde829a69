"""A real Slurm of two virtual nodes."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from slurm_cluster import SlurmCluster, missing


@pytest.fixture(scope="session")
def cluster() -> Iterator[SlurmCluster]:
    if why := missing():
        pytest.skip(why)
    with tempfile.TemporaryDirectory(prefix="slurm-", ignore_cleanup_errors=True) as folder:
        found = SlurmCluster(Path(folder))
        try:
            try:
                found.start()
            except (RuntimeError, AssertionError) as error:
                pytest.skip(f"Slurm does not start on this machine: {str(error)[-600:]}")
            yield found
        finally:
            found.stop()


@pytest.fixture
def slurm(cluster: SlurmCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SlurmCluster:
    """The cluster, for commands of this process, in a folder of the test."""
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    source = Path(__file__).parents[2] / "src"
    monkeypatch.setenv("PYTHONPATH", f"{source}{os.pathsep}{os.environ.get('PYTHONPATH', '')}".rstrip(os.pathsep))
    monkeypatch.chdir(tmp_path)
    return cluster
