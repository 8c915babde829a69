"""Outcome of a command as one sentence for the participant."""

import signal
from typing import Any

from collidekit.batch.units import show_time
from collidekit.benchmark.sandbox.cgroup import Usage
from collidekit.benchmark.sandbox.collect import MOST_FILES
from collidekit.benchmark.sandbox.job import Job, Outcome
from collidekit.benchmark.sandbox.log import show_bytes
from collidekit.benchmark.sandbox.supervise import Ending
from collidekit.benchmark.sandbox.tmpfs import tmp_size

SEE_LOG = "; its log may say why"
"""End of a reason that the log of the command may explain."""
_CODES = {126: "cannot be started (exit code 126: no permission, or no program)", 127: "was not found (exit code 127)"}


def judge(
    job: Job, ending: Ending, usage: Usage, output_full: bool = False, image_digest: str = "", **details: Any
) -> Outcome:
    """Return the outcome of a command: ok where it ended with 0 and no limit was exceeded."""
    reason = _reason(job, ending, usage, output_full)
    if (
        reason and not ending.cause and details.get("sampled")
    ):  # the command met a limit of a process, and ended in its own way
        reason += f" (each process may take {show_bytes(job.limits.memory)} of memory, and {job.limits.processes} processes may run at once)"
    return Outcome(
        ok=not reason,
        reason=reason,
        exit_code=ending.exit_code,
        wall_seconds=ending.wall_seconds,
        cpu_seconds=usage.cpu_seconds,
        peak_memory=usage.peak_memory,
        canceled=ending.cause == "canceled",
        image_digest=image_digest,
        details=details,
    )


def failed_service(reason: str, **details: Any) -> Outcome:
    """Return the outcome of a command that could not be run, through no fault of the participant."""
    return Outcome(False, reason, None, 0.0, None, None, service_fault=True, details=details)


def failed_command(reason: str, **details: Any) -> Outcome:
    """Return the outcome of a command that could not be started, through a fault of the submission."""
    return Outcome(False, reason, None, 0.0, None, None, details=details)


def _reason(job: Job, ending: Ending, usage: Usage, output_full: bool) -> str:
    limits = job.limits
    by_cause = {
        "canceled": "the run was canceled",
        "walltime": f"the command took longer than the limit of {_time(limits.walltime)} and was stopped",
        "log": f"the command wrote more than {show_bytes(limits.log)} to its log (the limit) and was stopped",
        "files": f"the command made more than {MOST_FILES} files in /output and was stopped",
        "output": f"the command wrote more than {show_bytes(limits.output)} to /output (the limit)",
        "memory": _memory(job),
        "processes": f"the command started more than {limits.processes} processes or threads at once (the limit)",
    }
    if ending.cause:
        return by_cause[ending.cause]
    if usage.killed_for_memory:
        return _memory(job)
    if usage.refused_processes:
        return by_cause["processes"]
    if output_full:
        return by_cause["output"]
    return _exit(job, ending.exit_code, usage)


def _exit(job: Job, code: int, usage: Usage) -> str:
    if code == 0:
        return ""
    number = -code if code < 0 else code - 128 if 128 < code < 193 else 0
    if number == signal.SIGKILL and (usage.peak_memory or 0) > 0.95 * job.limits.memory:
        return _memory(job)
    if number == signal.SIGXCPU:
        return "the command used more CPU time than its limit and was stopped"
    if number == signal.SIGXFSZ:
        most = max(job.limits.output, tmp_size(job.limits))
        return f"the command made a file of more than {show_bytes(most)} (the limit of one file)"
    if number:
        return f"the command was ended by the signal {_name(number)}{SEE_LOG}"
    return f"the command {_CODES.get(code, f'ended with exit code {code}')}{SEE_LOG}"


def _memory(job: Job) -> str:
    return f"the command needed more memory than the limit of {show_bytes(job.limits.memory)} (files in /output and /tmp count)"


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def _time(seconds: float) -> str:
    return show_time(round(seconds)) if seconds >= 1 else f"{seconds:.3g}s"
