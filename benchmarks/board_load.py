"""Measure the latency of the pages of a leaderboard with 200 participants and 2,000 runs, while readers load them and runs finish.

python benchmarks/board_load.py FOLDER --readers 20 --seconds 30

The server is a separate process, started as by ``collidekit benchmark serve``. Each reader opens pages one after another, with
pauses; one participant in ten is logged in. Meanwhile a writer finishes runs, so that the leaderboard is updated, and a worker writes
heartbeats. Latencies are measured by the readers and include the connection. The first call fills FOLDER.
"""

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))

from served_boards import ended, make_benchmark, submitted, work

from collidekit.benchmark.scoring.plan import REPLICATES
from collidekit.benchmark.scoring.version import SCORER_VERSION
from collidekit.benchmark.store import Store

PARTICIPANTS, RUNS = 200, 2000
SERVE = """
import sys
from pathlib import Path
from collidekit.benchmark.server.children import Children
from collidekit.benchmark.server.serve import serve
from collidekit.benchmark.server.settings import Rate, ServerSettings, read_key
from collidekit.benchmark.store import Store

folder, port = Path(sys.argv[1]), int(sys.argv[2])
store = Store(str(folder / "board.db"))
much = Rate(10**6, 10**6)
settings = ServerSettings(
    store.folder, f"http://127.0.0.1:{port}", key=read_key(store.folder), by_address=much, by_token=much, logins=much, uploads=much
)
serve(store, settings, "127.0.0.1", port, Children([], 0))
"""


def fill(folder: Path) -> None:
    """Create a store with participants; each has one entry with ten runs, some of which failed."""
    store = Store(str(folder / "board.db"))
    store.register(make_benchmark(folder / "top"), folder / "top", SCORER_VERSION)
    random.seed(1)
    (folder / "token.txt").write_text(store.add_user("participant 0", "participant"))
    for place in range(1, PARTICIPANTS):
        store.add_user(f"participant {place}", "participant")
    users = [store.user_named(f"participant {place}") for place in range(PARTICIPANTS)]
    began = time.monotonic()
    for number in range(RUNS):
        user = users[number % PARTICIPANTS]
        submitted(store, user, folder / "submission", f"entry of {user.name}")
        quality = None if random.random() < 0.1 else random.uniform(0.5, 1.5)
        work(store, [ended(quality, number, "the tagger ended with exit code 1", draws=REPLICATES)])
        if number % 200 == 199:
            print(f"{number + 1} runs, {time.monotonic() - began:.0f} s", flush=True)
    for _ in range(20):
        submitted(store, users[0], folder / "submission", "waits")
    store.close()


def pages(folder: Path) -> dict[str, str]:
    """Return the URLs that readers open."""
    board = "/benchmarks/top_tagging/phases/public"
    return {
        "benchmarks": "/", "benchmark": "/benchmarks/top_tagging", "leaderboard": board, "plot": f"{board}/roc.svg", "run": "/runs/1000",
        "my runs": "/runs", "live log": "/runs/2001/live", "leaderboard as JSON": f"/api/v1{board}/leaderboard",
    }  # fmt: skip


async def read(
    client: httpx.AsyncClient, name: str, address: str, headers: dict[str, str], found: dict[str, list[float]]
) -> None:
    began = time.perf_counter()
    answer = await client.get(address, headers=headers)
    assert answer.status_code == 200, (address, answer.status_code, answer.text[:200])
    found.setdefault(name, []).append(time.perf_counter() - began)


async def reader(
    address: str,
    until: float,
    pause: float,
    headers: dict[str, str],
    found: dict[str, list[float]],
    addresses: dict[str, str],
) -> None:
    """Open pages until the end, with random pauses."""
    async with httpx.AsyncClient(base_url=address, timeout=60) as client:
        names = [name for name in addresses if headers or name not in ("my runs", "live log")]
        await asyncio.sleep(random.uniform(0, pause))
        while time.monotonic() < until:
            name = random.choice(names)
            await read(client, name, addresses[name], {} if name == "leaderboard as JSON" else headers, found)
            await asyncio.sleep(random.uniform(0, 2 * pause))


