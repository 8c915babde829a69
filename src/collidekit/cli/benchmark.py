"""Verbs of open benchmarks for organisers: list, create, build, check."""

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from collidekit.cli.app import Verbs, app, filled
from collidekit.plain_text import literal

BENCHMARK = "Open benchmarks"
ORGANISE, TAKE_PART, RUN = "Organise a benchmark", "Take part", "Store of the runs"

benchmark_app = typer.Typer(
    cls=Verbs,
    help="Open benchmarks: make one, take part in one, run submissions in a sandbox, and rank them.",
    epilog="Help for each command: [cyan]collidekit benchmark COMMAND --help[/cyan]",
    rich_markup_mode="rich",
    no_args_is_help=True,
)
app.add_typer(benchmark_app, name="benchmark", rich_help_panel=BENCHMARK)

benchmark_verb = filled(benchmark_app)
"""Decorator that adds a verb to ``collidekit benchmark``, in a panel of its help page."""

Folder = Annotated[str, typer.Argument(help="The folder of a benchmark.", show_default=False)]


@benchmark_verb(ORGANISE, "list")
def list_benchmarks() -> None:
    """List the bundled benchmarks.

    Example: [cyan]collidekit benchmark list[/cyan]

    Writes nothing.
    """
    from rich.console import Console

    from collidekit.benchmark.definition import load_benchmark
    from collidekit.cli.benchmark_tables import table
    from collidekit.shipped import shipped_benchmarks

    shown = table("name", "title", "ranked by", "rows from")
    for name, folder in shipped_benchmarks().items():
        found = load_benchmark(folder)
        files = {
            file
            for phase in (found.build.phases.values() if found.build else ())
            for source in phase.values()
            for file in source.files
        }
        origin = "the bundled sample" if files <= {"test", "training"} else f"your files: {', '.join(sorted(files))}"
        shown.add_row(name, literal(found.title), literal((found.order or [found.metrics[0].name])[0]), literal(origin))
    Console(soft_wrap=True).print(shown)


@benchmark_verb(ORGANISE)
def create(
    folder: Annotated[Path, typer.Argument(help="The folder to write.", show_default=False)],
    template: Annotated[str, typer.Option("--like", help="The bundled benchmark to start from; see collidekit "
                                        "benchmark list.", metavar="NAME")] = "top_tagging",
    name: Annotated[str, typer.Option("--name", help="Name of the new benchmark: lower-case letters, digits and _. "
                                        "Default: the name of the bundled one.",
                                      metavar="NAME")] = "",
) -> None:  # fmt: skip
    """Write the folder of a new benchmark from a bundled one; then edit benchmark.yaml and build it.

    Example: [cyan]collidekit benchmark create my_benchmark --like top_tagging[/cyan]

    Writes benchmark.yaml and copies of the other files of the bundled benchmark.
    """
    from collidekit.benchmark.create import create_benchmark

    made = create_benchmark(folder, template, name)
    typer.echo(
        f"{made.folder}: {made.title}\nchange {made.folder / 'benchmark.yaml'}, then: collidekit benchmark build {quote(str(folder))}"
    )


@benchmark_verb(ORGANISE)
def build(
    folder: Annotated[Path, typer.Argument(help="The folder of a benchmark, or of a benchmark of ROB.", show_default=False)],
    into: Annotated[Path | None, typer.Option("--into", help="New folder for the converted benchmark of ROB.", show_default=False)] = None,
    jets: Annotated[Path | None, typer.Option("--pickled-jets", help="Pickled test jets from the organiser of a "
                                        "benchmark of ROB. Only numbers and arrays are read from them.", show_default=False)] = None,
    labels: Annotated[Path | None, typer.Option("--pickled-labels", help="Pickled labels of the whole test set of "
                                        "this benchmark; labels from the 400,000th on are scored. Default: the labels "
                                        "beside the jets.", show_default=False)] = None,
) -> None:  # fmt: skip
    """Make the features and truth of a benchmark from its section build, and write checksums into benchmark.yaml.

    The order of the rows does not depend on the truth. A feature that reveals the truth is an error, and so are phases
    with common events. Without a section build, existing files get checksums and are checked as by [bold]check[/bold].

    A benchmark of ROB (flowserv 0.8 or later) is converted into another folder.

    Example: [cyan]collidekit benchmark build my_benchmark[/cyan]

    Writes the data files that benchmark.yaml names, their checksums in benchmark.yaml, and Croissant metadata:
    croissant.json for everybody, croissant_truth.json for the organiser.
    """
    from rich.console import Console

    from collidekit.benchmark.old_format import is_old_format
    from collidekit.errors import CollidekitError

    if is_old_format(folder):
        _convert(folder, into, jets, labels)
        return
    for option, value in (("--into", into), ("--pickled-jets", jets), ("--pickled-labels", labels)):
        if value is not None:
            raise CollidekitError(
                f"{option}: works only with a benchmark of ROB, and {folder} is not one; leave it out"
            )
    from collidekit.benchmark.build import build_benchmark
    from collidekit.benchmark.check import check_benchmark, check_metrics
    from collidekit.benchmark.croissant import describe_benchmark
    from collidekit.benchmark.definition import load_benchmark
    from collidekit.cli.benchmark_tables import table

    check_metrics(load_benchmark(folder))
    built = build_benchmark(folder)
    check_benchmark(load_benchmark(folder))
    describe_benchmark(load_benchmark(folder))
    if built.samples:
        shown = table("sample", "rows", "classes", "features")
        for sample in built.samples:
            classes = ", ".join(f"{name} {count:,}" for name, count in sample.classes.items())
            shown.add_row(
                literal(sample.name), f"{sample.rows:,}", literal(classes or "-"), f"{sample.bytes / 1e6:.1f} MB"
            )
        Console(soft_wrap=True).print(shown)
    typer.echo(f"{folder}: complete, with checksums of {len(built.checksums)} files")


def _convert(folder: Path, into: Path | None, jets: Path | None, labels: Path | None) -> None:
    from collidekit.benchmark.old_convert import convert_old
    from collidekit.errors import CollidekitError
    from collidekit.progress import notice

    if into is None:
        raise CollidekitError(
            f"{folder}: this is a benchmark of ROB; name a new folder for the converted benchmark with --into"
        )
    made = convert_old(folder, into, jets, labels)
    for warning in made.warnings:
        notice(warning)
    if made.jets:
        typer.echo(f"{into}: converted, with {made.jets:,} jets")
    else:
        typer.echo(
            f"{into}: converted without data; name the pickled jets with --pickled-jets, or write the files that benchmark.yaml names"
        )


@benchmark_verb(ORGANISE)
def check(folder: Folder) -> None:
    """Check a benchmark: its file and metrics, checksums and keys, the format of the truth, and data that reveal the truth.

    Example: [cyan]collidekit benchmark check my_benchmark[/cyan]

    Writes nothing.
    """
    from collidekit.benchmark.check import check_benchmark
    from collidekit.benchmark.definition import load_benchmark

    found = load_benchmark(folder)
    check_benchmark(found)
    typer.echo(f"{folder}: {found.title}: no problems")
