"""Workers of a benchmark as jobs of a real Slurm."""

import sys
import threading
from pathlib import Path

import board_workers
import pytest
from slurm_cluster import SlurmCluster

pytest.importorskip("alembic", reason="needs the extra 'server'")

from boards import participant, registered, submitted

from collidekit.batch.site import Site, load_site
from collidekit.benchmark.states import State
from collidekit.benchmark.store import Store
from collidekit.benchmark.worker_jobs import WorkerJobs, worker_script
from collidekit.errors import CollidekitError

SITE = """
profile: slurm
poll: 1s
stop_before_end: 5s
resources:
  benchmark: {cores: 1, memory: 400 MB, walltime: 10min}
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "site.yaml").write_text(SITE)
    return load_site(str(tmp_path / "site.yaml"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with runs that wait."""
    store = Store(str(tmp_path / "board.db"), tmp_path / "files")
    registered(store, tmp_path / "toy")
    submitted(store, participant(store), tmp_path, 2)
    return store


def test_runs_wait_and_jobs_come(
    slurm: SlurmCluster, site: Site, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "PYTHONPATH", f"{Path(board_workers.__file__).parent}:{Path(board_workers.__file__).parents[2] / 'src'}"
    )
    words = (board_workers.__file__, store.database.shown, str(store.folder), "job", "30")
    said: list[str] = []
    jobs = WorkerJobs(store, site, words, 2, said.append)
    assert said[0].endswith("jobs on other nodes need postgresql://user@host/database")
    stop = threading.Event()
    thread = threading.Thread(target=jobs.run_forever, args=(stop,))
    thread.start()
    try:
        board_workers.wait_until(
            lambda: not store.runs(state=State.PENDING) and not store.runs(state=State.RUNNING), 90
        )
    finally:
        stop.set()
        thread.join(60)
    assert [run.state for run in store.runs()] == [State.SUCCESS] * 2
    assert sum(line.startswith("sent worker job") for line in said) == 2
    assert all(worker.job.isdigit() for worker in store.workers())
    board_workers.wait_until(lambda: not slurm.run("squeue", "-h", "-t", "RUNNING,PENDING", "-n", "ck-benchmark"), 30)
    store.close()


def test_the_script_of_a_job(site: Site, tmp_path: Path) -> None:
    script = worker_script(site, ("-m", "collidekit", "benchmark", "worker", "--store", "a b"), tmp_path)
    assert "#SBATCH --signal=B:USR1@5" in script
    assert "#SBATCH --mem=400M" in script
    assert script.endswith(f"exec {sys.executable} -m collidekit benchmark worker --store 'a b'\n")


def test_other_systems_are_refused(store: Store) -> None:
    with pytest.raises(CollidekitError, match="workers are sent to Slurm only; with htcondor start"):
        WorkerJobs(store, load_site("htcondor"), (), 1)
    store.close()
