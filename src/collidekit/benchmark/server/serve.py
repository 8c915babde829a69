"""One command that serves benchmarks: store, pages, API and workers."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from collidekit.benchmark.definition import FILE, Benchmark, load_benchmark
from collidekit.benchmark.registering import register_and_tell
from collidekit.benchmark.server.leases import leases_end
from collidekit.benchmark.server.settings import ServerSettings, check_url, read_key
from collidekit.benchmark.server.workers import Workers
from collidekit.benchmark.store import Role, Store
from collidekit.errors import CollidekitError
from collidekit.extras import need

FOLDER = "service"
"""Folder of the store within that of the benchmarks, by default."""
DATABASE = "board.db"
CONNECTIONS = 500
"""Connections at once; further ones are told to come back."""


def store_of(benchmarks: Path, url: str | None) -> str:
    """Return the URL of a service's store: by default an SQLite file in the folder ``service`` within that of the benchmarks."""
    return url or str((benchmarks / FOLDER / DATABASE).expanduser().absolute())


def open_existing(url: str | None, folder: Path | None) -> Store:
    """Return a store that is there already; an error for a file that is not, which is usually a typing error."""
    if not url:
        raise CollidekitError("name the store with --store, such as board.db or postgresql://user@host/database")
    return Store(url, folder, new=False)


def settings_of(
    store: Store, url: str, title: str, public: bool, upload: int, without_images: str = ""
) -> ServerSettings:
    """Return the settings of a server; ``upload`` in MB."""
    return ServerSettings(
        store.folder, check_url(url), title=title, public=public, upload=upload * 1_000_000, key=read_key(store.folder),
        without_images=without_images,
    )  # fmt: skip


def find_benchmarks(folder: Path) -> list[Benchmark]:
    """Return the benchmark of a folder, or all benchmarks in its folders."""
    if (folder / FILE).is_file():
        return [load_benchmark(folder)]
    found = [load_benchmark(path.parent) for path in sorted(folder.glob(f"*/{FILE}"))]
    if not found:
        raise CollidekitError(
            f"{folder}: holds no {FILE}, nor a folder with one; make a benchmark with: collidekit benchmark init"
        )
    names = [benchmark.name for benchmark in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise CollidekitError(f"{folder}: two benchmarks have the name {twice!r}; give one another name")
    return found


def register(store: Store, benchmarks: Sequence[Benchmark]) -> None:
    """Add benchmarks to the store, or new versions where they changed, which is said."""
    for benchmark in benchmarks:
        register_and_tell(store, benchmark)


def first_owner(store: Store) -> str:
    """Return the token of a new organiser where there is none; else an empty text."""
    if any(user.role is Role.OWNER and user.disabled_at is None for user in store.users()):
        return ""
    names = {user.name.casefold() for user in store.users()}
    name = next(name for number in range(len(names) + 1) if (name := f"owner{number or ''}") not in names)
    return store.add_user(name, Role.OWNER)


def serve(store: Store, settings: ServerSettings, host: str, port: int, workers: Workers, proxy: str = "") -> None:
    """Serve until a signal ends it; the workers start and stop with the server."""
    uvicorn = need("uvicorn", "server")
    from collidekit.benchmark.server.app import create_app
    from collidekit.benchmark.server.protocol import PatientProtocol

    config = uvicorn.Config(
        create_app(store, settings), host=host, port=port, http=PatientProtocol, ws="none", lifespan="off", log_level="warning",
        access_log=False, server_header=False, proxy_headers=bool(proxy), forwarded_allow_ips=proxy or "",
        limit_concurrency=CONNECTIONS, timeout_keep_alive=10, timeout_graceful_shutdown=10, h11_max_incomplete_event_size=16_384,
    )  # fmt: skip
    workers.start()
    try:
        with (
            leases_end(store),
            suppress(KeyboardInterrupt),
        ):  # uvicorn ends its connections, then raises the signal again
            uvicorn.Server(config).run()
    finally:
        workers.stop()
