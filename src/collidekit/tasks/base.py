"""Base class of all tasks: the analysis, the output folder with a hash of its content, and one-line errors."""

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import law
import luigi

from collidekit.analysis.schema import Analysis
from collidekit.analysis.scope import Plan
from collidekit.errors import CollidekitError
from collidekit.evaluation.look import identity, look_of
from collidekit.files import is_own, owner_of
from collidekit.lease import alone
from collidekit.names import name_problem
from collidekit.plain_text import literal
from collidekit.provenance import provenance
from collidekit.sealed import read_sealed, write_sealed
from collidekit.shipped import find_analysis, load_plan
from collidekit.stores.output import StoredOutput, check_writable
from collidekit.stores.settings import store_of
from collidekit.tasks.differences import differences
from collidekit.tasks.interrupted import end_in_one_line
from collidekit.tasks.log import writing_to
from collidekit.tasks.parameters import checked, refuse_empty, refuse_unused_prefixes
from collidekit.tasks.removal import remove_outputs
from collidekit.tasks.target import OutputTarget
from collidekit.verbosity import is_quiet, is_warning

_AS_TEXT = re.compile(r"\nTraceback .*^collidekit\.[\w.]*Error: (.*)", re.DOTALL | re.MULTILINE)
_URL = re.compile(r"\w[\w.+-]+:/")
"""Pattern of a URL; one slash is enough, because a path has only one."""


