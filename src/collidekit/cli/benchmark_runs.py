"""Verbs of open benchmarks for participants: init, run, submit, status, logs, cancel, leaderboard."""

from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from collidekit.cli.benchmark import RUN, TAKE_PART, Folder, benchmark_verb
from collidekit.plain_text import without_controls

Submission = Annotated[Path, typer.Argument(help="The folder of a submission.", show_default=False)]
Phase = Annotated[str, typer.Option("--phase", help="The phase. Default: the first one.", metavar="NAME")]
Values = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="A parameter of the benchmark: --set depth=3. May be repeated.",
        metavar="NAME=VALUE",
        show_default=False,
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Random seed for the submission.", min=0)]


def _place(context: typer.Context, option: typer.CallbackParam, value: str | None) -> str | None:
    """Return the value of a place, or None if it is from the environment and an option names another place."""
    source = context.get_parameter_source(option.name or "")
    named = context.meta.setdefault("collidekit.benchmark.place", [])
    if value and source is not None and source.name == "COMMANDLINE":
        named.append(option.name)
    return None if named and source is not None and source.name == "ENVIRONMENT" else value


StoreUrl = Annotated[
    str | None,
    typer.Option("--store", help="A store: board.db, or postgresql://user@host/database.", envvar="COLLIDEKIT_BENCHMARK_STORE", metavar="URL",
                 callback=_place, rich_help_panel=RUN, show_default=False),
]  # fmt: skip
StoreFolder = Annotated[
    Path | None,
    typer.Option("--folder", help="Folder for uploads and results of the store. Default: beside the file of the "
                                  "store.", rich_help_panel=RUN,
                 show_default=False),
]  # fmt: skip
Server = Annotated[
    str | None,
    typer.Option("--server", help="Address of a server.", envvar="COLLIDEKIT_BENCHMARK_SERVER", metavar="URL", callback=_place,
                 rich_help_panel=RUN, show_default=False),
]  # fmt: skip
Token = Annotated[
    str | None,
    typer.Option("--token", help="Your token for the server. Prefer the environment variable, because other users of "
                                 "the machine can see options.",
                 envvar="COLLIDEKIT_BENCHMARK_TOKEN", rich_help_panel=RUN, show_default=False),
]  # fmt: skip
Run = Annotated[int, typer.Argument(help="Number of the run.", min=1, show_default=False)]


@benchmark_verb(TAKE_PART)
def init(
    folder: Annotated[Path, typer.Argument(help="The folder to write.", show_default=False)],
    benchmark: Annotated[Path | None, typer.Option("--benchmark", help="The folder of the benchmark.", show_default=False)] = None,
    bundle: Annotated[Path | None, typer.Option("--from", help="A bundle from collidekit export, with which the "
                                        "submission predicts.", metavar="BUNDLE",
                                                show_default=False)] = None,
    name: Annotated[str, typer.Option("--name", help="Name of the submission. Default: name of the folder.")] = "",
) -> None:  # fmt: skip
    """Write a first submission: a package with an example tagger and empty pre-processing, mydata, and a Containerfile.

    With [bold]--from[/bold] the tagger is a bundle, which uses onnxruntime, not torch. Such a submission is complete.

    Example: [cyan]collidekit benchmark init my_tagger --benchmark my_benchmark --from my_bundle[/cyan]

    Writes submission.yaml and the files that it names.
    """
    from collidekit.benchmark.definition import load_benchmark
    from collidekit.benchmark.init import write_submission

    made = write_submission(folder, load_benchmark(benchmark) if benchmark else None, bundle, name)
    code = "the submission is complete" if bundle else f"write your tagger into {made / 'my_tagger' / 'tagger.py'}"
    words = f"{quote(str(benchmark)) if benchmark else 'BENCHMARK'} {quote(str(made))}"
    typer.echo(f"{made}: {code}; try it with: collidekit benchmark run {words}")


