"""What all tasks share: the analysis, the folder that is named by all that decides its content, clear errors."""

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
"""Also of one that is a path by now, which has lost a slash."""


class _OneLine(logging.Filter):
    """An error that a user can mend is shown in one line, without luigi's traceback.

    luigi logs an exception of ``run`` as such, and one of ``complete`` or ``requires`` as text in the message.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and isinstance(record.exc_info[1], CollidekitError):
            self._say(record, str(record.exc_info[1]))
        elif found := _AS_TEXT.search(record.getMessage()):
            self._say(record, found[1].strip())
        return True

    @staticmethod
    def _say(record: logging.LogRecord, text: str) -> None:
        record.msg, record.args = text, ()
        record.levelno, record.levelname = logging.ERROR, "ERROR"
        record.exc_info = record.exc_text = None


logging.getLogger("luigi-interface").addFilter(_OneLine())


def results_folder() -> Path:
    """Where outputs are made: the environment variable COLLIDEKIT_OUTPUT, else ``results`` in the current folder."""
    named = os.environ.get("COLLIDEKIT_OUTPUT") or "results"
    if _URL.match(named):
        raise CollidekitError(
            f"--output: {named} is not a folder on this machine; name a local folder with --output, and the URL of a server with --store"
        )
    return Path(named).expanduser().absolute()


class AnalysisTask(law.Task):  # type: ignore[misc]
    """Base of all tasks."""

    config = luigi.Parameter(description="the analysis: a YAML file, or the name of one that ships")
    debug = luigi.BoolParameter(default=False, description="only one file of each process")
    verbose = luigi.BoolParameter(
        default=False, significant=False, description="print settings, files and statistics too"
    )
    workflow = luigi.Parameter(
        default="",
        significant=False,
        description="make this and all before it as jobs: slurm, htcondor, a bundled profile, or a site file",
    )

    made = False
    """Whether this process has made the output."""
    _works = False
    draws = False
    """Whether labels and settings of plots decide the content."""
    side_by_side = False
    """Whether it is one of several parts, each a process of its own."""

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
        """law calls this for each new class: a wrong value of a parameter is one line."""
        for name, parameter in cls.get_params():
            checked(name.replace("_", "-"), parameter)

    @classmethod
    def get_param_values(cls, params: Any, args: Any, kwargs: Any) -> Any:
        try:
            return super().get_param_values(params, args, kwargs)
        except luigi.parameter.MissingParameterException:
            raise CollidekitError("--config: is missing; give an analysis file, or the name of a bundled one") from None

    def identity(self) -> dict[str, Any]:
        """All that decides what the output holds."""
        raise NotImplementedError(f"{type(self).__name__}.identity")

    def hashed(self) -> dict[str, Any]:
        """What of the identity is in the hash."""
        return self.identity()

    def look(self) -> dict[str, Any]:
        """What of labels and settings of plots decides the content; empty where neither analysis nor site says anything."""
        return identity(self.analysis) if self.draws else {}

    def complete(self) -> bool:
        """Return whether the output is there; if not, look first at everything that would end with an error later.

        law and the command ask this of every task before they run one, so that nothing is written yet.
        """
        if law.parser.root_task() is self:
            end_in_one_line()
            refuse_empty(self)
            refuse_unused_prefixes(self)
        return (bool(super().complete()) and self.enough()) or not self._looked

    def enough(self) -> bool:
        """Return whether an output that is there holds all that is asked for."""
        return True

    @cached_property
    def _looked(self) -> bool:
        """True, after a look at this task and at those that it needs."""
        if store := store_of(self.get_task_family()):
            check_writable(store)
        self.look_first()
        for needed in luigi.task.flatten(self.requires()):  # type: ignore[no-untyped-call]
            needed.complete()
        return True

    def look_first(self) -> None:
        """Raise the errors that this task itself would end with, as far as they can be told in seconds."""

    def deps(self) -> list[law.Task]:
        """Return what luigi runs before this task: nothing where it all becomes jobs."""
        return [] if self.workflow else list(super().deps())

    def make(self) -> None:
        """Make the output; `run_here` calls it when no other process is making the same one."""
        raise NotImplementedError(f"{type(self).__name__}.make")

    def run(self) -> None:
        """Make the output, in this process or with ``--workflow`` in jobs of a batch system."""
        if self.workflow:
            from collidekit.tasks.jobs import run_as_jobs

            run_as_jobs(self, "", str(self.workflow))
        else:
            self.run_here()

    def run_here(self) -> None:
        """Make the output unless another process does: then wait for that one and take what it made."""
        log = None if self.log_file == law.NO_STR else Path(str(self.log_file))
        with writing_to(log), alone(self.lock) as waited:
            if waited and self.complete():
                self.say(f"{type(self).__name__}: another process has made it: {literal(self.folder)}")
                return
            if self.stored:
                self.stored.fetch()
            with self._at_work():
                if not (self.stored and self._is_here() and self.enough()):
                    self._make_alone()
            if self.stored:
                self.say(f"[dim]{literal(self.stored.send())}[/dim]")

    def _make_alone(self) -> None:
        if other := differences(self.place, {**self.identity(), **self.look()}):
            self.say(f"[dim]{literal(other)}[/dim]")
        if self.place.exists() and not os.access(self.place, os.W_OK):
            raise CollidekitError(
                f"{self.place}: cannot be written: it belongs to {owner_of(self.place)}; name your own folder with --output"
            )
        for leftover in self.place.glob(".*.part*"):  # of a process that was killed: none is here now
            if leftover.is_file() and is_own(leftover):
                leftover.unlink()
        with look_of(self.analysis):
            self.make()
        self.made = True

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        """Within the block the folder is the one here, whatever a store holds."""
        self._works = True
        try:
            yield
        finally:
            self._works = False

    def _is_here(self) -> bool:
        """Return whether the folder here holds every file of the output."""
        return all(Path(target.abspath).exists() for target in luigi.task.flatten(self.output()))  # type: ignore[no-untyped-call]

    def versions_in_path(self) -> list[str]:
        """The version names that stand in the path."""
        return []

    @cached_property
    def hash(self) -> str:
        """A short hash of the identity."""
        text = json.dumps({"task": type(self).__name__, **self.hashed(), **self.look()}, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    @property
    def folder(self) -> Path:
        """The folder of the output; an output that is in a store is fetched when its folder is first asked for."""
        if self.stored and not self._works:
            self.stored.fetch()
        return self.place

    @cached_property
    def place(self) -> Path:
        """The folder of the output, whether or not the output is there."""
        for name in (self.analysis.name, *self.versions_in_path()):
            if problem := name_problem(name):
                raise CollidekitError(f"{self.config}: {name!r} {problem}: it cannot be the name of a folder")
        return results_folder().joinpath(type(self).__name__, self.analysis.name, *self.versions_in_path(), self.hash)

    @property
    def lock(self) -> Path:
        """The file that says that the output is being made."""
        return self.place.with_name(f".{self.place.name}.lock")

    @cached_property
    def stored(self) -> StoredOutput | None:
        """The output in its store; None where outputs of this task stay in the results folder."""
        store = store_of(self.get_task_family())
        return StoredOutput(store, self.place, results_folder(), self.lock) if store else None

    def _remove_output(self, args: Any) -> bool:
        """Of law's ``--remove-output``."""
        return remove_outputs(self, *args)

    def target(self, name: str) -> law.LocalFileTarget:
        return OutputTarget.of(self.place / name, name, self.stored)

    def say(self, text: str) -> None:
        """Print a text in rich's markup; with ``--quiet`` only a warning."""
        from rich.console import Console

        if is_quiet() and not is_warning(text):
            return
        Console(soft_wrap=True).print(text, highlight=False)

    def detail(self, text: str) -> None:
        """Said with ``--verbose`` only."""
        if self.verbose:
            self.say(f"[dim]{text}[/dim]")

    def ran_with(self) -> dict[str, Any]:
        """What else the numbers hang on, in their last digits; no part of the identity."""
        return {}

    def write_provenance(self) -> None:
        """``run.json``: written last, an output is complete when it is there."""
        write_sealed(
            self.folder / "run.json",
            json.loads(json.dumps({**provenance({**self.identity(), **self.look()}), **self.ran_with()}, default=str)),
        )

    def provenance(self) -> dict[str, Any]:
        return read_sealed(self.folder / "run.json")


def run_with_requirements(task: law.Task) -> None:
    """Run a task after whatever it needs that is not there yet; what is there stays. Errors come through as they are."""
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
