"""HTCondor without a pool: its own bindings read every submit description, and recorded answers drive the manager."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from collidekit.batch.commands import QueueUnavailable
from collidekit.batch.htcondor import parse_ads
from collidekit.batch.job import Attempt, Job
from collidekit.batch.manager import Manager
from collidekit.batch.reasons import GONE, QueueState
from collidekit.batch.script import submit_description
from collidekit.batch.site import load_site, profiles

HELD = {"ProcId": 0, "JobStatus": 5, "HoldReasonCode": 34, "HoldReason": "Error from slot1@n7: memory usage exceeded request_memory", "LastRemoteHost": "slot1@n7", "MemoryUsage": 2900}  # fmt: skip
RUNNING = {"ProcId": 0, "JobStatus": 2, "RemoteHost": "slot1@n7"}
IDLE = {"ProcId": 0, "JobStatus": 1}
REMOVED = {"ProcId": 0, "JobStatus": 3, "RemoveReason": "via condor_rm (by user ann)"}
DONE = {"ProcId": 0, "JobStatus": 4, "ExitCode": 0}
from collidekit.errors import CollidekitError


class RecordedQueue:
    """Answers of condor_q, one list for each job; ``writes`` is called when the last one is given."""

    def __init__(self, output: Path, *jobs: list[dict[str, object]]) -> None:
        self.output, self.jobs, self.sent, self.removed = output, list(jobs), [], []  # type: ignore[var-annotated]

    def check(self, partition: str) -> None: ...

    def submit(self, script: Path, submit_file: Path | None = None) -> str:
        assert submit_file is not None
        self.sent.append(submit_file.read_text())
        return f"{len(self.sent)}.0"

    def find(self, script: Path) -> str:
        return ""

    def states(self, ids: Sequence[str]) -> dict[str, QueueState]:
        found = {}
        for job in ids:
            answers = self.jobs[int(job.partition(".")[0]) - 1]
            ad = answers.pop(0) if len(answers) > 1 else answers[0]
            if ad is DONE:
                self.output.mkdir(parents=True, exist_ok=True)
                (self.output / "run.json").write_text("{}")
            found |= parse_ads(json.dumps([{"ClusterId": int(job.partition(".")[0]), **ad}]))
        return {job: found.get(job, GONE) for job in ids}

    def cancel(self, ids: Sequence[str]) -> None:
        self.removed += ids


def manage(folder: Path, *answers: list[dict[str, object]]) -> tuple[Manager, RecordedQueue]:
    queue = RecordedQueue(folder / "out", *answers)
    site = load_site("lxplus").model_copy(update={"credentials": load_site("naf").credentials})
    job = Job("job", "evaluation", ("-c", "pass"), folder / "out")
    manager = Manager([job], site, folder / "jobs", print, queue=queue, grace=0.0, sleep=lambda _: None)
    manager.run()
    return manager, queue


def test_a_job_held_for_memory_is_removed_and_sent_with_more(tmp_path: Path) -> None:
    manager, queue = manage(tmp_path, [IDLE, RUNNING, HELD], [RUNNING, DONE])
    assert queue.removed == ["1.0"]
    assert ["request_memory = 3072MB" in queue.sent[0], "request_memory = 4608MB" in queue.sent[1]] == [True, True]
    assert manager.failures[0]["host"] == "n7"
    assert manager.jobs[0].complete


def held(code: int, words: str) -> dict[str, object]:
    """The answer of condor_q for a held job."""
    return {"ProcId": 0, "JobStatus": 5, "HoldReasonCode": code, "HoldReason": words, "LastRemoteHost": "slot1@n7"}


@pytest.mark.parametrize(
    ("code", "words", "reason", "sent"),
    [
        (34, "Error from slot1@n7: Job has gone over cgroup memory limit of 3072 megabytes", "memory", "request_memory = 4608MB"),
        (26, "The system macro SYSTEM_PERIODIC_HOLD expression '(MemoryUsage > RequestMemory)' evaluated to TRUE", "memory", "request_memory = 4608MB"),
        (26, "SYSTEM_PERIODIC_HOLD: job exceeded its allowed run time", "walltime", "MY.MaxRuntime = 10800"),
        (26, "The system macro SYSTEM_PERIODIC_HOLD expression '(DiskUsage > RequestDisk)' evaluated to TRUE", "disk", ""),
        (1, "via condor_hold (by user ann)", "cancelled", ""),
        (12, "Error from slot1@n7: Failed to receive files from the schedd", "node", 'TARGET.Machine =!= "n7"'),
    ],
    ids=["cgroup", "memory by policy", "walltime by policy", "disk by policy", "by hand", "files"],
)  # fmt: skip
def test_what_a_hold_means_and_that_no_held_job_stays(
    tmp_path: Path, code: int, words: str, reason: str, sent: str
) -> None:
    manager, queue = manage(tmp_path, [IDLE, RUNNING, held(code, words)], [RUNNING, DONE])
    assert manager.failures[0]["reason"] == reason
    assert manager.failures[0]["host"] == "n7"
    assert queue.removed == ["1.0"]
    assert len(queue.sent) == (2 if sent else 1)
    assert sent in queue.sent[-1]
    assert manager.jobs[0].complete == bool(sent)


@pytest.mark.parametrize(
    ("words", "reason", "jobs"),
    [
        ("via condor_rm (by user ann)", "cancelled", 1),
        ("The system macro SYSTEM_PERIODIC_REMOVE expression '(MemoryUsage > 2*RequestMemory)' evaluated to TRUE", "memory", 2),
        ("Job removed by SYSTEM_PERIODIC_REMOVE due to wall time exceeded allowed max.", "walltime", 2),
    ],
    ids=["by hand", "memory", "walltime"],
)  # fmt: skip
def test_what_a_removal_means(tmp_path: Path, words: str, reason: str, jobs: int) -> None:
    gone: dict[str, object] = {"ProcId": 0, "JobStatus": 3, "RemoveReason": words, "LastRemoteHost": "slot1@n7"}
    manager, queue = manage(tmp_path, [RUNNING, gone], [RUNNING, DONE])
    assert manager.failures[0]["reason"] == reason
    assert len(queue.sent) == jobs


def test_a_job_that_is_held_again_and_again_stops_at_the_limit_of_memory(tmp_path: Path) -> None:
    manager, queue = manage(tmp_path, *([[RUNNING, HELD]] * 12))
    assert not manager.jobs[0].complete
    assert 2 < len(queue.sent) < 12
    assert queue.removed == [f"{number}.0" for number in range(1, len(queue.sent) + 1)]
    assert {failure["reason"] for failure in manager.failures} == {"memory"}


def test_an_evicted_job_that_runs_again_is_not_sent_twice(tmp_path: Path) -> None:
    manager, queue = manage(tmp_path, [RUNNING, IDLE, RUNNING, DONE])
    assert len(queue.sent) == 1
    assert not manager.failures


def test_a_removed_job_is_not_sent_again(tmp_path: Path) -> None:
    manager, queue = manage(tmp_path, [RUNNING, REMOVED])
    assert len(queue.sent) == 1
    assert manager.failures[0]["reason"] == "cancelled"


def test_a_batch_system_that_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(self: RecordedQueue, partition: str) -> None:
        raise QueueUnavailable("no configuration source")

    monkeypatch.setattr(RecordedQueue, "check", silent)
    with pytest.raises(CollidekitError, match=r"the batch system does not answer \(no configuration source\)"):
        manage(tmp_path, [DONE])


def test_a_submission_without_an_answer_is_looked_for_before_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = RecordedQueue.submit

    def times_out(self: RecordedQueue, script: Path, submit_file: Path | None = None) -> str:
        submit(self, script, submit_file)
        raise QueueUnavailable("timed out")

    monkeypatch.setattr(RecordedQueue, "submit", times_out)
    monkeypatch.setattr(RecordedQueue, "find", lambda self, script: "1.0")
    manager, queue = manage(tmp_path, [RUNNING, DONE])
    assert len(queue.sent) == 1
    assert manager.jobs[0].complete


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("")
    with pytest.raises(CollidekitError, match=r"jobs: cannot be written .*name your own folder with --output"):
        manage(tmp_path, [DONE])


def test_clocks_that_differ_are_named_and_do_no_harm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Skewed(RecordedQueue):
        def states(self, ids: Sequence[str]) -> dict[str, QueueState]:
            told = {"host": "n7", "exit_code": 1, "clock_skew": 300.0}
            for job in ids:
                Attempt(tmp_path / "jobs" / "job" / f"attempt_{job[0]}").write("completed", told)
            return super().states(ids)

    job = Job("job", "evaluation", ("-c", "pass"), tmp_path / "out")
    answers: list[list[dict[str, object]]] = [[{"ProcId": 0, "JobStatus": 4, "ExitCode": 1}]] * 2
    queue = Skewed(tmp_path / "out", *answers)
    Manager([job], load_site("htcondor"), tmp_path / "jobs", print, queue, grace=0.0, sleep=lambda _: None).run()
    assert "the clock of n7 and that of the file server differ by 300 s" in capsys.readouterr().out
    assert len(queue.sent) == 2


@pytest.mark.parametrize("profile", [name for name in profiles() if load_site(name).system == "htcondor"])
def test_the_bindings_of_htcondor_read_the_description(profile: str, tmp_path: Path) -> None:
    htcondor = pytest.importorskip(
        "htcondor2", reason="the bindings of HTCondor are not installed (pip install htcondor)"
    )
    site = load_site(profile)
    job = Job("TrainingTask_1", "training", ("-m", "collidekit.tasks.work", "TrainingTask"), tmp_path)
    text = submit_description(job, site, site.resources_of("training"), Attempt(tmp_path / "attempt_1"), ("n1", "n2"))
    submit = htcondor.Submit(text)
    assert submit["request_memory"] == "8192MB"
    assert 'TARGET.Machine =!= "n2"' in submit["requirements"]
    assert submit.expand("batch_name") == "ck-TrainingTask_1"
