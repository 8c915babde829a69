"""The end of a command, the same for all engines with an output folder in memory."""

import signal
import subprocess
from collections.abc import Callable

from attrs import evolve

from collidekit.benchmark.sandbox.collect import MOST_FILES, OutputError, collect
from collidekit.benchmark.sandbox.job import Job, Outcome
from collidekit.benchmark.sandbox.log import CutLog
from collidekit.benchmark.sandbox.outcome import failed_service, judge
from collidekit.benchmark.sandbox.processes import Init
from collidekit.benchmark.sandbox.supervise import drain, supervise
from collidekit.benchmark.sandbox.tmpfs import file_count, is_full
from collidekit.benchmark.sandbox.watch import Watch


def finish(
    job: Job,
    process: "subprocess.Popen[bytes]",
    init: Init,
    output: int,
    watch: Watch,
    log: CutLog,
    canceled: Callable[[], bool],
    *,
    killed_for_memory: Callable[[], bool] = lambda: False,
    digest: str = "",
    start_seconds: float,
) -> Outcome:
    """Watch a command to its end, end all its processes, and take its files where all went well.

    ``process`` shows its output and has its exit code; ``output`` is its open output folder.
    """

    def too_many() -> str:
        return "files" if file_count(output) > MOST_FILES else ""

    ending = supervise(process, log, job.limits.walltime, init.signal_all, canceled, lambda: watch.look() or too_many())
    init.signal_all(signal.SIGKILL)
    if not init.wait(10):
        return failed_service("processes of the command could not be ended", layer="processes")
    if not ending.cause:
        ending = evolve(ending, cause="log" if drain(process, log) else too_many())
    watch.look()
    usage = watch.usage
    if not ending.cause and ending.exit_code and killed_for_memory():
        usage = evolve(usage, killed_for_memory=1)
    found = judge(job, ending, usage, is_full(output), digest, start_seconds=start_seconds, sampled=watch.sampled)
    if not found.ok:
        return found
    try:
        collect(output, job.output, job.limits.output)
    except OutputError as error:
        return evolve(found, ok=False, reason=str(error))
    return found