@benchmark_verb(TAKE_PART)
def run(
    benchmark: Folder,
    submission: Submission,
    phase: Phase = "",
    values: Values = None,
    seed: Seed = 0,
    engine: Annotated[str, typer.Option("--engine", help="The sandbox: podman, docker, apptainer or bubblewrap. "
                                        "Default: the first one that works here.", metavar="NAME")] = "",
    image: Annotated[str, typer.Option("--image", help="Container image for a submission without one; docker and apptainer need an image.",
                                       metavar="IMAGE")] = "",
    pull: Annotated[bool, typer.Option("--pull", help="Download missing container images.")] = False,
    trust: Annotated[bool, typer.Option("--trust", help="Run without a sandbox. Use this only for code that you trust.")] = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Folder for logs, predictions and scores. "
                                        "Default: results/benchmark.", show_default=False)] = None,
) -> None:  # fmt: skip
    """Run a submission on this machine, in the same sandbox and with the same scorer as a server.

    Example: [cyan]collidekit benchmark run my_benchmark my_tagger[/cyan]

    Writes result.json, and logs and predictions of each sample.
    """
    from rich.console import Console

    from collidekit.benchmark.local import find_sandbox, run_here
    from collidekit.benchmark.scoring.labels import shown_runs
    from collidekit.benchmark.states import State
    from collidekit.cli.benchmark_tables import scores_table
    from collidekit.errors import CollidekitError
    from collidekit.progress import notice

    found = run_here(
        benchmark,
        submission,
        lambda definition: find_sandbox(definition, engine, image, pull, trust),
        phase,
        _values(values),
        seed,
        output,
    )
    result = found.result
    if result.state is not State.SUCCESS or result.scores is None:
        who = f" (the {result.fault.value} must fix this)" if result.fault else ""
        state = "" if result.state is State.ERROR else f"{result.state.value}: "
        raise CollidekitError(f"{state}{result.details or result.reason}{who}; logs are in {found.folder}")
    for note in (*result.notes, *result.scores.notes):
        notice(note)
    Console(soft_wrap=True, highlight=False).print(scores_table(found.benchmark, result.scores))
    counted = shown_runs(result.scores.runs, result.scores.runs_left_out)
    runs = f", {counted}" if counted else ""
    typer.echo(
        f"{result.scores.rows:,} rows{runs}, {result.wall_seconds:.1f} s; logs and predictions are in {found.folder}"
    )


@benchmark_verb(TAKE_PART)
def submit(
    benchmark: Annotated[
        str,
        typer.Argument(
            help="The name of a benchmark, or its folder, which is then registered in the store.", show_default=False
        ),
    ],
    submission: Submission,
    phase: Phase = "",
    name: Annotated[
        str, typer.Option("--name", help="Name on the leaderboard. Default: the name in submission.yaml.")
    ] = "",
    values: Values = None,
    seed: Seed = 0,
    store: StoreUrl = None,
    folder: StoreFolder = None,
    server: Server = None,
    token: Token = None,
) -> None:
    """Submit to a store or a server, and print the number of the run.

    Example: [cyan]collidekit benchmark submit my_benchmark my_tagger --store board.db[/cyan]

    Writes the submission into the store.
    """
    from collidekit.benchmark.connection import connect

    number = connect(store, server, token, folder, new=True).submit(
        benchmark, phase, submission, name, _values(values), seed
    )
    where = f"--server {quote(server)}" if server else f"--store {quote(store or '')}"
    typer.echo(f"run {number} is queued; follow it with: collidekit benchmark status {number} {where}")


@benchmark_verb(TAKE_PART)
def status(
    run: Run, store: StoreUrl = None, folder: StoreFolder = None, server: Server = None, token: Token = None
) -> None:
    """Print the state of a run: its place in the queue, its scores, or the reason of a failure.

    Example: [cyan]collidekit benchmark status 17 --store board.db[/cyan]

    Writes nothing.
    """
    from rich.console import Console

    from collidekit.benchmark.connection import connect
    from collidekit.cli.benchmark_status import status_table

    found = connect(store, server, token, folder, public=True).status(run)
    Console(soft_wrap=True, highlight=False).print(status_table(found))


@benchmark_verb(TAKE_PART)
def logs(
    run: Run, store: StoreUrl = None, folder: StoreFolder = None, server: Server = None, token: Token = None
) -> None:
    """Print the logs of a run.

    Example: [cyan]collidekit benchmark logs 17 --store board.db[/cyan]

    Writes nothing.
    """
    from collidekit.benchmark.connection import connect

    text = connect(store, server, token, folder).log(run)
    typer.echo(without_controls(text) if text else f"run {run} has printed nothing yet")


