"""The verbs ``init``, ``check``, ``trace`` and ``defaults``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from collidekit.cli.app import DATA, PREPARE, RUNNING, Analysis, AsJson, Quiet, TrustCode, panel, verb
from collidekit.errors import CollidekitError
from collidekit.plain_text import literal

if TYPE_CHECKING:
    from rich.console import Console

    from collidekit.analysis.schema import Analysis as AnalysisFile


@verb(PREPARE)
def init(
    files: Annotated[
        list[str],
        typer.Argument(
            help="Your files: paths, globs, .txt lists. To translate SPANet's event file or weaver's data file, name it first.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The analysis file to write.")] = Path("analysis.yaml"),
    tree: Annotated[
        str | None,
        typer.Option(
            help="The tree of a ROOT file with several trees, or the group of an HDF5 file.", show_default=False
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Read your files and write a commented analysis file for them.

    The verb guesses collections, four-momenta, the columns of the jet, and the truth. Columns that look like truth,
    weights or scores of other taggers become comments and are not inputs. It knows the layouts of PFNano, NanoAOD,
    ATLAS flavour tagging, Delphes, JetClass, SPANet and the Top Tagging Reference Dataset. At the end it runs a short
    check. Read the file before you run it.

    Example: [cyan]collidekit init 'data/*.root' -o my_analysis.yaml[/cyan]

    An event file of SPANet is translated: [cyan]collidekit init event.yaml data.h5[/cyan]. This includes inputs,
    assignments with their symmetries, regressions and classes. Everything that cannot be translated is listed.

    A data configuration of weaver is converted in the same way: [cyan]collidekit init data.yaml 'train/*.root'[/cyan].

    Writes one file. An existing file is replaced only with [bold]--force[/bold].
    """
    from rich.console import Console

    from collidekit.cli.init_summary import print_check, print_next
    from collidekit.starter.starter import start_analysis

    console = Console(highlight=False, soft_wrap=True)
    if files[0].lower().endswith(".ini"):
        raise CollidekitError(
            f"{files[0]}: this is an event file of SPANet 1; write it in the format of SPANet 2, a .yaml file with "
            f"INPUTS, EVENT and PERMUTATIONS"
        )
    if files[0].lower().endswith((".yaml", ".yml")):
        _translate(console, files, out, tree, force)
        return
    made = start_analysis(files, out, tree, force)
    if made.guess.rows:
        console.print(f"Rows     each {literal(made.guess.rows)} of an event")
    _print_inputs_and_targets(console, made.analysis)
    has_classes = any(made.class_counts.values())
    if made.analysis.classes and not has_classes and not made.analysis.row_targets:
        console.print("Classes  [yellow]no column looks like the truth; fill in the classes before you run[/yellow]")
    for note in made.notes:
        console.print(f"Note     {literal(note)}")
    if made.positions:
        more = ", ..." if len(made.positions) > 6 else ""
        console.print(
            f"Note     the truth in the files ({literal(', '.join(made.positions[:6]))}{more}) is not used: write "
            f"targets for it, or name SPANet's event file first, [cyan]collidekit init event.yaml FILES[/cyan]"
        )
    if made.unreadable:
        console.print(
            f"[yellow]Note[/yellow]     these columns cannot be read and are left out: {literal(', '.join(made.unreadable))}"
        )
    console.print(f"[bold green]Written[/bold green]  {literal(made.path)}")
    can_run = print_check(console, made.path) if has_classes or made.analysis.row_targets else True
    print_next(console, made.path, made.analysis, has_classes, can_run)


def _print_inputs_and_targets(console: "Console", analysis: "AnalysisFile") -> None:
    from collidekit.analysis.targets import Assignment

    for name, entry in analysis.inputs.items():
        console.print(f"Input    {name}: {len(entry.features)} feature{'s' if len(entry.features) > 1 else ''}")
    for name, target in analysis.row_targets.items():
        what = ", ".join(target.parents) if isinstance(target, Assignment) else ", ".join(target.values)
        console.print(f"Target   {name}: {literal(what)}")


def _translate(console: "Console", files: list[str], out: Path, tree: str | None, force: bool) -> None:
    """Translate an event file of SPANet or a data configuration of weaver, and print the result."""
    from collidekit.starter.translate import translate

    made = translate(Path(files[0]), files[1:], out, tree, force)
    _print_inputs_and_targets(console, made.analysis)
    if made.analysis.classes:
        console.print(f"Classes  {', '.join(made.analysis.classes)}")
    for text in made.not_translated:
        console.print(f"[yellow]Not translated[/yellow]: {literal(text)}")
    for note in made.notes:
        console.print(f"Note     {literal(note)}")
    console.print(
        f"[bold green]Written[/bold green]: {literal(made.path)}\nNext:    [cyan]collidekit check {literal(made.path)}[/cyan]"
    )


