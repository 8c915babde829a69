"""The client of a benchmark server: submit, follow, read the leaderboard. It needs nothing but the standard library."""

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener
from uuid import uuid4

from collidekit.benchmark.definition import read_mapping
from collidekit.benchmark.submission import SUBMISSION_FILE, check_files, files_of
from collidekit.errors import CollidekitError
from collidekit.plain_text import without_controls
from collidekit.progress import counting, notice

SECONDS = 60.0
"""Longest time without an answer; an upload may take longer as a whole."""
LOCAL = ("127.0.0.1", "localhost", "::1")


class _NoRedirect(HTTPRedirectHandler):
    """A redirect would send the token to another server."""

    def redirect_request(self, *arguments: Any) -> None:
        return None


class Client:
    """A benchmark server, as the user of a token sees it."""

    def __init__(self, server: str, token: str = "") -> None:
        parts = urlsplit(server if "://" in server else f"https://{server}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise CollidekitError(f"--server {server}: is no address of a server; write it like https://benchmark.example.org")
        self.server, self._token = f"{parts.scheme}://{parts.netloc}", token.strip()
        self._opener = build_opener(_NoRedirect)
        if token and parts.scheme == "http" and parts.hostname not in LOCAL:
            notice(f"{self.server}: is not encrypted; everybody on the way can read the token")

    def benchmarks(self) -> list[dict[str, Any]]:
        """Return the benchmarks of the server."""
        return list(self._json("GET", "/benchmarks"))

    def leaderboard(self, benchmark: str, phase: str) -> dict[str, Any]:
        """Return the leaderboard of a phase."""
        return dict(self._json("GET", f"/benchmarks/{quote(benchmark, '')}/phases/{quote(phase, '')}/leaderboard"))

    def submit(
        self, benchmark: str, phase: str, folder: str | Path, name: str = "", parameters: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Send the folder of a submission, or a zip or tar file of it; returns the run, which waits for a worker.

        Where the connection breaks the upload is sent once more; the server takes it once.
        """
        values = {"name": name or _name_in(Path(folder)), "parameters": json.dumps(parameters or {})}
        path = f"/benchmarks/{quote(benchmark, '')}/phases/{quote(phase, '')}/uploads?{urlencode(values)}"
        key = uuid4().hex
        with tempfile.TemporaryFile() as packed:
            kind = _pack(Path(folder), packed)
            headers = {"Content-Type": kind, "X-Checksum-SHA256": _sha256(packed), "Idempotency-Key": key}
            self._check_size(Path(folder), packed.seek(0, 2))
            try:
                return dict(self._send_file(path, headers, packed))
            except _Lost:
                return dict(self._send_file(path, headers, packed))

    def run(self, run: int) -> dict[str, Any]:
        """Return a run: state, reason, place in the queue, scores."""
        return dict(self._json("GET", f"/runs/{run}"))

    def runs(self) -> list[dict[str, Any]]:
        """Return the last runs of the user."""
        return list(self._json("GET", "/runs"))

    def log(self, run: int) -> str:
        """Return the log of a run."""
        with self._open("GET", f"/runs/{run}/log") as answer:
            return without_controls(answer.read().decode("utf-8", "replace"))

    def act(self, run: int, action: str) -> dict[str, Any]:
        """Do ``cancel``, ``withdraw`` or ``rerun`` with a run; returns the run."""
        return dict(self._json("POST", f"/runs/{run}/{action}"))

    def _check_size(self, folder: Path, size: int) -> None:
        largest = self._json("GET", "/service")["upload_bytes"]
        if size > largest:
            raise CollidekitError(
                f"{folder}: is packed {size / 1e6:.4g} MB, and {self.server} takes {largest / 1e6:.4g} MB; leave out what is not "
                "needed, or put it into a container image"
            )

    def _send_file(self, path: str, headers: dict[str, str], packed: IO[bytes]) -> Any:
        size = packed.seek(0, 2)
        packed.seek(0)
        with counting("upload", "bytes", size) as advance:
            content = _pieces(packed, advance)
            with self._open("POST", path, {**headers, "Content-Length": str(size)}, content) as answer:
                return _parsed(self.server, answer)

    def _json(self, method: str, path: str) -> Any:
        with self._open(method, path) as answer:
            return _parsed(self.server, answer)

    def _open(
        self, method: str, path: str, headers: dict[str, str] | None = None, content: Iterator[bytes] | None = None
    ) -> HTTPResponse:
        own = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        request = Request(f"{self.server}/api/v1{path}", content, {**own, **(headers or {})}, method=method)
        try:
            answer: HTTPResponse = self._opener.open(request, timeout=SECONDS)
        except HTTPError as error:
            raise CollidekitError(_sentence(self.server, error)) from None
        except (URLError, OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise _Lost(f"{self.server}: does not answer ({reason}); check the address and the network") from None
        return answer


class _Lost(CollidekitError):
    """The connection broke; the same request may be sent again."""


def _name_in(folder: Path) -> str:
    """Return the name in the file of a submission."""
    if not folder.is_dir():
        raise CollidekitError(f"{folder}: give the entry a name with --name")
    content, _ = read_mapping(folder / SUBMISSION_FILE, "a submission file", "docs/benchmark-take-part.md")
    return str(content.get("name") or folder.absolute().name)


def _pack(folder: Path, target: IO[bytes]) -> str:
    """Write an archive of a submission to a file; returns its media type."""
    if folder.is_file():
        kinds = {".zip": "application/zip", ".gz": "application/gzip", ".tgz": "application/gzip", ".tar": "application/x-tar"}
        if folder.suffix not in kinds:
            raise CollidekitError(f"{folder}: is no folder, zip or tar file of a submission")
        with folder.open("rb") as source:
            while piece := source.read(1 << 20):
                target.write(piece)
        return kinds[folder.suffix]
    if not folder.is_dir():
        raise CollidekitError(f"{folder}: there is no such folder; make a submission with: collidekit benchmark init {folder}")
    check_files(folder)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files_of(folder):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix())
            entry.external_attr, entry.compress_type = (path.stat().st_mode & 0o777 | 0o100000) << 16, zipfile.ZIP_DEFLATED
            with path.open("rb") as source, archive.open(entry, "w") as member:
                while piece := source.read(1 << 20):
                    member.write(piece)
    return "application/zip"


def _pieces(file: IO[bytes], advance: Any) -> Iterator[bytes]:
    while piece := file.read(1 << 16):
        yield piece
        advance(len(piece))


def _sha256(file: IO[bytes]) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]


def _parsed(server: str, answer: HTTPResponse) -> Any:
    try:
        return json.loads(answer.read())
    except (ValueError, OSError, HTTPException) as error:
        raise CollidekitError(f"{server}: is no benchmark server, or its answer was cut ({error})") from None


def _sentence(server: str, error: HTTPError) -> str:
    """Return what the server says about an error."""
    if error.code in (301, 302, 303, 307, 308):
        return f"{server}: redirects to {error.headers.get('Location', 'another address')}; give that address with --server"
    try:
        said = json.loads(error.read(100_000))["error"]
    except (ValueError, KeyError, TypeError, OSError, HTTPException):
        return f"{server}: answers with error {error.code} and no reason; is it a benchmark server?"
    return f"{server}: {without_controls(str(said))}"
