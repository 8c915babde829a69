"""Uploads: whole or not at all, within limits, many at once."""

import hashlib
import io
import shutil
import socket
import time
import zipfile
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from live_server import running
from served import Served, form_of, make_served

from collidekit.benchmark.server import intake, protocol
from collidekit.benchmark.server.settings import Rate
from collidekit.benchmark.states import State

ADDRESS = "/api/v1/benchmarks/top_tagging/phases/public/uploads"
GOOD = {"submission.yaml": "name: x\ntagger: python tag.py\n", "tag.py": "print('tag')\n"}


def zipped(files: dict[str, str] = GOOD, link: str = "") -> bytes:
    """Return a zip file, with a symbolic link of this name where one is given."""
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        if link:
            entry = zipfile.ZipInfo(link)
            entry.external_attr = 0o120777 << 16
            archive.writestr(entry, "/etc/passwd")
    return found.getvalue()


def send(served: Served, content: bytes, name: str = "ada", entry: str = "mine", **headers: str) -> httpx.Response:
    """Upload a content."""
    own = {"Content-Type": "application/zip", "X-Checksum-SHA256": hashlib.sha256(content).hexdigest()}
    return served.api(name).post(ADDRESS, params={"name": entry}, content=content, headers={**own, **headers})


def kept(served: Served) -> list[Path]:
    """Return the files of uploads."""
    return [path for path in (served.store.folder / "uploads").rglob("*") if path.is_file()]


def test_an_upload_is_queued_with_its_hash(served: Served) -> None:
    content = zipped()
    answer = send(served, content)
    assert answer.status_code == 201, answer.text
    run = served.store.run(answer.json()["id"])
    assert run.state is State.PENDING
    assert len(run.code_hash) == 64
    assert answer.json()["queue"]["position"] == 1
    assert run.upload == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"), (b"no archive", "cannot be read"), (zipped()[:-30], "zip"), (zipped({"x.py": "1"}), "submission.yaml"),
        (zipped({**GOOD, "../out.py": "x"}), "leads out"), (zipped({**GOOD, "/etc/x": "x"}), "leads out"), (zipped(link="evil"), "link"),
        (zipped({"submission.yaml": "name: x\n"}), "tagger"), (zipped({"submission.yaml": "name: [\n"}), "submission.yaml"),
        (zipped({"submission.yaml": "name: x\ntagger: t\nparameters: {depth: 77}\n"}), "maximum"),
        (zipped({f"d{n}/x": "1" for n in range(6000)}), "files"), (zipped({**GOOD, "d" * 200 + ("/" + "d" * 200) * 20: "x"}), "a path of more than"),
        (zipped({"submission.yaml": GOOD["submission.yaml"] + "x: 1\n" * 100_000}), "larger than 250,000 bytes"),
    ],
)  # fmt: skip
def test_broken_archives_are_refused_in_one_sentence(served: Served, content: bytes, said: str) -> None:
    answer = send(served, content)
    assert answer.status_code == 422, answer.text
    assert said in answer.json()["error"]
    assert "\n" not in answer.json()["error"]
    assert str(served.folder) not in answer.json()["error"]
    assert not served.store.runs()


def test_a_zip_bomb_is_refused(served: Served) -> None:
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("submission.yaml", GOOD["submission.yaml"])
        with archive.open("bomb", "w", force_zip64=False) as bomb:
            for _ in range(1100):
                bomb.write(bytes(1 << 20))
    answer = send(served, found.getvalue())
    assert answer.status_code == 422
    assert "once it is unpacked" in answer.json()["error"]
    assert sum(path.stat().st_size for path in served.store.folder.rglob("*") if path.is_file()) < 10_000_000


def test_archives_are_unpacked_two_at_a_time_while_there_is_room(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, most = [], []

    def slow(*words: object) -> int:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.3)
        inside.pop()
        return 0

    monkeypatch.setattr(intake, "submit_archive", slow)
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: send(served, zipped({**GOOD, "x": str(number)})), range(6)))
    assert max(most) == 2
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**13, 0, 3 << 30))
    assert send(served, zipped()).status_code == 507, "4 GB more than the 2 GB that stay free"


def test_a_wrong_checksum_keeps_nothing(served: Served) -> None:
    answer = send(served, zipped(), **{"X-Checksum-SHA256": "0" * 64})
    assert answer.status_code == 422
    assert "damaged on its way" in answer.json()["error"]
    assert not kept(served)


@pytest.mark.parametrize("checksum", ["", "abc", "g" * 64])
def test_a_checksum_is_needed(served: Served, checksum: str) -> None:
    answer = send(served, zipped(), **{"X-Checksum-SHA256": checksum})
    assert answer.status_code == 422
    assert "SHA256" in answer.json()["error"]


def test_other_media_types_are_refused(served: Served) -> None:
    for kind in ("application/json", "multipart/form-data; boundary=x", "", "text/plain"):
        assert send(served, zipped(), **{"Content-Type": kind}).status_code == 415


def test_an_upload_over_the_limit_is_refused(tmp_path: Path) -> None:
    served = make_served(tmp_path, upload=1000)
    big = zipped(
        {
            **GOOD,
            "x": hashlib.sha256(b"x").hexdigest() + "".join(hashlib.sha256(bytes([n])).hexdigest() for n in range(80)),
        }
    )
    assert len(big) > 1000
    assert send(served, big).status_code == 422
    huge = b"x" * 300_000
    assert send(served, huge).status_code == 413
    assert not kept(served)


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    served = make_served(tmp_path, free=10**18)
    answer = send(served, zipped())
    assert answer.status_code == 507
    assert "nearly full" in answer.json()["error"]


