"""Commands and law on a real Slurm, from their words to what they write."""

from pathlib import Path

import luigi
import pytest
import toys
from luigi.task_register import Register
from slurm_cluster import SlurmCluster
from typer.testing import CliRunner

from collidekit.cli import app
from collidekit.tasks.dataset import DatasetConstructorTask

SITE = """
profile: slurm
poll: 1s
resources:
  default: {memory: 1500 MB}
  construction: {cores: 1, memory: 1500 MB}
  training: {cores: 1, memory: 1500 MB}
"""


@pytest.fixture(autouse=True)
def _place(slurm: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("site.yaml").write_text(SITE)
    monkeypatch.setenv("COLLIDEKIT_OUTPUT", str(Path("results").absolute()))
    Register.clear_instance_cache()  # type: ignore[no-untyped-call]


def test_simulate_as_a_job_and_again(slurm: SlurmCluster) -> None:
    words = ["simulate", "moons", "-n", "50", "-o", "m.root", "--site", "site.yaml"]
    for attempt in (1, 2):  # the same command again makes the file again
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
        assert "50 moons events: m.root" in done.output
        assert len(list(Path("results/jobs").glob("simulate_*/attempt_*"))) == attempt
    assert Path("m.root").is_file()


def test_a_parameter_of_law_sends_a_task_as_jobs(slurm: SlurmCluster) -> None:
    toys.write_table(Path("train.root"), toys.toy_table(60))
    Path("toy.yaml").write_text(toys.TOY)
    task = DatasetConstructorTask(config="toy.yaml", filelist=("train.root",), workflow="site.yaml")
    assert luigi.build([task], local_scheduler=True)
    assert task.complete()
    assert len(list(Path("results/jobs").glob("DatasetConstructorTask_*/attempt_1/submitted.json"))) == 1
