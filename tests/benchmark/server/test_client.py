"""The client of the command against a real server."""

import io
import json
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from live_server import running
from served import Served, make_served
from served_boards import ended, work

from collidekit.benchmark.scoring.tables import write_board
from collidekit.benchmark.server.client import Client
from collidekit.errors import CollidekitError


@pytest.fixture
def address(served: Served) -> Iterator[str]:
    with running(served.app) as found:
        yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "tagger"
    (made / "__pycache__").mkdir(parents=True)
    (made / "submission.yaml").write_text("name: my tagger\ntagger: ./run.sh\n")
    (made / "run.sh").write_text("#!/bin/sh\n")
    (made / "run.sh").chmod(0o755)
    return made


def test_from_submission_to_leaderboard(served: Served, address: str, folder: Path, tmp_path: Path) -> None:
    client = Client(address, served.tokens["ada"])
    run = client.submit("top_tagging", "", folder, "", {"depth": 5}, 7)
    stored = served.store.run(run)
    assert (stored.group, stored.phase, stored.parameters["depth"], stored.seed) == ("my tagger", "public", 5, 7)
    unpacked = served.store.uploads.unpack(stored.upload, tmp_path / "unpacked")
    assert (unpacked / "run.sh").stat().st_mode & 0o100
    assert not (unpacked / "__pycache__").exists()
    assert client.status(run)["position"] == 1
    work(served.store, [ended(1.1)], log="done\n")
    assert client.status(run)["state"] == "success"
    assert "done" in client.log(run)
    board = client.leaderboard("top_tagging", "public")
    assert [(row.rank, row.name, row.user, row.reference) for row in board.rows] == [
        (None, "ParticleNet", "", True),
        (1, "my tagger", "ada", False),
    ]
    assert board.columns[0].name == "rejection"
    assert board.rows[1].scores["auc"].value == pytest.approx(0.981)
    assert board.rows[1].curve is None
    curves = client.leaderboard("top_tagging", "public", curves=True)
    assert curves.rows[1].curve == ended(1.1).scores.curve  # type: ignore[union-attr]
    assert curves.columns[0].signal_efficiency == 0.5
    assert write_board(tmp_path / "roc.png", curves).stat().st_size > 10_000
    assert client.cancel(run) is False
    again = served.store.rerun(run, served.user("olga"))
    assert client.withdraw(run) == [again]
    assert served.store.run(run).withdrawn_at is not None
    assert client.withdraw(again) == []


def test_a_name_is_shared_by_its_owner(served: Served, address: str, folder: Path) -> None:
    ada, bob = (Client(address, served.tokens[name]) for name in ("ada", "bob"))
    run = ada.submit("top_tagging", "", folder, "ours", {}, 1)
    with pytest.raises(CollidekitError, match=r"the name belongs to others .*collidekit benchmark share"):
        bob.submit("top_tagging", "", folder, "ours", {}, 1)
    with pytest.raises(CollidekitError, match=r"run 1|not yours|403|may not"):
        bob.share(run, "bob")
    with pytest.raises(CollidekitError, match=r"user 'bbo': there is no such user"):
        ada.share(run, "bbo")
    ada.share(run, "bob")
    second = bob.submit("top_tagging", "", folder, "ours", {}, 1)
    assert served.store.run(second).group == "ours"
    with pytest.raises(CollidekitError, match="is not its owner"):
        bob.share(second, "rita")


def test_a_packed_file_needs_a_name(served: Served, address: str, folder: Path, tmp_path: Path) -> None:
    packed = tmp_path / "tagger.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(folder / "submission.yaml", "submission.yaml")
    client = Client(address, served.tokens["ada"])
    with pytest.raises(CollidekitError, match="--name"):
        client.submit("top_tagging", "public", packed, "", {}, 0)
    run = client.submit("top_tagging", "public", packed, "packed", {}, 0)
    assert served.store.run(run).group == "packed"


@pytest.mark.parametrize(
    ("call", "said"),
    [(lambda client: client.status(99), "there is no run 99"), (lambda client: client.leaderboard("tops", "public"), "no benchmark 'tops'"),
     (lambda client: client.leaderboard("top_tagging", "x y"), "no phase 'x y'"), (lambda client: client.leaderboard("top_tagging", "x/../y"), "nothing at this address")],
)  # fmt: skip
def test_errors_of_the_server_are_its_sentence(served: Served, address: str, call: object, said: str) -> None:
    with pytest.raises(CollidekitError, match=said):
        call(Client(address, served.tokens["ada"]))  # type: ignore[operator]


def test_a_wrong_token_and_no_server_are_one_line(address: str) -> None:
    with pytest.raises(CollidekitError, match="not valid"):
        Client(address, "ckb_wrong").runs()
    with pytest.raises(CollidekitError, match="does not answer"):
        Client("http://127.0.0.1:9", "x").runs()
    with pytest.raises(CollidekitError, match="--server"):
        Client("ftp://x")


def test_a_submission_that_is_too_large_is_told_before_it_is_sent(tmp_path: Path, folder: Path) -> None:
    served = make_served(tmp_path / "s", upload=100)
    with running(served.app) as address, pytest.raises(CollidekitError, match="leave out what is not needed"):
        Client(address, served.tokens["ada"]).submit("top_tagging", "public", folder, "", {}, 0)


