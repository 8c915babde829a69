"""A training that a real Slurm stops at the end of its walltime goes on in a new job, to the same bits."""

import time
from pathlib import Path

import pytest
import torch
import toys
from luigi.task_register import Register
from slurm_cluster import SlurmCluster
from slurm_jobs import SITE, current

from collidekit.batch.job import Job
from collidekit.batch.manager import Manager
from collidekit.tasks.base import run_with_requirements
from collidekit.tasks.training import TrainingTask
from collidekit.tasks.work import words_of

SLOW = """
import pathlib, sys, time
from collidekit.tasks.work import main
from collidekit.training.loop import Training

step = Training._train_step

def slow(*given, **named):
    time.sleep(pathlib.Path("slow").exists())
    return step(*given, **named)

Training._train_step = slow
sys.exit(main({words!r}))
"""


@pytest.mark.slow
def test_the_end_of_the_walltime_changes_no_bit_of_a_training(
    slurm: SlurmCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    toys.write_table(Path("train.root"), toys.toy_table(300))
    training = "training: {model_name: pfn, model_options: {phi: [8, 8], f: [8]}, batch_size: 16}\n"
    Path("toy.yaml").write_text(toys.TOY + training)
    settings = {"config": "toy.yaml", "filelist": ("train.root",), "epochs": 12, "n_threads": 1}
    weights = []
    for results in ("stopped", "in_one_go"):
        monkeypatch.setenv("COLLIDEKIT_OUTPUT", str(Path(results).absolute()))
        Register.clear_instance_cache()  # type: ignore[no-untyped-call]
        task = TrainingTask(**settings)
        run_with_requirements(task.requires()["dataset"])
        if results == "stopped":
            assert _train_with_an_end(slurm, task) == ["walltime"]
        else:
            run_with_requirements(task)
        weights.append(torch.load(task.folder / "last.pt", weights_only=True)["tagger"])
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def _train_with_an_end(slurm: SlurmCluster, task: TrainingTask) -> list[str]:
    """Train slowly, in a job whose walltime comes to its end soon after the first epoch, and on. Returns why jobs ended."""
    site = SITE.model_copy(
        update={"resources": {"default": {"memory": "1900 MB", "walltime": "30min"}}, "stop_before_end": 5}
    )
    job = Job("job", "training", ("-c", SLOW.format(words=list(words_of(task)))), task.folder)
    Path("slow").touch()
    shortened: list[str] = []

    def sleep(_: float) -> None:
        if not shortened and (task.folder / "model_1.pt").exists():
            shortened.append(current(manager))
            used = int(slurm.run("squeue", "-h", "-O", "TimeUsed:.20", f"--jobs={shortened[0]}").strip().split(":")[-2])
            slurm.run("scontrol", "update", f"JobId={shortened[0]}", f"TimeLimit={used + 1}")
        if manager.failures:
            Path("slow").unlink(missing_ok=True)
        time.sleep(0.4)

    manager = Manager([job], site, Path("jobs").absolute(), print, grace=20.0, sleep=sleep)
    assert manager.run()
    return [entry["reason"] for entry in manager.failures]
