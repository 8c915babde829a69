"""A real Slurm with accounting (slurmdbd on MariaDB) and control groups: it gives the same reasons as one without."""

import time
from pathlib import Path

import pytest
from slurm_cluster import SlurmCluster
from slurm_jobs import DONE, manage, once_running, state

from collidekit.batch.reasons import Reason
from collidekit.batch.slurm import SlurmQueue

ENDS = {
    "exit 0": None, "exit 3": Reason.PROGRAM, "sleep 60": Reason.CANCELLED,
    "python3 -c 'x = b\"x\" * (150 << 20); import time; time.sleep(2)'": Reason.MEMORY,
}  # fmt: skip
"""Lines of shell, and the reason why each ends; the one that sleeps is cancelled."""
ENDED = {"COMPLETED", "FAILED", "CANCELLED", "OUT_OF_MEMORY", "TIMEOUT", "NODE_FAIL"}


def test_squeue_and_sacct_give_the_same_reasons(accounting: SlurmCluster) -> None:
    jobs = {}
    for line in ENDS:
        words = ["sbatch", "--parsable", "--mem=60", "--no-requeue", "--output=/dev/null", "--wrap", line]
        jobs[line] = accounting.run(*words).strip()
    while state(accounting, jobs["sleep 60"]) == "PENDING":
        time.sleep(0.2)
    accounting.run("scancel", jobs["sleep 60"])
    while any(state(accounting, job) not in ENDED for job in jobs.values()):
        time.sleep(0.2)
    expected = {jobs[line]: reason for line, reason in ENDS.items()}
    if not accounting.control_groups:
        del expected[jobs[list(ENDS)[-1]]]
    queue = SlurmQueue()
    by_squeue = queue._ask(list(expected))
    end = time.monotonic() + 20
    while set(by_sacct := queue._ask_accounting(list(expected))) < set(expected) or any(
        entry.alive for entry in by_sacct.values()
    ):
        assert time.monotonic() < end, by_sacct
        time.sleep(0.3)
    assert {job: entry.reason for job, entry in by_squeue.items()} == expected
    assert {job: entry.reason for job, entry in by_sacct.items()} == expected
    assert {job: entry.host for job, entry in by_sacct.items()} == {job: e.host for job, e in by_squeue.items()}


@pytest.mark.parametrize("knows", ["squeue", "sacct"])
def test_a_job_that_its_control_group_kills_gets_more_memory(
    accounting: SlurmCluster, monkeypatch: pytest.MonkeyPatch, knows: str
) -> None:
    if not accounting.control_groups:
        pytest.skip("this machine lets tests make no control groups")
    if knows == "sacct":  # as where squeue forgets jobs at once
        monkeypatch.setattr(SlurmQueue, "_ask", SlurmQueue._ask_accounting)
    manager = manage(f"x = b'x' * (230 << 20); {DONE}")
    assert [(entry["reason"], entry["next"]) for entry in manager.failures] == [("memory", "again with 300 MB")]
    assert manager.failures[0]["host"] in accounting.nodes
    assert manager.jobs[0].complete


def test_a_cancelled_job_that_only_the_accounting_knows(
    accounting: SlurmCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SlurmQueue, "_ask", SlurmQueue._ask_accounting)
    code = "import time, pathlib; pathlib.Path('running').touch(); time.sleep(60)"
    manager = manage(code, watch=once_running(accounting, lambda job: accounting.run("scancel", job)))
    assert [entry["reason"] for entry in manager.failures] == ["cancelled"]
    assert not Path("out").exists()
