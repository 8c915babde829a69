"""Benchmarks enter a store; a new version of one is told, and which leaderboards begin empty with it."""

from collections.abc import Callable

from collidekit.benchmark.definition import Benchmark
from collidekit.benchmark.scoring.version import SCORER_VERSION
from collidekit.benchmark.store import Store
from collidekit.progress import notice


def register_and_tell(store: Store, benchmark: Benchmark, actor: str = "", say: Callable[[str], None] = notice) -> None:
    """Add a benchmark to a store, or a new version where its definition, its data or the scorer changed, and say so."""
    name = benchmark.name
    before = next((version for version in store.benchmarks() if version.name == name), None)
    filled = {phase for phase in (before.definition.phases if before else ()) if store.board_rows(name, phase)}
    folder = benchmark.folder.absolute()
    store.register(benchmark, folder, SCORER_VERSION, *([actor] if actor else []))
    after = store.benchmark(name)
    if before is None or before.id == after.id:
        return
    what = "the scorer" if before.definition_hash == after.definition_hash else "benchmark.yaml or its data"
    empty = [phase for phase in after.definition.phases if phase in filled and not store.board_rows(name, phase)]
    kept = [phase for phase in after.definition.phases if phase in filled and phase not in empty]
    told = f"{name}: {what} changed, and version {after.number} is registered"
    if empty:
        told += f"; the leaderboard of {', '.join(empty)} begins empty, because scores of version {before.number} cannot be compared"
    if kept:
        told += f"; the leaderboard of {', '.join(kept)} stays as it is"
    say(told)
