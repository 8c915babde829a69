"""What a real Slurm does to a job that runs: nodes that fail, preemption, requeueing; and a manager that dies while it sends."""

import time
from pathlib import Path

import pytest
from slurm_cluster import SlurmCluster
from slurm_jobs import DONE, SITE, current, manage, once_running, state

from collidekit.batch.job import Job, attempts_of
from collidekit.batch.manager import Manager
from collidekit.batch.slurm import SlurmQueue

ONCE = f"import os, time, pathlib\nif not os.path.exists('running'): pathlib.Path('running').touch(); time.sleep(60)\n{DONE}"
"""The first time it waits; a second one is done at once."""


def test_a_node_that_crashes_is_left_out(slurm: SlurmCluster) -> None:
    crashed: list[str] = []

    def crash(job: str) -> None:
        crashed.append(slurm.run("squeue", "-h", "-o", "%N", f"--jobs={job}").strip())
        slurm.crash(crashed[0])
        # Slurm itself notices after half a minute
        slurm.run("scontrol", "update", f"NodeName={crashed[0]}", "State=DOWN", "Reason=crash")

    try:
        manager = manage(ONCE, watch=once_running(slurm, crash))
    finally:
        slurm.start_node(crashed[0])
        slurm.run("scontrol", "update", f"NodeName={crashed[0]}", "State=RESUME")
        slurm.wait_for_nodes("idle", *slurm.nodes)
    assert [(entry["reason"], entry["host"]) for entry in manager.failures] == [("node", crashed[0])]
    assert manager.failures[0]["next"] == "again on another host"
    assert f"--exclude={crashed[0]}" in Path("jobs/job/attempt_2/job.sh").read_text()
    assert manager.jobs[0].complete


def test_a_preempted_job_goes_on_in_a_new_one(slurm: SlurmCluster) -> None:
    def urgent(job: str) -> None:
        node = slurm.run("squeue", "-h", "-o", "%N", f"--jobs={job}").strip()
        words = [
            "sbatch",
            "--partition=urgent",
            "--mem=50",
            "--cpus-per-task=2",
            "--output=/dev/null",
            f"--nodelist={node}",
        ]
        slurm.run(*words, "--wrap", "sleep 2")

    manager = manage(ONCE, watch=once_running(slurm, urgent))
    assert [entry["reason"] for entry in manager.failures] == ["preempted"]
    assert manager.failures[0]["next"] == "continues in a new job"
    assert manager.jobs[0].complete


def test_a_job_that_slurm_requeues_is_not_sent_again(slurm: SlurmCluster) -> None:
    site = SITE.model_copy(update={"slurm": SITE.slurm.model_copy(update={"options": ["--requeue"]})})
    manager = manage(ONCE, site, once_running(slurm, lambda job: slurm.run("scontrol", "requeue", job)))
    assert not manager.failures
    assert [path.name for path in Path("jobs/job").iterdir()] == ["attempt_1"]
    assert manager.jobs[0].complete


class ManagerDiedError(Exception):
    """Stands for a command that was killed."""


@pytest.mark.parametrize("folder", ["jobs", "my jobs | $x"])
def test_a_manager_that_dies_after_sbatch_sends_nothing_twice(
    slurm: SlurmCluster, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    submit = SlurmQueue.submit

    def dies(self: SlurmQueue, script: Path, submit_file: Path | None = None) -> str:
        submit(self, script, submit_file)
        raise ManagerDiedError

    slurm.run("scontrol", "update", "PartitionName=main", "State=DOWN")  # so that jobs wait
    job = Job("job", "training", ("-c", DONE), Path("out").absolute())
    try:
        with monkeypatch.context() as patch:
            patch.setattr(SlurmQueue, "submit", dies)
            first = Manager([job], SITE, Path(folder).absolute(), print)
            with pytest.raises(ManagerDiedError):
                first.run()
        assert not attempts_of(Path(folder) / "job")[0].job_id
        second = Manager([job], SITE, Path(folder).absolute(), print, sleep=lambda _: time.sleep(0.3))
        second._step([job])
        assert state(slurm, current(second)) == "PENDING"
    finally:
        slurm.run("scontrol", "update", "PartitionName=main", "State=UP")
    assert second.run()
    assert [path.name for path in (Path(folder) / "job").iterdir()] == ["attempt_1"]


def test_an_attempt_that_was_given_up_does_nothing_when_it_starts_after_all(slurm: SlurmCluster) -> None:
    slurm.run("scontrol", "update", "PartitionName=main", "State=DOWN")
    try:
        job = Job("job", "training", ("-c", DONE), Path("out").absolute())
        manager = Manager([job], SITE, Path("jobs").absolute(), print)
        manager._step([job])
        attempts_of(Path("jobs/job"))[0].write(
            "closed", {"reason": "lost", "again": True, "host": "", "progress": False}
        )
    finally:
        slurm.run("scontrol", "update", "PartitionName=main", "State=UP")
    sent = attempts_of(Path("jobs/job"))[0].job_id
    while state(slurm, sent) in ("PENDING", "RUNNING", "COMPLETING"):
        time.sleep(0.3)
    assert state(slurm, sent) == "COMPLETED"
    assert not job.complete
    assert "was given up" in Path("jobs/job/attempt_1/job.log").read_text()