@benchmark_verb(TAKE_PART)
def cancel(
    run: Run,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="Also remove the run from the leaderboard. It stays in the store.")
    ] = False,
    store: StoreUrl = None,
    folder: StoreFolder = None,
    server: Server = None,
    token: Token = None,
) -> None:
    """Cancel a queued or running run; with --withdraw, also remove it from the leaderboard.

    Example: [cyan]collidekit benchmark cancel 17 --store board.db[/cyan]

    Writes the request into the store.
    """
    from collidekit.benchmark.connection import connect

    connection = connect(store, server, token, folder)
    if withdraw:
        again = connection.withdraw(run)
        stays = f"; it was run again as {_runs(again)}, which {'stays' if len(again) == 1 else 'stay'}" if again else ""
        typer.echo(f"run {run} is withdrawn{stays}")
    elif connection.cancel(run):
        typer.echo(f"run {run} is canceled")
    else:
        found = connection.status(run)
        more = "; remove it from the leaderboard with --withdraw" if found["state"] == "success" else ""
        if found["withdrawn"]:
            more = ", withdrawn"
        typer.echo(f"run {run} has ended already: {found['state']}{more}")


@benchmark_verb(TAKE_PART)
def share(
    run: Run,
    user: Annotated[str, typer.Argument(help="The name of the user.", show_default=False)],
    store: StoreUrl = None,
    folder: StoreFolder = None,
    server: Server = None,
    token: Token = None,
) -> None:
    """Let another user submit under the name of a run. This user can also see and change all runs of that name.

    Example: [cyan]collidekit benchmark share 17 bob --store board.db[/cyan]

    Writes the user into the store.
    """
    from collidekit.benchmark.connection import connect

    connect(store, server, token, folder).share(run, user)
    typer.echo(f"{user} may now submit under the name of run {run}")


@benchmark_verb(TAKE_PART)
def leaderboard(
    benchmark: Annotated[str, typer.Argument(help="The name of a benchmark, or its folder.", show_default=False)],
    phase: Phase = "",
    out: Annotated[list[Path] | None, typer.Option("--out", "-o", help="Write the leaderboard to a file (.csv, .md, "
                                        ".json) or a plot of all ROC curves (.png, .pdf). May be repeated.", show_default=False)] = None,
    store: StoreUrl = None,
    folder: StoreFolder = None,
    server: Server = None,
    token: Token = None,
) -> None:  # fmt: skip
    """Print the leaderboard of a phase; entries within their errors share a rank, and published results have none.

    Example: [cyan]collidekit benchmark leaderboard my_benchmark --store board.db -o board.md -o roc.png[/cyan]

    Writes the files that [bold]--out[/bold] names.
    """
    from rich.console import Console

    from collidekit.benchmark.connection import connect
    from collidekit.benchmark.scoring.tables import PLOTS, write_board
    from collidekit.cli.benchmark_board import BoardTable

    curves = any(path.suffix.lower() in PLOTS for path in out or ())
    board = connect(store, server, token, folder, public=True).leaderboard(benchmark, phase, curves)
    Console(soft_wrap=True, highlight=False).print(BoardTable(board))
    for path in out or ():
        typer.echo(write_board(path, board))


def _runs(numbers: list[int]) -> str:
    """Return ``run 3``, or ``runs 3 and 5``."""
    *first, last = map(str, numbers)
    return f"runs {', '.join(first)} and {last}" if first else f"run {last}"


def _values(given: list[str] | None) -> dict[str, Any]:
    """Return parameters from texts NAME=VALUE with YAML values."""
    from collidekit.analysis.load import parse_yaml
    from collidekit.errors import CollidekitError

    found = {}
    for text in given or ():
        name, sign, value = text.partition("=")
        if not sign:
            raise CollidekitError(f"--set {text}: write it as NAME=VALUE")
        try:
            found[name.strip()] = parse_yaml(value, "--set", "YAML")[0]
        except CollidekitError:  # such as the date 2026-13-45
            raise CollidekitError(f"--set {name}: {value!r} is not valid YAML") from None
    return found
