"""Kill the workers, the submitters and the server of a benchmark at random times under load, and check that no run is lost or duplicated.

python benchmarks/board_kills.py FOLDER --kills 30
python benchmarks/board_kills.py FOLDER --kills 30 --server

Submitters upload and submit. Each submission has its own request id and is repeated until it is acknowledged. Workers claim
and finish runs; the score of a run is computed from its parameter. With ``--server``, submitters send their submissions over HTTP to a
server, which is killed, too. Otherwise they use the store directly. All processes are killed with SIGKILL and restarted. At the end, each
request must be exactly one run, each run must have exactly one result, and each success must have the score of its parameter.
"""

import argparse
import hashlib
import json
import os
import random
import socket
import time
from collections import Counter
from collections.abc import Callable
from http.client import HTTPException
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from attrs import evolve

from collidekit.benchmark.definition import Benchmark
from collidekit.benchmark.run_result import RunResult
from collidekit.benchmark.scoring.result import Score, Scores
from collidekit.benchmark.states import Fault, State
from collidekit.benchmark.store import Store
from collidekit.benchmark.store.archive import pack
from collidekit.benchmark.worker import Worker

PROCESSES = get_context("forkserver")  # a new process begins its work in a moment
PROCESSES.set_forkserver_preload(["collidekit.benchmark.worker"])
LEASE = 2.0
PACE = 0.2
"""Seconds between two submissions of a submitter."""
BACKLOG = 10
"""Runs that are submitted before the first kill."""