class _Odd(BaseHTTPRequestHandler):
    """A server that answers with what the path says."""

    seen: list[str | None] = []  # noqa: RUF012

    def do_GET(self) -> None:
        self.seen.append(self.headers.get("Authorization"))
        if "runs/1" in self.path:
            self.send_response(307)
            self.send_header("Location", f"http://localhost:{self.server.server_port}/api/v1/elsewhere")  # type: ignore[attr-defined]
            self.end_headers()
        elif "runs/2" in self.path:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>")
        else:
            self.send_response(500)
            self.end_headers()
            self.wfile.write(json.dumps({"no": "\x1b[31m"}).encode())

    def log_message(self, *arguments: object) -> None:
        pass


def test_the_token_is_never_sent_elsewhere_and_odd_answers_are_one_line() -> None:
    server = HTTPServer(("127.0.0.1", 0), _Odd)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        client = Client(f"http://127.0.0.1:{server.server_port}", "secret")
        with pytest.raises(CollidekitError, match="redirects to"):
            client.status(1)
        with pytest.raises(CollidekitError, match="no benchmark server"):
            client.status(2)
        with pytest.raises(CollidekitError, match="error 500"):
            client.status(3)
        assert _Odd.seen == ["Bearer secret"] * 3
    finally:
        server.shutdown()
        server.server_close()


def test_a_lost_connection_is_tried_once_more(served: Served, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from collidekit.benchmark.server import client as module

    with running(served.app) as address:
        client = Client(address, served.tokens["ada"])
        real, calls = client._send_file, []

        def lost_once(*arguments: object) -> object:
            calls.append(arguments[1])
            found = real(*arguments)  # type: ignore[arg-type]
            if len(calls) == 1:
                raise module._Lost("the answer is lost")
            return found

        monkeypatch.setattr(client, "_send_file", lost_once)
        run = client.submit("top_tagging", "public", folder, "", {}, 0)
    assert len(calls) == 2
    assert [found.id for found in served.store.runs()] == [run]


def test_plain_http_to_another_machine_is_warned_about(capsys: pytest.CaptureFixture[str]) -> None:
    Client("http://bench.example.org", "secret")
    assert "not encrypted" in capsys.readouterr().err
    Client("bench.example.org", "secret")
    assert capsys.readouterr().err == ""


def test_participants_need_no_package_of_the_server() -> None:
    code = (
        "import sys\n"
        "for name in ('fastapi', 'starlette', 'uvicorn', 'sqlalchemy', 'alembic', 'httpx'): sys.modules[name] = None\n"
        "import collidekit.cli\n"
        "from collidekit.benchmark.server.client import Client\n"
        "Client('http://127.0.0.1:9')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_local_address_without_http_is_taken_and_others_name_it(served: Served, address: str) -> None:
    assert Client(address.removeprefix("http://")).leaderboard("top_tagging", "public").rows
    with pytest.raises(CollidekitError, match="write http:// before it"):
        Client("bench.invalid:9").benchmarks()


def test_a_public_board_needs_no_token_and_a_closed_one_says_so(tmp_path: Path, address: str) -> None:
    from collidekit.benchmark.connection import connect

    assert connect(None, address, None, public=True).leaderboard("top_tagging", "").rows
    with pytest.raises(CollidekitError, match="needs --token"):
        connect(None, address, None)
    with (
        running(make_served(tmp_path / "closed", public=False).app) as closed,
        pytest.raises(CollidekitError, match="give --token"),
    ):
        connect(None, closed, None, public=True).leaderboard("top_tagging", "")


def test_status_shows_each_thing_once_with_units_and_precision(served: Served, address: str, folder: Path) -> None:
    from rich.console import Console

    from collidekit.cli.benchmark_status import status_table

    client = Client(address, served.tokens["ada"])
    run = client.submit("top_tagging", "", folder, "", {}, 0)
    work(served.store, [ended(1.1)])
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(status_table(client.status(run)))
    lines = console.export_text().splitlines()
    said = [line.partition("  ")[0] for line in lines]
    assert len(set(said)) == len(said)
    assert not [line for line in said if "_" in line or "memory bytes" in line]
    assert any(line.startswith("peak memory") and "1.5 GB" in line for line in lines), lines
    assert any(line.startswith("AUC") and "0.98100 ± 0.00020" in line for line in lines), lines


def test_the_form_and_the_api_take_names_of_the_same_length(served: Served) -> None:
    from collidekit.benchmark.store.text import LONGEST_NAME

    page = served.browser("ada").get("/benchmarks/top_tagging/phases/public/submit").text
    assert page.count(f'maxlength="{LONGEST_NAME}"') == 2
    schema = served.api().get("/api/v1/openapi.json").json()["components"]["schemas"]["NewRun"]["properties"]["name"]
    assert schema["maxLength"] == LONGEST_NAME


def test_a_port_that_is_taken_is_one_sentence_before_any_token(tmp_path: Path) -> None:
    import socket

    from collidekit.benchmark.server.port import check_port

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with pytest.raises(CollidekitError, match="another program listens on this port"):
            check_port("127.0.0.1", other.getsockname()[1])
    with pytest.raises(CollidekitError, match="is no address of this machine"):
        check_port("192.0.2.1", 8000)
