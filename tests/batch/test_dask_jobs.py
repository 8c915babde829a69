"""Construction by workers of Dask that a real Slurm starts: the bytes of a local construction."""

import time
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import toys
from luigi.task_register import Register
from slurm_cluster import SlurmCluster

from collidekit.batch.dask_jobs import load_dask_site
from collidekit.errors import CollidekitError
from collidekit.tasks.dataset import DatasetConstructorTask

SITE = """
profile: slurm
poll: 1s
stop_before_end: 5s
resources:
  default: {memory: 1500 MB, walltime: 10min}
  construction: {cores: 2, memory: 1900 MB}
"""


@pytest.fixture
def settings(slurm: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Those of a construction of several files and chunks."""
    pytest.importorskip("dask_jobqueue", reason="needs dask-jobqueue")
    monkeypatch.setattr("collidekit.dataset.construct.CHUNK", 50)
    monkeypatch.setenv("COLLIDEKIT_OUTPUT", "on_slurm")
    for i in range(3):
        toys.write_table(Path(f"file_{i}.root"), toys.toy_table(100 + 50 * i, seed=i))
    Path("toy.yaml").write_text(toys.TOY)
    Path("site.yaml").write_text(SITE)
    Register.clear_instance_cache()  # type: ignore[no-untyped-call]
    return {"config": "toy.yaml", "filelist": ("file_*.root",), "chunk_size": 130}


def shards(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("shard_*.arrow"))}


def test_shards_are_those_of_one_process(
    slurm: SlurmCluster, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    far = DatasetConstructorTask(**settings, executor="dask", scheduler="site.yaml", coffea_worker=4)
    far.run()
    logs = sorted(Path("on_slurm/jobs").glob("*_dask/worker-*.log"))
    assert len(logs) == 2
    assert all("Registered to" in log.read_text() for log in logs)
    assert slurm.run("squeue", "-h", "-t", "RUNNING,PENDING", "-n", "ck-dask") == ""
    monkeypatch.setenv("COLLIDEKIT_OUTPUT", "here")
    Register.clear_instance_cache()  # type: ignore[no-untyped-call]
    here = DatasetConstructorTask(**settings)
    here.run()
    assert len(shards(here.folder)) == 4
    assert shards(far.folder) == shards(here.folder)


def test_workers_that_are_cancelled_end_the_command_and_the_next_one_goes_on(
    slurm: SlurmCluster, settings: dict[str, Any]
) -> None:
    task = DatasetConstructorTask(**settings, executor="dask", scheduler="site.yaml")

    def cancel() -> None:
        for _ in range(100):
            if slurm.run("squeue", "-h", "-t", "RUNNING", "-n", "ck-dask"):
                break
            time.sleep(0.1)
        slurm.run("scancel", "-n", "ck-dask")

    thread = Thread(target=cancel)
    thread.start()
    message = r"job \d+ of the Dask workers ended \(the job was cancelled\); its log .*; no worker is left; run the same command again"
    with pytest.raises(CollidekitError, match=message):
        task.run()
    thread.join()
    here = DatasetConstructorTask(**settings)
    here.run()
    assert here.folder == task.folder
    assert task.complete()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ("slurm: {partition: gpux}", "there is no partition 'gpux'; there are main"),
        ("slurm: {options: [--nodelist=n9]}", r"sbatch refused it \(.*[Ii]nvalid node"),
    ],
)
def test_jobs_that_slurm_refuses(slurm: SlurmCluster, settings: dict[str, Any], extra: str, message: str) -> None:
    Path("site.yaml").write_text(SITE + extra)
    with pytest.raises(CollidekitError, match=message):
        DatasetConstructorTask(**settings, executor="dask", scheduler="site.yaml").run()


def test_a_site_without_slurm() -> None:
    with pytest.raises(CollidekitError, match="lxplus: is a site with htcondor, but Dask workers need Slurm"):
        load_dask_site("lxplus")
