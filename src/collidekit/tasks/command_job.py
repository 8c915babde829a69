"""Batch job of a command that writes one file or folder, such as ``collidekit predict``."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from collidekit.batch.job import Attempt, Job, attempts_of
from collidekit.tasks.base import results_folder
from collidekit.tasks.send import chosen_site, send

_WITH_VALUE = ("--on", "--site")


def command_as_job(
    words: Sequence[str], kind: str, output: Path, system: str | None, site_name: str | None, dry_run: bool,
    by_cores: str = "",
) -> bool:  # fmt: skip
    """Run a command as a job if a batch system or a site is named; return False if it must run in this process.

    ``by_cores`` is the option for the number of cores of the job, if ``words`` does not contain it. The log of the job
    is printed at the end. Raises JobsFailedError if the job failed finally.
    """
    site = chosen_site(system, site_name, dry_run)
    if site is None:
        return False
    own = without_batch_options(words)
    if by_cores and not any(word.partition("=")[0] == by_cores for word in own):
        own[1:1] = [by_cores, str(site.resources_of(kind).cores)]
    digest = hashlib.sha256("\0".join([os.getcwd(), *own]).encode()).hexdigest()[:10]
    name = f"{own[0]}_{digest}"
    attempts = _Attempts(results_folder() / "jobs" / name, output.absolute())
    job = Job(name, kind, ("-m", "collidekit", *own), output.absolute(), done=attempts.done)
    if send([job], site, dry_run):
        print(attempts.log(), end="")
    return True


class _Attempts:
    """Attempts of a command, without attempts that ended in an earlier call."""

    def __init__(self, folder: Path, output: Path) -> None:
        self.folder, self.output = folder, output
        self.before = sum(bool(attempt.read("closed")) for attempt in attempts_of(folder))

    def _last(self) -> Attempt | None:
        found = attempts_of(self.folder)[self.before :]
        return found[-1] if found else None

    def done(self) -> bool:
        """Return whether the command was successful and its output is visible on this machine."""
        last = self._last()
        return last is not None and last.read("completed").get("exit_code") == 0 and self.output.exists()

    def log(self) -> str:
        """Return the output of the command."""
        last = self._last()
        return last.log.read_text(encoding="utf-8", errors="replace") if last and last.log.is_file() else ""


def without_batch_options(words: Sequence[str]) -> list[str]:
    """Return the words of a command without ``--on``, ``--site`` and ``--dry-run``."""
    found: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            return [*found, word, *rest]
        if word in _WITH_VALUE:
            next(rest, None)
        elif word.partition("=")[0] not in (*_WITH_VALUE, "--dry-run"):
            found.append(word)
    return found
