"""The frame of the command: the app, its pages of help, and the one line that an error becomes."""

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

DO, LOOK, MAKE, KEEP = "From files to a tagger", "Look before you train", "Make samples", "Look after your results"
SHARE = "Use and share trained models"
JUDGE = "Look into a trained tagger"
DATA, TRAINING, WORK, ENSEMBLE, CARD = "Data", "Training", "How to work", "Ensemble", "The card"
BATCH = "On a batch system"
_words: ContextVar[list[str]] = ContextVar("words of the command")


class Verbs(TyperGroup):
    """The verbs; an error that a user can mend ends them with one line and exit code 2."""

    def main(self, *args: Any, **settings: Any) -> Any:
        """Characters that the terminal cannot show, such as those of a name of a file that is no text, are escaped."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        return super().main(*args, **settings)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Keep the words of the command: a job gets them again."""
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
                f"this needs {package}, which is not installed here: collidekit-runtime brings only what predicts with a bundle; install "
                "collidekit itself"
            ) from None
        except KeyboardInterrupt as stop:
            goes_on = ctx.invoked_subcommand in ("run", "demo", "search")
            next_time = "goes on where it was" if goes_on else "begins again"
            how = f"stopped by {stop}" if isinstance(stop, StoppedBySignal) else "interrupted"
            raise _stopped(f"{how}; nothing is half-written, and the same command {next_time}") from None


def _stopped(message: str) -> typer.Exit:
    typer.echo(f"{typer.style('error:', fg='red', bold=True)} {' '.join(without_controls(message).split())}", err=True)
    return typer.Exit(2)


app = typer.Typer(
    cls=Verbs,
    help="""Machine learning on collider events: from ROOT files to a tagger with a ROC curve.

An [bold]analysis file[/bold] says what a jet or an event is: its selection, its classes, its inputs. \
Give its path, or the name of one that ships with collidekit.

Begin with [cyan]collidekit demo[/cyan]; with files of your own, with [cyan]collidekit init my_jets.root[/cyan].""",
    epilog="Every verb has a page of its own: [cyan]collidekit VERB --help[/cyan]",
    rich_markup_mode="rich",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

Verb = Callable[..., None]


def filled(group: typer.Typer) -> Callable[..., Callable[[Verb], Verb]]:
    """Return what adds a verb to a group: its page is the docstring, whose paragraphs are filled to the width of the terminal."""

    def verb(panel: str, name: str | None = None) -> Callable[[Verb], Verb]:
        def add(function: Verb) -> Verb:
            page = "\n\n".join(" ".join(part.split()) for part in cleandoc(function.__doc__ or "").split("\n\n"))
            name_values(function)
            group.command(name, rich_help_panel=panel, help=page)(function)
            return function

        return add

    return verb


verb = filled(app)
"""Adds a verb of the command, in a panel of its page."""


def panel(title: str, *names: str, help: str, **options: Any) -> Any:
    """An option in a panel of the page of help."""
    return typer.Option(*names, help=help, rich_help_panel=title, show_default=False, **options)


def results_folder(folder: Path | None) -> Path | None:
    """The folder of the results, for all that follows."""
    if folder is not None:
        os.environ["COLLIDEKIT_OUTPUT"] = str(folder)
    return folder


On = Annotated[str | None, panel(BATCH, "--on", help="Run it as jobs of slurm or htcondor.", metavar="SYSTEM")]
SiteFile = Annotated[
    str | None,
    panel(
        BATCH,
        "--site",
        help="A site file, or a bundled profile: slurm, htcondor, lxplus, naf or maxwell.",
        metavar="SITE",
    ),
]
DryRun = Annotated[bool, panel(BATCH, "--dry-run", help="Print the job scripts and submit files, and send nothing.")]
"""Of all verbs whose work may be done by jobs; see docs/cluster.md."""
Analysis = Annotated[
    str,
    typer.Argument(
        help="An analysis file, or the name of a bundled one.", show_default=False, autocompletion=complete.analyses
    ),
]
TrainingFiles = Annotated[
    list[str] | None,
    panel(DATA, "--files", "-f", help="Files to learn from. Without it: those that the analysis file names. May be repeated.",
          metavar="FILES"),
]  # fmt: skip
EachSeed = Annotated[
    str | None,
    panel(TRAINING, "--seeds", help="Train each of them once with each of these seeds: 1,2,3", metavar="SEEDS"),
]
ForAll = Annotated[
    list[str] | None,
    panel(TRAINING, "--set", help="A parameter of TrainingTask for all trainings: --set batch_size=256. May be repeated.",
          metavar="NAME=VALUE"),
]  # fmt: skip
"""Of verbs that train at many settings."""
Output = Annotated[
    Path | None, panel(WORK, "--output", help="Folder of the results, ./results without it.", callback=results_folder)
]
"""Also after the verb, where people look for it."""


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for other programs; docs/command.md lists its keys.")]
Quiet = Annotated[
    bool,
    panel(
        WORK,
        "--quiet",
        "-q",
        help="Print only warnings, errors and results: no steps, no progress.",
        callback=set_quiet,
    ),
]
"""For verbs that work for long."""


def _store(named: str | None) -> str | None:
    """For all that follows, also in worker processes and jobs."""
    if named is not None:
        os.environ["COLLIDEKIT_STORE"] = named
    return named


Store = Annotated[
    str | None,
    panel(WORK, "--store", help="Where complete outputs are kept: a URL root://, s3:// or file://, or a file with a store for each "
          "task.", metavar="STORE", callback=_store),
]  # fmt: skip
"""For verbs that make outputs; see docs/stores.md."""


def done_by_job(kind: str, out: Path, on: str | None, site: str | None, dry_run: bool, by_cores: str = "") -> bool:
    """Run this very command as a job where a batch system or a site is named; returns False where it is to run here."""
    if not (on or site or dry_run):
        return False
    from collidekit.tasks.command_job import command_as_job

    return command_as_job(_words.get(), kind, out, on, site, dry_run, by_cores)


def split(text: str | None) -> tuple[str, ...]:
    """The parts of a text with commas, none of None."""
    return tuple(text.split(",")) if text is not None else ()


def _trust(trusted: bool) -> bool:
    """For all that follows, also in worker processes."""
    if trusted:
        os.environ["COLLIDEKIT_TRUST_CODE"] = "1"
    return trusted


TrustCode = Annotated[
    bool,
    panel(WORK, "--trust-code", help="Run the Python files that a checkpoint names, also where they are not yours or have "
          "changed since.", callback=_trust),
]  # fmt: skip
"""For verbs that load checkpoints; see docs/security.md."""
AllowTrainingRows = Annotated[
    bool,
    typer.Option("--allow-training-rows", help="Go on with rows that the model was trained on, which are an error without it; with "
                 "a loud warning."),
]  # fmt: skip
"""For verbs that use a trained model on files."""