@verb(PREPARE)
def check(
    analysis: Analysis,
    files: Annotated[
        list[str] | None,
        typer.Argument(help="Files to check. Default: those of the analysis file.", show_default=False),
    ] = None,
    named_files: Annotated[
        list[str] | None, panel(DATA, "--files", "-f", help="Files to check, the same option as in run. May be repeated.", metavar="FILES")
    ] = None,
    test_files: Annotated[
        list[str] | None,
        panel(DATA, "--test-files", "-t", help="Test files, which must have no rows in common with the training files. May be repeated.",
               metavar="FILES"),
    ] = None,
    rows: Annotated[int | None, panel(RUNNING, "--rows", help="Read at most this number of rows, spread over the files.", min=1)] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Find problems before a training, in one pass over the files and in bounded memory.

    Shows rows, cutflow, classes, the range of each feature, and the disk space, memory and time of the dataset. Finds
    missing branches, rows in two classes, NaN, constant features, repeated rows, rows that are in both training and
    test files, wrong training settings in the analysis file, and features that alone separate classes better than all
    others together (these are often truth).

    Example: [cyan]collidekit check my_analysis.yaml 'train/*.root' --test-files 'test/*.root'[/cyan]

    Writes nothing. The exit code is 2 if there are errors, and 0 if there are only warnings.
    """
    from rich.console import Console

    from collidekit.dataset.check import check_named
    from collidekit.dataset.check_json import check_as_dict
    from collidekit.dataset.check_problems import Problem
    from collidekit.dataset.check_tables import show
    from collidekit.evaluation.dilepton.doubts import doubts_of_files
    from collidekit.files import plain
    from collidekit.training.choice import check_recommended

    found = check_named(analysis, [*(files or ()), *(named_files or ())] or None, test_files, rows)
    check_recommended(found.plan)
    found.problems.extend(
        Problem(f"{part.name}: {text}")
        for part in found.parts
        for text in doubts_of_files(found.plan, [file.path for file in part.files if not file.problem])
    )
    if as_json:
        typer.echo(json.dumps(plain(check_as_dict(found)), indent=1))
    else:
        show(found, Console(), quiet)
    if found.errors:
        raise typer.Exit(2)


@verb(PREPARE)
def trace(
    analysis: Analysis,
    file: Annotated[str, typer.Argument(help="The file.", show_default=False)],
    row: Annotated[int, typer.Argument(help="Number of the row in the file; the first is 0.", show_default=False)],
    member: Annotated[
        int, typer.Option(help="Number of the row in its event, if rows are inside events ('rows: Jet').")
    ] = 0,
    checkpoint: Annotated[
        str | None,
        typer.Option(help="A best_model.pt, the folder of a TrainingTask or of a published model, or a bundled model: "
                          "also show the scaled inputs and the output of the network.", show_default=False),
    ] = None,
    trust_code: TrustCode = False,
) -> None:  # fmt: skip
    """Follow one row from the file to the network.

    Shows the values in the file, each condition of the selection, each variable after the variables that it needs, the
    class, and each feature with every change of its value: default, bounds, order and limit.

    Example: [cyan]collidekit trace top_tagging_reference jets.parquet 1234 --checkpoint best_model.pt[/cyan]

    Writes nothing.
    """
    from rich.console import Console

    from collidekit.analysis.load import read_analysis
    from collidekit.analysis.scope import Plan
    from collidekit.dataset.trace import trace as follow
    from collidekit.dataset.trace_tables import show
    from collidekit.shipped import find_analysis

    found = follow(Plan(*read_analysis(find_analysis(analysis))), file, row, member)
    if checkpoint is None:
        show(found, Console())
        return
    from collidekit.inference.trace_network import ask, show_answer

    answer = ask(checkpoint, found)
    show(found, Console(), answer.scaled)
    show_answer(answer, Console())


@verb(PREPARE)
def defaults(
    analysis: Annotated[str, typer.Argument(help="An analysis file, or the name of a bundled one.", show_default=False)],
    files: Annotated[
        list[str] | None,
        panel(DATA, "--files", "-f", help="Files to read. Default: those of the analysis file. May be repeated.",
              metavar="FILES"),
    ] = None,
    rows: Annotated[int | None, panel(RUNNING, "--rows", help="Read at most this number of rows, spread over the files.", min=1)] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Also show features without missing values.")
    ] = False,
) -> None:  # fmt: skip
    """Find defaults for missing values, near the bulk of the data.

    Shows for each feature the fraction of its values at the default, the range of 99 % of the other values, the
    distance of the default from this range in widths of the scaling, and a default next to the range. Networks train
    best if the default is near all other values, but outside their range.

    Example: [cyan]collidekit defaults my_analysis.yaml --files 'train/*.root'[/cyan]

    Writes nothing. Paste the last lines into the analysis file.
    """
    from rich.console import Console

    from collidekit.dataset.check import check_named
    from collidekit.dataset.check_tables import show_defaults
    from collidekit.dataset.defaults import find_defaults

    show_defaults(find_defaults(check_named(analysis, files, None, rows)), Console(), every)
