"""The retry table, and the reasons that it is asked with."""

import pytest

from collidekit.batch.htcondor import parse_ads
from collidekit.batch.htcondor import queue_state as condor_state
from collidekit.batch.reasons import GONE, QueueState, Reason, explain
from collidekit.batch.retry import Failure, next_step
from collidekit.batch.site import Limits, Resources
from collidekit.batch.slurm import parse_states, queue_state

ASKED = Resources(memory="4 GB", walltime="2h")
LIMITS = Limits(memory="10 GB", walltime="4h", attempts=5)


def test_memory_grows_to_the_limit_and_then_stops() -> None:
    failures, resources, asked = [], ASKED, []
    while True:
        failures.append(Failure(Reason.MEMORY, resources))
        step = next_step(failures, LIMITS)
        if not step.again:
            break
        resources = step.resources
        asked.append(resources.memory)
    assert asked == [6144, 9216, 10240]
    assert "limits.memory is 10 GB" in step.words


def test_walltime_goes_on_where_something_was_saved_and_grows_where_not() -> None:
    saved = next_step([Failure(Reason.WALLTIME, ASKED, progress=True)], LIMITS)
    assert saved.again
    assert saved.resources == ASKED
    assert next_step([Failure(Reason.WALLTIME, ASKED)], LIMITS).resources.walltime == 3 * 3600
    longest = ASKED.model_copy(update={"walltime": LIMITS.walltime})
    assert not next_step([Failure(Reason.WALLTIME, longest)], LIMITS).again


def test_an_error_of_the_program_gets_one_more_host() -> None:
    first = next_step([Failure(Reason.PROGRAM, ASKED, "n1")], LIMITS)
    assert first.again
    assert first.exclude == ("n1",)
    assert not next_step([Failure(Reason.PROGRAM, ASKED, "n1"), Failure(Reason.PROGRAM, ASKED, "n2")], LIMITS).again


@pytest.mark.parametrize("reason", [Reason.DISK, Reason.CANCELLED])
def test_what_is_never_sent_again(reason: Reason) -> None:
    assert not next_step([Failure(reason, ASKED)], LIMITS).again


def test_no_reason_is_retried_for_ever() -> None:
    for reason in set(Reason) - {Reason.DONE}:
        assert not next_step([Failure(reason, ASKED, progress=True)] * 5, LIMITS).again


@pytest.mark.parametrize(
    "state", ["PENDING", "REQUEUED", "REQUEUE_HOLD", "RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SOMETHING_NEW"]
)
def test_a_job_of_slurm_that_may_still_write_is_alive(state: str) -> None:
    assert queue_state(state).alive


def test_ends_of_slurm() -> None:
    found = parse_states(
        "1|CANCELLED by 0|None|n1\n2|TIMEOUT|TimeLimit|n1\n3|FAILED|JobLaunchFailure|n2\n3.batch|FAILED||n2\n"
    )
    assert {job: state.reason for job, state in found.items()} == {
        "1": Reason.CANCELLED,
        "2": Reason.WALLTIME,
        "3": Reason.NODE,
    }
    assert not any(state.alive for state in found.values())


@pytest.mark.parametrize(
    ("queue", "completed", "log", "reason"),
    [
        (GONE, {"exit_code": 0}, "", Reason.DONE),
        (GONE, {"exit_code": 1}, "ValueError: x", Reason.PROGRAM),
        (GONE, {"exit_code": 137, "signal": "SIGKILL", "peak_memory": 4000}, "", Reason.MEMORY),
        (GONE, {"exit_code": 137, "signal": "SIGKILL", "peak_memory": 100}, "", Reason.NODE),
        (GONE, {"exit_code": 2, "told": "walltime"}, "stopped by SIGTERM", Reason.WALLTIME),
        (GONE, {"exit_code": 2, "told": "SIGTERM"}, "stopped by SIGTERM", Reason.PREEMPTED),
        (QueueState(False, "", Reason.PREEMPTED), {"exit_code": 2, "told": "walltime"}, "", Reason.PREEMPTED),
        (QueueState(False, "", Reason.PROGRAM), {"exit_code": 2, "told": "walltime"}, "", Reason.WALLTIME),
        (QueueState(False, "", Reason.CANCELLED), {"exit_code": 2, "told": "SIGTERM"}, "", Reason.CANCELLED),
        (QueueState(False, "", Reason.NODE), {}, "error: StepId=2.batch exceeded memory limit", Reason.MEMORY),
        (GONE, {"exit_code": 2}, "No space left on device", Reason.DISK),
        (GONE, {}, "", Reason.LOST),
    ],
)
def test_reasons(queue: QueueState, completed: dict[str, object], log: str, reason: Reason) -> None:
    assert explain(queue, completed, log, 4096)[0] == reason


@pytest.mark.parametrize(
    ("ad", "alive", "reason"),
    [
        ({"JobStatus": 1}, True, None),
        ({"JobStatus": 2}, True, None),
        ({"JobStatus": 6}, True, None),
        ({"JobStatus": 7}, True, None),
        (
            {"JobStatus": 5, "HoldReasonCode": 34, "HoldReason": "Error from slot1: memory usage exceeded"},
            False,
            Reason.MEMORY,
        ),
        ({"JobStatus": 5, "HoldReasonCode": 26, "HoldReason": "memory exceeded request_memory"}, False, Reason.MEMORY),
        (
            {"JobStatus": 5, "HoldReasonCode": 26, "HoldReason": "job exceeded its MaxRuntime wall time"},
            False,
            Reason.WALLTIME,
        ),
        ({"JobStatus": 5, "HoldReasonCode": 26, "HoldReason": "disk usage exceeded"}, False, Reason.DISK),
        ({"JobStatus": 5, "HoldReasonCode": 1, "HoldReason": "via condor_hold"}, False, Reason.CANCELLED),
        ({"JobStatus": 3, "RemoveReason": "via condor_rm"}, False, Reason.CANCELLED),
        ({"JobStatus": 4, "ExitCode": 0}, False, None),
        ({"JobStatus": 4, "ExitCode": 1}, False, Reason.PROGRAM),
    ],
)
def test_states_of_htcondor(ad: dict[str, object], alive: bool, reason: Reason | None) -> None:
    state = condor_state(ad)
    assert (state.alive, state.reason) == (alive, reason)
    assert state.held == (ad["JobStatus"] == 5)


def test_an_empty_answer_of_condor_q() -> None:
    assert parse_ads("") == {}
