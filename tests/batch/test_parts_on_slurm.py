"""Construction and prediction in parts, each a job of a real Slurm: the bytes of one process."""

from pathlib import Path
from typing import Any

import pytest
import toys
from luigi.task_register import Register
from slurm_cluster import SlurmCluster

from collidekit.batch.manager import Manager
from collidekit.batch.site import Site
from collidekit.tasks.base import run_with_requirements
from collidekit.tasks.inference import InferenceTask
from collidekit.tasks.jobs import jobs_of
from collidekit.tasks.training import TrainingTask

SITE = Site.model_validate(
    {
        "system": "slurm",
        "poll": "1s",
        "stop_before_end": "5s",
        "resources": {"default": {"memory": "1900 MB", "walltime": "10min"}},
    }
)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for kind in ("*.arrow", "*.parquet") for path in sorted(folder.glob(kind))}


def outputs(results: str) -> dict[str, dict[str, bytes]]:
    """Bytes of the shards and predictions of each task."""
    names = ("DatasetConstructorTask", "InferenceTask")
    return {name: files(next(Path(results, name).rglob("run.json")).parent) for name in names}


def test_parts_as_jobs(slurm: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    toys.write_table(Path("train.root"), toys.toy_table(300))
    for i in range(3):
        toys.write_table(Path(f"test_{i}.root"), toys.toy_table(1500, seed=i + 2))
    Path("toy.yaml").write_text(
        toys.TOY + "training: {model_name: pfn, model_options: {phi: [8, 8], f: [8]}, epochs: 1}\n"
    )
    monkeypatch.setenv("COLLIDEKIT_OUTPUT", "trained")
    training = TrainingTask(config="toy.yaml", filelist=("train.root",), n_threads=1)
    run_with_requirements(training)
    settings: dict[str, Any] = {
        "config": "toy.yaml", "checkpoint": (str(training.folder / "best_model.pt"),), "n_threads": 1,
        "test_filelist": ("test_*.root",), "chunk_size": 2000,
    }  # fmt: skip
    for results, jobs in (("whole", 1), ("parts", 2)):
        monkeypatch.setenv("COLLIDEKIT_OUTPUT", str(Path(results).absolute()))
        Register.clear_instance_cache()  # type: ignore[no-untyped-call]
        task = InferenceTask(**settings, jobs=jobs)
        if jobs == 1:
            run_with_requirements(task)
            continue
        sent = jobs_of(task, SITE)
        assert [job.kind for job in sent] == 2 * ["construction"] + ["construction"] + 2 * ["inference"] + ["inference"]
        manager = Manager(sent, SITE, Path("jobs").absolute(), print, grace=8.0)
        assert manager.run()
        assert manager.failures == []
        assert {path.name for path in Path(results).glob("*PartTask/**/*") if path.is_file()} == set()
    assert len(outputs("whole")["DatasetConstructorTask"]) == 3
    assert outputs("parts") == outputs("whole")