class _OneLine(logging.Filter):
    """Log filter that shows a user error in one line, without luigi's traceback.

    luigi logs an exception in ``run`` as an exception, and one in ``complete`` or ``requires`` as text of the message.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], CollidekitError):
            self._shorten(record, str(record.exc_info[1]))
        elif found := _AS_TEXT.search(record.getMessage()):
            self._shorten(record, found[1].strip())
        return True

    @staticmethod
    def _shorten(record: logging.LogRecord, text: str) -> None:
        record.msg, record.args = text, ()
        record.levelno, record.levelname = logging.ERROR, "ERROR"
        record.exc_info = record.exc_text = None


logging.getLogger("luigi-interface").addFilter(_OneLine())


def results_folder() -> Path:
    """Return the folder of the results: the environment variable COLLIDEKIT_OUTPUT, else ``results`` in the current folder."""
    named = os.environ.get("COLLIDEKIT_OUTPUT") or "results"
    if _URL.match(named):
        raise CollidekitError(
            f"--output: {named} is not a folder on this machine; name a local folder with --output, and the URL of a server with --store"
        )
    return Path(named).expanduser().absolute()


class AnalysisTask(law.Task):  # type: ignore[misc]
    """Base of all tasks."""

    config = luigi.Parameter(description="the analysis: a YAML file, or the name of a bundled one")
    debug = luigi.BoolParameter(default=False, description="use only one file of each process")
    verbose = luigi.BoolParameter(
        default=False, significant=False, description="also print settings, files and statistics"
    )
    workflow = luigi.Parameter(
        default="",
        significant=False,
        description="run this task and all tasks before it as jobs: slurm, htcondor, a bundled profile, or a site file",
    )

    made = False
    """True if this process has made the output."""
    _is_making = False
    draws = False
    """True if the output contains plots, so that labels and settings of plots are part of the hash."""
    side_by_side = False
    """True if the task is a part that runs in its own process."""

    exclude_index = True
    task_namespace = ""

    @cached_property
    def plan(self) -> Plan:
        return load_plan(str(self.config))

    @property
    def analysis(self) -> Analysis:
        return self.plan.analysis

    @property
    def analysis_folder(self) -> Path:
        return find_analysis(str(self.config)).resolve().parent

    @classmethod
    def modify_task_attributes(cls) -> None:
        """Make wrong values of parameters one-line errors; law calls this for each new class."""
        for name, parameter in cls.get_params():
            checked(name.replace("_", "-"), parameter)

    @classmethod
    def get_param_values(cls, params: Any, args: Any, kwargs: Any) -> Any:
        try:
            return super().get_param_values(params, args, kwargs)
        except luigi.parameter.MissingParameterException:
            raise CollidekitError("--config: is missing; give an analysis file, or the name of a bundled one") from None

    def identity(self) -> dict[str, Any]:
        """Return everything that decides the content of the output."""
        raise NotImplementedError(f"{type(self).__name__}.identity")

    def hashed(self) -> dict[str, Any]:
        """Return the part of the identity that is in the hash."""
        return self.identity()

    def look(self) -> dict[str, Any]:
        """Return the labels and settings of plots that decide the content; empty if all are at their default."""
        return identity(self.analysis) if self.draws else {}

    def complete(self) -> bool:
        """Return whether the output exists; if not, first check everything that would fail later.

        law and the command call this for every task before they run one, so that nothing is written yet.
        """
        if law.parser.root_task() is self:
            end_in_one_line()
            refuse_empty(self)
            refuse_unused_prefixes(self)
        return (bool(super().complete()) and self.enough()) or not self._is_checked

    def enough(self) -> bool:
        """Return whether an existing output contains everything that is requested."""
        return True

    @cached_property
    def _is_checked(self) -> bool:
        """True, after a check of this task and of the tasks that it needs."""
        if store := store_of(self.get_task_family()):
            check_writable(store)
        self.look_first()
        for needed in luigi.task.flatten(self.requires()):  # type: ignore[no-untyped-call]
            needed.complete()
        return True

    def look_first(self) -> None:
        """Raise the errors of this task that can be found in seconds."""

    def deps(self) -> list[law.Task]:
        """Return the tasks that luigi runs before this one: none with ``--workflow``."""
        return [] if self.workflow else list(super().deps())

    def make(self) -> None:
        """Make the output; ``run_here`` calls this if no other process is making the same output."""
        raise NotImplementedError(f"{type(self).__name__}.make")

    def run(self) -> None:
        """Make the output in this process, or in batch jobs with ``--workflow``."""
        if self.workflow:
            from collidekit.tasks.jobs import run_as_jobs

            run_as_jobs(self, "", str(self.workflow))
        else:
            self.run_here()

    def run_here(self) -> None:
        """Make the output; if another process is making it, wait for that process and use its output."""
        log = None if self.log_file == law.NO_STR else Path(str(self.log_file))
        with writing_to(log), alone(self.lock) as waited:
            if waited and self.complete():
                self.say(f"{type(self).__name__}: another process has made it: {literal(self.folder)}")
                return
            if self.stored:
                self.stored.fetch()
            with self._making():
                if not (self.stored and self._is_here() and self.enough()):
                    self._make_alone()
            if self.stored:
                self.say(f"[dim]{literal(self.stored.send())}[/dim]")

    def _make_alone(self) -> None:
        if other := differences(self.place, {**self.identity(), **self.look()}):
            self.say(f"[dim]{literal(other)}[/dim]")
        if self.place.exists() and not os.access(self.place, os.W_OK):
            raise CollidekitError(
                f"{self.place}: cannot be written: it belongs to {owner_of(self.place)}; use your own folder with --output"
            )
        for leftover in self.place.glob(".*.part*"):  # from a killed process: no other one is running
            if leftover.is_file() and is_own(leftover):
                leftover.unlink()
        with look_of(self.analysis):
            self.make()
        self.made = True

    @contextmanager
    def _making(self) -> Iterator[None]:
        """Use the local folder within the block, whatever a store contains."""
        self._is_making = True
        try:
            yield
        finally:
            self._is_making = False

    def _is_here(self) -> bool:
        """Return whether the local folder contains every file of the output."""
        return all(Path(target.abspath).exists() for target in luigi.task.flatten(self.output()))  # type: ignore[no-untyped-call]

    def versions_in_path(self) -> list[str]:
        """Return the version names in the path."""
        return []

    @cached_property
    def hash(self) -> str:
        """Hash of the identity, 10 characters."""
        text = json.dumps({"task": type(self).__name__, **self.hashed(), **self.look()}, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    @property
    def folder(self) -> Path:
        """Folder of the output; an output in a store is downloaded at the first use."""
        if self.stored and not self._is_making:
            self.stored.fetch()
        return self.place

    @cached_property
    def place(self) -> Path:
        """Folder of the output, which may not exist."""
        for name in (self.analysis.name, *self.versions_in_path()):
            if problem := name_problem(name):
                raise CollidekitError(f"{self.config}: {name!r} {problem}: it cannot be the name of a folder")
        return results_folder().joinpath(type(self).__name__, self.analysis.name, *self.versions_in_path(), self.hash)

    @property
    def lock(self) -> Path:
        """Lock file that exists while the output is being made."""
        return self.place.with_name(f".{self.place.name}.lock")

    @cached_property
    def stored(self) -> StoredOutput | None:
        """The output in its store; None if outputs of this task are only in the results folder."""
        store = store_of(self.get_task_family())
        return StoredOutput(store, self.place, results_folder(), self.lock) if store else None

    def _remove_output(self, args: Any) -> bool:
        """Remove outputs, as law's ``--remove-output`` requests."""
        return remove_outputs(self, *args)

    def target(self, name: str) -> law.LocalFileTarget:
        return OutputTarget.of(self.place / name, name, self.stored)

    def say(self, text: str) -> None:
        """Print a text in rich's markup; with ``--quiet``, print only warnings."""
        from rich.console import Console

        if is_quiet() and not is_warning(text):
            return
        Console(soft_wrap=True).print(text, highlight=False)

    def detail(self, text: str) -> None:
        """Print a text only with ``--verbose``."""
        if self.verbose:
            self.say(f"[dim]{text}[/dim]")

    def ran_with(self) -> dict[str, Any]:
        """Return facts that change only the last digits of the numbers; they are not part of the identity."""
        return {}

    def write_provenance(self) -> None:
        """Write ``run.json``, which is written last and marks the output as complete."""
        write_sealed(
            self.folder / "run.json",
            json.loads(json.dumps({**provenance({**self.identity(), **self.look()}), **self.ran_with()}, default=str)),
        )

    def provenance(self) -> dict[str, Any]:
        return read_sealed(self.folder / "run.json")


def run_with_requirements(task: law.Task) -> None:
    """Run all missing tasks that a task needs, then the task; errors are passed on."""
    if task.complete():
        return
    needed = list(task.deps())
    parts = [other for other in needed if other.side_by_side and not other.complete()]
    for other in sorted((one for one in needed if one not in parts), key=lambda one: -one.priority):
        run_with_requirements(other)
    if parts:
        from collidekit.tasks.work import run_side_by_side

        run_side_by_side(parts)
    task.run()
