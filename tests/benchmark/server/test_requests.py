"""What requests may be: hosts, headers, sizes, speed, rates, paths."""

import asyncio
import errno
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from served import Served, make_served
from starlette.requests import ClientDisconnect

from collidekit.benchmark.server.security.body import BodyLimits
from collidekit.benchmark.server.security.buckets import Buckets
from collidekit.benchmark.server.security.headers import host_name
from collidekit.benchmark.server.security.rates import address
from collidekit.benchmark.server.settings import Rate, ServerSettings, check_url, read_key
from collidekit.errors import CollidekitError

ADDRESSES = ("/", "/nothing", "/static/style.css", "/api/v1/benchmarks", "/api/v1/nothing", "/runs", "/login")


@pytest.mark.parametrize("path", ADDRESSES)
def test_every_answer_has_the_security_headers(served: Served, path: str) -> None:
    headers = served.browser().get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "server" not in headers
    assert "strict-transport-security" not in headers


def test_with_https_cookies_are_secure_and_browsers_stay_with_https(tmp_path: Path) -> None:
    served = make_served(tmp_path, url="https://bench.example.org")
    answer = served.browser().get("/login", headers={"host": "bench.example.org"})
    assert "strict-transport-security" in answer.headers
    assert "Secure" in answer.headers["set-cookie"]
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "samesite=lax" in answer.headers["set-cookie"].lower()


@pytest.mark.parametrize(
    "host",
    ["evil.example.org", "", "127.0.0.1.evil.org", "127.0.0.1:80:80", "[::1", "127.0.0.1@evil.org", "127.0.0.1:x"],
)
def test_other_hosts_are_refused(served: Served, host: str) -> None:
    answer = served.api().get("/api/v1/benchmarks", headers={"host": host})
    assert answer.status_code == 400
    assert "host name" in answer.json()["error"]
    assert "x-content-type-options" in answer.headers


def test_known_hosts_are_accepted() -> None:
    assert {host_name(host) for host in ("LocalHost:8000", "localhost", "[::1]:80", "[::1]")} == {"localhost", "::1"}
    settings = ServerSettings(Path(), "https://B.org")
    assert settings.accepted_hosts == {"b.org"}


@pytest.mark.parametrize(
    "name",
    [
        "..%2f..%2fapp.py",
        "%2e%2e/app.py",
        "....//app.py",
        "%2Fetc%2Fpasswd",
        "..\\app.py",
        "style.css%00",
        "htmx.LICENSE",
    ],
)
def test_only_the_files_of_the_pages_are_served(served: Served, name: str) -> None:
    assert served.browser().get(f"/static/{name}").status_code == 404


@pytest.mark.parametrize("name", ["..%2f..", "a%00b", "%ff", "x" * 5000, "<script>"])
def test_odd_names_of_benchmarks_are_not_found(served: Served, name: str) -> None:
    for path in (
        f"/benchmarks/{name}",
        f"/api/v1/benchmarks/{name}",
        f"/api/v1/benchmarks/{name}/phases/public/leaderboard",
    ):
        answer = served.api("ada").get(path)
        assert answer.status_code == 404, answer.text
        assert "<script>" not in answer.text or path.startswith("/api")


def test_a_request_that_says_it_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    served = make_served(tmp_path, body=1000)
    answer = served.api("olga").post("/api/v1/users", content=b"x" * 1001, headers={"content-type": "application/json"})
    assert answer.status_code == 413
    assert "0.001 MB" in answer.json()["error"]


def test_a_request_that_hides_its_size_is_refused_while_it_is_read(tmp_path: Path) -> None:
    served = make_served(tmp_path, body=1000)
    pieces = (b"x" * 100 for _ in range(100))
    answer = served.api("olga").post("/api/v1/users", content=pieces, headers={"content-type": "application/json"})
    assert answer.status_code == 413
    assert answer.headers["connection"] == "close"


def body_of(pieces: list[tuple[float, bytes]], **settings: Any) -> int:
    """Return the status of a request whose pieces come after pauses."""
    answers: list[int] = []
    rest = list(pieces)

    async def receive() -> dict[str, Any]:
        pause, piece = rest.pop(0)
        await asyncio.sleep(pause)
        return {"type": "http.request", "body": piece, "more_body": bool(rest)}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        from fastapi import HTTPException

        try:
            while (await receive())["more_body"]:
                pass
            answers.append(200)
        except HTTPException as error:
            answers.append(error.status_code)

    async def send(message: Any) -> None:
        answers.append(message.get("status", 0))

    limits = BodyLimits(app, ServerSettings(Path(), **settings))
    asyncio.run(limits({"type": "http", "path": "/x", "headers": []}, receive, send))  # type: ignore[arg-type]
    return answers[0]


def test_a_body_that_stops_or_trickles_is_refused() -> None:
    assert body_of([(0, b"x" * 10), (0, b"x")], body_seconds=0.2) == 200
    assert body_of([(0, b"x"), (1, b"x")], body_seconds=0.2) == 408
    assert body_of([(0.05, b"x")] * 20, body_seconds=0.2, body_rate=1000) == 408
    assert body_of([(0.05, b"x" * 100)] * 20, body_seconds=0.2, body_rate=100) == 200


