"""The description of the API, and the API under odd requests made from it."""

import hashlib
import html
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served import Served, make_served
from served_boards import ended, submitted, work, zipped

schemathesis = pytest.importorskip("schemathesis")

from hypothesis import HealthCheck, given, settings


@schemathesis.serializer("application/zip", "application/gzip", "application/x-tar")
def _archive(context: Any, value: Any) -> bytes:
    """Return the body of an upload as it was drawn."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


def test_each_route_is_described(served: Served) -> None:
    content = served.api().get("/api/v1/openapi.json").json()
    for path, methods in content["paths"].items():
        for method, route in methods.items():
            assert route["description"], path
            answers = route["responses"]
            assert "429" in answers, path
            for status, answer in answers.items():
                if int(status) >= 400:
                    schema = answer["content"]["application/json"]["schema"]["$ref"]
                    assert schema.endswith("/Problem"), (path, method, status)
    assert content["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    assert "bearer" in content["info"]["description"].lower()


def test_the_page_of_the_api_has_a_command_for_each_route(served: Served) -> None:
    page = served.browser().get("/api").text
    assert page.count("curl -H") == page.count("<h2>")
    assert "$TOKEN" in page


def test_the_commands_on_the_page_of_the_api_work(served: Served, tmp_path: Path) -> None:
    run, user = submitted(served.store, served.user("bob"), tmp_path / "s", "first"), served.user("rita").id
    client = served.api("olga")
    shown = re.findall(r"<pre[^>]*>(.*?)</pre>", client.get("/api").text)
    assert len(shown) == 21
    for command in shown:
        words = shlex.split(html.unescape(command).replace("$(sha256sum < entry.zip | cut -c1-64)", "CHECKSUM"))
        address = (
            words[-1].removeprefix("$SERVER").replace("/runs/17", f"/runs/{run}").replace("/users/3", f"/users/{user}")
        )
        options = list(zip(words[1:-1:2], words[2:-1:2], strict=True))
        headers = dict(text.split(": ", 1) for name, text in options if name == "-H" and "$TOKEN" not in text)
        given = dict(options)
        content = zipped() if "--data-binary" in given else given.get("-d", "").encode()
        if "X-Checksum-SHA256" in headers:
            headers["X-Checksum-SHA256"] = hashlib.sha256(content).hexdigest()
        answer = client.request(given.get("-X", "GET"), address, content=content, headers=headers)
        assert answer.status_code in (200, 201), (command, answer.text)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    found = make_served(tmp_path_factory.mktemp("fuzzed"), url="http://testserver")
    submitted(found.store, found.user("ada"), found.folder / "s", "first")
    work(found.store, [ended(1.0)])
    submitted(found.store, found.user("ada"), found.folder / "s", "second")
    yield found
    found.store.close()


def test_odd_requests_never_fail_the_server(fuzzed: Served) -> None:
    """Random requests of an organiser get answers that are described, and never a 500."""
    from schemathesis.checks import not_a_server_error

    headers = {"Authorization": f"Bearer {fuzzed.tokens['olga']}"}
    tried = []
    for operation in (
        found.ok() for found in schemathesis.openapi.from_asgi("/api/v1/openapi.json", fuzzed.app).get_all_operations()
    ):

        @given(case=operation.as_strategy())
        @settings(
            max_examples=8, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, database=None
        )
        def one(case: Any) -> None:
            answer = case.call(headers=headers)
            case.validate_response(answer, checks=(not_a_server_error,))
            if answer.status_code >= 400:
                assert list(answer.json()) == ["error"], answer.text
            else:
                case.validate_response(answer)

        one()
        tried.append(operation.label)
    assert len(tried) == 21


def test_random_bytes_as_uploads_are_refused(fuzzed: Served) -> None:
    for seed in range(30):
        content = hashlib.sha256(bytes([seed])).digest() * (seed + 1)
        content = (b"PK\x03\x04", b"\x1f\x8b\x08", b"", b"BZh", b"\xfd7zXZ\x00")[seed % 5] + content
        headers = {"Content-Type": "application/zip", "X-Checksum-SHA256": hashlib.sha256(content).hexdigest()}
        answer = fuzzed.api("ada").post(
            "http://testserver/api/v1/benchmarks/top_tagging/phases/public/uploads",
            params={"name": "x"},
            content=content,
            headers=headers,
        )
        assert answer.status_code == 422, answer.text
    assert not list(Path(fuzzed.store.folder / "checks").glob("*"))
