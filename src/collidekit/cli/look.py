"""The verbs that look at files before a training."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from collidekit.cli.app import DATA, LOOK, WORK, Analysis, AsJson, Quiet, TrustCode, panel, verb
from collidekit.errors import CollidekitError
from collidekit.plain_text import literal

if TYPE_CHECKING:
    from rich.console import Console

    from collidekit.analysis.schema import Analysis as AnalysisFile


@verb(LOOK)
def init(
    files: Annotated[
        list[str],
        typer.Argument(
            help="Your files: paths, globs, .txt lists; before them SPANet's event file or weaver's data file.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The analysis file to write.")] = Path("analysis.yaml"),
    tree: Annotated[
        str | None,
        typer.Option(help="The tree of a ROOT file with several, or the group of an HDF5 file.", show_default=False),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there already.")] = False,
) -> None:
    """Begin an analysis of your own: look at your files and write a commented analysis file for them.

    It guesses collections, four-momenta, the columns of the jet, and which column is the truth. Columns that look like truth, a
    weight or another tagger's score become comments and are no inputs. It knows the layouts of PFNano, NanoAOD, ATLAS flavour tagging,
    Delphes, JetClass, SPANet and the Top Tagging Reference Dataset. It ends with a short check. Read the file once before you run it.

    Example: [cyan]collidekit init 'data/*.root' -o my_analysis.yaml[/cyan]

    With SPANet's event file, [cyan]collidekit init event.yaml data.h5[/cyan], it is translated: inputs, assignments with what may be
    exchanged, regressions and classes. What cannot be translated is named.

    With weaver's data configuration, [cyan]collidekit init data.yaml 'train/*.root'[/cyan], it is converted in the same way.

    Writes one file, and never over one that is there already unless told to.
    """
    from rich.console import Console

    from collidekit.cli.started import print_check, print_next
    from collidekit.starter.starter import start_analysis

    console = Console(highlight=False, soft_wrap=True)
    if files[0].lower().endswith(".ini"):
        raise CollidekitError(
            f"{files[0]}: is an event file of SPANet 1; write it as .yaml with INPUTS, EVENT and PERMUTATIONS, as SPANet 2 has them"
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
        console.print("Classes  [yellow]no column looks like the truth: fill them in before you run[/yellow]")
    for said in made.notes:
        console.print(f"Note     {literal(said)}")
    if made.positions:
        more = ", ..." if len(made.positions) > 6 else ""
        console.print(
            f"Note     the truth in the files ({literal(', '.join(made.positions[:6]))}{more}) is left out: write targets that learn it, or give "
            "SPANet's event file first, [cyan]collidekit init event.yaml FILES[/cyan]"
        )
    if made.unreadable:
        console.print(
            f"[yellow]Note[/yellow]     these columns cannot be read and are left out: {literal(', '.join(made.unreadable))}"
        )
    console.print(f"[bold green]Written[/bold green]  {literal(made.path)}")
    if has_classes or made.analysis.row_targets:
        print_check(console, made.path)
    print_next(console, made.path, made.analysis, has_classes)


def _print_inputs_and_targets(console: "Console", analysis: "AnalysisFile") -> None:
    from collidekit.analysis.targets import Assignment

    for name, entry in analysis.inputs.items():
        console.print(f"Input    {name}: {len(entry.features)} features")
    for name, target in analysis.row_targets.items():
        what = ", ".join(target.parents) if isinstance(target, Assignment) else ", ".join(target.values)
        console.print(f"Target   {name}: {literal(what)}")


def _translate(console: "Console", files: list[str], out: Path, tree: str | None, force: bool) -> None:
    """``init`` of an event file of SPANet, or of a data configuration of weaver."""
    from collidekit.starter.translate import translate

    made = translate(Path(files[0]), files[1:], out, tree, force)
    _print_inputs_and_targets(console, made.analysis)
    if made.analysis.classes:
        console.print(f"Classes  {', '.join(made.analysis.classes)}")
    for said in made.not_translated:
        console.print(f"[yellow]Not translated[/yellow]: {literal(said)}")
    for said in made.notes:
        console.print(f"Note     {literal(said)}")
    console.print(
        f"[bold green]Written[/bold green]: {literal(made.path)}\nNext:    [cyan]collidekit check {literal(made.path)}[/cyan]"
    )


@verb(LOOK)
def check(
    analysis: Analysis,
    files: Annotated[
        list[str] | None,
        typer.Argument(help="Files to look at. Without them: those that the analysis file names.", show_default=False),
    ] = None,
    named_files: Annotated[
        list[str] | None, panel(DATA, "--files", "-f", help="The same, as run has them. May be repeated.", metavar="FILES")
    ] = None,
    test_files: Annotated[
        list[str] | None,
        panel(DATA, "--test-files", "-t", help="Test files, which must not share rows with the others. May be repeated.",
               metavar="FILES"),
    ] = None,
    rows: Annotated[int | None, panel(WORK, "--rows", help="Look at so many rows only, spread over the files.", min=1)] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Find what would spoil a training before it does: one pass over the files, in bounded memory.

    Shows rows, cutflow, classes, the range of each feature, and what the dataset will take. Finds missing branches, rows in
    two classes, NaN, constant features, repeated rows, rows that are in both training and test files, wrong training
    settings of the analysis file, and features that alone separate classes better than all others together: those are often truth.

    Example: [cyan]collidekit check my_analysis.yaml 'train/*.root' --test-files 'test/*.root'[/cyan]

    Writes nothing. Exit code 2 if there are errors, 0 if there are only warnings.
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
    check_recommended(found.plan)  # before the verdict
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


@verb(LOOK)
def trace(
    analysis: Analysis,
    file: Annotated[str, typer.Argument(help="The file.", show_default=False)],
    row: Annotated[int, typer.Argument(help="Number of the row in the file; the first is 0.", show_default=False)],
    member: Annotated[
        int, typer.Option(help="Where an analysis has its rows inside of events ('rows: Jet'): which one of the event.")
    ] = 0,
    checkpoint: Annotated[
        str | None,
        typer.Option(help="A best_model.pt, the folder of a TrainingTask or of a published model, or a model that ships: "
                     "show the scaled inputs and the answer of its network too.", show_default=False),
    ] = None,
    trust_code: TrustCode = False,
) -> None:  # fmt: skip
    """Answer "why this number?": follow one row from the file to the network.

    Shows the values in the file, each condition of the selection, each variable after those it needs, the class, and each
    feature with what happened on its way: default, bounds, order and limit.

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


@verb(LOOK)
def defaults(
    analysis: Annotated[str, typer.Argument(help="An analysis file, or the name of one that ships.", show_default=False)],
    files: Annotated[
        list[str] | None,
        panel(DATA, "--files", "-f", help="Files to look at. Without it: those that the analysis file names. May be repeated.",
              metavar="FILES"),
    ] = None,
    rows: Annotated[int | None, panel(WORK, "--rows", help="Look at so many rows only, spread over the files.", min=1)] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Show the features that are never missing, too.")
    ] = False,
) -> None:  # fmt: skip
    """Find defaults that lie near the bulk of the data, for what is missing.

    Shows for each feature which share of its values is at the default, where 99 % of the others lie, how many widths of the
    scaling the default is away from them, and a default next to them. A network learns best from missing values that lie
    near all others and are not among them.

    Example: [cyan]collidekit defaults my_analysis.yaml --files 'train/*.root'[/cyan]

    Writes nothing; the last lines are to be pasted into the analysis file.
    """
    from rich.console import Console

    from collidekit.dataset.check import check_named
    from collidekit.dataset.check_tables import show_defaults
    from collidekit.dataset.defaults import find_defaults

    show_defaults(find_defaults(check_named(analysis, files, None, rows)), Console(), every)
