"""The retry table: the next step after a failed attempt, as a pure function of all attempts so far."""

from collections.abc import Sequence
from dataclasses import dataclass

from collidekit.batch.reasons import Reason
from collidekit.batch.site import Limits, Resources
from collidekit.batch.units import show_memory, show_time

FACTOR = 1.5
MOST = {Reason.NODE: 3, Reason.LOST: 2, Reason.PROGRAM: 1}
"""Maximum number of further attempts for each of these reasons."""


@dataclass(frozen=True)
class Failure:
    """End of an attempt; ``progress`` is True if it wrote to its output."""

    reason: Reason
    resources: Resources
    host: str = ""
    progress: bool = False


@dataclass(frozen=True)
class Next:
    """Next step of a job, also in words."""

    again: bool
    words: str
    resources: Resources
    exclude: tuple[str, ...] = ()


def next_step(failures: Sequence[Failure], limits: Limits) -> Next:
    """Return the next step after the last failure."""
    last = failures[-1]
    hosts = {
        failure.host: None for failure in failures if failure.reason in (Reason.NODE, Reason.PROGRAM) and failure.host
    }
    exclude = tuple(hosts)
    times = sum(failure.reason == last.reason for failure in failures)

    def stop(words: str) -> Next:
        return Next(False, f"stopped: {words}", last.resources, exclude)

    def again(words: str, resources: Resources = last.resources) -> Next:
        return Next(True, words, resources, exclude)

    if last.reason == Reason.CANCELLED:
        return stop("the job was cancelled; run the same command to continue")
    if last.reason == Reason.DISK:
        return stop("free space on the disk, or request more with disk, and run the same command again")
    if len(failures) >= limits.attempts:
        return stop(f"{len(failures)} attempts are the limit of limits.attempts")
    if last.reason == Reason.MEMORY:
        memory = min(-(-round(FACTOR * last.resources.memory) // 1), limits.memory)
        if memory <= last.resources.memory:
            return stop(f"limits.memory is {show_memory(limits.memory)}")
        return again(f"again with {show_memory(memory)}", last.resources.model_copy(update={"memory": memory}))
    if last.reason == Reason.WALLTIME:
        if last.progress:
            return again("continues from the saved state in a new job")
        walltime = min(round(FACTOR * last.resources.walltime), limits.walltime)
        if walltime <= last.resources.walltime:
            return stop(f"nothing was saved within limits.walltime, {show_time(limits.walltime)}")
        return again(f"again with {show_time(walltime)}", last.resources.model_copy(update={"walltime": walltime}))
    if last.reason == Reason.PREEMPTED:
        return again("continues in a new job")
    if times > MOST.get(last.reason, 0):
        return stop({
            Reason.PROGRAM: "the program failed on two hosts; see its log",
            Reason.NODE: f"{times} nodes failed; ask your site",
        }.get(last.reason, f"this happened {times} times"))  # fmt: skip
    if last.reason in (Reason.PROGRAM, Reason.NODE):
        return again("again on another host")
    return again("again")