def test_the_same_request_twice_is_one_run(served: Served) -> None:
    first = send(served, zipped(), **{"Idempotency-Key": "k1"}).json()["id"]
    assert send(served, zipped(), **{"Idempotency-Key": "k1"}).json()["id"] == first
    assert send(served, zipped(), **{"Idempotency-Key": "k2"}).json()["id"] != first


def test_submissions_of_a_user_are_limited_in_rate(tmp_path: Path) -> None:
    served = make_served(tmp_path, uploads=Rate(2, 0.001))
    assert [send(served, zipped()).status_code for _ in range(3)] == [201, 201, 429]
    assert send(served, zipped(), "bob", "bobs").status_code == 201


def test_a_name_of_others_is_refused(served: Served) -> None:
    send(served, zipped())
    answer = send(served, zipped(), "bob", "Mine")
    assert answer.status_code == 422
    assert "belongs to others" in answer.json()["error"]


def test_an_upload_by_the_page(served: Served) -> None:
    browser = served.browser("ada")
    page = "/benchmarks/top_tagging/phases/public/submit"
    data = {"form": form_of(browser.get(page).text), "kind": "zip", "name": "mine", "parameter.depth": "2"}
    answer = browser.post(page, data=data, files={"file": ("x.zip", zipped(), "application/zip")})
    assert answer.status_code == 303, answer.text
    assert served.store.runs()[0].parameters == {"depth": 2, "flip": False}
    broken = browser.post(page, data=data, files={"file": ("x.zip", b"no", "application/zip")})
    assert broken.status_code == 422
    assert "cannot be read" in broken.text


def test_fifty_uploads_at_once_are_all_queued(served: Served) -> None:
    contents = [zipped({**GOOD, "n.txt": str(n) * 1000}) for n in range(50)]
    with running(served.app) as address, ThreadPoolExecutor(50) as pool:

        def one(place: int) -> int:
            headers = {"Content-Type": "application/zip", "X-Checksum-SHA256": hashlib.sha256(contents[place]).hexdigest(),
                       "Authorization": f"Bearer {served.tokens['ada' if place % 2 else 'bob']}"}  # fmt: skip
            answer = httpx.post(
                f"{address}{ADDRESS}",
                params={"name": f"entry {place}"},
                content=contents[place],
                headers=headers,
                timeout=120,
            )
            assert answer.status_code == 201, answer.text
            return int(answer.json()["id"])

        runs = list(pool.map(one, range(50)))
    assert len(set(runs)) == 50
    assert {run.group for run in served.store.runs()} == {f"entry {place}" for place in range(50)}
    assert {run.upload for run in served.store.runs()} == {hashlib.sha256(content).hexdigest() for content in contents}


def test_an_upload_that_breaks_off_leaves_nothing(served: Served) -> None:
    with running(served.app) as address:
        parts = urlsplit(address)
        with socket.create_connection((str(parts.hostname), int(parts.port or 0))) as connection:
            head = (
                f"POST {ADDRESS}?name=x HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {served.tokens['ada']}\r\nContent-Type: application/zip\r\n"
                f"X-Checksum-SHA256: {'0' * 64}\r\nContent-Length: 100000\r\n\r\n"
            )
            connection.sendall(head.encode() + b"PK" * 1000)
            time.sleep(0.5)
        time.sleep(0.5)
        assert httpx.get(f"{address}/api/v1/benchmarks").status_code == 200
    assert not kept(served)
    assert not served.store.runs()


def test_a_head_that_never_ends_is_cut_off(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.5)
    with running(served.app) as address:
        port = int(urlsplit(address).port or 0)
        began = time.monotonic()
        with (
            socket.create_connection(("127.0.0.1", port)) as silent,
            socket.create_connection(("127.0.0.1", port)) as slow,
        ):
            for connection in (silent, slow):
                connection.settimeout(10)
            slow.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ")
            assert silent.recv(100) == b""
            assert slow.recv(100) == b""
        assert time.monotonic() - began < 5
        with httpx.Client(base_url=address) as client:  # a connection that is used again lives on
            for _ in range(3):
                assert client.get("/").status_code == 200
                time.sleep(0.4)


def test_an_image_is_refused_where_no_worker_runs_it(tmp_path: Path) -> None:
    """A worker on another machine may run it."""
    served = make_served(tmp_path, without_images="bubblewrap")
    content = zipped({**GOOD, "submission.yaml": "name: x\nimage: docker.io/me/x:1\ntagger: python tag.py\n"})
    said = "image docker.io/me/x:1: this server runs no container images (it uses bubblewrap); leave the image out"
    refused = send(served, content)
    assert refused.status_code == 422
    assert said in refused.json()["error"]
    runs = ADDRESS.replace("uploads", "runs")
    body = {"name": "mine", "image": "docker.io/me/x:1", "tagger": "python tag.py"}
    assert said in served.api("ada").post(runs, json=body).json()["error"]
    assert served.store.runs() == []
    for page in ("/api", "/benchmarks/top_tagging/phases/public/submit"):
        assert "This server runs no container images" in served.browser("ada").get(page).text
    assert send(served, zipped()).status_code == 201
    served.store.worker_seen("podman-1", "another machine")
    assert send(served, content).status_code == 201
    assert "no container images" not in served.browser("ada").get("/api").text
    served.store.close()
