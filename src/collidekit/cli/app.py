"""The command-line app: help pages, shared options, and one-line error messages."""

import io
import os
import sys
from collections.abc import Callable
from contextvars import ContextVar
from inspect import cleandoc
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from collidekit.cli import complete
from collidekit.cli.metavars import name_values
from collidekit.errors import CollidekitError
from collidekit.plain_text import without_controls
from collidekit.signals import StoppedBySignal, end_on_signals
from collidekit.verbosity import set_quiet

PIPELINE, PREPARE, SAMPLES, MANAGE = "From files to a tagger", "Prepare an analysis", "Make samples", "Manage results"
SHARE = "Use and share trained models"
EVALUATE = "Evaluate a trained tagger"
DATA, TRAINING, RUNNING, ENSEMBLE, CARD = "Data", "Training", "Running", "Ensemble", "Model card"
BATCH = "On a batch system"
_words: ContextVar[list[str]] = ContextVar("words of the command")


class Verbs(TyperGroup):
    """Group of verbs, which ends with one line and exit code 2 after a user error."""

    def main(self, *args: Any, **settings: Any) -> Any:
        """Run the command, and escape characters that the terminal cannot show, such as bytes in file names."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        return super().main(*args, **settings)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments, and keep them for a job that runs the same command."""
        _words.set(list(args))
        return list(super().parse_args(ctx, args))

    def invoke(self, ctx: Any) -> Any:
        end_on_signals()
        try:
            return super().invoke(ctx)
        except CollidekitError as error:
            raise _stopped(str(error)) from None
        except BrokenPipeError:
            raise
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise _stopped(f"{where}{error.strerror or error}") from None
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package in ("", "collidekit"):
                raise
            raise _stopped(
                f"{package} is not installed: collidekit-runtime can only predict with a bundle; install collidekit to use this verb"
            ) from None
        except KeyboardInterrupt as stop:
            continues = ctx.invoked_subcommand in ("run", "demo", "search")
            next_time = "continue" if continues else "restart it"
            how = f"stopped by {stop}" if isinstance(stop, StoppedBySignal) else "interrupted"
            raise _stopped(
                f"{how}; no incomplete file was written; run the same command again to {next_time}"
            ) from None


def _stopped(message: str) -> typer.Exit:
    typer.echo(f"{typer.style('error:', fg='red', bold=True)} {' '.join(without_controls(message).split())}", err=True)
    return typer.Exit(2)


app = typer.Typer(
    cls=Verbs,
    help="""Machine learning on collider events: from ROOT files to a tagger with a ROC curve.

An [bold]analysis file[/bold] defines the selection, the classes and the inputs of jets or events. \
Give its path, or the name of a bundled one.

Start with [cyan]collidekit demo[/cyan], or with your own files: [cyan]collidekit init my_jets.root[/cyan].""",
    epilog="Help for each command: [cyan]collidekit COMMAND --help[/cyan]",
    rich_markup_mode="rich",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Verb = Callable[..., None]


def filled(group: typer.Typer) -> Callable[..., Callable[[Verb], Verb]]:
    """Return a decorator that adds a verb to a group; its help page is the docstring with filled paragraphs."""

    def verb(panel: str, name: str | None = None) -> Callable[[Verb], Verb]:
        def add(function: Verb) -> Verb:
            page = "\n\n".join(" ".join(part.split()) for part in cleandoc(function.__doc__ or "").split("\n\n"))
            name_values(function)
            group.command(name, rich_help_panel=panel, help=page)(function)
            return function

        return add

    return verb


verb = filled(app)
"""Decorator that adds a verb to the command, in a panel of its help page."""


def panel(title: str, *names: str, help: str, **options: Any) -> Any:
    """Return an option in a panel of the help page."""
    return typer.Option(*names, help=help, rich_help_panel=title, show_default=False, **options)


def results_folder(folder: Path | None) -> Path | None:
    """Set the folder of the results for the whole process and its children."""
    if folder is not None:
        os.environ["COLLIDEKIT_OUTPUT"] = str(folder)
    return folder


On = Annotated[str | None, panel(BATCH, "--on", help="Run as batch jobs: slurm or htcondor.", metavar="SYSTEM")]
SiteFile = Annotated[
    str | None,
    panel(
        BATCH,
        "--site",
        help="A site file, or a bundled profile: slurm, htcondor, lxplus, naf or maxwell.",
        metavar="SITE",
    ),
]
DryRun = Annotated[bool, panel(BATCH, "--dry-run", help="Only print the job scripts and submit files.")]
"""Options of all verbs that can run as jobs; see docs/cluster.md."""
Analysis = Annotated[
    str,
    typer.Argument(
        help="An analysis file, or the name of a bundled one.", show_default=False, autocompletion=complete.analyses
    ),
]
TrainingFiles = Annotated[
    list[str] | None,
    panel(DATA, "--files", "-f", help="Training files. Default: those of the analysis file. May be repeated.",
          metavar="FILES"),
]  # fmt: skip
EachSeed = Annotated[
    str | None,
    panel(TRAINING, "--seeds", help="Train each point with each of these random seeds: 1,2,3", metavar="SEEDS"),
]
ForAll = Annotated[
    list[str] | None,
    panel(TRAINING, "--set", help="A parameter of TrainingTask for all trainings: --set batch_size=256. May be repeated.",
          metavar="NAME=VALUE"),
]  # fmt: skip
"""Options of verbs that train at many settings."""
Output = Annotated[
    Path | None, panel(RUNNING, "--output", help="Folder of the results. Default: ./results.", callback=results_folder)
]
"""The same option after the verb."""


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for other programs. docs/command.md lists the keys.")]
Quiet = Annotated[
    bool,
    panel(
        RUNNING,
        "--quiet",
        "-q",
        help="Print only warnings, errors and results, no progress.",
        callback=set_quiet,
    ),
]
"""Option of verbs that run for a long time."""


def _store(named: str | None) -> str | None:
    """Set the store for the whole process, its workers and jobs."""
    if named is not None:
        os.environ["COLLIDEKIT_STORE"] = named
    return named


Store = Annotated[
    str | None,
    panel(RUNNING, "--store", help="Server for complete outputs: a URL root://, s3:// or file://, or a file with a store "
                                "for each task.", metavar="STORE", callback=_store),
]  # fmt: skip
"""Option of verbs that write results; see docs/stores.md."""


def done_by_job(kind: str, out: Path, on: str | None, site: str | None, dry_run: bool, by_cores: str = "") -> bool:
    """Run this command as a job if a batch system or a site is named; return False if it must run here."""
    if not (on or site or dry_run):
        return False
    from collidekit.tasks.command_job import command_as_job

    return command_as_job(_words.get(), kind, out, on, site, dry_run, by_cores)


def split(text: str | None) -> tuple[str, ...]:
    """Return the comma-separated parts of a text; none for None."""
    return tuple(text.split(",")) if text is not None else ()


def _trust(trusted: bool) -> bool:
    """Trust user code in the whole process and its workers."""
    if trusted:
        os.environ["COLLIDEKIT_TRUST_CODE"] = "1"
    return trusted


TrustCode = Annotated[
    bool,
    panel(RUNNING, "--trust-code", help="Run the Python files that a checkpoint names, even if they are not yours or "
                                     "have changed since.", callback=_trust),
]  # fmt: skip
"""Option of verbs that load checkpoints; see docs/security.md."""
AllowTrainingRows = Annotated[
    bool,
    typer.Option("--allow-training-rows", help="Warn about rows of the training set of the model. Without this option they are an error."),
]  # fmt: skip
"""Option of verbs that apply a trained model to files."""
