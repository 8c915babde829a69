"""Verbs of open benchmarks for operators of a server: serve, worker, user."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from collidekit.cli.app import BATCH, DryRun, On, SiteFile, Verbs, filled
from collidekit.cli.benchmark import RUN, benchmark_app, benchmark_verb
from collidekit.cli.benchmark_runs import StoreFolder, StoreUrl
from collidekit.plain_text import literal

SERVE = "Serve benchmarks"
HOW = "Server"
Engine = Annotated[
    str,
    typer.Option("--engine", help="The sandbox: podman, docker, apptainer or bubblewrap. Default: the first one that "
                                  "works here.", metavar="NAME",
                 rich_help_panel=RUN),
]  # fmt: skip
Image = Annotated[
    str,
    typer.Option("--image", help="Container image for submissions without one; docker and apptainer need an image.", metavar="IMAGE", rich_help_panel=RUN),
]  # fmt: skip
Pull = Annotated[bool, typer.Option("--pull", help="Download missing container images.", rich_help_panel=RUN)]
Trust = Annotated[
    bool, typer.Option("--trust", help="Run submissions without a sandbox. Use this only if you trust all of them.", rich_help_panel=RUN)
]  # fmt: skip


@benchmark_verb(SERVE)
def serve(
    folder: Annotated[Path, typer.Argument(help="The folder of a benchmark, or a folder with several benchmarks.", show_default=False)],
    store: StoreUrl = None,
    files: StoreFolder = None,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.", rich_help_panel=HOW)] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port to listen on.", min=1, max=65535, rich_help_panel=HOW)] = 8000,
    url: Annotated[str, typer.Option("--url", help="Public address, if it is different: https://benchmark.example.org",
                                     rich_help_panel=HOW, show_default="http://HOST:PORT")] = "",
    proxy: Annotated[str, typer.Option("--proxy", help="Address of a trusted proxy in front, which reports the "
                                        "addresses of visitors: 127.0.0.1",
                                       metavar="ADDRESS", rich_help_panel=HOW)] = "",
    title: Annotated[str, typer.Option("--title", help="Name of the service on its pages.", rich_help_panel=HOW)] = "Benchmarks of collidekit",
    private: Annotated[bool, typer.Option("--private", help="Show leaderboards only to people with a token.", rich_help_panel=HOW)] = False,
    upload: Annotated[int, typer.Option("--largest-upload", help="Largest archive of a submission, in MB.", min=1, max=100_000, rich_help_panel=HOW)] = 200,
    workers: Annotated[int, typer.Option("--workers", help="Number of worker processes; 0 if workers run elsewhere.", min=0, max=256, rich_help_panel=RUN)] = 1,
    engine: Engine = "",
    image: Image = "",
    pull: Pull = False,
    trust: Trust = False,
    on: On = None,
    site: SiteFile = None,
) -> None:  # fmt: skip
    """Serve benchmarks: web pages, an API, and workers that run the submissions.

    Without [bold]--store[/bold], runs are stored in service/board.db in the folder. The first start prints the token of
    the organiser, only once. Ctrl-C stops the server; active runs go back into the queue.

    Example: [cyan]collidekit benchmark serve my_benchmark[/cyan]

    Writes the store.
    """
    from collidekit.benchmark.sandbox.choose import WITHOUT_IMAGES, choose_sandbox
    from collidekit.benchmark.server.children import Children
    from collidekit.benchmark.server.port import check_port
    from collidekit.benchmark.server.serve import find_benchmarks, first_owner, register, settings_of, store_of
    from collidekit.benchmark.server.serve import serve as run_server
    from collidekit.benchmark.server.work import parent_mark
    from collidekit.benchmark.server.workers import BatchWorkers, Workers, worker_words
    from collidekit.benchmark.store import Store

    found = find_benchmarks(folder)
    without_images = ""
    if workers and not (on or site):
        sandbox = choose_sandbox(engine, image=image, pull=pull, trust=trust)  # one error here, not one in each worker
        without_images = WITHOUT_IMAGES.get(sandbox.name, "")
    check_port(host, port)
    address = store_of(folder, store)
    opened = Store(address, files)
    settings = settings_of(
        opened,
        url or f"http://{f'[{host}]' if ':' in host else host}:{port}",
        title,
        not private,
        upload,
        without_images,
    )
    register(opened, found)
    if token := first_owner(opened):
        typer.echo(f"token of the organiser (shown only once): {token}")
    for benchmark in found:
        typer.echo(f"{settings.url}/benchmarks/{benchmark.name}: {benchmark.title}")
    typer.echo(
        f"serving {settings.url} with {workers} worker{'s' if workers != 1 else ''}; store {opened.database.shown}; stop it with Ctrl-C"
    )
    sys.stdout.flush()
    words = worker_words(opened.folder, engine, image, pull, trust)
    if on or site:
        running: Workers = BatchWorkers(opened, address, on, site, words, workers)
    else:
        os.environ["COLLIDEKIT_BENCHMARK_STORE"] = (
            address  # not an option, because all users of the machine can see options
        )
        running = Children([sys.executable, *words, "--child", parent_mark()], workers)
    run_server(opened, settings, host, port, running, proxy)


@benchmark_verb(SERVE)
def worker(
    store: StoreUrl = None,
    files: StoreFolder = None,
    engine: Engine = "",
    image: Image = "",
    pull: Pull = False,
    trust: Trust = False,
    name: Annotated[str, typer.Option("--name", help="Name of the worker. Default: from the machine and the "
                                        "process.", rich_help_panel=RUN)] = "",
    idle: Annotated[float, typer.Option("--idle", help="Seconds without a run after which the worker stops. Default: never.", min=1,
                                        rich_help_panel=RUN, show_default=False)] = float("inf"),
    child: Annotated[str, typer.Option("--child", hidden=True)] = "",
    on: On = None,
    site: SiteFile = None,
    workers: Annotated[int, typer.Option("--workers", help="Largest number of worker jobs at a time.", min=1, max=1024, rich_help_panel=BATCH)] = 1,
    dry_run: DryRun = False,
) -> None:  # fmt: skip
    """Run the submissions of a store until you stop it.

    Several workers may run at the same time, also on several machines with PostgreSQL and a shared folder. Each machine
    needs the data of the benchmarks under the same paths. With [bold]--on slurm[/bold] or a site file, workers are
    submitted as jobs while runs wait.

    Example: [cyan]collidekit benchmark worker --store my_benchmark/service/board.db[/cyan]

    Writes the results into the store.
    """
    from collidekit.benchmark.server.serve import open_existing
    from collidekit.benchmark.server.work import make_worker
    from collidekit.benchmark.server.workers import BatchWorkers, worker_words
    from collidekit.errors import CollidekitError

    if not store:
        raise CollidekitError("name the store with --store, such as board.db or postgresql://user@host/database")
    if on or site or dry_run:
        opened = open_existing(store, files)
        jobs = BatchWorkers(opened, store, on, site, worker_words(opened.folder, engine, image, pull, trust), workers)
        typer.echo(jobs.script()) if dry_run else jobs.run()
        return
    made = make_worker(store, files, engine, image, pull, trust, name, child)
    made.stop_on_signals()
    made.run_forever(idle_seconds=idle)


user_app = typer.Typer(
    cls=Verbs, help="Users of a store and their tokens.", rich_markup_mode="rich", no_args_is_help=True
)
benchmark_app.add_typer(user_app, name="user", rich_help_panel=SERVE)
user_verb = filled(user_app)
Name = Annotated[str, typer.Argument(help="Name of the user.", show_default=False)]


@user_verb(SERVE)
def add(
    name: Name,
    role: Annotated[str, typer.Option("--role", help="Role: participant, reader or owner.")] = "participant",
    store: StoreUrl = None,
    files: StoreFolder = None,
) -> None:
    """Add a user and print the token, which is shown only once.

    Example: [cyan]collidekit benchmark user add ada --store my_benchmark/service/board.db[/cyan]

    Writes the user into the store.
    """
    from collidekit.benchmark.server.serve import open_existing

    typer.echo(open_existing(store, files).add_user(name, role))


@user_verb(SERVE)
def token(name: Name, store: StoreUrl = None, files: StoreFolder = None) -> None:
    """Print a new token for a user, and revoke the earlier ones.

    Example: [cyan]collidekit benchmark user token ada --store my_benchmark/service/board.db[/cyan]

    Writes a hash of the token into the store.
    """
    from collidekit.benchmark.server.serve import open_existing

    opened = open_existing(store, files)
    found = opened.user_named(name)
    if found.disabled_at is not None:
        found = opened.set_disabled(found, False)
    typer.echo(opened.rotate_token(found))


@user_verb(SERVE)
def revoke(name: Name, store: StoreUrl = None, files: StoreFolder = None) -> None:
    """Revoke all tokens of a user and end the sessions; runs are kept.

    Example: [cyan]collidekit benchmark user revoke ada --store my_benchmark/service/board.db[/cyan]

    Writes the change into the store.
    """
    from collidekit.benchmark.server.serve import open_existing

    opened = open_existing(store, files)
    found = opened.user_named(name)
    opened.revoke_tokens(found)
    opened.set_disabled(found, True)
    typer.echo(f"{found.name} is revoked; give it a new token with: collidekit benchmark user token {found.name}")


@user_verb(SERVE, "list")
def list_users(store: StoreUrl = None, files: StoreFolder = None) -> None:
    """List the users of a store.

    Example: [cyan]collidekit benchmark user list --store my_benchmark/service/board.db[/cyan]

    Writes nothing.
    """
    from rich.console import Console

    from collidekit.benchmark.server.serve import open_existing
    from collidekit.benchmark.store.clock import show_moment
    from collidekit.cli.benchmark_tables import table

    shown = table("name", "role", "added", "state")
    for found in open_existing(store, files).users():
        shown.add_row(
            literal(found.name), found.role, show_moment(found.created_at), "revoked" if found.disabled_at else "active"
        )
    Console(soft_wrap=True, highlight=False).print(shown)