def write(folder: Path, seconds: float, every: float) -> int:
    """Finish runs and send heartbeats like a worker, in a separate process; return the number of runs."""
    until, ended_runs = time.monotonic() + seconds, 0
    store = Store(str(folder / "board.db"))
    user = store.user_named("participant 1")
    number = 10_000
    while time.monotonic() < until:
        number += 1
        submitted(store, user, folder / "submission", f"entry of {user.name}")
        while (run := store.claim("writer")) is not None:
            store.heartbeat(run, "writer")
            store.finish(run, "writer", ended(1 + number / 1e6, number, draws=REPLICATES))
            ended_runs += 1
            if run.user == user.name:
                break
        time.sleep(max(0.0, min(every, until - time.monotonic())))
    store.close()
    return ended_runs


def cpu_seconds(process: int) -> float:
    """Return the CPU time of a process so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cookie(address: str, token: str) -> str:
    """Log in and return the cookie."""
    with httpx.Client(base_url=address) as client:
        page = client.get("/login").text
        form = page.partition('name="form" value="')[2].partition('"')[0]
        answer = client.post("/login", data={"token": token, "form": form})
        assert answer.status_code == 303, answer.text
        return f"collidekit_session={client.cookies['collidekit_session']}"


async def measure(
    address: str, options: argparse.Namespace, session: str, addresses: dict[str, str]
) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    until = time.monotonic() + options.seconds
    await asyncio.gather(
        *(
            reader(address, until, options.pause, {"cookie": session} if place % 10 == 0 else {}, found, addresses)
            for place in range(options.readers)
        )
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--readers", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--pause", type=float, default=0.5, help="mean pause of a reader between two pages in seconds")
    parser.add_argument("--every", type=float, default=5, help="seconds between two runs that finish")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--output", type=Path, default=Path("board_load.json"))
    options = parser.parse_args()
    if not (options.folder / "token.txt").exists():
        options.folder.mkdir(parents=True, exist_ok=True)
        fill(options.folder)
    server = subprocess.Popen([sys.executable, "-c", SERVE, str(options.folder), str(options.port)])
    address = f"http://127.0.0.1:{options.port}"
    try:
        for _ in range(200):
            with suppress(httpx.TransportError):
                httpx.get(address)
                break
            time.sleep(0.1)
        addresses = pages(options.folder)
        session = cookie(address, (options.folder / "token.txt").read_text())
        first = time.perf_counter()
        httpx.get(f"{address}{addresses['leaderboard']}", timeout=60)
        first = time.perf_counter() - first
        with ProcessPoolExecutor(1) as pool:
            ended_runs = pool.submit(write, options.folder, options.seconds, options.every)
            before = cpu_seconds(server.pid)
            found = asyncio.run(measure(address, options, session, addresses))
            used = cpu_seconds(server.pid) - before
            number = ended_runs.result()
    finally:
        server.terminate()
        server.wait()
    report(found, first, number, used, options)


def report(found: dict[str, list[float]], first: float, runs: int, used: float, options: argparse.Namespace) -> None:
    """Print and write percentiles in milliseconds."""
    everything = [value for values in found.values() for value in values]
    rows: dict[str, Any] = {}
    print(f"{'page':22}{'requests':>9}{'p50':>8}{'p95':>8}{'p99':>8}{'worst':>8}  ms")
    for name, values in [*sorted(found.items()), ("all", everything)]:
        p50, p95, p99 = 1000 * np.percentile(values, [50, 95, 99])
        rows[name] = {"requests": len(values), "p50": p50, "p95": p95, "p99": p99, "worst": 1000 * max(values)}
        print(f"{name:22}{len(values):>9}{p50:>8.1f}{p95:>8.1f}{p99:>8.1f}{1000 * max(values):>8.1f}")
    print(
        f"first leaderboard after the start {first:.2f} s; {runs} runs ended; {len(everything) / options.seconds:.0f} requests/s"
    )
    print(
        f"CPU of the server {1000 * used / len(everything):.1f} ms a request; {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}"
    )
    content = {
        "pages": rows, "first_seconds": first, "runs": runs, "cpu_seconds": used, "load_average": os.getloadavg()[0],
        "options": {key: str(value) for key, value in vars(options).items()},
    }  # fmt: skip
    options.output.write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