def make_benchmark(folder: Path) -> Benchmark:
    """Return a benchmark with one parameter; its files are not read."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for name in ("features", "truth"):
        (folder / name).write_text(name)
        files[name] = {"path": name, "sha256": hashlib.sha256(name.encode()).hexdigest()}
    content = {
        "benchmark": 1, "name": "kills", "title": "Kills", "classes": ["qcd", "top"], "signal": "top", "background": "qcd",
        "phases": {"public": {"samples": {"nominal": files}, "submissions_per_day": 100_000, "submissions": 100_000}},
        "parameters": [{"name": "number", "type": "int", "required": True}, {"name": "seconds", "type": "float", "default": 1.0}], "output": {"columns": ["top"]},
        "metrics": [{"name": "auc", "metric": "auc"}], "folder": folder,
    }  # fmt: skip
    return Benchmark.model_validate(content)


def expected_score(number: int) -> float:
    return 0.5 + number / 100_000


def run(
    benchmark: Any,
    phase: str,
    submission: Any,
    work: Path,
    sandbox: Any,
    *,
    seed: int,
    canceled: Callable[[], bool],
    on_step: Any,
) -> RunResult:
    """Sleep, and return the score of the parameter."""
    on_step("nominal", "tagger")
    end = time.monotonic() + submission.parameters["seconds"]
    while time.monotonic() < end:
        if canceled():
            return RunResult(State.CANCELED, reason="canceled")
        time.sleep(0.005)
    return RunResult(State.SUCCESS, scores=Scores({"auc": Score(expected_score(submission.parameters["number"]))}))


def work(url: str, folder: Path, name: str) -> None:
    """Run a worker."""
    _write_to(folder / f"{name}.log")
    worker = Worker(Store(url, folder), None, name=name, lease_seconds=LEASE, poll=0.1, say=print, runner=run)  # type: ignore[arg-type]
    worker.stop_on_signals()
    worker.run_forever()


def _write_to(log: Path) -> None:
    """Redirect the output of this process to a file."""
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(handle, stream)


def serve(url: str, folder: Path, name: str, port: int) -> None:
    """Run the server."""
    from collidekit.benchmark.server.serve import serve as run_server
    from collidekit.benchmark.server.serve import settings_of
    from collidekit.benchmark.server.settings import Rate

    class NoWorkers:
        """This script starts and kills the workers."""

        def start(self) -> None: ...
        def stop(self) -> None: ...

    _write_to(folder / f"{name}.log")
    store, many = Store(url, folder), Rate(10_000, 10_000)
    settings = settings_of(store, f"http://127.0.0.1:{port}", "kills", True, 200)
    settings = evolve(settings, uploads=many, by_token=many, by_address=many, free=0)
    run_server(store, settings, "127.0.0.1", port, NoWorkers())


def send(port: int, token: str, folder: Path, name: str, parameters: dict[str, Any], request: str) -> int:
    """Submit over HTTP, and repeat the same request until it is answered."""
    values = {"name": name, "parameters": json.dumps(parameters), "seed": "0"}
    url = f"http://127.0.0.1:{port}/api/v1/benchmarks/kills/phases/public/uploads?{urlencode(values)}"
    content = b"".join(pack(folder))
    headers = {
        "Authorization": f"Bearer {token}", "Content-Type": "application/gzip", "Idempotency-Key": request,
        "X-Checksum-SHA256": hashlib.sha256(content).hexdigest(),
    }  # fmt: skip
    while True:
        try:
            with urlopen(Request(url, content, headers, method="POST"), timeout=30) as answer:
                return int(json.load(answer)["id"])
        except HTTPError as error:
            if error.code < 500:
                raise SystemExit(f"{name}: {error.code} {error.read()[:500]!r}") from None
        except (URLError, OSError, HTTPException, ValueError):  # the server is away
            pass
        time.sleep(0.1)


def submit(url: str, folder: Path, name: str, runs: int, seconds: float, port: int, token: str) -> None:
    """Run a submitter. It continues where its predecessor was killed, and repeats requests that were not acknowledged."""
    _write_to(folder / f"{name}.log")
    store = Store(url, folder)
    user, folder = store.user_named(name), store.folder / f"submission_{name}"
    acknowledged = store.folder / f"{name}.acknowledged"
    done = len(acknowledged.read_text().splitlines()) if acknowledged.exists() else 0
    folder.mkdir(exist_ok=True)
    for number in range(done, runs):
        (folder / "submission.yaml").write_text(f"name: {name}\ntagger: 'true'\n")
        (folder / "weights").write_bytes(random.Random(number).randbytes(100_000))
        parameters, request = {"number": number, "seconds": seconds}, f"{name}-{number}"
        if port:
            found = send(port, token, folder, name, parameters, request)
        else:
            found = store.submit(user, "kills", "public", folder, name, parameters, request=request)
        with acknowledged.open("a") as file:
            file.write(f"{found:08d}\n")
        time.sleep(PACE)


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Load:
    """Processes that work on a store and are killed."""

    def __init__(
        self, url: str, folder: Path, workers: int, submitters: int, runs: int, run_seconds: float, server: bool
    ) -> None:
        self.url, self.folder, self.runs, self.run_seconds = url, folder, runs, run_seconds
        self.port = free_port() if server else 0
        self.store = Store(url, folder)
        self.store.register(make_benchmark(folder / "benchmark"), folder / "benchmark")
        self.names = [f"submitter-{i}" for i in range(submitters)]
        self.tokens = {name: self.store.add_user(name, "participant") for name in self.names}
        self.kills: Counter[str] = Counter()
        self.roles = (
            ["worker", "worker", "submitter", "server"] if server else ["worker", "worker", "worker", "submitter"]
        )
        self.processes = [self._start("server", "server")] if server else []
        self.processes += [self._start("worker", f"worker {i}") for i in range(workers)]
        self.processes += [self._start("submitter", name) for name in self.names]

    def _start(self, role: str, name: str) -> tuple[str, str, BaseProcess]:
        words = (self.url, self.folder, name)
        if role == "worker":
            process: BaseProcess = PROCESSES.Process(target=work, args=words)
        elif role == "server":
            process = PROCESSES.Process(target=serve, args=(*words, self.port))
        else:
            process = PROCESSES.Process(
                target=submit, args=(*words, self.runs, self.run_seconds, self.port, self.tokens[name])
            )
        process.start()
        return role, name, process

    def kill(self, drawn: random.Random) -> None:
        """Kill a running process, and restart it."""
        role = drawn.choice(self.roles)
        alive = [
            place for place, (kind, _, process) in enumerate(self.processes) if kind == role and process.is_alive()
        ]
        if not alive:
            return
        place = drawn.choice(alive)
        role, name, process = self.processes[place]
        process.kill()
        process.join()
        self.kills[role] += 1
        self.processes[place] = self._start(role, name)

    def all_submitted(self) -> bool:
        """Return whether all submitters have ended; raise an error if one failed."""
        for role, name, process in self.processes:
            code = process.exitcode
            if code is not None and (code or role != "submitter"):
                raise SystemExit(f"{role} {name} ended with {code}: see {self.folder / name}.log")
        return all(process.exitcode == 0 for role, _, process in self.processes if role == "submitter")

    def all_ended(self) -> bool:
        waiting = [state for state in State if not state.final]
        return not any(self.store.runs(state=state, limit=1) for state in waiting)

    def stop(self) -> None:
        for _, _, process in self.processes:
            process.terminate()
        for _, _, process in self.processes:
            process.join(30)
            if process.is_alive():
                process.kill()
                process.join()


def check(load: Load) -> Counter[str]:
    """Raise an error if a run is lost, duplicated, unfinished or has a wrong score; return the number of runs of each status."""
    store, wanted = load.store, load.runs * len(load.names)
    runs = store.runs(limit=10 * wanted)
    assert len(runs) == wanted, f"{len(runs)} runs of {wanted} submissions"
    assert {(run.user, run.parameters["number"]) for run in runs} == {
        (n, i) for n in load.names for i in range(load.runs)
    }
    for name in load.names:
        numbers = [int(line) for line in (load.folder / f"{name}.acknowledged").read_text().split()]
        assert {run.id for run in runs if run.user == name} == set(numbers), (
            f"{name}: acknowledged runs are not those of the store"
        )
    ends: Counter[str] = Counter()
    for run in runs:
        assert run.state.final, f"run {run.id} is {run.state}"
        outcomes = [attempt.outcome for attempt in store.attempts(run.id)]
        assert len(outcomes) == run.attempt
        assert outcomes.count(State.SUCCESS.value) == (run.state is State.SUCCESS), f"run {run.id}: {outcomes}"
        if run.state is State.SUCCESS:
            assert run.scores is not None
            assert run.scores["auc"]["value"] == expected_score(run.parameters["number"]), f"run {run.id}: {run.scores}"
        else:
            assert run.reason
            assert run.fault is Fault.SERVICE
        actions = Counter(event.action for event in store.audit(f"run {run.id}"))
        assert actions["submit"] == 1
        assert actions["claim"] == run.attempt
        assert actions["finish"] <= 1
        content = store.uploads.path(run.upload).read_bytes()
        assert hashlib.sha256(content).hexdigest() == run.upload
        ends[run.state.value] += 1
    return ends


def kill_under_load(
    url: str, folder: Path, kills: int, runs: int, workers: int = 3, submitters: int = 2, run_seconds: float = 1.0, pause: float = 0.6,
    seed: int = 1, server: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Kill processes at random times while runs are submitted, wait until all runs have ended, and check the store."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn, begun = random.Random(seed), time.monotonic()
    load = Load(url, folder, workers, submitters, runs, run_seconds, server)
    try:
        while len(load.store.runs(limit=BACKLOG)) < BACKLOG:
            load.all_submitted()
            time.sleep(0.1)
        while load.kills.total() < kills:
            time.sleep(drawn.uniform(0, 2 * pause))
            load.kill(drawn)
            load.all_submitted()
        end = time.monotonic() + 300
        while not (load.all_submitted() and load.all_ended()):
            assert time.monotonic() < end, "runs have not ended in 300 s"
            time.sleep(0.2)
    finally:
        load.stop()
    ends = check(load)
    outcomes = [attempt.outcome for run in load.store.runs(limit=100_000) for attempt in load.store.attempts(run.id)]
    load.store.close()
    return {
        "seconds": round(time.monotonic() - begun, 1), "kills": dict(load.kills), "runs": sum(ends.values()), "ends": dict(ends),
        "attempts": dict(Counter(outcomes)),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="working folder; must be empty")
    parser.add_argument("--url", help="URL of the database; by default an SQLite file in the folder")
    parser.add_argument("--kills", type=int, default=30, help="number of kills, over all processes")
    parser.add_argument("--runs", type=int, default=60, help="number of submissions of each submitter")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--submitters", type=int, default=2)
    parser.add_argument("--run-seconds", type=float, default=1.0, help="duration of a run in seconds")
    parser.add_argument("--seed", type=int, default=1, help="random seed of the times of the kills")
    parser.add_argument("--server", action="store_true", help="submit over HTTP to a server, which is killed, too")
    given = parser.parse_args()
    folder = given.folder.absolute()
    url = given.url or f"sqlite:///{folder / 'board.db'}"
    found = kill_under_load(
        url,
        folder,
        given.kills,
        given.runs,
        given.workers,
        given.submitters,
        given.run_seconds,
        seed=given.seed,
        server=given.server,
    )
    print("nothing lost, doubled or without an end:", found)


if __name__ == "__main__":
    main()
