"""The end of a command, the same for all engines."""

import signal
import subprocess
from collections.abc import Callable
from typing import Protocol

from attrs import evolve

from collidekit.benchmark.sandbox.collect import OutputError
from collidekit.benchmark.sandbox.job import Job, Outcome
from collidekit.benchmark.sandbox.log import CutLog
from collidekit.benchmark.sandbox.outcome import failed_service, judge
from collidekit.benchmark.sandbox.outputs import Output
from collidekit.benchmark.sandbox.supervise import drain, supervise
from collidekit.benchmark.sandbox.watch import Watch


class Tree(Protocol):
    """All processes of a command."""

    def signal_all(self, number: int) -> None:
        """Send a signal to all of them."""

    def wait(self, seconds: float) -> bool:
        """Wait until all have ended; return False where some have not."""


def finish(
    job: Job,
    process: "subprocess.Popen[bytes]",
    tree: Tree,
    output: Output,
    watch: Watch,
    log: CutLog,
    canceled: Callable[[], bool],
    *,
    killed_for_memory: Callable[[], bool] = lambda: False,
    digest: str = "",
    start_seconds: float,
) -> Outcome:
    """Watch a command to its end, end all its processes, and take its files where all went well.

    ``process`` shows the output of the command and has its exit code.
    """
    ending = supervise(
        process, log, job.limits.walltime, tree.signal_all, canceled, lambda: watch.look() or output.look()
    )
    tree.signal_all(signal.SIGKILL)
    if not tree.wait(10):
        return failed_service("processes of the command could not be ended", layer="processes")
    overflow = drain(process, log)
    if not ending.cause:
        ending = evolve(ending, cause="log" if overflow else output.look())
    watch.look()
    usage = watch.usage
    if not ending.cause and ending.exit_code and killed_for_memory():
        usage = evolve(usage, killed_for_memory=1)
    found = judge(job, ending, usage, output.is_full(), digest, start_seconds=start_seconds, sampled=watch.sampled)
    if not found.ok:
        return found
    try:
        output.take(job)
    except OutputError as error:
        return evolve(found, ok=False, reason=str(error))
    return found
