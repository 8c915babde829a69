"""Slurm: submit, query, cancel. Only a final state ends a job; an unknown state counts as alive."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from collidekit.batch.commands import QueueUnavailable, call, submit
from collidekit.batch.reasons import GONE, QueueState, Reason
from collidekit.errors import CollidekitError

WAITING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "RESV_DEL_HOLD", "SPECIAL_EXIT"}
ENDED: dict[str, Reason | None] = {
    "COMPLETED": None, "FAILED": Reason.PROGRAM, "TIMEOUT": Reason.WALLTIME, "DEADLINE": Reason.WALLTIME,
    "OUT_OF_MEMORY": Reason.MEMORY, "NODE_FAIL": Reason.NODE, "BOOT_FAIL": Reason.NODE,
    "PREEMPTED": Reason.PREEMPTED, "CANCELLED": Reason.CANCELLED, "REVOKED": Reason.CANCELLED,
}  # fmt: skip
WORDS = {
    Reason.WALLTIME: "the walltime was reached", Reason.NODE: "the node failed", Reason.MEMORY: "out of memory",
    Reason.PREEMPTED: "the job was preempted", Reason.CANCELLED: "the job was cancelled",
}  # fmt: skip
_CHUNK = 100
SYSTEM = "Slurm"


class SlurmQueue:
    """The commands of Slurm."""

    system = "slurm"

    def check(self, partition: str) -> None:
        """Raise an error for a partition that does not exist, or if there is no Slurm."""
        known = {line.strip().rstrip("*") for line in call(SYSTEM, "sinfo", "--noheader", "--format=%P").splitlines()}
        if partition and partition not in known:
            raise CollidekitError(
                f"slurm.partition: there is no partition {partition!r}; there are {', '.join(sorted(known))}"
            )

    def submit(self, script: Path, submit_file: Path | None = None) -> str:
        """Submit a script and return the id of the job."""
        return submit(SYSTEM, script, "sbatch", "--parsable", str(script)).strip().partition(";")[0]

    def find(self, script: Path) -> str:
        """Return the id of the job of a script, an empty text if there is none."""
        said = call(SYSTEM, "squeue", f"--user={os.getuid()}", "--states=all", "--noheader", "--format=%i|%o")
        found = [line.partition("|") for line in said.splitlines()]
        return next((job.strip() for job, _, command in found if command.strip() == str(script)), "")

    def states(self, ids: Sequence[str]) -> dict[str, QueueState]:
        """Return the state of each job; ``GONE`` if neither squeue nor sacct knows it."""
        found: dict[str, QueueState] = {}
        for start in range(0, len(ids), _CHUNK):
            found |= self._ask(ids[start : start + _CHUNK])
        return {job: found.get(job, GONE) for job in ids}

    def cancel(self, ids: Sequence[str]) -> None:
        if ids:
            call(SYSTEM, "scancel", *ids)

    def _ask(self, ids: Sequence[str]) -> dict[str, QueueState]:
        words = ("squeue", "--states=all", "--noheader", "--format=%i|%T|%r|%N", f"--jobs={','.join(ids)}")
        try:
            found = parse_states(call(SYSTEM, *words))
        except QueueUnavailable as error:
            if "Invalid job id" not in str(error):
                raise
            found = {}
        if missing := [job for job in ids if job not in found]:
            found |= self._ask_accounting(missing)
        return found

    def _ask_accounting(self, ids: Sequence[str]) -> dict[str, QueueState]:
        """Return the states in the accounting; empty at sites without accounting."""
        words = ("sacct", "-n", "-P", "-X", "--format=JobIDRaw,State,Reason,NodeList", f"--jobs={','.join(ids)}")
        try:
            return parse_states(call(SYSTEM, *words))
        except QueueUnavailable:
            return {}


def parse_states(text: str) -> dict[str, QueueState]:
    """Return the state of each job in lines ``id|state|reason|node``."""
    found = {}
    for line in text.splitlines():
        job, state, why, host = (part.strip() for part in [*line.split("|"), "", "", ""][:4])
        if job.isdigit():
            found[job] = queue_state(state, why, host)
    return found


def queue_state(state: str, why: str = "", host: str = "") -> QueueState:
    """Return the ``QueueState`` of a state of Slurm."""
    name = re.split(r"[ +]", state)[0]
    host = "" if host in ("(null)", "None assigned") else host
    if name in WAITING:
        return QueueState(True, f"waiting ({why})", host=host)
    if name not in ENDED:
        return QueueState(True, name.lower(), host=host, running=True)
    reason = ENDED[name]
    if name == "FAILED" and why in ("JobLaunchFailure", "NodeDown", "RaisedSignal:53(Real-time_signal_19)"):
        reason = Reason.NODE
    return QueueState(False, WORDS.get(reason, f"{name} {why}".strip()) if reason else name, reason, host)
