"""Jobs on a real Slurm of two virtual nodes without accounting: what ends a job, and what follows."""

from pathlib import Path

import pytest
from slurm_cluster import SlurmCluster
from slurm_jobs import DONE, SITE, current, manage

from collidekit.batch.manager import Manager
from collidekit.errors import CollidekitError


def test_a_job_that_needs_more_memory_gets_it(slurm: SlurmCluster) -> None:
    manager = manage(f"x = b'x' * (230 << 20); import time; time.sleep(4); {DONE}")
    assert [entry["reason"] for entry in manager.failures] == ["memory"]
    assert manager.failures[0]["next"] == "again with 300 MB"
    assert manager.failures[0]["peak_memory"] > 200
    assert manager.jobs[0].complete


def test_an_error_of_the_program_is_tried_on_two_hosts(slurm: SlurmCluster) -> None:
    manager = manage("raise ValueError('pt of jet 7 is negative')")
    assert [entry["reason"] for entry in manager.failures] == ["program", "program"]
    assert {entry["host"] for entry in manager.failures} == {"n1", "n2"}
    assert manager.failures[0]["last_line"] == "ValueError: pt of jet 7 is negative"
    assert manager.failures[-1]["next"].startswith("stopped")


def test_a_cancelled_job_is_not_sent_again_and_the_same_command_goes_on(slurm: SlurmCluster) -> None:
    def cancel(manager: Manager) -> None:
        if slurm.run("squeue", "-h", "-o", "%T", f"--jobs={current(manager)}", check=False).strip() == "RUNNING":
            slurm.run("scancel", current(manager))

    manager = manage("import time; time.sleep(60)", watch=cancel)
    assert [entry["reason"] for entry in manager.failures] == ["cancelled"]
    assert manage(DONE).jobs[0].complete


def test_a_second_manager_watches_the_job_of_the_first(slurm: SlurmCluster) -> None:
    class LeftAloneError(Exception):
        pass

    def leave(manager: Manager) -> None:
        raise LeftAloneError

    with pytest.raises(LeftAloneError):
        manage(f"import time; time.sleep(3); {DONE}", watch=leave)
    assert manage(DONE).jobs[0].complete
    assert [path.name for path in Path("jobs/job").iterdir()] == ["attempt_1"]


def test_a_folder_with_a_name_that_shells_read_otherwise(slurm: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path("my jets 100%j $HOME 'a'").absolute()
    folder.mkdir()
    monkeypatch.chdir(folder)
    manager = manage(f"print('here'); {DONE}")
    assert manager.jobs[0].complete
    assert "here" in (folder / "jobs/job/attempt_1/job.log").read_text()


def test_a_drained_node_gets_no_job(slurm: SlurmCluster) -> None:
    slurm.run("scontrol", "update", "NodeName=n1", "State=DRAIN", "Reason=test")
    try:
        manager = manage(DONE)
        assert "n2" in Path("jobs/job/attempt_1/completed.json").read_text()
        assert manager.jobs[0].complete
    finally:
        slurm.run("scontrol", "update", "NodeName=n1", "State=RESUME")


def test_an_unknown_partition(slurm: SlurmCluster) -> None:
    site = SITE.model_copy(update={"slurm": SITE.slurm.model_copy(update={"partition": "gpux"})})
    with pytest.raises(CollidekitError, match=r"there is no partition 'gpux'; there are main"):
        manage(DONE, site=site)
