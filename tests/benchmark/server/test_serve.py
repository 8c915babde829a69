"""The command that serves: one start, workers as children, and a server that dies while a run is live."""

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from live_server import free_port

from collidekit.benchmark.build import build_benchmark
from collidekit.benchmark.create import create_benchmark
from collidekit.benchmark.server import work
from collidekit.benchmark.server.client import Client
from collidekit.benchmark.server.serve import find_benchmarks, first_owner, open_existing
from collidekit.benchmark.server.work import make_worker
from collidekit.benchmark.states import State
from collidekit.benchmark.store import Store
from collidekit.errors import CollidekitError

TAGGER = """
import os, sys, time
import pyarrow.parquet as pq
rows = pq.read_table(os.environ["COLLIDEKIT_FEATURES"])["row"].to_pylist()
print("reads", len(rows), "rows", flush=True)
time.sleep(float(sys.argv[1]))
with open(os.environ["COLLIDEKIT_OUTPUT"] + "/predictions.csv", "w") as file:
    file.write("row,top\\n" + "".join(f"{row},{(row * 7919) % 1000 / 1000}\\n" for row in rows))
"""


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("benchmarks") / "top"
    create_benchmark(folder, "top_tagging", "")
    build_benchmark(folder)
    return folder


def submission(folder: Path, seconds: float) -> Path:
    """Return a submission that takes its time."""
    folder.mkdir()
    words = shlex.join([sys.executable, "tag.py", str(seconds)])
    (folder / "submission.yaml").write_text(f"name: sleeper\ntagger: {words}\n")
    (folder / "tag.py").write_text(TAGGER)
    return folder


class Serving:
    """A server process and what it has printed."""

    def __init__(self, benchmark: Path, store: Path, port: int) -> None:
        self.address, self.log = f"http://127.0.0.1:{port}", store.with_suffix(f".{time.monotonic_ns()}.log")
        words = [
            "-m",
            "collidekit",
            "benchmark",
            "serve",
            str(benchmark),
            "--store",
            str(store),
            "--port",
            str(port),
            "--trust",
        ]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *words], stdout=log, stderr=subprocess.STDOUT, env={**os.environ}
            )
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                httpx.get(self.address)
                return
            except httpx.TransportError:
                assert self.process.poll() is None, self.printed()
                time.sleep(0.1)
        raise AssertionError(self.printed())

    def printed(self) -> str:
        return self.log.read_text(errors="replace")

    def end(self, kind: signal.Signals) -> int:
        self.process.send_signal(kind)
        return self.process.wait(60)


@pytest.fixture
def servers(benchmark: Path, tmp_path: Path) -> Iterator[list[Serving]]:
    found: list[Serving] = []
    yield found
    for one in found:
        if one.process.poll() is None:
            one.end(signal.SIGTERM)


def wait_for(store: Store, run: int, *states: State, seconds: float = 90) -> State:
    """Wait until a run is in one of these states."""
    until = time.monotonic() + seconds
    while (found := store.run(run)).state not in states:
        assert time.monotonic() < until, f"{found.state}: {found.reason}"
        time.sleep(0.1)
    return found.state


def test_a_server_that_is_killed_while_a_run_is_live(benchmark: Path, servers: list[Serving], tmp_path: Path) -> None:
    path, port = tmp_path / "board.db", free_port()
    servers.append(first := Serving(benchmark, path, port))
    token = re.search(r"ckb_[\w-]+", first.printed())
    assert token is not None
    assert f"serving http://127.0.0.1:{port} with 1 worker" in first.printed()
    client = Client(first.address, token[0])
    assert "runs no container images, because it uses no sandbox" in httpx.get(f"{first.address}/api").text
    run = client.submit("top_tagging", "public", submission(tmp_path / "s", 4), "", {}, 0)
    store = Store(str(path))
    wait_for(store, run, State.RUNNING)
    assert first.end(signal.SIGKILL) == -signal.SIGKILL
    servers.append(second := Serving(benchmark, path, port))
    assert "ckb_" not in second.printed(), "the token is shown once"
    wait_for(store, run, State.SUCCESS, State.ERROR, State.CANCELED)
    found = store.run(run)
    assert found.state is State.SUCCESS, found.reason
    assert len(store.attempts(run)) == 2
    assert "reads" in client.log(run)
    board = client.leaderboard(str(benchmark), "")
    assert [row.run for row in board.rows if row.rank] == [run]
    assert second.end(signal.SIGTERM) == 0
    assert not [worker for worker in store.workers() if worker.stopped_at is None], "workers end with the server"
    store.close()


