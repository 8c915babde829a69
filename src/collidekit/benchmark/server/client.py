"""The client of a benchmark server: submit, follow, read the leaderboard. It needs nothing but the standard library."""

import hashlib
import json
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener
from uuid import uuid4

from collidekit.benchmark.definition import FILE, load_benchmark, read_mapping
from collidekit.benchmark.scoring.board import Board, Column, Row, Unranked
from collidekit.benchmark.scoring.result import Curve, Score
from collidekit.benchmark.submission import SUBMISSION_FILE, packed_files
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
        self._guessed = "://" not in server
        local = urlsplit(f"//{server}").hostname in LOCAL
        parts = urlsplit(f"{'http' if local else 'https'}://{server}" if self._guessed else server)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise CollidekitError(
                f"--server {server}: is no address of a server; write it like https://benchmark.example.org"
            )
        self.server, self._token = f"{parts.scheme}://{parts.netloc}", token.strip()
        self._opener = build_opener(_NoRedirect)
        if token and parts.scheme == "http" and parts.hostname not in LOCAL:
            notice(f"{self.server}: is not encrypted; everybody on the way can read the token")

    def benchmarks(self) -> list[dict[str, Any]]:
        """Return the benchmarks of the server."""
        return list(self._json("GET", "/benchmarks"))

    def submit(
        self, benchmark: str, phase: str, submission: Path, name: str, parameters: Mapping[str, Any], seed: int
    ) -> int:
        """Send the folder of a submission, or a zip or tar file of it; returns the number of its run.

        Where the connection breaks the upload is sent once more; the server takes it once.
        """
        values = {"name": name or _name_in(submission), "parameters": json.dumps(dict(parameters)), "seed": str(seed)}
        path = f"{self._phase(benchmark, phase)}/uploads?{urlencode(values)}"
        with tempfile.TemporaryFile() as packed:
            kind = _pack(submission, packed)
            headers = {"Content-Type": kind, "X-Checksum-SHA256": _sha256(packed), "Idempotency-Key": uuid4().hex}
            self._check_size(submission, packed.seek(0, 2))
            try:
                return int(self._send_file(path, headers, packed)["id"])
            except _Lost:
                return int(self._send_file(path, headers, packed)["id"])

    def status(self, run: int) -> dict[str, Any]:
        """Return state, reason, place in the queue, scores and times of a run."""
        found = dict(self._json("GET", f"/runs/{run}"))
        place = found.pop("queue") or {}
        for own, name in (("run", "id"), ("name", "entry"), ("peak_memory", "peak_memory_bytes")):
            found[own] = found.pop(name)
        for name in ("submitted_at", "started_at", "finished_at"):
            found[name] = _moment(found[name])
        benchmark = self._json("GET", f"/benchmarks/{quote(found['benchmark'], '')}") if found["scores"] else {}
        same = benchmark.get("version") == found["version"]
        shown = {**found, "metrics": benchmark["metrics"] if same else []}
        return shown | {name: place[name] for name in ("position", "estimate_seconds") if name in place}

    def runs(self) -> list[dict[str, Any]]:
        """Return the last runs of the user."""
        return list(self._json("GET", "/runs"))

    def log(self, run: int) -> str:
        """Return the log of a run."""
        with self._open("GET", f"/runs/{run}/log") as answer:
            return without_controls(answer.read().decode("utf-8", "replace"))

    def cancel(self, run: int) -> bool:
        """Cancel a run; False where it is over already."""
        try:
            self._json("POST", f"/runs/{run}/cancel")
        except _Refused as refused:
            if refused.status == 409:
                return False
            raise
        return True

    def withdraw(self, run: int) -> list[int]:
        """Take a run from the leaderboard; it stays in the store. Returns the runs that repeat it and stay."""
        return list(self._json("POST", f"/runs/{run}/withdraw").get("reruns", ()))

    def share(self, run: int, member: str) -> None:
        """Let another user submit under the name of a run."""
        content = json.dumps({"user": member}).encode()
        headers = {"Content-Type": "application/json", "Content-Length": str(len(content))}
        with self._open("POST", f"/runs/{run}/members", headers, iter([content])) as answer:
            answer.read()

    def leaderboard(self, benchmark: str, phase: str, curves: bool = False) -> Board:
        """Return the leaderboard of a phase, also with the ROC curves of its entries."""
        found = self._json("GET", f"{self._phase(benchmark, phase)}/leaderboard{'?curves=true' if curves else ''}")
        rows = [
            Row(
                row["name"], {name: Score.from_dict(score) for name, score in row["scores"].items()}, row["rank"], row["tied"],
                row["run"], row["user"], row["reference"], row["source"], notes=tuple(row["notes"]),
                error_unknown=bool(row.get("error_unknown")), runs=row.get("ensemble_runs") or 1, runs_left_out=tuple(row.get("runs_left_out", ())),
                curve=Curve(**row["curve"]) if row.get("curve") else None,
            )
            for row in found["entries"]
        ]  # fmt: skip
        return Board(
            title=found["title"], columns=tuple(Column(**column) for column in found["columns"]), order=tuple(found["order"]),
            rows=tuple(rows), unranked=tuple(Unranked(row["name"], row["reason"]) for row in found["unranked"]),
        )  # fmt: skip

    def _phase(self, benchmark: str, phase: str) -> str:
        """Return the path of a phase; without a name the first one. The folder of a benchmark stands for its name."""
        name = load_benchmark(benchmark).name if (Path(benchmark) / FILE).is_file() else benchmark
        path = f"/benchmarks/{quote(name, '')}"
        phase = phase or str(self._json("GET", path)["phases"][0]["name"])
        return f"{path}/phases/{quote(phase, '')}"

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
            if error.code == 401 and not self._token:
                raise _Refused(
                    f"{self.server}: needs a token; give --token, or the environment variable COLLIDEKIT_BENCHMARK_TOKEN",
                    error.code,
                ) from None
            raise _Refused(_sentence(self.server, error), error.code) from None
        except (URLError, OSError, HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            guess = ", and write http:// before it if it has no TLS" if self._guessed else ""
            raise _Lost(
                f"{self.server}: does not answer ({reason}); check the address and the network{guess}"
            ) from None
        return answer


class _Lost(CollidekitError):
    """The connection broke; the same request may be sent again."""


class _Refused(CollidekitError):
    """The server answers with an error."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def _name_in(folder: Path) -> str:
    """Return the name in the file of a submission."""
    if not folder.is_dir():
        raise CollidekitError(f"{folder}: give the entry a name with --name")
    content, _ = read_mapping(folder / SUBMISSION_FILE, "a submission file", "docs/benchmark-take-part.md")
    return str(content.get("name") or folder.absolute().name)


def _pack(folder: Path, target: IO[bytes]) -> str:
    """Write an archive of a submission to a file; returns its media type."""
    if folder.is_file():
        kinds = {
            ".zip": "application/zip",
            ".gz": "application/gzip",
            ".tgz": "application/gzip",
            ".tar": "application/x-tar",
        }
        if folder.suffix not in kinds:
            raise CollidekitError(f"{folder}: is no folder, zip or tar file of a submission")
        with folder.open("rb") as source:
            while piece := source.read(1 << 20):
                target.write(piece)
        return kinds[folder.suffix]
    if not folder.is_dir():
        raise CollidekitError(
            f"{folder}: there is no such folder; make a submission with: collidekit benchmark init {folder}"
        )
    files = packed_files(folder)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix())
            entry.external_attr, entry.compress_type = (
                (path.stat().st_mode & 0o777 | 0o100000) << 16,
                zipfile.ZIP_DEFLATED,
            )
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


def _moment(text: str | None) -> str | None:
    """Return a time of the API as the store shows it."""
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if text else None


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
