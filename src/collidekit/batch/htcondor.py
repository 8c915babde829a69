"""HTCondor: submit, query, remove. A held job does not run; it is removed before another one is submitted."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from collidekit.batch.commands import QueueUnavailable, call, submit
from collidekit.batch.reasons import GONE, QueueState, Reason

ATTRIBUTES = (
    "ClusterId,ProcId,JobStatus,ExitCode,HoldReasonCode,HoldReason,RemoveReason,MemoryUsage,RemoteHost,LastRemoteHost"
)
_MEMORY_CODES = {34}
_POLICY_CODES = {26}
SYSTEM = "HTCondor"


class HTCondorQueue:
    """The commands of HTCondor."""

    system = "htcondor"

    def check(self, partition: str) -> None:
        """Raise an error if there is no HTCondor."""
        call(SYSTEM, "condor_version")

    def submit(self, script: Path, submit_file: Path | None = None) -> str:
        """Submit a submit description and return the id of the job."""
        return submit(SYSTEM, script, "condor_submit", "-terse", str(submit_file)).split()[0]

    def find(self, script: Path) -> str:
        """Return the id of the job of a script, an empty text if there is none."""
        return next(
            iter(parse_ads(call(SYSTEM, "condor_q", "-json", "-constraint", f"Cmd == {json.dumps(str(script))}"))), ""
        )

    def states(self, ids: Sequence[str]) -> dict[str, QueueState]:
        """Return the state of each job, from the queue, else from the history, else ``GONE``."""
        if not ids:
            return {}
        found = parse_ads(call(SYSTEM, "condor_q", "-json", "-attributes", ATTRIBUTES, *ids))
        if missing := [job for job in ids if job not in found]:
            limit = ("-limit", str(len(missing)))
            found |= parse_ads(call(SYSTEM, "condor_history", "-json", "-attributes", ATTRIBUTES, *limit, *missing))
        return {job: found.get(job, GONE) for job in ids}

    def cancel(self, ids: Sequence[str]) -> None:
        if ids:
            call(SYSTEM, "condor_rm", *ids)


def parse_ads(text: str) -> dict[str, QueueState]:
    """Return the state of each job in the JSON of condor_q or condor_history."""
    try:
        ads = json.loads(text) if text.strip() else []
    except ValueError as error:
        raise QueueUnavailable(f"its answer is not JSON ({error})") from None
    return {f"{ad['ClusterId']}.{ad['ProcId']}": queue_state(ad) for ad in ads}


def queue_state(ad: Mapping[str, Any]) -> QueueState:
    """Return the state of a job from its advertisement."""
    status = ad.get("JobStatus")
    host = str(ad.get("RemoteHost") or ad.get("LastRemoteHost") or "").rpartition("@")[2]
    memory = ad.get("MemoryUsage")
    peak = float(memory) if isinstance(memory, int | float) else 0.0
    if status == 5:
        words = str(ad.get("HoldReason") or "held without a reason")
        return QueueState(
            False, f"held: {words}", _held(ad.get("HoldReasonCode"), words), host, held=True, peak_memory=peak
        )
    if status == 3:
        words = str(ad.get("RemoveReason") or "the job was removed")
        return QueueState(False, words, _removed(words), host, peak_memory=peak)
    if status == 4:
        code = ad.get("ExitCode")
        failed = Reason.PROGRAM if code != 0 else None
        return QueueState(False, f"exit code {code}", failed, host, peak_memory=peak)
    return QueueState(True, "waiting" if status in (0, 1) else "running", host=host, running=status not in (0, 1))


def _held(code: Any, words: str) -> Reason:
    if code in _MEMORY_CODES or (code in _POLICY_CODES and re.search("memory", words, re.IGNORECASE)):
        return Reason.MEMORY
    if re.search(r"run ?time|wall ?time|wall ?clock", words, re.IGNORECASE):
        return Reason.WALLTIME
    if re.search("disk|No space left|quota", words, re.IGNORECASE):
        return Reason.DISK
    return Reason.CANCELLED if code == 1 else Reason.NODE


def _removed(words: str) -> Reason:
    if re.search("memory", words, re.IGNORECASE):
        return Reason.MEMORY
    if re.search(r"run ?time|wall ?time|wall ?clock", words, re.IGNORECASE):
        return Reason.WALLTIME
    return Reason.CANCELLED
