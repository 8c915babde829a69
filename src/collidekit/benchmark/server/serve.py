"""One command that serves benchmarks: store, pages, API and workers."""

import sys
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from collidekit.benchmark.definition import FILE, Benchmark, load_benchmark
from collidekit.benchmark.server.children import Children
from collidekit.benchmark.server.settings import ServerSettings
from collidekit.benchmark.store import Role, Store
from collidekit.errors import CollidekitError
from collidekit.extras import need

DATA = "service"
"""Folder of the service within that of the benchmarks, by default."""
DATABASE = "board.db"
CONNECTIONS = 500
"""Connections at once; further ones are told to come back."""


@frozen
class Place:
    """Where a service keeps its data."""

    folder: Path
    url: str

    def open(self) -> Store:
        """Open the store."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return Store(self.url, self.folder / "files")


def place_of(benchmarks: Path, folder: Path | None, url: str) -> Place:
    """Return where a service keeps its data: by default an SQLite file in the folder ``service`` beside the benchmarks."""
    found = (folder or benchmarks / DATA).expanduser().absolute()
    return Place(found, url or f"sqlite:///{found / DATABASE}")


def find_benchmarks(folder: Path) -> list[Benchmark]:
    """Return the benchmark of a folder, or all benchmarks in its folders."""
    if (folder / FILE).is_file():
        return [load_benchmark(folder)]
    found = [load_benchmark(path.parent) for path in sorted(folder.glob(f"*/{FILE}"))]
    if not found:
        raise CollidekitError(f"{folder}: holds no {FILE}, nor a folder with one; make a benchmark with: collidekit benchmark init")
    names = [benchmark.name for benchmark in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise CollidekitError(f"{folder}: two benchmarks have the name {twice!r}; give one another name")
    return found


def register(store: Store, benchmarks: Sequence[Benchmark]) -> None:
    """Add benchmarks to the store, or new versions where they changed."""
    from collidekit.benchmark.scoring import SCORER_VERSION

    for benchmark in benchmarks:
        store.register(benchmark, benchmark.folder, SCORER_VERSION)


def first_owner(store: Store) -> str:
    """Return the token of a new organiser where there is none; else an empty text."""
    if any(user.role is Role.OWNER and user.disabled_at is None for user in store.users()):
        return ""
    names = {user.name.casefold() for user in store.users()}
    name = next(name for number in range(len(names) + 1) if (name := f"owner{number or ''}") not in names)
    return store.add_user(name, Role.OWNER)


def serve(
    store: Store, settings: ServerSettings, host: str, port: int, worker: Sequence[str], workers: int, proxy: str = ""
) -> None:
    """Serve until a signal ends it; ``worker`` is the command of a worker process."""
    uvicorn = need("uvicorn", "server")
    from collidekit.benchmark.server.app import create_app
    from collidekit.benchmark.server.protocol import PatientProtocol

    config = uvicorn.Config(
        create_app(store, settings), host=host, port=port, http=PatientProtocol, ws="none", lifespan="off", log_level="warning",
        access_log=False, server_header=False, proxy_headers=bool(proxy), forwarded_allow_ips=proxy or "",
        limit_concurrency=CONNECTIONS, timeout_keep_alive=10, timeout_graceful_shutdown=10, h11_max_incomplete_event_size=16_384,
    )  # fmt: skip
    children = Children(worker, workers)
    children.start()
    try:
        uvicorn.Server(config).run()
    finally:
        children.stop()


def worker_command(benchmarks: Path, place: Place, sandbox: str, trust: bool) -> list[str]:
    """Return the command of a worker process that ends with this one."""
    words = [sys.executable, "-m", "collidekit", "benchmark", "worker", str(benchmarks), "--data", str(place.folder), "--child"]
    words += ["--sandbox", sandbox] if sandbox else []
    return [*words, "--trust"] if trust else words
