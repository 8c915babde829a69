"""What a store refuses is one error that names it; one that does not answer, too, after a time that is limited."""

import http.server
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import xrootd_server

from collidekit.errors import CollidekitError
from collidekit.readers import server as patience
from collidekit.stores.output import check_writable
from collidekit.stores.server import server_at

from .test_output import PLACE, make, output


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few tries in seconds, in the place of six within a minute."""
    monkeypatch.setattr(patience, "PAUSES", (0.1, 0.1))
    check_writable.cache_clear()
    server_at.cache_clear()


def test_no_write_access_on_xrootd(xrootd: xrootd_server.Server) -> None:
    folder = xrootd.data / "of_others"
    folder.mkdir(mode=0o555, exist_ok=True)
    with pytest.raises(CollidekitError, match=r"of_others/.*: the store does not let you write or read here; check"):
        check_writable(xrootd.url("of_others"))


def test_no_write_access_on_a_disk(disk: str, tmp_path: Path) -> None:
    if os.getuid() == 0:
        read_only = "file:///proc/self"  # root may write to any folder of a disk
    else:
        (tmp_path / "store").chmod(0o555)
        read_only = disk
    with pytest.raises(CollidekitError, match=r"file:///.*: (the store does not let you|is no longer in the store)"):
        check_writable(read_only)


def test_a_disk_that_is_not_mounted(tmp_path: Path) -> None:
    with pytest.raises(CollidekitError, match=r"file:///.*/eos: there is no such folder; create it, or mount its disk"):
        check_writable(f"file://{tmp_path}/eos")
    assert not (tmp_path / "eos").exists()


def test_a_bucket_that_is_not_there(s3: str) -> None:
    with pytest.raises(CollidekitError, match=r"s3://nobody-has-it/x/.*: there is no such bucket; create it"):
        check_writable("s3://nobody-has-it/x")


def test_no_keys(s3: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    s3fs = pytest.importorskip("s3fs")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(CollidekitError, match=r"s3://.*: there are no keys for it; set AWS_ACCESS_KEY_ID"):
        check_writable(s3)
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def small_disk() -> Iterator[xrootd_server.Server]:
    """A real server whose disk has 1 MiB."""
    if lacks := xrootd_server.missing():
        pytest.skip(f"needs {lacks}")
    with tempfile.TemporaryDirectory(prefix="collidekit-small-") as folder:
        data = Path(folder, "data")
        data.mkdir()
        mount = shutil.which("mount")
        if (
            os.getuid() != 0
            or not mount
            or subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m", "none", data], check=False).returncode
        ):
            pytest.skip("a small disk cannot be mounted here")
        server = xrootd_server.Server(Path(folder), writable=True)
        try:
            server.start()
            yield server
            server.kill()
        finally:
            subprocess.run(["umount", "-l", data], check=True)


def test_a_full_disk_keeps_the_output_here_and_goes_on_when_there_is_space(
    small_disk: xrootd_server.Server, tmp_path: Path
) -> None:
    (small_disk.data / "other").write_bytes(bytes(700_000))
    make(tmp_path / "here", **{"large.pt": "x" * 600_000})
    here = output(small_disk.url("store"), tmp_path / "here")
    with pytest.raises(
        CollidekitError,
        match=r"the store is full, or your quota is used up.*the output is complete in .*, and the same",
    ):
        here.send()
    assert not here.complete
    assert not list(small_disk.data.rglob("*.part"))
    (small_disk.data / "other").unlink()
    here.send()
    assert here.complete


class _Quota(http.server.BaseHTTPRequestHandler):
    """Answers as Ceph does where a quota is used up."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b"<?xml version='1.0'?><Error><Code>QuotaExceeded</Code><Message>no more</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        pass


def test_a_used_up_quota_of_objects(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    s3fs = pytest.importorskip("s3fs")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Quota) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        s3fs.S3FileSystem.clear_instance_cache()
        try:
            with pytest.raises(CollidekitError, match=r"the store is full, or your quota is used up"):
                check_writable(s3)
        finally:
            server.shutdown()
            s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.parametrize("protocol", ["root", "s3"])
def test_a_store_that_is_away(
    protocol: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    request.getfixturevalue(protocol)  # skips where its packages are not installed
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"root://127.0.0.1:{port}//store"
    if protocol == "s3":
        import s3fs

        s3fs.S3FileSystem.clear_instance_cache()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        url = "s3://away/store"
    begun = time.monotonic()
    with pytest.raises(
        CollidekitError, match=f"{url}/{PLACE}/stored.json: the server failed . times in .* check that it is running"
    ):
        output(url, tmp_path / "here").holds("run.json")
    assert time.monotonic() - begun < 60
    if protocol == "s3":
        s3fs.S3FileSystem.clear_instance_cache()


def test_objects_of_a_server_that_never_answers(s3: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    s3fs = pytest.importorskip("s3fs")
    monkeypatch.setattr("collidekit.stores.objects.LONGEST", 0.5)
    s3fs.S3FileSystem.clear_instance_cache()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(CollidekitError, match=r"the server failed . times in .*TimeoutError"):
            output(s3, tmp_path / "here").holds("run.json")
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_server_that_is_lost_while_it_sends_is_asked_again(
    xrootd: xrootd_server.Server, root: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "PAUSES", itertools.repeat(0.5))
    make(tmp_path / "here")
    server, tried = server_at(root), []
    original = server.put

    def restarted(*args: object) -> None:
        tried.append(args[1])
        if len(tried) == 2:
            xrootd.kill()
            threading.Timer(2, xrootd.start).start()
        original(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(server, "put", restarted)
    output(root, tmp_path / "here").send()
    assert len(tried) > 4
    assert output(root, tmp_path / "there").complete