def test_buckets_fill_again_and_forget_the_oldest() -> None:
    clock = [0.0]
    buckets = Buckets(Rate(2, 0.5), lambda: clock[0], keys=3)
    assert [buckets.take("a") for _ in range(3)] == [0, 0, 2]
    assert buckets.take("b") == 0
    clock[0] = 2.0
    assert buckets.take("a") == 0
    assert buckets.take("a") > 0
    for name in "cde":
        buckets.take(name)
    assert len(buckets._levels) == 3


def test_too_many_requests_of_an_address_or_a_token_wait(tmp_path: Path) -> None:
    served = make_served(tmp_path, by_token=Rate(3, 0.01))
    statuses = [served.api("ada").get("/api/v1/me").status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    answer = served.api("ada").get("/api/v1/me")
    assert int(answer.headers["retry-after"]) > 0
    assert "too many requests" in answer.json()["error"]
    assert served.api("bob").get("/api/v1/me").status_code == 200


def test_an_address_is_limited_without_any_token(tmp_path: Path) -> None:
    served = make_served(tmp_path, by_address=Rate(4, 0.01))
    assert [served.browser().get("/").status_code for _ in range(6)] == [200] * 4 + [429] * 2


def test_wrong_tokens_are_counted_and_lock_out_nobody(tmp_path: Path) -> None:
    served = make_served(tmp_path, logins=Rate(3, 0.001))
    wrong = {"Authorization": "Bearer ckb_wrong"}
    statuses = [served.api().get("/api/v1/me", headers=wrong).status_code for _ in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    assert served.api("ada").get("/api/v1/me").status_code == 200, "somebody else at the same address"
    revoked = {"Authorization": f"Bearer {served.tokens['bob']}"}
    served.store.revoke_tokens(served.user("bob"))
    assert served.api().get("/api/v1/me", headers=revoked).status_code == 429


@pytest.mark.parametrize("header", ["", "Bearer", "Basic YTpi", "Bearer  ", "bearer", "Token x", "Bearer \xff"])
def test_odd_headers_of_tokens_are_unauthorised(served: Served, header: str) -> None:
    answer = served.api().get("/api/v1/me", headers={"Authorization": header.encode("latin-1")})  # type: ignore[dict-item]
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_an_ipv6_network_is_one_address() -> None:
    from starlette.requests import HTTPConnection

    def of(host: str) -> str:
        return address(HTTPConnection({"type": "http", "client": (host, 1), "headers": []}))

    assert of("2001:db8:1:2:3:4:5:6") == of("2001:db8:1:2:9:9:9:9") != of("2001:db8:1:3:3:4:5:6")
    assert of("10.0.0.1") == "10.0.0.1"


def test_the_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    key = read_key(tmp_path)
    assert len(key) == 32
    assert read_key(tmp_path) == key
    assert (tmp_path / "server.key").stat().st_mode & 0o077 == 0
    (tmp_path / "server.key").write_bytes(b"short")
    with pytest.raises(CollidekitError, match="5 bytes"):
        read_key(tmp_path)


def test_a_key_that_was_not_written_whole_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(size: int) -> bytes:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(secrets, "token_bytes", full)
        with pytest.raises(CollidekitError, match="No space left"):
            read_key(tmp_path)
    assert not list(tmp_path.iterdir())
    assert len(read_key(tmp_path)) == 32
    assert [path.name for path in tmp_path.iterdir()] == ["server.key"]


def test_processes_that_start_at_once_have_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(read_key, [tmp_path] * 8))) == 1


@pytest.mark.parametrize("url", ["bench.example.org", "ftp://x", "https://", "https://x/path", "https://x?y"])
def test_odd_addresses_of_the_server_are_errors(url: str) -> None:
    with pytest.raises(CollidekitError, match="--url"):
        check_url(url)
    assert check_url("https://b.example.org:8443/") == "https://b.example.org:8443"


@pytest.mark.parametrize("path", ["/runs/1", "/api/v1/runs/1"])
def test_a_fault_of_the_server_is_one_sentence_with_the_headers(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, path: str
) -> None:
    def fail(run: int) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(served.store, "run", fail)
    answer = served.api("olga").get(path)
    assert answer.status_code == 500
    assert "nothing of yours is lost" in answer.text
    assert "secret" not in answer.text
    assert "content-security-policy" in answer.headers
    assert "secret detail" in caplog.text


def test_a_client_that_goes_away_is_no_fault_of_the_server(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def gone() -> None:
        raise ClientDisconnect

    monkeypatch.setattr(served.store, "benchmarks", gone)
    served.browser().get("/")
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("path", ["/benchmarks/top_tagging", "/api/v1/benchmarks"])
def test_a_database_that_does_not_answer_is_told_without_details(
    served: Served, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    from collidekit.benchmark.store import StoreUnavailable

    def fail(name: str = "") -> None:
        raise StoreUnavailable("postgresql://secret-host: connection refused")

    for name in ("benchmark", "benchmarks"):
        monkeypatch.setattr(served.store, name, fail)
    answer = served.browser().get(path)
    assert answer.status_code == 503
    assert "try again" in answer.text
    assert "secret-host" not in answer.text