def test_a_worker_that_starts_while_its_server_dies_ends(tmp_path: Path) -> None:
    path = tmp_path / "board.db"
    Store(str(path)).close()
    words = [sys.executable, "-m", "collidekit", "benchmark", "worker", "--store", str(path), "--trust", "--child"]
    server = (
        "import subprocess, sys; from collidekit.benchmark.server.work import parent_mark\n"
        "print(subprocess.Popen([*sys.argv[1:], parent_mark()], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).pid)"
    )  # it ends at once, long before the worker has read its modules
    worker = int(
        subprocess.run([sys.executable, "-c", server, *words], check=True, capture_output=True, text=True).stdout
    )
    until = time.monotonic() + 60
    while Path(f"/proc/{worker}/stat").exists() and ") Z " not in Path(f"/proc/{worker}/stat").read_text():
        if time.monotonic() > until:
            os.kill(worker, signal.SIGKILL)
            raise AssertionError("the orphan runs")
        time.sleep(0.1)


@pytest.mark.parametrize(
    "mark", ["1:0", "no number", f"{os.getppid()}:1", f"{os.getpid()}:1"], ids=["init", "text", "grandparent", "parent"]
)
def test_a_worker_ends_at_once_where_its_server_is_gone(mark: str, tmp_path: Path) -> None:
    with pytest.raises(CollidekitError, match="has ended"):
        make_worker(str(tmp_path / "board.db"), None, "", "", False, True, child=mark)


def test_a_live_log_and_a_cancel(benchmark: Path, servers: list[Serving], tmp_path: Path) -> None:
    path = tmp_path / "board.db"
    servers.append(server := Serving(benchmark, path, free_port()))
    token = re.search(r"ckb_[\w-]+", server.printed())
    assert token is not None
    client = Client(server.address, token[0])
    run = client.submit("top_tagging", "public", submission(tmp_path / "s", 120), "", {}, 0)
    until = time.monotonic() + 60
    while "rows" not in client.log(run):
        assert time.monotonic() < until, client.status(run)
        time.sleep(0.2)
    assert client.status(run)["state"] == "running"
    assert client.cancel(run)
    store = Store(str(path))
    assert wait_for(store, run, State.CANCELED, State.ERROR, State.SUCCESS) is State.CANCELED
    store.close()


def test_folders_are_found(benchmark: Path, tmp_path: Path) -> None:
    assert [found.name for found in find_benchmarks(benchmark)] == ["top_tagging"]
    assert [found.name for found in find_benchmarks(benchmark.parent)] == ["top_tagging"]
    with pytest.raises(CollidekitError, match=r"holds no benchmark\.yaml"):
        find_benchmarks(tmp_path)


def test_the_first_owner_is_made_once(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "board.db"))
    token = first_owner(store)
    found = store.user_of(token)
    assert found is not None
    assert found.role == "owner"
    assert first_owner(store) == ""
    store.set_disabled(found, True)
    assert store.user_of(first_owner(store)) is not None, "a service never stays without an organiser"
    store.close()


def test_users_by_the_command(tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from collidekit.cli import app

    path = tmp_path / "board.db"
    Store(str(path)).close()

    def call(*words: str) -> str:
        answer = CliRunner().invoke(app, ["benchmark", "user", *words, "--store", str(path)])
        assert answer.exit_code == 0, answer.output
        return answer.stdout

    token = call("add", "ada").strip()
    store = open_existing(str(path), None)
    assert store.user_of(token) is not None
    assert "participant" in call("list")
    call("revoke", "ADA")
    assert store.user_of(token) is None
    assert store.user_of(call("token", "ada").strip()) is not None
    store.close()
    with pytest.raises(CollidekitError, match="there is no such file"):
        open_existing(str(tmp_path / "slip.db"), None)


def test_a_store_among_the_programs_of_the_machine_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Submissions read the folder of the Python: uploads of others and the key of the server would be in it."""
    Store(str(tmp_path / "venv" / "service" / "board.db")).close()
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))

    class Chosen:
        name = "bubblewrap"

    monkeypatch.setattr(work, "choose_sandbox", lambda *words, **others: Chosen())
    with pytest.raises(CollidekitError, match="which every submission can read; keep the store elsewhere"):
        make_worker(str(tmp_path / "venv" / "service" / "board.db"), None, "", "", False, False)
